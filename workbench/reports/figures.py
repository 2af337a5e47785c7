"""What the charts of a page are drawn from: a report in, rows and points out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from workbench.comparison_words import secondary_facts, slice_figures, slice_label
from workbench.number_text import Scale, compare_command, money
from workbench.reports.charts import FlipRow, ForestRow, TradeoffPoint
from workbench.reports.experiment import ComparisonReport, ExperimentReport, RunReport

__all__ = ["Slices", "Tradeoff", "flip_rows", "slices", "tradeoff"]

_MAX_SLICES: Final = 40  # in one chart


@dataclass(frozen=True, slots=True)
class Slices:
    """One comparison looked at in parts: by metadata, and under the other scorers.

    `more` counts the parts that the chart leaves out; `command` shows them. `unit` is what the
    differences of the rows are told in, `told` the same as it follows a noun.
    """

    candidate: str
    baseline: str
    rows: tuple[ForestRow, ...]
    secondary: list[tuple[str, str]]
    more: int
    command: str
    unit: str
    told: str


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """Scores over costs. `key` explains the numbers; `unplotted` names runs with the reason."""

    scorer: str
    points: tuple[TradeoffPoint, ...]
    key: tuple[tuple[int, str, str], ...]
    unplotted: tuple[str, ...]


def flip_rows(report: ExperimentReport) -> list[FlipRow]:
    """Return how many examples each candidate lost and won, of those scored on both sides."""
    rows = []
    several = len({str(c.result["baseline_run"]) for c in report.comparisons}) > 1
    for comparison in report.comparisons:
        result = comparison.result
        worse, better = int(result["baseline_only"]), int(result["candidate_only"])
        label = str(result["candidate_run"])
        if several:
            label += f" against {result['baseline_run']}"
        rows.append(FlipRow(label, worse, int(result["n_pairs"]) - worse - better, better))
    return [row for row in rows if row.worse + row.same + row.better > 0]


def slices(report: ExperimentReport) -> list[Slices]:
    """Return the comparisons that were looked at in parts."""
    parts = [_slices(comparison) for comparison in report.comparisons]
    return [part for part in parts if part.rows or part.secondary]


def _slices(comparison: ComparisonReport) -> Slices:
    result = comparison.result
    found: Sequence[Mapping[str, Any]] = result.get("slices") or ()
    columns = groupby(found[:_MAX_SLICES], key=lambda part: str(part["column"]))
    scale = Scale.of(result.get("range"))
    return Slices(
        candidate=str(result["candidate_run"]),
        baseline=str(result["baseline_run"]),
        rows=tuple(_slice_row(column, part, scale) for column, parts in columns for part in parts),
        secondary=secondary_facts(result),
        more=max(0, len(found) - _MAX_SLICES),
        command=compare_command(result),
        unit=scale.unit,
        told=scale.told,
    )


def _slice_row(column: str, part: Mapping[str, Any], scale: Scale) -> ForestRow:
    ends = [part.get(name) for name in ("estimate", "low", "high")]
    estimate, low, high = (None if end is None else scale.factor * float(end) for end in ends)
    return ForestRow(
        label=slice_label(part),
        figures=slice_figures(part, scale),
        tone="v-slice",
        group=column,
        estimate=estimate,
        low=low,
        high=high,
    )


def tradeoff(report: ExperimentReport) -> Tradeoff | None:
    """Return scores over costs under the deciding scorer; None with fewer than two runs of
    known cost, or where nothing cost anything. An unknown cost is never drawn as 0."""
    scorer = _deciding_scorer(report)
    points: list[TradeoffPoint] = []
    unplotted: list[str] = []
    name = ""
    for run in report.runs:
        score = next((s for s in run.scores if s.scorer.content_hash == scorer), None)
        cost = _cost_of_answer(run)
        if score is None or score.mean is None or score.interval is None:
            unplotted.append(f"{run.run.name}: no score")
            continue
        name = f"{score.scorer.name} v{score.scorer.version}"
        if cost is None:
            unplotted.append(f"{run.run.name}: {score.scale.mean(score.mean)}, cost unknown")
            continue
        is_baseline = run is report.baseline
        points.append(
            TradeoffPoint(
                number=len(points) + 1,
                label=run.run.name + (" (baseline)" if is_baseline else ""),
                cost=cost,
                score=score.scale.factor * score.mean,
                low=score.scale.factor * score.interval[0],
                high=score.scale.factor * score.interval[1],
                unit=" %" if score.scale.is_rate else "",
                baseline=is_baseline,
            )
        )
    if len(points) < 2 or not any(point.cost for point in points):
        return None
    key = tuple((p.number, p.label, _key_figures(p)) for p in points)
    return Tradeoff(name, tuple(points), key, tuple(unplotted))


def _key_figures(point: TradeoffPoint) -> str:
    digits = 1 if point.unit else 2
    interval = f"95 % CI {point.low:.{digits}f} to {point.high:.{digits}f}"
    score = f"{point.score:.{digits}f}{point.unit}"
    return f"{score} ({interval}), {money(point.cost)} for an answer"


def _deciding_scorer(report: ExperimentReport) -> str | None:
    """Return the hash of the scorer of the first verdict, else of the first score."""
    if report.comparisons:
        return str(report.comparisons[0].result["scorer"]["content_hash"])
    return next((run.scores[0].scorer.content_hash for run in report.runs if run.scores), None)


def _cost_of_answer(run: RunReport) -> float | None:
    """US dollars for each answer that was paid for; None if any of them has no known cost."""
    totals = run.totals
    paid = sum(totals.by_status.values()) - totals.reused
    if totals.cost is None or totals.unpriced or paid <= 0:
        return None
    return float(totals.cost) / paid
