"""The how-to pages, block by block as they are printed, against the fake provider."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

from tests.command_line import CommandLine
from tests.conftest import REPOSITORY
from tests.fake_provider import FakeProviderProcess, ProviderOptions

HOWTO = REPOSITORY / "docs" / "howto"
_PLACE = "http://127.0.0.1:8000/v1"  # what the page says where the application would be


def blocks(page: str) -> list[tuple[str, str]]:
    """Return (language, text) of every block of a page, in order."""
    text = (HOWTO / page).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run_python(folder: Path, code: str) -> str:
    """Run a block as a script; one that awaits runs in a loop, as a notebook's cell does."""
    if re.search(r"^(\w+ = )?await ", code, re.MULTILINE):
        code = f"import asyncio\nasync def cell():\n{indent(code, '    ')}\nasyncio.run(cell())"
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, f"{code}\n{done.stderr}"
    return done.stdout


def follow(line: CommandLine, page: str, files: list[str], replace: dict[str, str]) -> str:
    """Do what a page says, block by block; `files` are the names of the files it shows.

    Return all that was printed.
    """
    names, printed = iter(files), []
    for language, text in blocks(page):
        for there, here in replace.items():
            text = text.replace(there, here)
        if language == "python":
            printed.append(run_python(line.folder, text))
        elif language == "sh":
            commands = [c for c in text.splitlines() if c.startswith("workbench ")]
            printed += [line.run(*shlex.split(command)[1:]) for command in commands]
        else:
            (line.folder / next(names)).write_text(text)
    assert next(names, None) is None
    return "\n".join(printed)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_own_application_is_measured_in_all_three_ways(
    tmp_path: Path, database_url: str
) -> None:
    with FakeProviderProcess(ProviderOptions(answer="fixed:It is Rome.")) as server:
        line = CommandLine(tmp_path)
        files = ["questions.csv", "workbench.yaml", "question.yaml"]
        printed = follow(line, "own-app.md", files, {_PLACE: server.base_url})
    assert "3 of 4 examples have an output; 1 failed" in printed
    assert "no document mentions it" in printed  # by `show`, and from the callable's failed cell
    assert "Experiment 1: 2 runs" in printed
    assert "callable-v2 against callable-v1" in printed
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert "## Experiment 1: applications" in (tmp_path / "report.md").read_text()
    assert "insufficient data" in (tmp_path / "applications.md").read_text()


def test_python_is_worked_from_as_printed(tmp_path: Path) -> None:
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    printed = follow(CommandLine(tmp_path), "python.md", [], {})
    assert "Experiment 1: completed, 2 runs" in printed
    assert (tmp_path / "sums.html").read_text().startswith("<!doctype html>")
