"""What is on record, as pandas tables: `from workbench import results`.

    results.runs()                      one row a run
    results.examples("latest")          one row a cell of an experiment or of one run
    results.comparisons("latest")       one row a stored comparison
    results.slices("latest")            one row a slice of a comparison
    results.judgements("latest")        one row a question to a judge

Every function is an ordinary one, also in a notebook, and only reads. `source` is a workspace
folder (default: the one around the current folder) or a database's address. `of` is an
experiment's number, `latest`, or a run's name or a unique beginning of it.

What is not known is missing (NaN, NA or None), never 0: a failed cell has no score, an unpriced
one no cost. Money is US dollars as floats, for arithmetic in tables; the record itself keeps
exact decimals. Times are milliseconds. Scores and differences are in the scorer's own unit, so
that 0.03 is 3 points of a rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.bootstrap import Services
from app.core.errors import ConfigurationError
from app.schemas.comparisons import ComparisonView
from app.schemas.experiments import ExperimentView, RunView
from app.schemas.generations import RunTotals
from app.schemas.judgements import JudgementView
from app.schemas.scores import ScoredCell, ScorerView
from workbench.message_text import message_text
from workbench.opening import open_record, run_apart
from workbench.reports.sections import scorer_text

if TYPE_CHECKING:
    import pandas

__all__ = ["comparisons", "examples", "examples_frame", "judgements", "runs", "slices"]

_PAGE: Final = 1000
_ALL: Final = 1_000_000  # runs or experiments: more than anybody has
_STATUSES: Final = ("completed", "failed", "refused", "incomplete", "cancelled", "abandoned")
# What the columns besides the scorers' are called.
_RUN_FACTS: Final = (
    *("run", "experiment", "dataset", "prompt", "model", "origin", "simulated"),
    *("created_at", "created_by", *_STATUSES, "reused", "reopened"),
    *("input_tokens", "output_tokens", "cost", "unpriced"),
)
_CELL_FACTS: Final = (
    *("run", "prompt", "model", "key", "repetition", "status", "cluster", "cost", "latency_ms"),
    *("reopened", "reused", "input", "expected", "output", "error"),
)

Row = dict[str, Any]


def runs(of: str | int | None = None, *, source: str | Path = ".") -> pandas.DataFrame:
    """Return one row a run, newest first; of one experiment in its own order.

    Columns: `run`, `experiment` (NA for imported runs), `dataset`, `prompt`, `model`, `origin`
    (executed or imported), `simulated`, `created_at`, `created_by`; cells by what became of them
    (`completed`, `failed`, `refused`, `incomplete`, `cancelled`, `abandoned`), `reused` and
    `reopened` of these; `input_tokens`, `output_tokens`, `cost` (US dollars), `unpriced` (cells
    without a known cost, which `cost` leaves out); for each scorer its mean under its name and
    the number of scored cells as `NAME n`. The scorer `cost` stands under `cost score`.
    """
    return run_apart(_runs(of, source))


def examples(
    of: str | int = "latest", *, source: str | Path = ".", texts: bool = False
) -> pandas.DataFrame:
    """Return one row a cell: one answer to one example by one run.

    Columns: `run`, `prompt`, `model`, `key`, `repetition` (from 0), `status` (completed, failed,
    refused, ...), `cluster`; for each scorer its value under its name and, as `NAME status`,
    whether it is scored, unscored, failed or missing, or why there is no answer to score; `cost`
    (US dollars), `latency_ms`, `reopened` (came from a retry), `reused` (an earlier run's
    answer). The scorer `cost` stands under `cost score`. With `texts` also `input` (an object),
    `expected`, `output` and `error`; texts are read page by page and take much longer.
    """
    return run_apart(_examples(of, source, texts=texts))


def comparisons(of: str | int | None = None, *, source: str | Path = ".") -> pandas.DataFrame:
    """Return one row a stored comparison, newest first; there may be several of two runs.

    Columns: `baseline`, `candidate`, `dataset`, `scorer`, `verdict`, `estimate`, `low`, `high`,
    `level` (of the interval), `p_value`, `n_pairs`, `n_clusters`, `better` and `worse` (examples
    that changed), `margin`, `baseline_mean`, `candidate_mean`, `cost_ratio`, `warnings` and
    `blocking` (codes), `sentence`, `simulated`, `created_at`, `created_by`, `input_hash`.
    """
    return run_apart(_comparisons(of, source))


def slices(of: str | int | None = None, *, source: str | Path = ".") -> pandas.DataFrame:
    """Return one row a slice of each stored comparison: exploratory, and no verdict.

    Columns: `baseline`, `candidate`, `scorer`, `column`, `value`, `n_pairs`, `estimate`, `low`,
    `high`, `level`, `p_value`, `q_value` (p corrected for all slices looked at), `created_at`.
    """
    return run_apart(_slices(of, source))


def judgements(of: str | int = "latest", *, source: str | Path = ".") -> pandas.DataFrame:
    """Return one row a question to a judge, in the order of the runs' cells.

    Columns: `run`, `key` and `repetition` (from 0) of the answer that was judged, of a pair the
    candidate's; `scorer`, `model` and `prompt` that judged; `sample` (from 1) of several, and
    `position`, first or second, in which the candidate was shown; `status`, `value`, `label` and
    `reason` of what the reply says, and the `reply` itself; `input_tokens`, `output_tokens`,
    `cost` (US dollars), `latency_ms`.
    """
    return run_apart(_judgements(of, source))


async def examples_frame(
    services: Services, found: Sequence[RunView], *, texts: bool = False
) -> pandas.DataFrame:
    """Return the table of `examples` for these runs."""
    scorers = await _scorers(services, found)
    frames = [await _cells(services, run, scorers, texts=texts) for run in found]
    return _pandas().concat(frames, ignore_index=True)


def _pandas() -> Any:
    """Return pandas, imported on first use: it takes seconds, and is an extra."""
    try:
        import pandas
    except ImportError:
        raise ConfigurationError(
            "Tables need pandas.", hint="Install it: pip install 'prompt-workbench[pandas]'"
        ) from None
    return pandas


async def _found(
    services: Services, of: str | int | None
) -> tuple[ExperimentView | None, Sequence[RunView]]:
    """Return the runs that `of` names, and the experiment if it names one."""
    if of is None:
        return None, await services.experiments.runs(limit=_ALL)
    text = str(of)
    if text == "latest" or text.isdecimal():
        experiment = await services.experiments.get(text)
        return experiment, experiment.runs
    return None, [await services.experiments.run(text)]


async def _scorers(services: Services, found: Sequence[RunView]) -> dict[str, ScorerView]:
    """Return the scorers of all the runs by column name; options are named where names are
    shared, and the scorer `cost` gives way to the fact of that name."""
    by_hash = {
        view.content_hash: view
        for run in found
        for view in await services.scores.scorers_of(run.id)
    }
    names = [view.name for view in by_hash.values()]
    return {
        _value_column(view.name) if names.count(view.name) == 1 else scorer_text(view): view
        for view in by_hash.values()
    }


def _value_column(scorer: str) -> str:
    return f"{scorer} score" if scorer in {*_RUN_FACTS, *_CELL_FACTS} else scorer


# Runs


async def _runs(of: str | int | None, source: str | Path) -> pandas.DataFrame:
    pandas = _pandas()
    async with open_record(source) as services:
        _, found = await _found(services, of)
        totals = await services.generations.totals([run.id for run in found])
        scorers = await _scorers(services, found)
        rows = [await _run_row(services, run, totals[run.id], scorers) for run in found]
    frame = pandas.DataFrame(rows, columns=None if rows else list(_RUN_FACTS))
    whole = ["experiment", "input_tokens", "output_tokens"]
    return frame.astype(dict.fromkeys(whole, "Int64"))


async def _run_row(
    services: Services, run: RunView, totals: RunTotals, scorers: Mapping[str, ScorerView]
) -> Row:
    row: Row = {
        "run": run.name,
        "experiment": run.experiment_number,
        "dataset": run.dataset,
        "prompt": run.prompt,
        "model": run.model,
        "origin": run.origin,
        "simulated": run.simulated,
        "created_at": run.created_at,
        "created_by": run.created_by,
        **{status: totals.by_status.get(status, 0) for status in _STATUSES},
        "reused": totals.reused,
        "reopened": totals.reopened,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cost": _number(totals.cost),
        "unpriced": totals.unpriced,
    }
    for name, view in scorers.items():
        summary = await services.scores.summary(run.id, view.id)
        row[name] = _number(summary.mean)
        row[f"{name} n"] = summary.n_scored
    return row


# Examples


async def _examples(of: str | int, source: str | Path, *, texts: bool) -> pandas.DataFrame:
    _pandas()  # missing is said before anything is read
    async with open_record(source) as services:
        _, found = await _found(services, of)
        return await examples_frame(services, found, texts=texts)


async def _cells(
    services: Services, run: RunView, scorers: Mapping[str, ScorerView], *, texts: bool
) -> pandas.DataFrame:
    facts = await services.scores.cells(run.id, None)
    columns: dict[str, Any] = {
        "run": run.name,
        "prompt": run.prompt,
        "model": run.model,
        "key": [cell.key for cell in facts],
        "repetition": [cell.repetition for cell in facts],
        "status": ["completed" if c.status == "missing" else c.status for c in facts],
        "cluster": [cell.cluster for cell in facts],
    }
    for name, view in scorers.items():
        scored = {_place(cell): cell for cell in await services.scores.cells(run.id, view.id)}
        under = [scored[_place(cell)] for cell in facts]
        columns[name] = [_number(cell.value) for cell in under]
        columns[f"{name} status"] = [cell.status for cell in under]
    columns |= {
        "cost": [_number(cell.cost) for cell in facts],
        "latency_ms": [_number(cell.latency_ms) for cell in facts],
        "reopened": [cell.reopened for cell in facts],
        "reused": [cell.reused for cell in facts],
    }
    if texts:
        told = await _texts(services, run)
        for name in ("input", "expected", "output", "error"):
            columns[name] = [told.get(_place(cell), {}).get(name) for cell in facts]
    index = range(len(facts))  # the run's own facts are single values, also of no cell at all
    frame: pandas.DataFrame = _pandas().DataFrame(columns, index=index)
    return frame


async def _texts(services: Services, run: RunView) -> dict[tuple[str, int], Row]:
    told: dict[tuple[str, int], Row] = {}
    after: tuple[str, int] | None = None
    while page := await services.generations.stories(run.id, after=after, limit=_PAGE):
        for story in page:
            key = story.key or ""
            after = (key, story.repetition)
            told[after] = {
                "input": story.input,
                "expected": story.expected_output,
                "output": None if story.output is None else message_text(story.output),
                "error": (story.error or {}).get("message"),
            }
    return told


def _place(cell: ScoredCell) -> tuple[str, int]:
    return cell.key, cell.repetition


# Comparisons


async def _stored(services: Services, of: str | int | None) -> Sequence[ComparisonView]:
    _, found = await _found(services, of)
    return await services.comparisons.of_runs([run.id for run in found])


async def _comparisons(of: str | int | None, source: str | Path) -> pandas.DataFrame:
    pandas = _pandas()
    async with open_record(source) as services:
        stored = await _stored(services, of)
    frame = pandas.DataFrame([_comparison_row(c) for c in stored], columns=_COMPARISON)
    return frame.astype({"n_pairs": "Int64", "n_clusters": "Int64"})


_COMPARISON: Final = [
    *("baseline", "candidate", "dataset", "scorer", "verdict", "estimate", "low", "high"),
    *("level", "p_value", "n_pairs", "n_clusters", "better", "worse", "margin"),
    *("baseline_mean", "candidate_mean", "cost_ratio", "warnings", "blocking", "sentence"),
    *("simulated", "created_at", "created_by", "input_hash"),
]


def _comparison_row(comparison: ComparisonView) -> Row:
    result = comparison.result
    effect = result["difference"] or {}
    ratio = (result["cost"] or {}).get("ratio") or {}
    return {
        **_pair(result),
        "dataset": result["dataset"],
        "verdict": result["verdict"],
        **{name: _number(effect.get(name)) for name in ("estimate", "low", "high", "level")},
        "p_value": _number(result["p_value"]),
        "n_pairs": result["n_pairs"],
        "n_clusters": result["n_clusters"],
        "better": result["candidate_only"],
        "worse": result["baseline_only"],
        "margin": _number(result["margin"]),
        "baseline_mean": _number(result["baseline"]["mean"]),
        "candidate_mean": _number(result["candidate"]["mean"]),
        "cost_ratio": _number(ratio.get("estimate")),
        "warnings": _codes(result["warnings"]),
        "blocking": _codes(w for w in result["warnings"] if w["blocking"]),
        "sentence": result["sentence"],
        "simulated": result["simulated"],
        "created_at": comparison.created_at,
        "created_by": comparison.created_by,
        "input_hash": comparison.input_hash,
    }


async def _slices(of: str | int | None, source: str | Path) -> pandas.DataFrame:
    pandas = _pandas()
    async with open_record(source) as services:
        stored = await _stored(services, of)
    rows = [
        {**_pair(c.result), **found, "created_at": c.created_at}
        for c in stored
        for found in c.result.get("slices") or ()
    ]
    return pandas.DataFrame(rows, columns=_SLICE)


_SLICE: Final = [
    *("baseline", "candidate", "scorer", "column", "value", "n_pairs", "estimate", "low"),
    *("high", "level", "p_value", "q_value", "created_at"),
]


# Judgements


async def _judgements(of: str | int, source: str | Path) -> pandas.DataFrame:
    pandas = _pandas()
    async with open_record(source) as services:
        _, found = await _found(services, of)
        rows = [row for run in found for row in await _judged(services, run)]
    frame = pandas.DataFrame(rows, columns=_JUDGEMENT)
    return frame.astype({"input_tokens": "Int64", "output_tokens": "Int64"})


async def _judged(services: Services, run: RunView) -> list[Row]:
    """Return the questions about all answers of a run."""
    rows: list[Row] = []
    after: tuple[str, int] | None = None
    while page := await services.generations.stories(run.id, after=after, limit=_PAGE):
        asked = await services.judgements.of_generations([story.id for story in page])
        for story in page:
            after = (story.key or "", story.repetition)
            of_answer = {"run": run.name, "key": after[0], "repetition": story.repetition}
            rows += [{**of_answer, **_judgement_row(judgement)} for judgement in asked[story.id]]
    return rows


_JUDGEMENT: Final = [
    *("run", "key", "repetition", "scorer", "model", "prompt", "sample", "position", "status"),
    *("value", "label", "reason", "reply", "input_tokens", "output_tokens", "cost", "latency_ms"),
]


def _judgement_row(judgement: JudgementView) -> Row:
    return {
        **judgement.model_dump(include={"scorer", "model", "prompt", "position", "status"}),
        **judgement.model_dump(include={"label", "reason", "input_tokens", "output_tokens"}),
        "sample": judgement.repeat + 1,
        "value": _number(judgement.value),
        "reply": None if judgement.reply is None else message_text(judgement.reply),
        "cost": _number(judgement.cost),
        "latency_ms": _number(judgement.latency_ms),
    }


def _pair(result: Mapping[str, Any]) -> Row:
    return {
        "baseline": result["baseline_run"],
        "candidate": result["candidate_run"],
        "scorer": result["scorer"]["name"],
    }


def _codes(warnings: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(str(warning["code"]) for warning in warnings))


def _number(value: Any) -> float:
    """Return a number for a table; what is not known is NaN."""
    return float("nan") if value is None else float(value)
