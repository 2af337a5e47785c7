"""The quickstart, command by command as it is printed, against the fake provider."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.command_line import CommandLine
from tests.conftest import REPOSITORY
from tests.fake_provider import FakeProviderProcess, ProviderOptions

PAGE = (REPOSITORY / "docs" / "quickstart.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands() -> list[str]:
    """Return the lines that call the workbench, in order."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("workbench ")]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_the_quickstart_works_as_printed(tmp_path: Path, database_url: str) -> None:
    with FakeProviderProcess(ProviderOptions(answer="fixed:billing")) as server:
        line = CommandLine(
            tmp_path,
            {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": server.base_url},
            fresh=True,
        )
        init, run, *others = commands()
        line.run(*shlex.split(init.partition("&&")[0])[1:])
        line.folder = tmp_path / "my-prompts"
        (line.folder / "tickets.csv").write_text(blocks("csv")[0])
        for name, text in zip(("draft", "strict"), blocks("yaml"), strict=True):
            path = line.folder / "prompts" / "triage" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        verdict = line.run(*shlex.split(run)[1:])
        for other in others:
            line.run(*shlex.split(other)[1:])
    assert "Experiment 1: 2 runs" in verdict
    assert "INSUFFICIENT DATA" in verdict
    assert "Only 3" in verdict
    assert (line.folder / "report.html").read_text().startswith("<!doctype html>")
    assert (line.folder / "prompts" / "triage" / "v1.yaml").is_file()


def test_own_file_and_prompt_take_at_most_four_commands() -> None:
    until_verdict = next(i for i, text in enumerate(commands()) if text.startswith("workbench run"))
    exports = sum(text.startswith("export ") for b in blocks("sh") for text in b.splitlines())
    assert until_verdict + 1 + exports <= 4
