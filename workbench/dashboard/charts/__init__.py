"""Tables to plots, pure; one module a page."""
