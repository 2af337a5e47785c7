"""Answers of the API to tables, pure; one module a page."""
