"""The pipelines of docs/howto/ci.md: valid YAML, and every command in them exists as written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from app.schemas.experiments import Plan
from tests.conftest import REPOSITORY
from workbench.cli.main import COMMANDS, _Lazy, app
from workbench.scorers import parse_scorer
from workbench.workspace.experiment_files import ExperimentFile
from workbench.workspace.plan_check import check_plan

PAGE = (REPOSITORY / "docs" / "howto" / "ci.md").read_text(encoding="utf-8")
YAML = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)]
SHELL = re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def commands() -> list[str]:
    """Return every command line of the workbench in the page's blocks, once."""
    everything = [
        line for document in YAML for text in texts(document) for line in text.split("\n")
    ]
    everything += [line for block in SHELL for line in block.split("\n")]
    return list(dict.fromkeys(line for line in everything if line.startswith("workbench ")))


def unknown_parts(line: str) -> list[str]:
    """Return the words of a command line that name no command or flag."""
    _, name, *rest = shlex.split(line)
    if name not in COMMANDS:
        return [name]
    command = _Lazy(name, *COMMANDS[name]).load()
    if (children := getattr(command, "commands", {})) and len(children) > 0:
        if rest[0] not in children:
            return [rest[0]]
        command = children[rest[0]]
    flags = {flag for parameter in command.params for flag in parameter.opts}
    return [word for word in rest if word.startswith("--") and word not in flags]


def test_the_page_has_a_plan_and_two_pipelines() -> None:
    asked, github, gitlab = YAML
    experiment = ExperimentFile.model_validate(asked)
    scorers = [parse_scorer(spec) for spec in experiment.scorers]
    check_plan(experiment.plan, scorers, examples=300, gate=True)
    assert isinstance(experiment.plan, Plan)
    assert {"check", "gate"} <= set(github["jobs"])
    assert gitlab["stages"] == ["check", "gate"]


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_page_exists_with_its_flags(line: str) -> None:
    assert unknown_parts(line) == []


def test_a_wrong_command_would_be_found() -> None:
    assert unknown_parts("workbench rum x") == ["rum"]
    assert unknown_parts("workbench run x --gates") == ["--gates"]
    assert unknown_parts("workbench prompts synch") == ["synch"]


def test_the_job_without_secrets_names_none() -> None:
    github, gitlab = YAML[1:]
    for job in (github["jobs"]["check"], gitlab["check"]):
        assert not [text for text in texts(job) if "secrets." in text or "API_KEY" in text]
    assert "head.repo.full_name == github.repository" in github["jobs"]["gate"]["if"]
    assert "pull_request_target" not in str(github)


def test_the_sample_workspace_goes_through_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's own command lines, one after the other, on the sample with simulated models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    runner = CliRunner()
    assert runner.invoke(app, ["init", "--sample"]).exit_code == 0
    for line in texts(YAML[2]):
        if line.startswith("workbench "):
            done = runner.invoke(app, shlex.split(line)[1:], prog_name="workbench")
            assert done.exit_code in (0, 10), done.output
    assert "Gate" in Path("gate.md").read_text(encoding="utf-8")
    assert Path("gate.xml").is_file()
