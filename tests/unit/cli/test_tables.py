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

from workbench.cli.tables import plain_table, with_whole_names

_NAMES = st.from_regex(r"[a-z][a-z0-9._-]{0,99}(/[a-z][a-z0-9._-]{0,99})?", fullmatch=True)


def printed(table: Table, *, width: int, terminal: bool = False) -> str:
    """Print as the commands do, on a terminal or into a pipe."""
    stream = io.StringIO()
    Console(
        file=stream, width=width, force_terminal=terminal, highlight=False, soft_wrap=True
    ).print(table)
    return stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
@given(names=st.lists(st.tuples(_NAMES, _NAMES), min_size=1, max_size=3), width=st.integers(5, 90))
def test_names_are_neither_folded_nor_cut(
    terminal: bool, names: list[tuple[str, str]], width: int
) -> None:
    table = plain_table("run", "dataset", "remark")
    for run, dataset in names:
        table.add_row(Text(run), escape(dataset), "a remark of several words")
    told = printed(with_whole_names(table, columns=2), width=width, terminal=terminal)
    for run, dataset in names:
        assert f"{run} " in told
        assert f"{dataset} " in told


def test_what_is_no_name_is_folded_and_lost_nowhere() -> None:
    table = plain_table("run", "remark")
    table.add_row("a-name-of-some-length", "x" * 100)
    told = printed(with_whole_names(table), width=40)
    assert "a-name-of-some-length" in told
    assert told.count("x") == 100
    assert max(map(len, told.splitlines())) <= 40


def test_markup_takes_no_room() -> None:
    table = plain_table("run", "remark")
    table.add_row("[bold]abc[/]", "x")
    assert printed(with_whole_names(table), width=40).splitlines()[1].rstrip() == "abc  x"
