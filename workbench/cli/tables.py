"""Tables as every command prints them: no lines, and names that can be copied."""

from __future__ import annotations

from rich.console import RenderableType
from rich.markup import render
from rich.table import Table
from rich.text import Text

__all__ = ["COLUMN_GAP", "plain_table", "with_whole_names"]

COLUMN_GAP = 2
"""Spaces between two columns."""


def plain_table(*titles: str) -> Table:
    """Return a table without lines whose texts are folded where they do not fit."""
    table = Table(box=None, padding=(0, COLUMN_GAP, 0, 0), pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def with_whole_names(table: Table, *, columns: int = 1) -> Table:
    """Keep the names of the first columns in one piece, whatever the terminal's width.

    The other columns give way. Call this when all rows are there.
    """
    for column in table.columns[:columns]:
        column.min_width = max(_width(cell) for cell in column.cells)
    return table


def _width(cell: RenderableType) -> int:
    return (cell if isinstance(cell, Text) else render(str(cell))).cell_len
