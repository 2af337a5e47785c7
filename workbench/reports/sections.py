"""What the page says of runs and comparisons: a report in, strings and little records out.

Nothing here is markup, and nothing is escaped: that is the template's work. What is not
known is said in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from app.schemas.scores import ScorerView
from workbench import comparison_words
from workbench.comparison_words import (
    coverage_text,
    dataset_versions,
    marks,
    remedy,
    result_scorer,
    scorer_name,
)
from workbench.number_text import (
    Scale,
    count_text,
    difference_figures,
    level_text,
    milliseconds,
    money,
    statuses_text,
)
from workbench.reports.charts import ForestRow
from workbench.reports.experiment import ComparisonReport, ExperimentReport, RunReport, RunScore

__all__ = [
    "Banner",
    "Facts",
    "Forest",
    "Note",
    "RunRow",
    "ScoreCell",
    "Verdict",
    "Warned",
    "banners",
    "forests",
    "header_facts",
    "method_facts",
    "no_verdict",
    "run_rows",
    "scorer_text",
    "timestamp",
    "verdicts",
    "warnings",
]

Facts = list[tuple[str, str]]
"""Names with what is to be said under them."""

_SYMBOLS: Final[Mapping[str, str]] = {
    "superior": "▲",
    "non_inferior": "✓",
    "worse_within_margin": "▽",
    "inferior": "▼",
    "inconclusive": "?",
    "insufficient_data": "…",
}


def timestamp(moment: datetime) -> str:
    """2026-01-31 09:05 UTC; times are stored in UTC."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def scorer_text(scorer: ScorerView) -> str:
    """`contains v1 (ignore_case = true)`."""
    return scorer_name(scorer.name, scorer.version, scorer.config)


def _names(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Banner:
    """Something that must be known before any figure is read; `command` is what to do then."""

    title: str
    text: str
    command: str = ""


def header_facts(report: ExperimentReport) -> Facts:
    """Say what was asked of what, when and by whom."""
    experiment = report.experiment
    cells = count_text(experiment.example_count, "example")
    if experiment.example_limit is not None:
        cells = f"the first {cells} of {report.dataset.example_count:,}"
    if experiment.repetitions > 1:
        cells += f", {experiment.repetitions} answers each"
    ended = ""
    if experiment.finished_at is not None:
        ended = f", {experiment.status} {timestamp(experiment.finished_at)}"
    return [
        ("Dataset", f"{experiment.dataset}: {cells}"),
        ("Runs", _runs(report)),
        ("Started", f"{timestamp(experiment.created_at)} by {experiment.created_by}{ended}"),
    ]


def _runs(report: ExperimentReport) -> str:
    count, name = len(report.experiment.runs), report.baseline.run.name
    return name if count == 1 else f"{count}, baseline {name}"


def banners(report: ExperimentReport) -> list[Banner]:
    """Say where answers come from if not from a real model, and what is not there yet."""
    found: list[Banner] = []
    simulated = [r.run.name for r in report.runs if r.run.simulated]
    if simulated:
        which = "any run" if len(simulated) == len(report.runs) else _names(simulated)
        found.append(
            Banner(
                "Simulated answers",
                f"No real model answered in {which}. Simulated answers show how the workbench "
                "works; their figures say nothing about a real model.",
            )
        )
    imported = [r.run for r in report.runs if r.run.origin == "imported"]
    if imported:
        which = _names(f"{r.name} (from {r.source})" if r.source else r.name for r in imported)
        found.append(
            Banner(
                "Imported answers",
                f"{which}: these answers were made elsewhere. Which prompt, model and parameters "
                "made them is not on this record.",
            )
        )
    if report.extends is not None:
        found.append(
            Banner(
                "An extension",
                f"This experiment carries on experiment {report.extends} over a newer dataset "
                "version. Its evidence grew after it had been looked at, so that it cannot "
                "decide a gate that was planned for a fixed number of examples.",
            )
        )
    if reused := sum(r.totals.reused for r in report.runs):
        found.append(
            Banner(
                "Answers used again",
                f"{count_text(reused, 'answer')} of earlier runs {_stand(reused)} here. Nothing "
                "was paid for them again, and their latency is not counted.",
            )
        )
    if left := sum(r.cells_open for r in report.runs if r.run.origin == "executed"):
        found.append(_unfinished(report, left))
    return found


def _stand(count: int) -> str:
    return "stands" if count == 1 else "stand"


def _unfinished(report: ExperimentReport, left: int) -> Banner:
    experiment = report.experiment
    told = f"{left:,} of {experiment.wanted:,} cells have no outcome"
    if experiment.status == "cancelled":
        return Banner("Cancelled", f"{told}.")
    return Banner(
        "Not finished", f"{told} yet. Go on with", f"workbench resume {experiment.number}"
    )


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence, and the command that it ends with if it names one."""

    text: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word, the sentence, and what must be said beside them."""

    word: str
    tone: str
    symbol: str
    candidate: str
    baseline: str
    scorer: str
    sentence: str
    blocking: str
    notes: tuple[Note, ...]
    marks: tuple[str, ...] = ()


def verdicts(report: ExperimentReport) -> list[Verdict]:
    """State every comparison, in the words that were stored with it."""
    return [_verdict(comparison) for comparison in report.comparisons]


def _verdict(comparison: ComparisonReport) -> Verdict:
    result = comparison.result
    word = str(result["verdict"])
    notes: list[Note] = []
    if len(dataset_versions(result)) > 1:
        notes.append(Note(f"Compared over two dataset versions: {coverage_text(result)}."))
    if not comparison.declared:
        notes.append(Note("This is not the analysis that was declared before the run."))
    if comparison.stale:
        notes.append(
            Note(
                "Scores have come in since this comparison was made. Make it again with",
                f"workbench compare {result['baseline_run']} {result['candidate_run']}",
            )
        )
    return Verdict(
        word=_words(word),
        tone=_tone(word),
        symbol=_SYMBOLS[word],
        candidate=str(result["candidate_run"]),
        baseline=str(result["baseline_run"]),
        scorer=result_scorer(result),
        sentence=str(result["sentence"]),
        blocking=_names(str(w["code"]) for w in result["warnings"] if w["blocking"]),
        notes=tuple(notes),
        marks=marks(result),
    )


def _words(code: str) -> str:
    return code.replace("_", " ")


def _tone(verdict: str) -> str:
    """The class name under which the style sheet knows a verdict."""
    return f"v-{verdict.replace('_', '-')}"


def no_verdict(report: ExperimentReport) -> Note:
    """Say why there is no verdict and what would give one."""
    baseline = report.baseline
    if len(report.runs) == 1:
        return Note("There is one run, so nothing to compare it with. Its answers stand below.")
    candidate = next(r.run.name for r in report.runs if r.run.id != baseline.run.id)
    compare = f"workbench compare {baseline.run.name} {candidate} --scorer NAME"
    if any(run.scores for run in report.runs):
        return Note("No comparison is stored yet. Make one with", compare)
    return Note(
        "No scorer was used, so there is no verdict: the answers stand side by side below. "
        "To score and compare them without calling a model:",
        compare,
    )


@dataclass(frozen=True, slots=True)
class Forest:
    """One chart: all differences under one scorer against what they were compared with."""

    caption: str
    rows: tuple[ForestRow, ...]
    margin: float | None
    unit: str


def forests(report: ExperimentReport) -> list[Forest]:
    """Group the comparisons by scorer and margin, since these share an axis."""
    groups: dict[tuple[str, float | None], list[Mapping[str, Any]]] = {}
    for comparison in report.comparisons:
        result = comparison.result
        groups.setdefault((result_scorer(result), result["margin"]), []).append(result)
    return [_forest(scorer, margin, group) for (scorer, margin), group in groups.items()]


def _forest(scorer: str, margin: float | None, results: Sequence[Mapping[str, Any]]) -> Forest:
    baselines = list(dict.fromkeys(str(result["baseline_run"]) for result in results))
    against = baselines[0] if len(baselines) == 1 else "each one's baseline"
    levels = {level_text(r["difference"]["level"]) for r in results if r["difference"]}
    interval = f", with {' or '.join(sorted(levels))} intervals" if levels else ""
    grouped = sorted(results, key=lambda result: baselines.index(result["baseline_run"]))
    scale = Scale.of(results[0].get("range"))
    return Forest(
        caption=f"Difference in {scorer} from {against}, {scale.told}{interval}",
        rows=tuple(_forest_row(result, scale, grouped=len(baselines) > 1) for result in grouped),
        margin=None if margin is None else scale.factor * margin,
        unit=scale.unit,
    )


def _forest_row(result: Mapping[str, Any], scale: Scale, *, grouped: bool) -> ForestRow:
    row = ForestRow(
        label=str(result["candidate_run"]),
        figures="no example scored on both sides",
        tone=_tone(str(result["verdict"])),
        group=f"against {result['baseline_run']}" if grouped else "",
    )
    difference = result["difference"]
    if difference is None:
        return row
    estimate, low, high = difference_figures(difference, scale)
    n_pairs = result["n_pairs"]
    return replace(
        row,
        figures=f"{estimate} ({low} to {high}), n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{n_pairs:,}",
        estimate=scale.factor * difference["estimate"],
        low=scale.factor * difference["low"],
        high=scale.factor * difference["high"],
    )


@dataclass(frozen=True, slots=True)
class ScoreCell:
    """One run's mean under one scorer, what it rests on, and the cells behind it."""

    scorer: str
    mean: str
    basis: str
    cells: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One line of the table of runs; each figure with its own denominator."""

    name: str
    prompt: str
    model: str
    marks: tuple[str, ...]
    cells: tuple[str, ...]
    problems: tuple[str, ...]
    scores: tuple[ScoreCell, ...]
    tokens: tuple[str, ...]
    cost: str
    latency: tuple[str, str]


def run_rows(report: ExperimentReport) -> list[RunRow]:
    """Describe every run; the baseline is marked."""
    return [_run_row(run, baseline=run is report.baseline) for run in report.runs]


def _run_row(report: RunReport, *, baseline: bool) -> RunRow:
    run, totals, latency = report.run, report.totals, report.latency
    marks = {
        "baseline": baseline,
        "simulated": run.simulated,
        "imported": run.origin == "imported",
    }
    problems = [f"{n:,} {code}" for code, n in sorted(totals.by_error.items())]
    if totals.reopened:
        problems.append(f"{totals.reopened:,} outcomes from a retry")
    unknown = ("unknown", "unknown")
    return RunRow(
        name=run.name,
        prompt=run.prompt or "unknown prompt",
        model=run.model or "unknown model",
        marks=tuple(mark for mark, holds in marks.items() if holds),
        cells=_cells(report),
        problems=tuple(problems),
        scores=tuple(_score_cell(score) for score in report.scores),
        tokens=_tokens(report),
        cost=_cost(report),
        latency=(milliseconds(latency.p50), milliseconds(latency.p95)) if latency else unknown,
    )


def _cells(report: RunReport) -> tuple[str, ...]:
    counts = {status: n for status, n in sorted(report.totals.by_status.items()) if n}
    if report.cells_open:
        counts["open"] = report.cells_open
    reused = (f"{report.totals.reused:,} used again",) if report.totals.reused else ()
    if len(counts) == 1:
        [(status, count)] = counts.items()
        return (f"all {count:,} {status}", *reused)
    told = tuple(f"{count:,} {status}" for status, count in counts.items())
    return (*told, f"of {report.wanted:,}", *reused)


def _score_cell(score: RunScore) -> ScoreCell:
    basis = []
    if score.n_correct is not None:
        basis.append(f"{score.n_correct:,} of {score.n_scored:,}")
    if score.interval is not None:
        basis.append(f"95 % CI {score.scale.bounds(*score.interval)}")
    return ScoreCell(
        scorer=scorer_text(score.scorer),
        mean="no score" if score.mean is None else score.scale.mean(score.mean),
        basis="; ".join(basis),
        cells=statuses_text(
            {"statuses": {name: count for name, count in score.statuses.items() if count}}
        ),
    )


def _tokens(report: RunReport) -> tuple[str, ...]:
    totals = report.totals
    if not totals.by_status:
        return ("none yet",)
    known = {"in": totals.input_tokens, "out": totals.output_tokens}
    told = tuple(f"{count:,} {way}" for way, count in known.items() if count is not None)
    return told or ("not reported",)


def _cost(report: RunReport) -> str:
    totals = report.totals
    if not totals.by_status:
        return "none yet"
    if totals.cost is None:
        return "unknown"
    cost = money(float(totals.cost))
    if totals.unpriced:
        return f"at least {cost}: {count_text(totals.unpriced, 'cell')} of unknown cost"
    return cost


@dataclass(frozen=True, slots=True)
class Warned:
    """All that is warned of under one code, each sentence once, and what to do about it."""

    code: str
    blocking: bool
    texts: tuple[str, ...]
    remedy: Note


def warnings(report: ExperimentReport) -> list[Warned]:
    """Return the warnings by code, blocking ones first."""
    found: dict[tuple[str, bool], dict[str, list[str]]] = {}
    for comparison in report.comparisons:
        for w in comparison.result["warnings"]:
            texts = found.setdefault((str(w["code"]), bool(w["blocking"])), {})
            names = texts.setdefault(str(w["text"]), [])
            names.append(str(comparison.result["candidate_run"]))
    told = [
        Warned(
            code,
            blocking,
            tuple(_concerning(report, *item) for item in texts.items()),
            Note(*remedy(code, report.experiment.number)),
        )
        for (code, blocking), texts in found.items()
    ]
    return sorted(told, key=lambda warned: not warned.blocking)


def _concerning(report: ExperimentReport, text: str, candidates: Sequence[str]) -> str:
    """Add which comparisons a sentence is about, unless all or it says so itself."""
    named = any(run.run.name in text for run in report.runs)
    if named or len(candidates) == len(report.comparisons):
        return text
    return f"{_names(candidates)}: {text}"


def method_facts(comparison: ComparisonReport) -> Facts:
    """Say how a difference was computed, what else changed, and when it was made."""
    made = f"{timestamp(comparison.created_at)} by {comparison.created_by}"
    return [*comparison_words.method_facts(comparison.result), ("Made", made)]
