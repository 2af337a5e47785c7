"""`workbench init` as it is typed, and what it makes."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from app.core.settings import load_settings
from workbench.cli.init import app
from workbench.cli.main import app as workbench
from workbench.workspace.init import SAMPLE_FOLDERS, init_workspace, sample_folder
from workbench.workspace.prompt_files import find_prompt_files, read_prompt_file


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    return tmp_path


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_writes_marker_settings_and_one_example(here: Path) -> None:
    run()
    assert set(contents(here)) == {
        "workbench.yaml",
        ".gitignore",
        ".env.example",
        "prompts/review-mood/v1.yaml",
        "prompts/review-mood/v2.yaml",
        "datasets/review-mood.jsonl",
        "experiments/review-mood.yaml",
    }
    assert yaml.safe_load((here / "workbench.yaml").read_text()) == {"workspace_version": 1}
    lines = (here / "datasets/review-mood.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == len({row["key"] for row in rows}) == 12
    assert [read_prompt_file(path).number for path in find_prompt_files(here)] == [1, 2]


def test_the_next_steps_run_as_they_are_printed(here: Path) -> None:
    told = run("my folder").stdout
    steps = re.findall(r"^  (.+)$", told.split("Next")[1], re.MULTILINE)
    assert steps[0] == "cd 'my folder'"
    os.chdir(here / "my folder")
    for step in steps[1:]:
        program, *arguments = shlex.split(step)
        assert program == "workbench"
        result = CliRunner().invoke(workbench, arguments)
        assert result.exit_code == 0, result.output
    assert "review-mood@2" in result.output


def test_a_second_time_changes_nothing(here: Path) -> None:
    run()
    before = contents(here)
    again = run()
    assert contents(here) == before
    assert "kept     workbench.yaml" in again.stderr


def test_a_file_that_is_there_stays_as_it_is(here: Path) -> None:
    (here / ".gitignore").write_text("*.pyc\n")
    (here / "workbench.yaml").write_text("log_level: INFO\n")
    told = run()
    assert (here / ".gitignore").read_text() == "*.pyc\n"
    assert (here / "workbench.yaml").read_text() == "log_level: INFO\n"
    assert "Let your .gitignore name workbench.db*" in told.stderr


def test_every_commented_setting_is_one(here: Path) -> None:
    """Whoever takes the marks away gets a file that is accepted."""
    run()
    text = (here / "workbench.yaml").read_text()
    uncommented = re.sub(r"^# ( *[a-z_]+:.*)$", r"\1", text, flags=re.MULTILINE)
    (here / "workbench.yaml").write_text(uncommented)
    settings = load_settings(here, {})
    assert settings.endpoints["company"].max_concurrency == 50
    assert settings.database_url.startswith("postgresql+asyncpg://")
    assert (settings.host, settings.port, settings.log_level) == ("127.0.0.1", 8800, "WARNING")


def test_every_variable_of_the_example_environment_is_read(here: Path) -> None:
    run()
    (here / "workbench.yaml").write_text("endpoints: {company: {provider: openai}}\n")
    text = (here / ".env.example").read_text().replace("# ", "")
    (here / ".env").write_text(text.replace("API_KEY=", "API_KEY=sk-test"))
    settings = load_settings(here, {})
    for name in ("openai", "company"):
        key = settings.endpoints[name].api_key
        assert key is not None
        assert key.get_secret_value() == "sk-test"
    assert settings.database_url.startswith("postgresql+asyncpg://")


def test_a_folder_is_made(here: Path) -> None:
    run("a/b")
    assert (here / "a/b/workbench.yaml").is_file()


def test_a_file_is_no_folder(here: Path) -> None:
    (here / "x").touch()
    assert "x is a file" in run("x", code=2).stderr


def test_the_sample_is_copied_whole(here: Path) -> None:
    run("--sample")
    made = contents(here)
    for name in SAMPLE_FOLDERS:
        source = {f"{name}/{path}": data for path, data in contents(sample_folder() / name).items()}
        assert source.items() <= made.items()
    assert "prompts/support-triage/v3.yaml" in made
    assert "prompts/review-mood/v1.yaml" not in made


def test_the_function_of_the_sample_scores(here: Path) -> None:
    run("--sample")
    check = ["scorers", "check", "team.known_queue", "--output"]
    for output, told in (
        ("`Billing`.", "scored 1: names billing"),
        ("It is a bug, or other.", "scored 0: names bug and other, in 6 words"),
        ("", "scored 0: names no queue, in 0 words"),
    ):
        tried = CliRunner().invoke(workbench, [*check, output])
        assert told in tried.stdout, tried.output


def test_the_sample_overwrites_nothing(here: Path) -> None:
    mine = here / "prompts/support-triage/v1.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    report = init_workspace(here, sample=True)
    assert mine.read_text() == "mine"
    assert "prompts/support-triage/v1.yaml" in report.kept
