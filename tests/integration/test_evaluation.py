"""An experiment or an application run from Python, on both databases, with simulated models."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest

from app.core.errors import ConfigurationError, Conflict, Invalid, NotFound, WorkbenchError
from app.schemas.prompts import MessageTemplate, PromptContent, Variable
from tests.fake_provider import FakeProviderProcess, ProviderOptions
from workbench import AppAnswer, evaluate, evaluate_sync, results
from workbench.evaluation import Evaluation

ROWS = [{"id": f"s{n:02d}", "q": f"What is {n} + {n + 1}?", "a": 2 * n + 1} for n in range(30)]
DATA: dict[str, Any] = {"dataset": ROWS, "key": "id", "inputs": ["q"], "expected": "a"}
PLAIN, STRICT = "{{ q }}", "Answer with the number only. {{ q }}"


@pytest.fixture(scope="session")
def sqlite_template(used_sqlite: Path) -> Path:
    """Every test starts on a database with the built-in prompts, as commands leave it."""
    return used_sqlite


@pytest.fixture
def folder(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace around the current folder, on a database of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    url = database_url.replace("+aiosqlite", "").replace("+asyncpg", "")
    (tmp_path / "workbench.yaml").write_text(f"workspace_version: 1\ndatabase_url: {url}\n")
    return tmp_path


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProviderProcess]:
    with FakeProviderProcess(ProviderOptions(latency_ms=50, answer="arithmetic")) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        yield server


async def _experiment(**changes: Any) -> Evaluation:
    shape: dict[str, Any] = {
        **DATA,
        "prompts": [PLAIN, STRICT],
        "models": ["simulated/small"],
        "scorers": ["numeric_answer"],
    }
    return await evaluate(**{**shape, **changes})


async def _calls(provider: FakeProviderProcess, count: int) -> None:
    """Return once so many calls have reached the server."""
    # The calls come in at another process, which has no event to wait for.
    while len(provider.calls()) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def _sum(example: dict[str, Any]) -> str:
    numbers = [int(word.rstrip("?")) for word in example["q"].split() if word.rstrip("?").isdigit()]
    return str(sum(numbers))


# Prompts on models


async def test_an_experiment_is_run_scored_and_compared_inside_a_running_loop(
    folder: Path,
) -> None:
    done = await _experiment(plan={"margin": 0.05}, name="sums")
    assert (done.status, done.experiment, len(done.runs)) == ("completed", 1, 2)
    [compared] = done.comparisons
    assert compared["margin"] == 0.05
    assert done.sentences[0].endswith(compared["sentence"])
    assert set(done.to_frame()["status"]) == {"completed"}


def test_a_script_needs_no_loop_and_a_notebook_is_told_to_await(folder: Path) -> None:
    done = evaluate_sync(**DATA, prompts=[PLAIN], models=["simulated/small"])
    assert str(done).startswith("Experiment 1: completed, 1 run")

    async def in_a_notebook() -> None:
        evaluate_sync(**DATA, prompts=[PLAIN], models=["simulated/small"])

    with pytest.raises(ConfigurationError, match="write `await evaluate"):
        asyncio.run(in_a_notebook())


def test_both_functions_have_the_same_parameters() -> None:
    assert inspect.signature(evaluate_sync) == inspect.signature(evaluate)
    assert not inspect.iscoroutinefunction(evaluate_sync)


async def test_prompts_may_be_content_files_and_references(folder: Path) -> None:
    content = PromptContent(
        messages=(MessageTemplate(role="user", content="Add: {{ q }}"),),
        variables={"q": Variable(type="string")},
    )
    file = folder / "v1.yaml"
    file.write_text(
        "name: ask\nversion: v1\nmessages:\n  - {role: user, content: '{{ q }}'}\n"
        "variables: {q: {type: string}}\n"
    )
    done = await _experiment(prompts=[content, file], baseline=file)
    [compared] = done.comparisons
    assert "ask@1" in compared["baseline_run"]
    assert "inline@draft-" in compared["candidate_run"]
    again = await _experiment(prompts=["ask@1"], scorers=[])
    assert again.runs == ("2/ask@1+simulated/small",)


async def test_the_same_rows_are_the_same_dataset_version_in_every_shape(folder: Path) -> None:
    (folder / "inline.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    frame = pandas.DataFrame(ROWS)
    for number, dataset in enumerate((ROWS, frame, Path("inline.jsonl"), "inline@1"), start=1):
        named = isinstance(dataset, str)
        columns: tuple[Any, ...] = (None, (), None) if named else ("id", ["q"], "a")
        shape = dict(zip(("key", "inputs", "expected"), columns, strict=True))
        done = await _experiment(dataset=dataset, prompts=[PLAIN], scorers=[], **shape)
        assert done.experiment == number
    assert set(results.runs()["dataset"]) == {"inline@1"}


async def test_what_is_missing_in_a_frame_is_missing_in_the_dataset(folder: Path) -> None:
    frame = pandas.DataFrame({"q": ["1 + 1", "2 + 2"], "a": [2.0, None]})
    done = await _experiment(
        dataset=frame, key=None, inputs=["q"], expected="a", prompts=[PLAIN], scorers=[]
    )
    told = done.to_frame(texts=True).set_index("key")["expected"]
    assert sorted(value for value in told if not pandas.isna(value)) == [2.0]
    assert told.isna().sum() == 1


async def test_a_cancelled_cell_leaves_an_experiment_that_the_same_question_finishes(
    folder: Path, provider: FakeProviderProcess
) -> None:
    asked: dict[str, Any] = {
        "prompts": [PLAIN],
        "models": ["openai/gpt-4.1-mini"],
        "concurrency": 2,
    }
    cell = asyncio.create_task(_experiment(**asked))
    await _calls(provider, 6)
    cell.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cell
    done = await _experiment(**asked)
    assert done.experiment == 1
    assert done.notes[-1] == "Going on with experiment 1."
    assert done.counts[done.runs[0]] == {"completed": 30}
    assert len(provider.calls()) <= 30 + 2  # those in flight when the cell was cancelled


async def test_a_question_that_is_begun_anew_is_another_experiment(folder: Path) -> None:
    await _experiment()
    assert (await _experiment(new=True)).experiment == 2


async def test_a_budget_stops_before_it_is_overrun_and_a_larger_one_goes_on(
    folder: Path, provider: FakeProviderProcess
) -> None:
    asked: dict[str, Any] = {
        "prompts": [PLAIN],
        "models": ["openai/gpt-4.1-mini"],
        "parameters": {"max_tokens": 16},
    }
    stopped = await _experiment(**asked, budget="0.0001")
    assert stopped.status == "stopped" and stopped.comparisons == ()
    assert "The budget is reached" in stopped.notes[-1]
    spent = results.runs(stopped.experiment)["cost"].sum()
    assert 0 <= spent <= 0.0001
    finished = await _experiment(**asked, budget=1)
    assert (finished.status, finished.experiment) == ("completed", 1)


async def test_a_wrong_key_is_a_sentence_that_says_what_to_do(
    folder: Path, provider: FakeProviderProcess
) -> None:
    with pytest.raises(WorkbenchError) as caught:
        await _experiment(models=["openai/fault-401"])
    assert "experiment 1 goes on where it stopped" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"prompts": []}, ConfigurationError, "Say what to measure"),
        ({"app": _sum}, ConfigurationError, "Say either prompts and models, or app"),
        ({"prompts": ["missing@1"]}, NotFound, "missing"),
        ({"plan": {"margins": 1}}, Invalid, "margins"),
        ({"repetitions": 0}, Invalid, "repetitions"),
        ({"dataset": []}, ConfigurationError, "There are no rows"),
        ({"scorers": ["nonsense"]}, WorkbenchError, "nonsense"),
        ({"prompts": ["{{ nothing }} {{ q }}"]}, Invalid, "nothing"),
    ],
)
async def test_what_cannot_be_asked_is_refused_before_the_first_call(
    folder: Path, changes: dict[str, Any], kind: type[WorkbenchError], told: str
) -> None:
    with pytest.raises(kind, match=told):
        await _experiment(**changes)
    assert len(results.runs()) == 0


def test_without_a_workspace_it_is_said_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="No workspace here"):
        evaluate_sync(**DATA, prompts=[PLAIN], models=["simulated/small"])


# Applications


async def test_two_versions_of_an_application_are_compared_with_the_first_as_baseline(
    folder: Path,
) -> None:
    async def better(example: dict[str, Any]) -> AppAnswer:
        return AppAnswer(_sum(example), input_tokens=9, output_tokens=1, cost=0.25)

    done = await evaluate(
        **DATA, app={"v1": lambda example: "0", "v2": better}, scorers=["numeric_answer"]
    )
    [compared] = done.comparisons
    assert (compared["baseline_run"], compared["candidate_run"]) == ("v1", "v2")
    assert compared["verdict"] == "superior"
    assert "imported" in {warning["code"] for warning in compared["warnings"]}
    runs = results.runs().set_index("run")
    assert runs.loc["v2", "cost"] == 30 * 0.25
    assert pandas.isna(runs.loc["v1", "cost"])  # not known, and not 0
    assert done.to_frame()["latency_ms"].notna().all()


async def test_an_exception_is_a_failed_cell_with_its_sentence_and_no_score(folder: Path) -> None:
    def moody(example: dict[str, Any]) -> Any:
        match int(_sum(example)) % 5:
            case 0:
                raise ValueError("no luck \0 \ud83d today")
            case 1:
                return None
            case 2:
                return float("nan")
        return {"answer": _sum(example)}

    done = await evaluate(**DATA, app=moody, scorers=["numeric_answer"], repetitions=2)
    assert done.counts == {"moody": {"completed": 24, "failed": 36}}
    cells = done.to_frame(texts=True)
    failed = cells[cells["status"] == "failed"]
    assert failed["numeric_answer"].isna().all()
    assert set(failed["numeric_answer status"]) == {"failed"}
    assert "ValueError: no luck  ? today" in set(failed["error"])
    assert "The application returned None and no output." in " ".join(failed["error"])
    assert sorted(cells["repetition"].unique()) == [0, 1]
    assert failed["output"].isna().all()


async def test_an_application_that_ends_the_program_is_a_failed_cell_too(folder: Path) -> None:
    done = await evaluate(**DATA, app={"quits": lambda example: sys.exit(3)}, limit=2)
    assert done.counts == {"quits": {"failed": 2}}
    assert set(done.to_frame(texts=True)["error"]) == {"SystemExit: 3"}


async def test_applications_are_scored_by_judges_and_by_functions_of_the_workspace(
    folder: Path,
) -> None:
    (folder / "scorers").mkdir()
    (folder / "scorers" / "short.py").write_text(
        "def short(output: str) -> bool:\n    return len(output) < 3\n"
    )
    judge = "judge_correctness:model=simulated/judge"
    done = await evaluate(
        **DATA, app={"a": _sum, "b": lambda example: "none"}, scorers=["team.short", judge]
    )
    assert done.comparisons[0]["scorer"]["name"] == "team.short"
    assert done.comparisons[0]["verdict"] == "inferior"
    cells = done.to_frame()
    assert set(cells["team.short status"]) | set(cells["judge_correctness status"]) == {"scored"}
    preferred = await evaluate(
        **DATA,
        app={"c": _sum, "d": lambda example: "none"},
        scorers=["judge_preference:model=simulated/judge"],
    )
    assert preferred.comparisons[0]["scorer"]["name"] == "judge_preference"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"plan": {"scorer": "other"}}, "not among the scorers"),
        ({"plan": {"mode": "sequential"}}, "plan.mode is of experiments"),
        ({"plan": {"guards": [{"metric": "cost", "margin": 0.1}]}}, "plan.guards is of"),
        ({"parameters": {"temperature": 1}}, "parameters says nothing of an application"),
        ({"bind": {"a": "b"}}, "bind says nothing"),
        ({"cache": True}, "cache says nothing"),
        ({"new": True}, "new says nothing"),
        ({"name": "x"}, "name says nothing"),
        ({"limit": 0}, "limit is 0"),
        ({"limit": -1}, "limit is -1"),
        ({"repetitions": 0}, "repetitions is 0"),
        ({"concurrency": -1}, "concurrency is -1"),
        ({"app": "text"}, "is str and not a callable"),
        ({"app": {"latest": _sum}}, "cannot be called latest"),
        ({"app": {"12": _sum}}, "cannot be called 12"),
        ({"app": {"": _sum}}, "is no name"),
        ({"app": {1: _sum}}, "is no name"),
        ({"app": {"a\u202eb": _sum}}, "is no name"),
        ({"app": {"x" * 201: _sum}}, "at most 200"),
        ({"baseline": "missing"}, "There is no run 'missing'"),
        ({"scorers": "numeric_answer"}, "scorers is a list"),
        ({"dataset": [1, 2]}, "dataset is a version"),
        ({"dataset": None}, "dataset is a version"),
        ({"budget": "much"}, "A budget of 'much'"),
    ],
)
async def test_what_an_application_cannot_be_asked_is_refused_before_it_is_called(
    folder: Path, changes: dict[str, Any], told: str
) -> None:
    shape: dict[str, Any] = {**DATA, "app": {"a": _sum}, "scorers": ["numeric_answer"], **changes}
    with pytest.raises(WorkbenchError, match=told):
        await evaluate(**shape)
    if (folder / "workbench.db").is_file():
        assert len(results.runs()) == 0


async def test_ordinary_functions_run_side_by_side_and_never_more_than_asked_for(
    folder: Path,
) -> None:
    together, lock, meeting = [0], threading.Lock(), threading.Barrier(3, timeout=30)

    def slow(example: dict[str, Any]) -> str:
        with lock:
            together.append(together[-1] + 1)
        meeting.wait()  # passes only when three are here at once
        with lock:
            together.append(together[-1] - 1)
        return "0"

    await evaluate(**DATA, app=slow, concurrency=3)
    assert max(together) == 3


async def test_an_interrupted_application_keeps_what_it_has_and_is_carried_on_when_asked(
    folder: Path,
) -> None:
    asked: list[str] = []
    reached = asyncio.Event()

    async def slow(example: dict[str, Any]) -> str:
        asked.append(example["q"])
        if len(asked) == 11:
            reached.set()
            await asyncio.Event().wait()
        return "0"

    cell = asyncio.create_task(evaluate(**DATA, app={"slow": slow}, concurrency=1))
    await reached.wait()
    cell.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cell
    assert len(results.examples("slow")) == 10
    done = await evaluate(**DATA, app={"slow": slow}, concurrency=1, resume=True)
    assert done.counts == {"slow": {"completed": 30}}
    assert len(asked) == 31  # only the one that was cut off was asked twice
    other = await evaluate(**DATA, app={"slow": slow}, limit=3)
    assert other.counts == {"slow-2": {"completed": 3}}


async def test_a_stored_run_may_be_the_baseline_of_an_application(folder: Path) -> None:
    before = await _experiment(prompts=[PLAIN])
    done = await evaluate(**DATA, app=_sum, baseline=before.runs[0], scorers=["numeric_answer"])
    [compared] = done.comparisons
    assert compared["baseline_run"] == before.runs[0]


async def test_a_run_that_was_executed_here_cannot_be_added_to(folder: Path) -> None:
    before = await _experiment(prompts=[PLAIN], scorers=[])
    with pytest.raises(Invalid, match="cannot be carried on"):
        await evaluate(**DATA, app={before.runs[0]: _sum}, resume=True)


async def test_a_budget_of_an_application_bounds_what_judges_cost(folder: Path) -> None:
    judge = "judge_rubric:model={},rubric=Is it a number?,scale=pass_fail"
    free = await evaluate(
        **DATA, app=_sum, limit=3, budget="0.01", scorers=[judge.format("simulated/large")]
    )
    assert free.status == "completed"

    with pytest.raises(WorkbenchError, match="price"):  # nothing is asked that may cost anything
        await evaluate(
            **DATA, app=_sum, limit=3, budget=1, scorers=[judge.format("openai/unpriced-model")]
        )


@pytest.mark.parametrize("number", [-1, float("nan"), float("inf")])
def test_an_answer_has_no_cost_below_nothing(number: float) -> None:
    with pytest.raises(ValueError, match="from 0 on"):
        AppAnswer("x", cost=number)


# What comes back


async def test_reports_are_written_in_the_form_that_the_name_says(folder: Path) -> None:
    done = await _experiment()
    assert done.report("page.html").read_text().startswith("<!doctype html>")
    assert done.report("text.md").read_text().startswith("## Experiment 1")
    assert json.loads(done.report("facts.json").read_text())["experiment"]["number"] == 1
    with pytest.raises(ConfigurationError, match=r"must end with \.html, \.md or \.json"):
        done.report("page.pdf")
    apps = await evaluate(**DATA, app={"a": _sum, "b": _sum}, scorers=["numeric_answer"])
    assert "### " in apps.report("apps.md").read_text()
    assert len(json.loads(apps.report("apps.json").read_text())) == 1
    with pytest.raises(ConfigurationError, match=r"must end with \.md or \.json") as refused:
        apps.report("apps.html")
    assert "own-app.md" in (refused.value.hint or "")
    with pytest.raises(ConfigurationError, match="NUL"):
        apps.report("a\0.md")
    alone = await evaluate(**DATA, app={"<b>alone": _sum}, limit=3)
    told = alone.report("alone.md").read_text()
    assert told.startswith("## Applications: completed, 1 run\n\n- &lt;b&gt;alone: 3 completed")


def test_a_notebook_shows_hostile_names_as_text() -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e"
    result = {
        "verdict": "superior",
        "baseline_run": hostile,
        "candidate_run": hostile,
        "sentence": hostile,
    }
    shown = Evaluation(
        status="completed",
        experiment=None,
        counts={hostile: {"completed": 1}},
        comparisons=(result,),
        notes=(hostile,),
        workspace=Path(),
    )._repr_html_()
    assert "<img" not in shown and "\u202e" not in shown
    assert "&lt;img" in shown


async def test_another_process_at_work_is_said(folder: Path, provider: FakeProviderProcess) -> None:
    asked: dict[str, Any] = {"prompts": [PLAIN], "models": ["openai/gpt-4.1-mini"]}
    first = asyncio.create_task(_experiment(**asked, concurrency=1))
    await _calls(provider, 2)
    with pytest.raises(Conflict, match="Another process is working on experiment 1"):
        await _experiment(**asked)
    assert (await first).status == "completed"
