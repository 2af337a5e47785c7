"""What every command prints with."""

from __future__ import annotations

import pytest
from rich.markup import escape

from workbench.cli.context import err, out


def test_words_between_colons_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "triage:key:1 :bug:"
    out().print(f"[bold]{escape(name)}[/]")
    err().print(escape(name), style="dim")
    printed = capsys.readouterr()
    assert printed.out == printed.err == f"{name}\n"
