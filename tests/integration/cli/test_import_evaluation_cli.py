"""`workbench import evaluation`, from another tool's file to verdicts, as a person uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import CommandLine
from tests.conftest import REPOSITORY
from tests.fake_provider import FakeProviderProcess, ProviderOptions

DATA = REPOSITORY / "tests" / "data" / "interchange"


def workspace(folder: Path, environment: Mapping[str, str]) -> CommandLine:
    (folder / "workbench.yaml").write_text("workspace_version: 1\n")
    return CommandLine(folder, environment)


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    return workspace(tmp_path, {})


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A workspace with a model that repeats what it is asked."""
    with FakeProviderProcess(ProviderOptions(answer="echo")) as provider:
        environment = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": provider.base_url}
        line = workspace(tmp_path_factory.mktemp("echo"), environment)
        line.run("models", "add", "openai/fake-model")
        line.run("models", "price", "openai/fake-model", "--input", "1", "--output", "2")
        yield line


def imported_and_run(line: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    """Import, follow the printed next commands, and return every cell with its scores."""
    told = line.json("import", "evaluation", *arguments)
    for command in told["next"]:
        line.run(*command.split()[1:])
    return [json.loads(row) for row in line.run("export", "results").splitlines()]


def test_over_twenty_kinds_of_assertions_give_the_verdicts_of_promptfoo(
    echoing: CommandLine,
) -> None:
    config = DATA / "promptfoo" / "verdicts.yaml"
    rows = {row["key"]: row for row in imported_and_run(echoing, str(config))}
    dataset = echoing.folder / "datasets" / "every-kind-of-assertion.jsonl"
    examples = [json.loads(text) for text in dataset.read_text().splitlines()]

    assert len(rows) == len(examples)
    assert all(rows[e["key"]]["output"] == e["input"]["answer"] for e in examples)
    verdicts = {True: "pass", False: "fail", None: "none"}
    found = [
        (e["metadata"]["kind"], e["input"]["answer"], verdicts[checks["passed"]])
        for e in examples
        if (checks := rows[e["key"]]["scores"]["checks"])
    ]
    assert found == [
        (e["metadata"]["kind"], e["input"]["answer"], e["metadata"]["verdict"]) for e in examples
    ]
    assert len({kind.removeprefix("not-") for kind, _, _ in found}) >= 28


CONFIG = """\
prompts: ["Capital of {{country}}?", file://more.txt]
providers: [anthropic:messages:claude-x]
tests:
  - vars: {country: [Norway, Peru]}
    assert: [{type: contains, value: "{{country}}"}, {type: python, value: "len(output) > 3"}]
  - file://cases.csv
"""
CASES = "country,__expected,__description\nKenya,contains:Nairobi,The east\n"


def test_files_that_are_only_pointed_to_are_read_when_they_are_named(line: CommandLine) -> None:
    (line.folder / "promptfooconfig.yaml").write_text(CONFIG)
    (line.folder / "cases.csv").write_text(CASES)
    (line.folder / "more.txt").write_text("Name {{country}}'s capital.\n---\n{{country}}: capital?")

    alone = line.run("import", "evaluation", "promptfooconfig.yaml", "--dry-run")
    assert "name it with --tests" in alone
    assert "name it with --prompt" in alone
    assert not (line.folder / "datasets").exists()

    told = line.json(
        *("import", "evaluation", "promptfooconfig.yaml"),
        *("--tests", "cases.csv", "--prompt", "more.txt"),
    )
    assert told["examples"] == 3
    assert len(told["prompts"]) == 3
    assert told["models"] == ["simulated/small"]
    assert [(loss["path"], loss["file"]) for loss in told["losses"]] == [
        ("providers[0]", "promptfooconfig.yaml"),
        ("tests[0].assert[1]", "promptfooconfig.yaml"),
    ]
    assert any("2 examples are asked less" in note for note in told["notes"])


def test_importing_again_writes_nothing_and_overwrites_nothing(line: CommandLine) -> None:
    (line.folder / "promptfooconfig.yaml").write_text(CONFIG)
    line.run("import", "evaluation", "promptfooconfig.yaml")
    kept = {path: path.read_bytes() for path in line.folder.rglob("*.yaml")}

    again = line.json("import", "evaluation", "promptfooconfig.yaml")

    assert [file["written"] for file in again["files"]] == [False, False, False]
    assert {path: path.read_bytes() for path in line.folder.rglob("*.yaml")} == kept


def test_a_file_that_would_ask_something_else_is_refused_unless_it_is_wanted(
    line: CommandLine,
) -> None:
    text = CONFIG.replace("{{country}}?", "{{country | upper}}?")
    (line.folder / "promptfooconfig.yaml").write_text(text)

    told = line.run("import", "evaluation", "promptfooconfig.yaml", code=2)
    assert "a filter" in told
    assert "--lossy" in line.last_error
    assert not (line.folder / "prompts").exists()
    refused = line.json("import", "evaluation", "promptfooconfig.yaml", code=2)
    assert any(loss["changes_meaning"] for loss in refused["losses"])
    line.run("import", "evaluation", "promptfooconfig.yaml", "--lossy")


def test_samples_of_openai_evals_are_asked_and_judged(echoing: CommandLine) -> None:
    samples = DATA / "openai-evals" / "capitals.jsonl"
    rows = imported_and_run(
        echoing,
        *(str(samples), "--eval-class", "Includes"),
        *("--name", "evals", "--model", "openai/fake-model"),
    )

    assert {row["output"]: row["scores"]["contains_any"]["passed"] for row in rows} == {
        "Is Oslo or Bergen the capital?": True,
        "Capital of Peru?": False,
        "Lima, or Cusco?": True,
    }
