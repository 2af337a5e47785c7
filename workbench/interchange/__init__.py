"""Readers and writers of other tools' formats, each with a loss report."""
