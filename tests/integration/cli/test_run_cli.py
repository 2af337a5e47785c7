"""`run`, `resume`, `compare`, `show` and `score` as they are typed: what is refused, and how."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.core.errors import ConfigurationError, Invalid
from app.schemas.experiments import check_margin
from tests.command_line import POLITE_PROMPT, PROMPT
from workbench.cli.main import app
from workbench.cli.resume import ERROR_CLASSES, read_targets

Run = Callable[..., str]

ONE = ("run", "--dataset", "sums@1", "--prompt", "ask@1", "--model", "simulated/small")
TWO = (*ONE, "--prompt", "ask@2", "--scorer", "numeric_answer")


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    Path("workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, "workbench.db")
    Path("prompts/ask").mkdir(parents=True)
    for number, text in enumerate((PROMPT, POLITE_PROMPT), start=1):
        Path(f"prompts/ask/v{number}.yaml").write_text(text)
    _write_sums(range(4))

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), prog_name="workbench")
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    invoke("prompts", "sync")
    invoke("datasets", "import", "sums.csv", "--name", "sums", "--expected", "answer")
    return invoke


def _write_sums(numbers: range) -> None:
    lines = [f"What is {i} + {i}?,{2 * i}" for i in numbers]
    Path("sums.csv").write_text("\n".join(["question,answer", *lines]))


def test_a_margin_as_wide_as_the_scores_is_refused_before_the_run(run: Run) -> None:
    told = run(*TWO, "--margin", "5", code=2)
    assert "accepts any loss" in told
    assert "0.05 is 5 points" in told
    assert "No experiment yet" in run("experiments", "list")


@pytest.mark.parametrize("margin", ["0", "-0.1", "nan", "inf"])
def test_a_margin_must_be_positive(run: Run, margin: str) -> None:
    run(*TWO)
    for command in (TWO, ("compare",)):
        told = run(*command, f"--margin={margin}", code=2)
        assert "must be a positive number" in told


def test_compare_refuses_a_margin_as_wide_as_the_scores(run: Run) -> None:
    run(*TWO)
    assert "0.05 is 5 points" in run("compare", "--margin", "5", code=2)
    run("compare", "--margin", "0.05")


@given(
    margin=st.floats(),
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
)
def test_only_a_margin_between_nothing_and_everything_is_a_loss_to_accept(
    margin: float, low: float, width: float
) -> None:
    bounds = (low, low + width)
    if 0 < margin < bounds[1] - bounds[0]:
        check_margin(margin, bounds)
    else:
        with pytest.raises(Invalid, match="margin"):
            check_margin(margin, bounds)


def test_data_and_dataset_contradict_each_other(run: Run) -> None:
    told = run(*ONE, "--data", "sums.csv", code=2)
    assert "Say either --data FILE or --dataset" in told


@pytest.mark.parametrize("flag", ["--input", "--expected", "--key"])
def test_a_column_without_data_is_refused(run: Run, flag: str) -> None:
    assert f"{flag} names a column" in run(*ONE, flag, "question", code=2)


def test_a_file_whose_name_makes_no_dataset_name_is_to_be_named(run: Run) -> None:
    shutil.copy("sums.csv", "表.csv")
    told = run("run", "--data", "表.csv", *ONE[3:], code=2)
    assert "workbench datasets import 表.csv --name NAME" in told


def test_data_that_makes_a_new_version_of_a_dataset_says_so(run: Run) -> None:
    _write_sums(range(1, 6))
    told = run("run", "--data", "sums.csv", "--expected", "answer", *ONE[3:])
    assert "sums@2 is a new version of sums@1: 2 added, 1 removed." in told


def test_an_unreadable_concurrency_leaves_no_experiment_behind(run: Run) -> None:
    assert "--concurrency banana" in run(*ONE, "--concurrency", "banana", code=2)
    assert "No experiment yet" in run("experiments", "list")


@pytest.mark.parametrize("option", ["--limit", "--repetitions"])
def test_a_count_is_at_least_one(run: Run, option: str) -> None:
    assert f"{option} must be at least 1." in run(*ONE, option, "0", code=2)


def test_an_example_is_answered_a_thousand_times_at_most(run: Run) -> None:
    told = run(*ONE, "--repetitions", "1001", code=2)
    assert "--repetitions must be at most 1,000." in told


def test_resume_takes_the_error_class_after_retry_failed(run: Run) -> None:
    run(*ONE)
    for words in (
        ("--retry-failed", "timeout"),
        ("1", "--retry-failed", "timeout"),
        ("--error", "timeout"),
    ):
        assert "Experiment 1: 1 run, 4 cells wanted." in run("resume", *words)


@pytest.mark.parametrize(
    "words", [("--retry-failed", "tiemout"), ("--error", "tiemout"), ("1", "--error", "tiemout")]
)
def test_an_unknown_error_class_is_answered_with_the_known_ones(
    run: Run, words: tuple[str, ...]
) -> None:
    told = run("resume", *words, code=2)
    assert "'tiemout' is no" in told
    assert "rate_limited" in told


def test_an_error_class_alone_asks_for_retry_failed(run: Run) -> None:
    assert "workbench resume --retry-failed timeout" in run("resume", "timeout", code=2)


@given(
    number=st.none() | st.integers(1, 10**6).map(str),
    classes=st.lists(st.sampled_from(sorted(ERROR_CLASSES)), max_size=3),
)
def test_the_order_of_experiment_and_classes_does_not_matter(
    number: str | None, classes: list[str]
) -> None:
    named = [] if number is None else [number]
    assert read_targets([*named, *classes], ()) == (number, tuple(classes))
    assert read_targets([*classes, *named], ()) == (number, tuple(classes))


def test_two_experiments_cannot_be_resumed_at_once() -> None:
    with pytest.raises(ConfigurationError, match="one experiment"):
        read_targets(["1", "2"], ())


def test_show_refuses_a_key_that_no_example_has(run: Run) -> None:
    run(*ONE)
    assert "No example with key 'zz' in 1/ask@1+simulated/small." in run(
        "show", "latest", "--key", "zz", code=2
    )
    assert "No failed cell." in run("show", "latest", "--failed")


@pytest.mark.parametrize(
    "command",
    [("show", "latest"), ("runs", "show", "latest"), ("score", "latest", "--scorer", "length")],
)
def test_a_fresh_workspace_has_no_run_yet(run: Run, command: tuple[str, ...]) -> None:
    assert "There is no run yet." in run(*command, code=2)


def test_identical_variants_are_named_by_their_places(run: Run) -> None:
    told = run(*ONE, "--prompt", "ask@2", "--prompt", "ask@1", code=2)
    assert "Variants 1 and 3 are the same: ask@1+simulated/small" in told


def test_a_prompt_without_variables_is_not_told_to_bind_any(run: Run) -> None:
    Path("plain.yaml").write_text("name: plain\nmessages:\n  - {role: user, content: Hello}\n")
    told = run("run", "--dataset", "sums@1", "--prompt", "plain.yaml", *ONE[5:], code=2)
    assert "uses no variable" in told
    assert "--map" not in told


def test_a_scorer_that_could_score_nothing_says_why(run: Run) -> None:
    _write_sums(range(4))
    run("run", "--data", "sums.csv", "--input", "question", *ONE[3:])
    told = run("score", "latest", "--scorer", "json_schema")
    assert "4 unscored: There is neither a schema nor an expected value." in told
