"""Warnings that the record raises and statistics cannot: where answers come from, what was
planned, what else was asked of the same examples. Pure.

Each is a code, whether it keeps a gate shut, and a sentence. Codes that are conditions of the
analysis come from `workbench.statistics.warnings`; the others are facts about the answers:
simulated, imported, retried, unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.schemas.experiments import ExperimentView, Plan
from workbench.runner.comparison.cells import SideCells
from workbench.runner.comparison.comparability import Mismatch, Side
from workbench.runner.comparison.slices import Columns
from workbench.statistics import warnings as conditions
from workbench.statistics.observations import Aligned
from workbench.statistics.warnings import AnalysisWarning

__all__ = ["Asked", "notes"]

_DRIFTING = frozenset({"dataset", "simulated"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What was planned and what was asked before.

    `comparisons` is the number of candidates that the intervals allow for, `candidates` how many
    there are. `experiment` is the one that the plan belongs to; `question_count` how many
    questions were put to the dataset version. `decided` says that a sequential plan has.
    """

    comparisons: int
    candidates: int
    plan: Plan | None
    experiment: ExperimentView | None
    question_count: int
    decided: bool = False


def notes(
    sides: tuple[Side, Side],
    cells: tuple[SideCells, SideCells],
    aligned: Aligned,
    asked: Asked,
    differing: Sequence[Mismatch],
    columns: Columns,
) -> list[dict[str, Any]]:
    """Return the warnings of one comparison, each once."""
    found = [
        *_facts(sides, cells, decided=asked.decided),
        *_reported(sides),
        *_named(_conditions(aligned, asked, differing, columns)),
    ]
    return [{"code": c, "blocking": b, "text": t} for c, b, t in dict.fromkeys(found)]


def _facts(
    sides: tuple[Side, Side], cells: tuple[SideCells, SideCells], *, decided: bool
) -> Iterator[tuple[str, bool, str]]:
    # Where answers come from blocks no gate: it makes the decision advisory, as an exception.
    if any(side.run.simulated for side in sides):
        yield "simulated", False, "A simulated model answered, not a real one."
    for side, stored in zip(sides, cells, strict=True):
        name = side.run.name
        if side.run.origin == "imported":
            yield "imported", False, f"{name} holds outputs that were made elsewhere."
        if stored.n_reopened:
            yield "retried", False, f"{stored.n_reopened} outcomes of {name} come from a retry."
        if side.experiment is not None and not decided:
            wanted = side.experiment.example_count * side.experiment.repetitions
            if stored.n_stored < wanted:
                yield (
                    "unfinished",
                    True,
                    f"{name} is not finished: {stored.n_stored} of {wanted} cells have an outcome.",
                )


def _reported(sides: tuple[Side, Side]) -> Iterator[tuple[str, bool, str]]:
    """The same model version must be the same model all the time and on both sides."""
    for side in sides:
        if len(side.reported) > 1:
            names = ", ".join(f"{_model(m, f)}: {n}" for m, f, n in side.reported)
            text = f"The model behind {side.run.name} changed during the run: {names}."
            yield "drift", True, text
    before, after = sides
    if before.run.model is None or before.run.model != after.run.model:
        return
    first, second = ([(m, f) for m, f, _ in side.reported] for side in sides)
    if len(first) == len(second) == 1 and first != second:
        yield (
            "drift",
            True,
            f"{before.run.model} reported itself as {_model(*first[0])} in {before.run.name} and "
            f"as {_model(*second[0])} in {after.run.name}.",
        )


def _model(name: str | None, fingerprint: str | None) -> str:
    return f"{name or '?'} ({fingerprint or 'no fingerprint'})"


def _named(raised: Iterator[AnalysisWarning | None]) -> Iterator[tuple[str, bool, str]]:
    for warning in raised:
        if warning is not None:
            yield warning.code.value, warning.blocking, warning.text


def _conditions(
    aligned: Aligned, asked: Asked, differing: Sequence[Mismatch], columns: Columns
) -> Iterator[AnalysisWarning | None]:
    yield conditions.drift([m.field for m in differing if m.field in _DRIFTING])
    yield _peeking(aligned, asked)
    yield conditions.multiplicity(asked.candidates, corrected=asked.comparisons >= asked.candidates)
    yield conditions.reused_set(asked.question_count)
    yield conditions.cluster_suspected(
        columns, clusters_declared=aligned.cluster_labels is not None
    )


def _peeking(aligned: Aligned, asked: Asked) -> AnalysisWarning | None:
    """A plan with a fixed number that is read early, or whose number was moved."""
    if asked.plan is None or asked.plan.mode != "fixed":
        return None
    extended = asked.experiment is not None and asked.experiment.extends_id is not None
    planned = asked.plan.n
    if planned is None and asked.experiment is not None:
        planned = asked.experiment.example_count
    seen = np.count_nonzero((aligned.baseline.n_cells > 0) & (aligned.candidate.n_cells > 0))
    return conditions.peeking(int(seen), planned, extended=extended)
