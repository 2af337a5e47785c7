"""`--cache`, `--extend`, sequential plans and `cache` as they are typed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.command_line import POLITE_PROMPT, PROMPT
from workbench.cli.main import app

Run = Callable[..., str]

ASK = ("run", "--dataset", "sums@1", "--model", "simulated/small", "--prompt", "ask@1")
BOTH = (*ASK, "--prompt", "ask@2", "--scorer", "numeric_answer")
SEQUENTIAL = """\
dataset: sums@1
prompts: [ask@1, ask@2]
models: [simulated/small]
scorers: [numeric_answer]
plan: {mode: sequential, n: 30}
"""


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    Path("workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, "workbench.db")
    Path("prompts/ask").mkdir(parents=True)
    for number, text in enumerate((PROMPT, POLITE_PROMPT), start=1):
        Path(f"prompts/ask/v{number}.yaml").write_text(text)

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), prog_name="workbench")
        assert result.exit_code == code, result.output
        return result.output

    invoke("prompts", "sync")
    _import_sums(invoke, 40)
    return invoke


def _import_sums(run: Run, count: int) -> None:
    lines = [f"sum-{i},What is {i} + {i}?,{2 * i}" for i in range(count)]
    Path("sums.csv").write_text("\n".join(["id,question,answer", *lines]))
    run(
        "datasets", "import", "sums.csv", "--name", "sums", "--key", "id", "--input", "question",
        "--expected", "answer",
    )  # fmt: skip


def _json(text: str) -> Any:
    return json.loads(text[text.index("{") :])


def _sentence(text: str) -> str:
    return " ".join(text.split())


# --- reuse ----------------------------------------------------------------------------------------


def test_a_run_says_how_many_answers_it_used_again(run: Run) -> None:
    run(*ASK, "--limit", "30")
    assert "40 completed, 30 of them reused" in _sentence(run(*ASK, "--cache"))
    assert "40 completed, 30 of them reused" in _sentence(run("experiments", "show"))
    shown = _json(run("runs", "show", "latest", "--format", "json"))
    assert (shown["counts"], shown["reused"]) == ({"completed": 40}, 30)


def test_resume_uses_answers_again_when_it_is_told_to(run: Run) -> None:
    run(*ASK)
    told = run(*ASK, "--new", "--cache", "--limit", "5")
    assert "5 of them reused" in _sentence(told)
    assert "Experiment 2: 1 run, 5 cells wanted." in run("resume", "2", "--cache")


def test_a_reused_answer_is_marked_where_it_is_shown(run: Run) -> None:
    run(*ASK)
    run(*ASK, "--cache")
    told = run("show", "latest", "--key", "sum-7")
    assert "sum-7 · completed, reused" in told
    assert "no call was made" in _sentence(told)
    (story,) = json.loads(run("show", "latest", "--key", "sum-7", "--format", "json"))
    assert re.fullmatch(r"[0-9a-f-]{36}", story["reused_from_id"])
    assert story["attempts"] == []


def test_explain_names_the_part_that_differs_and_shows_it(run: Run) -> None:
    run(*BOTH)
    first, second = (f"1/ask@{n}+simulated/small:sum-7" for n in (1, 2))
    told = run("cache", "explain", first, second)
    assert "They differ in messages." in told
    assert "+Answer with the number only." in told
    explained = _json(run("cache", "explain", first, second, "--format", "json"))
    assert (explained["equal"], explained["changed"]) == (False, ["messages"])
    assert explained["a"]["request_hash"] == explained["a"]["stored_hash"]


def test_explain_finds_a_repetition_and_a_parameter(run: Run) -> None:
    run(*ASK, "--repetitions", "2", "--limit", "3")
    told = run("cache", "explain", "latest:sum-1", "latest:sum-1:1")
    assert "They differ in repetition." in told
    run(*ASK, "--limit", "3", "--parameter", "temperature=0.5")
    told = run("cache", "explain", "1/:sum-1", "2/:sum-1")
    assert "They differ in parameters.temperature." in told
    assert "-0\n+0.5" in told


def test_explain_says_when_two_requests_are_equal(run: Run) -> None:
    run(*ASK)
    run(*ASK, "--new")
    assert "The requests are equal" in run("cache", "explain", "1/:sum-1", "2/:sum-1")


def test_explain_says_of_one_answer_whether_it_can_be_used_again(run: Run) -> None:
    run(*ASK)
    run(*ASK, "--cache")
    assert "Its answer can be used again." in run("cache", "explain", "1/:sum-1")
    assert "It is itself the answer of" in run("cache", "explain", "2/:sum-1")
    (story,) = json.loads(run("show", "1/", "--key", "sum-1", "--format", "json"))
    assert _json(run("cache", "explain", story["id"], "--format", "json"))["usable"] is True


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("nonsense", "'nonsense' is no generation."),
        ("9/ask:sum-1", "There is no run '9/ask'"),
        ("1/:sum-99", "has no outcome for 'sum-99'"),
        ("01890000-0000-7000-8000-000000000000", "There is no generation"),
    ],
)
def test_explain_refuses_what_it_does_not_find(run: Run, reference: str, told: str) -> None:
    run(*ASK, "--limit", "2")
    assert told in _sentence(run("cache", "explain", reference, code=2))


def test_explain_refuses_an_output_made_elsewhere(run: Run) -> None:
    Path("outputs.csv").write_text("id,text\nsum-1,2\n")
    run(
        "runs", "import", "outputs.csv", "--dataset", "sums@1", "--match", "id", "--output", "text",
        "--name", "theirs",
    )  # fmt: skip
    assert "is not stored" in _sentence(run("cache", "explain", "theirs:sum-1", code=2))


def test_stats_count_what_was_saved(run: Run) -> None:
    assert "0 stored answers" in run("cache", "stats")
    run(*ASK)
    run(*ASK, "--cache")
    told = run("cache", "stats")
    assert "40 stored answers to 40 different requests" in told
    assert "40 calls saved in 1 run:" in told
    assert _json(run("cache", "stats", "--format", "json"))["reused"] == 40


# --- extensions -----------------------------------------------------------------------------------


def test_an_extension_says_what_it_extends_and_what_is_new(run: Run) -> None:
    run(*BOTH)
    _import_sums(run, 45)
    told = _sentence(run("run", "--extend", "1"))
    assert "Experiment 2 extends experiment 1 (sums@1): 5 of 45 examples are new." in told
    assert "45 completed, 40 of them reused" in told
    assert "2 (extends 1)" in _sentence(run("experiments", "list"))
    assert "extends experiment 1" in _sentence(run("experiments", "show", "2"))
    assert _json(run("experiments", "show", "2", "--format", "json"))["extends"] == 1


@pytest.mark.parametrize(
    "flags",
    [("--prompt", "ask@2"), ("--model", "simulated/large"), ("--repetitions", "2"),
     ("--limit", "3"), ("--margin", "0.1"), ("--scorer", "contains"), ("--data", "sums.csv")],
)  # fmt: skip
def test_an_extension_takes_no_other_question(run: Run, flags: tuple[str, ...]) -> None:
    told = _sentence(run("run", "--extend", "1", *flags, code=2))
    assert f"{flags[0]} cannot be used with --extend" in told


def test_an_extension_that_cannot_be_is_refused(run: Run) -> None:
    assert "There is no experiment 7" in run("run", "--extend", "7", code=2)
    run(*ASK)
    told = _sentence(run("run", "--extend", "1", code=2))
    assert "sums@1 is not newer than sums@1" in told
    assert "workbench datasets import FILE --name sums" in told


# --- sequential plans -----------------------------------------------------------------------------


def test_a_sequential_plan_says_where_it_ended(run: Run) -> None:
    Path("plan.yaml").write_text(SEQUENTIAL)
    told = _sentence(run("run", "plan.yaml", "--concurrency", "2"))
    assert re.search(r"(Stopped after|All) \d+ (of 30 )?examples", told)
    shown = _json(run("experiments", "show", "--format", "json"))
    end = shown["sequential"]
    assert shown["status"] == "completed"
    assert shown["wanted"] == end["n_used"] * 2
    assert end["n_max"] == 30
    assert "workbench resume" not in run("experiments", "show")


def test_a_sequential_plan_without_a_candidate_is_refused(run: Run) -> None:
    Path("plan.yaml").write_text(SEQUENTIAL.replace("[ask@1, ask@2]", "[ask@1]"))
    assert "needs a scorer, and a baseline" in _sentence(run("run", "plan.yaml", code=2))
    assert "No experiment yet" in run("experiments", "list")
