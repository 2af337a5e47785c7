"""What the README says of serving, as it is printed, up to the command that serves."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.command_line import CommandLine
from tests.conftest import REPOSITORY


def serving_commands() -> list[str]:
    """Return the commands of the section that serves an alias."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Serve it")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1].splitlines()


def test_an_alias_is_made_ready_as_printed(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    line.run("init")
    *commands, last = serving_commands()
    assert shlex.split(last, comments=True) == ["workbench", "serve"]
    printed: list[str] = []
    for command in commands:
        found = next((text.split()[0] for text in printed if "passthrough@1" in text), "")
        arguments = shlex.split(command.replace("HASH", found), comments=True)
        printed.append(line.run(*arguments[1:]))
    assert "support-bot@production is passthrough@1" in printed[2]
    assert "wb_" in printed[-1]
