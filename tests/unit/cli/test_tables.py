"""Tables keep names in one piece, however narrow the terminal is."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from workbench.cli.tables import plain_table, print_with_whole_names

_NAMES = st.from_regex(r"[a-z][a-z0-9._-]{0,99}(/[a-z][a-z0-9._-]{0,99})?", fullmatch=True)


def printed(table: Table, *, width: int, names: int = 1, terminal: bool = False) -> str:
    """Print as the commands do, on a terminal or into a pipe."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=terminal, color_system=None)
    print_with_whole_names(console, table, columns=names)
    return stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
@given(names=st.lists(st.tuples(_NAMES, _NAMES), min_size=1, max_size=3), width=st.integers(5, 90))
def test_names_are_neither_folded_nor_cut(
    terminal: bool, names: list[tuple[str, str]], width: int
) -> None:
    table = plain_table("run", "dataset", "remark")
    for run, dataset in names:
        table.add_row(Text(run), escape(dataset), "a remark of several words")
    told = printed(table, width=width, names=2, terminal=terminal)
    for run, dataset in names:
        assert f"{run} " in told
        assert f"{dataset} " in told


def test_what_is_no_name_is_folded_and_lost_nowhere() -> None:
    table = plain_table("run", "remark")
    table.add_row("a-name-of-some-length", "x" * 100)
    told = printed(table, width=40)
    assert "a-name-of-some-length" in told
    assert told.count("x") == 100
    assert max(map(len, told.splitlines())) <= 40


def test_where_names_leave_no_room_the_rest_stays_readable() -> None:
    table = plain_table("run", "outcomes")
    table.add_row("n" * 60, "1,319 completed, 3 failed")
    told = printed(table, width=60)
    assert [line[60:].strip() for line in told.splitlines()] == [
        "outcomes", "1,319", "completed,", "3 failed"
    ]  # fmt: skip


def test_markup_takes_no_room() -> None:
    table = plain_table("run", "remark")
    table.add_row("[bold]abc[/]", "x")
    assert printed(table, width=40).splitlines()[1].rstrip() == "abc  x"
