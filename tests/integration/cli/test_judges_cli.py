"""Judges as they are typed: scoring a run, comparing two, looking at what was asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.command_line import POLITE_PROMPT, PROMPT
from workbench.cli.main import app

Run = Callable[..., str]

JUDGE = "simulated/large"
TWO = ("run", "--dataset", "sums@1", "--prompt", "ask@1", "--prompt", "ask@2")
RUNS = ("1/ask@1+simulated/small", "1/ask@2+simulated/small")


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    Path("workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, "workbench.db")
    Path("prompts/ask").mkdir(parents=True)
    for number, text in enumerate((PROMPT, POLITE_PROMPT), start=1):
        Path(f"prompts/ask/v{number}.yaml").write_text(text)
    lines = [f"What is {i} + {i}?,{2 * i}" for i in range(12)]
    Path("sums.csv").write_text("\n".join(["question,answer", *lines]))

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), prog_name="workbench")
        assert result.exit_code == code, result.output
        return result.stdout

    invoke("prompts", "sync")
    invoke("datasets", "import", "sums.csv", "--name", "sums", "--expected", "answer")
    return invoke


def test_a_run_is_scored_by_a_judge_and_shows_what_was_asked(run: Run) -> None:
    run(*TWO, "--model", "simulated/small")
    told = run("score", RUNS[0], "--scorer", f"judge_correctness:model={JUDGE}")
    assert "judge_correctness v1" in told
    (story,) = json.loads(run("show", RUNS[0], "--limit", "1", "--format", "json"))
    (judgement,) = story["judgements"]
    assert judgement["model"] == f"{JUDGE}@1"
    assert judgement["prompt"] == "judge_correctness@1"
    assert "<<<DATA output" in judgement["request"]["messages"][1]["content"]
    assert "judge_correctness asked simulated/large@1:" in run("show", RUNS[0], "--limit", "1")


def test_two_runs_are_compared_by_a_judge_of_pairs(run: Run) -> None:
    run(*TWO, "--model", "simulated/small")
    scorer = f"judge_preference:model={JUDGE}"
    found = json.loads(run("compare", *RUNS, "--scorer", scorer, "--format", "json"))
    preference = found["preference"]
    assert preference["wins"] + preference["losses"] + preference["ties"] == 12
    assert found["n_pairs"] == 12
    assert "judge_self" in {warning["code"] for warning in found["warnings"]}


def test_an_experiment_declares_its_judges(run: Run) -> None:
    Path("experiment.yaml").write_text(
        "dataset: sums@1\n"
        "prompts: [ask@1, ask@2]\n"
        "models: [simulated/small]\n"
        "scorers:\n"
        f"  - {{name: judge_correctness, model: {JUDGE}, samples: 3}}\n"
        f"  - {{name: judge_preference, model: {JUDGE}}}\n"
    )
    run("run", "experiment.yaml")
    found = json.loads(run("compare", *RUNS, "--scorer", "judge_correctness", "--format", "json"))
    assert found["scorer"]["config"]["models"] == [f"{JUDGE}@1"]
    assert found["scorer"]["config"]["pinned"]["prompt_hash"].startswith("sha256:")


def test_a_judge_of_pairs_scores_no_single_run(run: Run) -> None:
    run(*TWO, "--model", "simulated/small")
    run("score", RUNS[0], "--scorer", f"judge_preference:model={JUDGE}", code=2)


def test_an_unknown_option_of_a_judge_is_refused_before_any_call(run: Run) -> None:
    run(*TWO, "--model", "simulated/small", "--scorer", "judge_rubric:model=m,tone=x", code=2)
    assert "No experiment yet" in run("experiments", "list")


def test_a_run_tells_what_its_judges_cost(run: Run) -> None:
    told = run(*TWO, "--model", "simulated/small", "--scorer", f"judge_correctness:model={JUDGE}")
    assert told.count("judges: 12 questions, $0.0000") == 2
    assert "judges: 12 questions, $0.0000" in run("experiments", "show")
    found = json.loads(run("experiments", "show", "--format", "json"))
    (judging, _) = (one["judging"] for one in found["runs"])
    assert (judging["questions"], judging["cost"], judging["unpriced"]) == (12, 0.0, 0)
    assert judging["input_tokens"] > 0


def test_without_a_judge_nothing_is_told_of_one(run: Run) -> None:
    told = run(*TWO, "--model", "simulated/small", "--scorer", "numeric_answer")
    assert "judges:" not in told
