"""Tables as every command prints them: no lines, and names that can be copied."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.markup import render
from rich.table import Column, Table
from rich.text import Text

__all__ = ["COLUMN_GAP", "plain_table", "print_with_whole_names"]

COLUMN_GAP = 2
"""Spaces between two columns."""

_NARROWEST = 12  # longer words may be folded to it


def plain_table(*titles: str) -> Table:
    """Return a table without lines whose texts are folded where they do not fit."""
    table = Table(box=None, padding=(0, COLUMN_GAP, 0, 0), pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def print_with_whole_names(console: Console, table: Table, *, columns: int = 1) -> None:
    """Print a plain table with the names of its first columns in one piece.

    The other columns give way, down to their longest word. If that is not enough, lines are
    longer than the console is wide: nothing is cut.
    """
    wanted = [max(text.cell_len for text in _texts(column)) for column in table.columns]
    needed = [
        width if number < columns else min(width, _NARROWEST, _longest_word(column))
        for number, (width, column) in enumerate(zip(wanted, table.columns, strict=True))
    ]
    gaps = COLUMN_GAP * (len(needed) - 1)
    spare = max(0, console.width - sum(needed) - gaps)
    for column, most, least in zip(table.columns, wanted, needed, strict=True):
        column.width = least + min(spare, most - least)
        spare -= column.width - least
    table.width = sum(column.width or 0 for column in table.columns) + gaps
    console.print(table, soft_wrap=True)


def _texts(column: Column) -> list[Text]:
    return [_text(cell) for cell in (column.header, *column.cells)]


def _text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else render(str(cell), emoji=False)


def _longest_word(column: Column) -> int:
    return max(word.cell_len for text in _texts(column) for word in text.split(" "))
