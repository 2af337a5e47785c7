"""`workbench report` as it is typed: experiments of simulated models, and what their pages say."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.bootstrap import Services, open_services
from app.core.permissions import Actor
from app.core.settings import EndpointSettings, Settings
from app.schemas.experiments import ExperimentView
from tests.command_line import POLITE_PROMPT, PROMPT
from tests.integration.runner.conftest import ASK, ASK_POLITELY, make_experiment, questions
from workbench.cli.main import app
from workbench.reports.gather import gather_report
from workbench.reports.gather_examples import MAX_EXAMPLES
from workbench.reports.html import experiment_page
from workbench.runner.generation.execute import ExecutionOptions, execute
from workbench.runner.generation.remaining import Shard
from workbench.runner.pipeline import compare_all, score_all

Run = Callable[..., str]

EXPERIMENT = (
    "run", "--dataset", "sums@1", "--prompt", "ask@1", "--prompt", "ask@2",
    "--model", "simulated/small", "--concurrency", "20",
)  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, tmp_path / "workbench.db")
    for number, text in enumerate((PROMPT, POLITE_PROMPT), start=1):
        path = tmp_path / "prompts" / "ask" / f"v{number}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    lines = [f"sum-{i:03d},What is {i} + {i + 1}?,{2 * i + 1}" for i in range(60)]
    (tmp_path / "sums.csv").write_text("\n".join(["id,question,answer", *lines]))
    return tmp_path


def test_two_forms_in_one_file_are_refused(run: Run, workspace: Path) -> None:
    run(*EXPERIMENT, "--scorer", "numeric_answer")
    told = run("report", "latest", "--html", "a.md", "--markdown", "./a.md", code=2)
    assert "a file of its own" in told
    assert not (workspace / "a.md").exists()


@pytest.fixture
def run(workspace: Path) -> Run:
    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, list(arguments), prog_name="workbench")
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.output

    invoke("prompts", "sync")
    invoke("datasets", "import", "sums.csv", "--name", "sums", "--key", "id",
           "--input", "question", "--expected", "answer")  # fmt: skip
    return invoke


def _page(run: Run, experiment: str = "latest") -> str:
    run("report", experiment, "--html", "page.html")
    return Path("page.html").read_text(encoding="utf-8")


def _text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.partition("<body>")[2])).split())


def _stored(run: Run, experiment: str = "latest") -> Any:
    return json.loads(run("experiments", "show", experiment, "--format", "json"))


def test_the_page_tells_what_the_record_holds(run: Run) -> None:
    run(*EXPERIMENT, "--scorer", "numeric_answer", "--name", "Is <b>polite</b> better?")
    page, stored = _page(run, "1"), _stored(run)
    text = _text(page)
    [result] = stored["comparisons"]
    assert "Experiment 1 Is <b>polite</b> better?" in text
    assert " ".join(result["sentence"].split()) in text
    for side in ("baseline", "candidate"):
        correct, scored = result[side]["n_correct"], result[side]["n_scored"]
        assert f"{correct} of {scored}; 95 % CI" in text
    for told in ("Simulated answers.", "ask@1", "ask@2", stored["spec"]["dataset_hash"]):
        assert told in text
    shown = re.findall(r'<details class="example".*?<code>(.*?)</code>', page, re.DOTALL)
    assert shown == [flip["key"] for flip in result["flips"]]
    assert "+ Answer with the number only." in text


def test_the_path_is_printed_and_nothing_else_is_left_in_the_folder(
    run: Run, workspace: Path
) -> None:
    run(*EXPERIMENT, "--scorer", "numeric_answer", "--limit", "20")
    before = {path.name for path in workspace.iterdir()}
    assert run("report", "--html", "my report.html") == "my report.html\n"
    assert {path.name for path in workspace.iterdir()} - before == {"my report.html"}


def test_a_page_that_is_there_is_replaced_whole_or_not_touched(run: Run) -> None:
    run(*EXPERIMENT, "--limit", "20")
    old = "x" * 1_000_000
    Path("page.html").write_text(old)
    assert "There is no experiment 7." in run("report", "7", "--html", "page.html", code=2)
    assert Path("page.html").read_text() == old
    assert _page(run).startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("target", "told"),
    [(".", "is a folder: name a file"), ("missing/page.html", "The folder missing does not exist")],
)
def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    run: Run, target: str, told: str
) -> None:
    assert told in run("report", "--html", target, code=2)


def test_all_forms_are_written_at_once_and_tell_the_same(run: Run) -> None:
    run(*EXPERIMENT, "--scorer", "numeric_answer", "--margin", "0.03")
    told = run("report", "--html", "a.html", "--markdown", "a.md", "--json", "a.json")
    assert told.split() == ["a.html", "a.md", "a.json"]
    facts = json.loads(Path("a.json").read_text())
    [compared] = facts["comparisons"]
    assert compared["declared"] is True
    assert compared["sentence"] in _text(Path("a.html").read_text())
    assert compared["verdict"].replace("_", " ") in Path("a.md").read_text()
    assert [r["statuses"] for r in facts["runs"]] == [{"completed": 60}, {"completed": 60}]


def test_no_form_at_all_is_refused(run: Run) -> None:
    assert "Say what to write." in run("report", code=2)


@pytest.mark.parametrize("length", [255, 300])  # the name beside it is longer by a few
def test_a_file_that_cannot_be_written_is_told_in_a_sentence_and_leaves_nothing(
    run: Run, workspace: Path, length: int
) -> None:
    run(*EXPERIMENT, "--limit", "20")
    before = {path.name for path in workspace.iterdir()}
    told = run("report", "--html", "x" * length, code=2)
    assert "cannot be written: File name too long." in " ".join(told.split())
    assert {path.name for path in workspace.iterdir()} == before


def test_without_a_scorer_the_first_answers_stand_side_by_side(run: Run) -> None:
    run(*EXPERIMENT)
    page = _page(run)
    text = _text(page)
    assert "No scorer was used" in text
    assert f"The first {MAX_EXAMPLES} of 60 examples" in text
    assert page.count('<details class="example"') == MAX_EXAMPLES
    assert page.count('<div class="side side-') == 2 * MAX_EXAMPLES


def test_looking_again_with_another_margin_does_not_replace_what_was_declared(run: Run) -> None:
    run(*EXPERIMENT, "--scorer", "numeric_answer", "--margin", "0.03")
    runs = [entry["name"] for entry in _stored(run)["runs"]]
    run("compare", *runs, "--margin", "0.9")
    text = _text(_page(run))
    assert "3 points, the loss declared acceptable" in text
    assert "90 points" not in text and "not the analysis that was declared" not in text


def test_an_analysis_of_another_scorer_stands_after_the_declared_one_and_is_marked(
    run: Run,
) -> None:
    run(*EXPERIMENT, "--scorer", "numeric_answer", "--margin", "0.03")
    runs = [entry["name"] for entry in _stored(run)["runs"]]
    run("compare", *runs, "--scorer", "contains")
    text = _text(_page(run))
    method = text[text.index(" Method ") :]
    assert method.index("Scorer numeric_answer v1") < method.index("Scorer contains v1")
    assert text.count("This is not the analysis that was declared before the run.") == 1


def test_a_run_from_elsewhere_that_was_compared_is_on_the_page_with_its_banner(run: Run) -> None:
    run(*EXPERIMENT, "--scorer", "numeric_answer")
    rows = [f'{{"id": "sum-{i:03d}", "text": "{2 * i + 1 + i % 2}"}}' for i in range(60)]
    Path("old.jsonl").write_text("\n".join(rows))
    run("runs", "import", "old.jsonl", "--dataset", "sums@1", "--match", "id", "--output", "text",
        "--name", "old-system")  # fmt: skip
    candidate = _stored(run)["runs"][1]["name"]
    run("compare", "old-system", candidate, "--scorer", "numeric_answer")
    text = _text(_page(run))
    assert (
        "Imported answers. old-system (from old.jsonl): these answers were made elsewhere" in text
    )
    assert f"{candidate} against old-system" in text
    assert "unknown prompt unknown model imported old-system Cells all 60 completed" in text


@pytest.fixture
async def services(database_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    """The services over an empty database of each kind, with simulated models alone."""
    settings = Settings(
        workspace=tmp_path,
        database_url=database_url,
        endpoints={"simulated": EndpointSettings(provider="simulated")},
    )
    async with open_services(settings) as opened:
        yield opened


async def _experiment(
    services: Services, actor: Actor, *, shares: int = 1, **changes: Any
) -> ExperimentView:
    """An experiment of which the first of so many shares is done, scored and compared."""
    experiment = await make_experiment(
        services,
        actor,
        examples=questions(60),
        prompts=(ASK, ASK_POLITELY),
        models=("simulated/small",),
        **changes,
    )
    share = ExecutionOptions(concurrency=20, shard=Shard(0, shares))
    await execute(services, actor, experiment, share)
    await score_all(services, actor, experiment)
    await compare_all(services, actor, experiment)
    return experiment


async def test_an_unfinished_experiment_says_what_is_open(services: Services, actor: Actor) -> None:
    report = await gather_report(services, await _experiment(services, actor, shares=2))
    left = sum(run.cells_open for run in report.runs)
    assert 0 < left < 120
    assert f"{left} of 120 cells have no outcome yet" in _text(experiment_page(report))


async def test_a_comparison_is_out_of_date_once_more_scores_have_come_in(
    services: Services, actor: Actor
) -> None:
    experiment = await _experiment(services, actor, shares=2)
    [before] = (await gather_report(services, experiment)).comparisons
    await execute(services, actor, experiment, ExecutionOptions(concurrency=20))
    await score_all(services, actor, experiment)
    [later] = (await gather_report(services, experiment)).comparisons
    await compare_all(services, actor, experiment)
    [again] = (await gather_report(services, experiment)).comparisons
    assert [before.stale, later.stale, again.stale] == [False, True, False]


async def test_the_table_of_runs_agrees_with_the_comparison(
    services: Services, actor: Actor
) -> None:
    experiment = await _experiment(services, actor, repetitions=3, parameters={"temperature": 1.0})
    report = await gather_report(services, experiment)
    [comparison] = report.comparisons
    for run, side in zip(report.runs, ("baseline", "candidate"), strict=True):
        [score], told = run.scores, comparison.result[side]
        assert score.mean == told["mean"]
        assert list(score.interval or ()) == told["interval"]
        assert (score.n_scored, score.n_correct) == (told["n_scored"], told["n_correct"])


async def test_of_several_answers_to_an_example_those_are_shown_that_changed(
    services: Services, actor: Actor
) -> None:
    experiment = await _experiment(services, actor, repetitions=3, parameters={"temperature": 1.0})
    [comparison] = (await gather_report(services, experiment)).comparisons
    assert 0 < len(comparison.examples) <= MAX_EXAMPLES
    for example in comparison.examples:
        before, after = (answer for answer in example.answers if answer is not None)
        assert {before.repetition, after.repetition} <= {1, 2, 3}
        values = [answer.scores[0].value or 0.0 for answer in (before, after)]
        assert (values[1] - values[0]) * (example.change or 0.0) > 0
