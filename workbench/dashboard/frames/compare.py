"""Comparisons as tables: answers of the API in, frames and small records out (pure).

Scores and their differences stand on the scale on which they are told: rates in per cent and
points, others as they are. Missing is NaN or a word, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import pandas as pd

from workbench.client.comparisons import ComparedExample, ComparedSide, Comparison
from workbench.client.gates import Decision
from workbench.comparison_words import marks, remedy, result_scorer, slice_figures, slice_label
from workbench.dashboard.frames.experiments import run_title
from workbench.dashboard.verdicts import verdict_text
from workbench.gate_words import check_label, decision_word
from workbench.number_text import Scale, difference_figures, difference_text, level_text

__all__ = [
    "MAX_SLICES",
    "Warned",
    "by_baseline",
    "checks_frame",
    "examples_frame",
    "forest_frame",
    "known_slices",
    "newest_of_family",
    "pareto_measures",
    "recent_frame",
    "scale_of",
    "side_titles",
    "sides_frame",
    "slices_frame",
    "tradeoff_frame",
    "warned",
]

MAX_SLICES: Final = 40
"""Slices drawn in one chart."""

_NONE: Final = float("nan")
_NO_EXPERIMENT: Final = 0  # their numbers begin at 1


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning in plain words; `command` is what to run about it, empty if there is none."""

    blocking: bool
    text: str
    remedy: str
    command: str


def scale_of(comparison: Comparison) -> Scale:
    """Return how the scores of a comparison are told."""
    return Scale.of(comparison.result.get("range"))


def newest_of_family(comparisons: Iterable[Comparison], shown: Comparison) -> list[Comparison]:
    """Return the newest comparison of each pair of runs under the scorer of `shown`.

    `comparisons` come newest first. Of its own pair `shown` stays, also if it is an older one.
    Those with its baseline stand first, then by the names of baseline and candidate.
    """
    found = {_pair(shown): shown}
    for one in comparisons:
        if one.scorer_id == shown.scorer_id:
            found.setdefault(_pair(one), one)
    return sorted(
        found.values(),
        key=lambda one: (
            one.baseline_run_id != shown.baseline_run_id,
            str(one.result["baseline_run"]),
            str(one.result["candidate_run"]),
        ),
    )


def _pair(one: Comparison) -> tuple[UUID, UUID]:
    return one.baseline_run_id, one.candidate_run_id


def by_baseline(family: Sequence[Comparison]) -> list[list[Comparison]]:
    """Return the comparisons with one baseline together, in the order of the family."""
    return [list(group) for _, group in groupby(family, key=lambda one: one.baseline_run_id)]


def _runs(family: Sequence[Comparison]) -> list[tuple[Comparison, str]]:
    """Return each run once, as (a comparison that tells of it, its side there); the baselines
    first, since they may be candidates elsewhere."""
    sides = {one.baseline_run_id: (one, "baseline") for one in reversed(family)}
    ordered = dict(reversed(sides.items()))
    for one in family:
        ordered.setdefault(one.candidate_run_id, (one, "candidate"))
    return list(ordered.values())


def side_titles(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of candidate and baseline; their experiments' numbers are left out, unless
    only these tell them apart."""
    runs = str(result["candidate_run"]), str(result["baseline_run"])
    candidate, baseline = (run_title(name) for name in runs)
    return runs if candidate == baseline else (candidate, baseline)


def recent_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Return one row a comparison; `id` is last, for selecting."""
    return pd.DataFrame(
        [
            {
                "verdict": verdict_text(one.verdict),
                "marks": ", ".join(marks(one.result)),
                "candidate": candidate,
                "difference": difference_text(one.result, scale_of(one)) or "no pairs",
                "examples": one.result["n_pairs"],
                "baseline": baseline,
                "scorer": result_scorer(one.result),
                "made": one.created_at,
                "id": str(one.id),
            }
            for one in comparisons
            for candidate, baseline in [side_titles(one.result)]
        ]
    )


def forest_frame(family: Sequence[Comparison], shown: Comparison) -> pd.DataFrame:
    """Return one row a candidate: its difference from the baseline, with interval and words."""
    rows = []
    for one in family:
        result, scale = one.result, scale_of(one)
        found = result["difference"]
        ends = [_NONE] * 3
        told = "no example scored on both sides"
        if found is not None:
            ends = [scale.factor * found[name] for name in ("estimate", "low", "high")]
            told = _figures(difference_figures(found, scale), result["n_pairs"], found["level"])
        rows.append(
            {
                "name": str(result["candidate_run"]),
                "verdict": one.verdict,
                "estimate": ends[0],
                "low": ends[1],
                "high": ends[2],
                "level": None if found is None else found["level"],
                "n": result["n_pairs"],
                "figures": f"{verdict_text(one.verdict)}: {told}",
                "shown": one.id == shown.id,
            }
        )
    return pd.DataFrame(rows)


def _figures(figures: tuple[str, str, str], n_pairs: int, level: float) -> str:
    estimate, low, high = figures
    return f"{estimate} ({level_text(level)} CI {low} to {high}), n = {n_pairs:,}"


def slices_frame(comparison: Comparison) -> pd.DataFrame:
    """Return one row a slice, in the stored order, at most `MAX_SLICES`."""
    scale = scale_of(comparison)
    return pd.DataFrame(
        [
            {
                "name": f"{part['column']} = {slice_label(part)}",
                **{
                    name: _scaled(part.get(name), scale.factor)
                    for name in ("estimate", "low", "high")
                },
                "n": part["n_pairs"],
                "q": part.get("q_value"),
                "figures": slice_figures(part, scale),
            }
            for part in (comparison.result.get("slices") or ())[:MAX_SLICES]
        ]
    )


def _scaled(value: float | None, factor: float) -> float:
    return _NONE if value is None else factor * value


def known_slices(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the slices that a comparison knows, those too small for an interval included."""
    parts = [*(result.get("slices") or ()), *(result.get("slices_left_out") or ())]
    named = [(str(part["column"]), str(part["value"])) for part in parts if part.get("value")]
    return sorted(set(named))


def sides_frame(family: Sequence[Comparison]) -> pd.DataFrame:
    """Return one row a run with its denominators: examples, and cells by what became of them."""
    frame = pd.DataFrame([_side_row(one, role) for one, role in _runs(family)])
    counts = [name for name in frame.columns if name not in ("run", "role")]
    frame[counts] = frame[counts].fillna(0).astype("int64")
    return frame


def _side_row(one: Comparison, role: str) -> dict[str, Any]:
    side = one.result[role]
    statuses = {name.replace("_", " "): count for name, count in side["statuses"].items()}
    return {
        "run": one.result[f"{role}_run"],
        "role": role,
        "examples": side["n_examples"],
        "cells": side["n_cells"],
        "scored": 0,
        **statuses,
        "from a retry": side["reopened"],
        "used again": side["reused"],
    }


def tradeoff_frame(family: Sequence[Comparison]) -> pd.DataFrame:
    """Return one row a run: mean score with its interval, US dollars an example, milliseconds.

    What is not known is NaN. `best` marks the Pareto set: no other run is at least as good in
    every measure that is known of all, and better in one.
    """
    frame = pd.DataFrame([_tradeoff_row(one, role) for one, role in _runs(family)])
    frame.insert(0, "number", range(1, len(frame) + 1))
    lower = family[0].result.get("direction") == "lower"
    frame["best"] = _pareto(frame, lower_score=lower)
    return frame


def _tradeoff_row(one: Comparison, role: str) -> dict[str, Any]:
    result, factor = one.result, scale_of(one).factor
    side = result[role]
    low, high = side["interval"] or (None, None)
    cost, latency = result.get("cost"), result.get("latency")
    return {
        "run": str(result[f"{role}_run"]),
        "role": role,
        "score": _scaled(side["mean"], factor),
        "low": _scaled(low, factor),
        "high": _scaled(high, factor),
        "cost": _NONE if cost is None else float(cost[role]),
        "p50": _NONE if latency is None else float(latency[role]["p50"]),
        "p95": _NONE if latency is None else float(latency[role]["p95"]),
    }


def pareto_measures(frame: pd.DataFrame) -> list[str]:
    """Return which of score, cost and p95 are known of every run."""
    return [name for name in ("score", "cost", "p95") if frame[name].notna().all()]


def _pareto(frame: pd.DataFrame, *, lower_score: bool) -> list[bool]:
    measures = pareto_measures(frame)
    if "score" not in measures or len(measures) < 2:
        return [False] * len(frame)
    signs = [-1.0 if name == "score" and not lower_score else 1.0 for name in measures]
    points = [
        tuple(sign * float(row[name]) for sign, name in zip(signs, measures, strict=True))
        for row in frame.to_dict("records")
    ]
    return [not any(_dominates(other, point) for other in points) for point in points]


def _dominates(other: Sequence[float], point: Sequence[float]) -> bool:
    pairs = list(zip(other, point, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def warned(comparison: Comparison, experiment: int | None) -> list[Warned]:
    """Return the warnings, blocking ones first, each with what to do about it."""
    found = []
    for warning in comparison.result["warnings"]:
        text, command = remedy(str(warning["code"]), experiment or _NO_EXPERIMENT)
        is_of_experiment = str(_NO_EXPERIMENT) in command.split()
        found.append(
            Warned(
                bool(warning["blocking"]),
                str(warning["text"]),
                text,
                "" if is_of_experiment else command,
            )
        )
    return sorted(found, key=lambda one: not one.blocking)


def checks_frame(decision: Decision) -> pd.DataFrame:
    """Return one row a check of a gate's decision."""
    return pd.DataFrame(
        [
            {
                "check": check_label(check),
                "decision": decision_word(str(check["decision"])),
                "asked": str(check["asked"]),
                "found": str(check["found"]),
            }
            for check in decision.evidence.get("checks") or ()
        ]
    )


def examples_frame(examples: Sequence[ComparedExample]) -> pd.DataFrame:
    """Return one row an example; scores are means over its repetitions."""
    return pd.DataFrame(
        [
            {
                "example": one.key,
                "change": _NONE if one.change is None else one.change,
                "baseline": _NONE if one.baseline.mean is None else one.baseline.mean,
                "candidate": _NONE if one.candidate.mean is None else one.candidate.mean,
                "not scored": _unscored(one),
                "repetitions": max(one.baseline.cells, one.candidate.cells),
            }
            for one in examples
        ]
    )


def _unscored(example: ComparedExample) -> str:
    """Return what has no score on either side, as in `candidate: 1 failed`."""
    told = []
    for name, side in (("baseline", example.baseline), ("candidate", example.candidate)):
        if counts := _without_score(side):
            told.append(f"{name}: {counts}")
    return "; ".join(told)


def _without_score(side: ComparedSide) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in side.statuses.items() if name != "scored")
