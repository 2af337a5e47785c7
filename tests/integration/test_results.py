"""Results as tables: every column means what its page says, and missing is never 0."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pandas
import pytest

from app.bootstrap import Services, open_services
from app.core.errors import ConfigurationError, NotFound
from app.core.permissions import Actor
from app.core.settings import EndpointSettings, Settings
from app.schemas.datasets import DatasetVersionView, ExampleInput
from app.schemas.generations import ImportedOutput
from app.services.builtin_prompts import register_builtin_prompts
from tests.integration.runner.conftest import ASK, ASK_POLITELY, make_experiment, questions
from workbench import results
from workbench.runner.generation.execute import ExecutionOptions, execute
from workbench.runner.pipeline import compare_all, score_all
from workbench.runner.scoring import score_run
from workbench.scorers import parse_scorer
from workbench.workspace.experiments import resolve_scorer

_OUTPUTS = 5  # of which the last has failed and the one before has no price


@pytest.fixture
async def services(database_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    settings = Settings(
        workspace=tmp_path,
        database_url=database_url,
        endpoints={"simulated": EndpointSettings(provider="simulated")},
    )
    async with open_services(settings) as opened:
        yield opened


@pytest.fixture
def source(database_url: str) -> str:
    """The database as a person writes its address."""
    return database_url.replace("+aiosqlite", "").replace("+asyncpg", "")


@pytest.fixture
async def experiment(services: Services, actor: Actor) -> int:
    """Two prompts over 40 questions, twice each, scored and compared."""
    made = await make_experiment(
        services,
        actor,
        examples=questions(40),
        prompts=(ASK, ASK_POLITELY),
        models=("simulated/small",),
        repetitions=2,
    )
    await execute(services, actor, made, ExecutionOptions(concurrency=20))
    await score_all(services, actor, made)
    await compare_all(services, actor, made)
    return made.number


@pytest.fixture
async def imported(services: Services, actor: Actor) -> str:
    """A run of a few outputs, scored."""
    dataset = await _dataset(services, actor)
    examples = await services.datasets.examples(dataset.id)
    outputs = [
        ImportedOutput(
            example_id=example.id,
            text=f"It is {example.expected_output}",
            latency_ms=10.5,
            cost=None if number == _OUTPUTS - 2 else Decimal("0.000125"),
            error="it broke" if number == _OUTPUTS - 1 else None,
        )
        for number, example in enumerate(examples)
    ]
    run = await services.experiments.import_run(
        actor, dataset, name="own", source="own.jsonl", outputs=outputs
    )
    await score_run(services, actor, run, [parse_scorer("numeric_answer")])
    return run.name


async def _dataset(services: Services, actor: Actor) -> DatasetVersionView:
    rows = [
        ExampleInput(key=f"k{n}", input={"question": f"{n} + 1"}, expected_output=str(n + 1))
        for n in range(_OUTPUTS)
    ]
    return (await services.datasets.import_version(actor, "own", rows, source="own")).version


async def test_a_row_is_a_cell_with_each_scorers_value_and_status(
    experiment: int, source: str
) -> None:
    cells = results.examples(experiment, source=source)
    assert len(cells) == 2 * 40 * 2
    assert not cells.duplicated(["run", "key", "repetition"]).any()
    assert set(cells["repetition"]) == {0, 1}
    assert set(cells["status"]) == {"completed"}
    assert set(cells["numeric_answer status"]) == {"scored"}
    assert cells["numeric_answer"].dtype == "float64"
    assert cells["cost"].dtype == cells["latency_ms"].dtype == "float64"
    assert (cells["latency_ms"] > 0).all()


async def test_the_means_of_the_cells_are_those_of_the_runs_and_of_the_comparison(
    experiment: int, source: str
) -> None:
    by_run = results.examples(experiment, source=source).groupby("run")["numeric_answer"].mean()
    runs = results.runs(experiment, source=source).set_index("run")
    pandas.testing.assert_series_equal(runs["numeric_answer"].sort_index(), by_run.sort_index())
    assert list(runs["numeric_answer n"]) == [80, 80]
    [compared] = results.comparisons(experiment, source=source).to_dict("records")
    assert compared["baseline_mean"] == pytest.approx(by_run[compared["baseline"]])
    assert compared["estimate"] == pytest.approx(
        by_run[compared["candidate"]] - by_run[compared["baseline"]]
    )
    assert compared["low"] <= compared["estimate"] <= compared["high"]
    assert isinstance(compared["created_at"], datetime)


async def test_what_is_not_known_is_missing_and_never_zero(imported: str, source: str) -> None:
    cells = results.examples(imported, source=source, texts=True).set_index("key")
    failed, unpriced = cells.loc["k4"], cells.loc["k3"]
    assert failed["status"] == failed["numeric_answer status"] == "failed"
    assert pandas.isna(failed["numeric_answer"]) and pandas.isna(failed["output"])
    assert failed["error"] == "it broke"
    assert pandas.isna(unpriced["cost"]) and unpriced["numeric_answer"] == 1.0
    [run] = results.runs(imported, source=source).to_dict("records")
    assert (run["completed"], run["failed"], run["unpriced"]) == (4, 1, 1)
    assert run["cost"] == pytest.approx(4 * 0.000125)
    assert pandas.isna(run["input_tokens"]) and pandas.isna(run["experiment"])


async def test_texts_are_read_when_asked_for(imported: str, source: str) -> None:
    first = results.examples(imported, source=source, texts=True).set_index("key").loc["k0"]
    assert first["input"] == {"question": "0 + 1"}
    assert (first["expected"], first["output"]) == ("1", "It is 1")
    assert "output" not in results.examples(imported, source=source)


async def test_scorers_of_one_name_and_different_options_have_a_column_each(
    services: Services, actor: Actor, imported: str, source: str
) -> None:
    run = await services.experiments.run(imported)
    rules = [parse_scorer("contains:text=It"), parse_scorer("contains:text=is")]
    await score_run(services, actor, run, rules)
    columns = set(results.examples(imported, source=source))
    assert {'contains v1 (text = "It")', 'contains v1 (text = "is")', "numeric_answer"} < columns


async def test_the_scorer_cost_does_not_stand_in_the_place_of_what_was_paid(
    services: Services, actor: Actor, imported: str, source: str
) -> None:
    run = await services.experiments.run(imported)
    await score_run(services, actor, run, [parse_scorer("cost:max=1")])
    cells = results.examples(imported, source=source).set_index("key")
    assert cells.loc["k0", "cost"] == pytest.approx(0.000125)
    assert cells.loc["k0", "cost score"] == 1.0
    [of_run] = results.runs(imported, source=source).to_dict("records")
    assert of_run["cost"] == pytest.approx(4 * 0.000125)
    assert (of_run["cost score"], of_run["cost score n"]) == (1.0, 3)


async def test_a_run_that_a_scorer_has_not_seen_has_no_value_under_it(
    experiment: int, imported: str, source: str
) -> None:
    runs = results.runs(source=source)
    assert len(runs) == 3
    assert runs["experiment"].dtype == "Int64"
    assert list(runs["origin"]).count("imported") == 1


@pytest.mark.parametrize("read", [results.runs, results.comparisons, results.slices])
async def test_an_empty_record_gives_an_empty_table_with_its_columns(
    read: Callable[..., pandas.DataFrame], services: Services, source: str
) -> None:
    table = read(source=source)
    assert table.empty and len(table.columns) > 5


async def test_slices_are_a_row_each(services: Services, experiment: int, source: str) -> None:
    table = results.slices(experiment, source=source)
    assert {"column", "value", "estimate", "q_value"} < set(table.columns)


async def test_each_question_to_a_judge_is_a_row_with_its_reply_and_cost(
    services: Services, actor: Actor, imported: str, source: str
) -> None:
    run = await services.experiments.run(imported)
    spec = "judge_correctness:model=simulated/judge,samples=2"
    await register_builtin_prompts(services.prompts)
    judge = await resolve_scorer(services, actor, spec, lambda text: None)
    await score_run(services, actor, run, [judge])
    table = results.judgements(imported, source=source)
    assert len(table) == 4 * 2  # the failed cell has no answer to judge
    assert set(table["sample"]) == {1, 2} and set(table["status"]) == {"scored"}
    assert set(table["label"]) <= {"pass", "fail"}
    assert table["reply"].str.contains("verdict").all()
    assert table["cost"].dtype == "float64" and (table["latency_ms"] > 0).all()
    assert results.judgements(imported, source=source).equals(table)


async def test_a_run_that_no_judge_has_seen_has_no_judgements(imported: str, source: str) -> None:
    table = results.judgements(imported, source=source)
    assert table.empty and "reply" in table


async def test_an_unknown_reference_is_a_sentence(services: Services, source: str) -> None:
    with pytest.raises(NotFound, match="There is no experiment 7"):
        results.examples(7, source=source)
    with pytest.raises(NotFound, match="There is no run 'x'"):
        results.runs("x", source=source)


# Where the record is


def test_a_workspace_is_found_from_a_folder_inside_it(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, tmp_path / "workbench.db")
    inside = tmp_path / "notebooks"
    inside.mkdir()
    assert results.runs(source=inside).empty
    monkeypatch.chdir(inside)
    assert results.runs().empty


def test_a_database_is_neither_made_nor_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(NotFound, match="There is no database"):
        results.runs(source=f"sqlite:///{path}")
    assert not path.exists()
    path.touch()
    with pytest.raises(ConfigurationError, match="schema is at revision none"):
        results.runs(source=f"sqlite:///{path}")
    assert path.stat().st_size == 0 or b"generation" not in path.read_bytes()


def test_without_pandas_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigurationError, match="need pandas") as caught:
        results.runs(source=tmp_path)
    assert caught.value.hint == "Install it: pip install 'prompt-workbench[pandas]'"
