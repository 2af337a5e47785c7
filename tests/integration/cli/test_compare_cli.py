"""`workbench compare` as it is typed: what it takes, refuses and shows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.command_line import POLITE_PROMPT, PROMPT
from workbench.cli.main import app

Run = Callable[..., str]

EXPERIMENT = (
    "run", "--dataset", "sums@1", "--prompt", "ask@1", "--prompt", "ask@2",
    "--model", "simulated/small", "--model", "simulated/large",
    "--scorer", "numeric_answer", "--margin", "0.03",
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    Path("workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, "workbench.db")
    Path("prompts/ask").mkdir(parents=True)
    for number, text in enumerate((PROMPT, POLITE_PROMPT), start=1):
        Path(f"prompts/ask/v{number}.yaml").write_text(text)
    rows = [f"What is {i} + {i}?,{2 * i},{'odd' if i % 2 else 'even'}" for i in range(50)]
    Path("sums.csv").write_text("\n".join(["question,answer,kind", *rows]))

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), prog_name="workbench")
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.output

    invoke("prompts", "sync")
    invoke(
        "datasets", "import", "sums.csv", "--name", "sums", "--input", "question",
        "--expected", "answer", "--metadata", "kind",
    )  # fmt: skip
    return invoke


def names(run: Run) -> list[str]:
    return [
        entry["name"]
        for entry in json.loads(run("experiments", "show", "--format", "json"))["runs"]
    ]


def answer(run: Run, *arguments: str) -> Any:
    return json.loads(run("compare", *arguments, "--format", "json"))


def test_without_runs_the_pairs_of_the_last_experiment_are_compared_by_its_plan(run: Run) -> None:
    run(*EXPERIMENT)
    results = answer(run)
    assert len(results) == 3
    assert {result["margin"] for result in results} == {0.03}
    assert {result["comparisons"] for result in results} == {3}
    assert answer(run, "--experiment", "1") == results


def test_several_candidates_are_one_family(run: Run) -> None:
    run(*EXPERIMENT)
    first, *others = names(run)
    results = answer(run, first, *others)
    assert [result["candidate_run"] for result in results] == others
    assert all(result["p_holm"] >= result["p_value"] for result in results)
    told = run("compare", first, *others)
    assert "Does any of the 4 runs differ?" in told
    assert told.count("INCONCLUSIVE") + told.count("SUPERIOR") + told.count("INFERIOR") >= 1
    assert all(len(line) <= 80 for line in told.splitlines())


def test_one_candidate_alone_gives_one_result_and_its_slices(run: Run) -> None:
    run(*EXPERIMENT)
    first, second, *_ = names(run)
    result = answer(run, first, second)
    assert {(row["column"], row["value"]) for row in result["slices"]} == {
        ("kind", "even"),
        ("kind", "odd"),
    }
    assert "by slice (exploratory)" in run("compare", first, second)
    assert answer(run, first, second, "--no-slices")["slices"] == []


def test_a_slice_that_does_not_exist_is_refused_with_those_that_do(run: Run) -> None:
    run(*EXPERIMENT)
    first, second, *_ = names(run)
    told = run("compare", first, second, "--slice", "colour", code=2)
    assert "There is: kind." in " ".join(told.split())
    run("compare", first, second, "--slice", "kind", "--no-slices", code=2)


def test_an_experiment_and_runs_contradict_each_other(run: Run) -> None:
    run(*EXPERIMENT)
    told = run("compare", names(run)[0], "--experiment", "1", code=2)
    assert "either --experiment N or the runs" in " ".join(told.split())


def test_a_new_version_of_the_data_is_compared_on_what_both_have(run: Run) -> None:
    run(*EXPERIMENT)
    old = names(run)[0]
    rows = Path("sums.csv").read_text().splitlines()
    Path("sums.csv").write_text("\n".join([*rows[:41], "What is 1 + 1 + 1?,3,odd"]))
    run(
        "datasets", "import", "sums.csv", "--name", "sums", "--input", "question",
        "--expected", "answer", "--metadata", "kind",
    )  # fmt: skip
    run(
        "run", "--dataset", "sums@2", "--prompt", "ask@2", "--model", "simulated/small",
        "--scorer", "numeric_answer",
    )  # fmt: skip
    told = " ".join(run("compare", old, names(run)[0]).split())
    assert "Compared are the 40 examples that both sides have alike" in told
    assert "10 only the baseline's, 1 only the candidate's" in told
    assert "not alike: The runs are over sums@1 and sums@2" in told
