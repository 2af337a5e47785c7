"""What a report of one experiment is made of: plain data, gathered once, shown in any form.

Facts come as the record's own views. Texts are excerpts and only of the examples that are
shown, so that a report of any experiment stays small. A figure that is not known is None
here and is said to be unknown wherever it is shown, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import ExperimentView, RunView
from app.schemas.gates import GateDecisionView
from app.schemas.generations import GenerationStatus, RunTotals
from app.schemas.models import ModelVersionView
from app.schemas.prompts import PromptVersionView
from app.schemas.scores import ScorerView, ScoreView
from app.schemas.variants import VariantView
from workbench.number_text import RATES, Scale

__all__ = [
    "Answer",
    "ComparisonReport",
    "Example",
    "Excerpt",
    "ExperimentReport",
    "Latency",
    "RunReport",
    "RunScore",
    "excerpt",
]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text; `omitted` counts the characters that were left out."""

    text: str
    omitted: int = 0


def excerpt(text: str, limit: int) -> Excerpt:
    """Return the first `limit` characters of a text."""
    return Excerpt(text[:limit], max(0, len(text) - limit))


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of the answers of one run (completed or refused), and how many those are."""

    p50: float
    p95: float
    n: int


@dataclass(frozen=True, slots=True)
class RunScore:
    """One run under one scorer by itself. `statuses` counts cells by what became of them;
    `n_correct` is None for a graded scorer, `mean` and `interval` (95 %) without any score."""

    scorer: ScorerView
    mean: float | None
    interval: tuple[float, float] | None
    n_scored: int
    n_correct: int | None
    statuses: Mapping[str, int]
    scale: Scale = RATES


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run: what ran, what became of its `wanted` cells, its scores (the primary scorer
    first). `reported` is what the provider called the model: (name, fingerprint, answers)."""

    run: RunView
    totals: RunTotals
    wanted: int
    variant: VariantView | None = None
    latency: Latency | None = None
    scores: tuple[RunScore, ...] = ()
    reported: tuple[tuple[str | None, str | None, int], ...] = ()

    @property
    def cells_open(self) -> int:
        """Cells without any outcome yet."""
        return max(0, self.wanted - sum(self.totals.by_status.values()))


@dataclass(frozen=True, slots=True)
class Answer:
    """One stored answer to one example. Without a text `status` and `error` say why.

    `repetition` counts from 1; None if there is only one answer.
    """

    run: str
    status: GenerationStatus
    text: Excerpt | None
    error: str | None = None
    scores: tuple[ScoreView, ...] = ()
    repetition: int | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One example with an answer of each run; a run without an outcome yet has None.

    `scores` are the baseline's and the candidate's mean over the repetitions, where the
    example stands for a change between these two.
    """

    key: str
    input: Excerpt | None
    expected: Excerpt | None
    answers: tuple[Answer | None, ...]
    scores: tuple[float, float] | None = None
    change: float | None = None


@dataclass(frozen=True, slots=True)
class ComparisonReport:
    """A stored comparison with some of the examples that changed, worst losses first.

    `declared` says that it is the analysis that was planned before the run, `stale` that
    scores have changed since it was made.
    """

    result: Mapping[str, Any]
    created_at: datetime
    created_by: str
    input_hash: str
    declared: bool = True
    stale: bool = False
    examples: tuple[Example, ...] = ()

    @property
    def changed(self) -> int:
        """How many examples changed in all."""
        return int(self.result["candidate_only"]) + int(self.result["baseline_only"])


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """One experiment, whole. `runs` begins with those of the experiment, in the order of its
    specification; runs from elsewhere that it was compared with follow.

    `examples` are shown side by side where there is no comparison. `extends` is the number of
    the experiment that this one carries on over a newer dataset version; `gates` are the
    decisions made on it, newest first.
    """

    experiment: ExperimentView
    dataset: DatasetVersionView
    runs: tuple[RunReport, ...]
    made_at: datetime
    comparisons: tuple[ComparisonReport, ...] = ()
    examples: tuple[Example, ...] = ()
    prompts: tuple[PromptVersionView, ...] = ()
    models: tuple[ModelVersionView, ...] = ()
    extends: int | None = None
    gates: tuple[GateDecisionView, ...] = ()

    @property
    def baseline(self) -> RunReport:
        """The run that the specification declares as the baseline, be it from elsewhere."""
        stored = self.experiment.spec.get("baseline_run")
        if stored is None:
            return self.runs[int(self.experiment.spec["baseline"])]
        return next(run for run in self.runs if str(run.run.id) == stored["id"])
