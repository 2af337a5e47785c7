"""Cells of CSV files: a spreadsheet takes some texts for formulas, and a model may write one.

Texts that begin so get a `'` in front, as spreadsheets themselves write it (OWASP, "CSV
Injection"); numbers are written by us and stay numbers.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FORMULA_GUARD", "safe_cell"]

FORMULA_GUARD: Final = "'"
"""What stands in front of a text that would be a formula."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; an empty one for None."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"{FORMULA_GUARD}{value}"
    return "" if value is None else value
