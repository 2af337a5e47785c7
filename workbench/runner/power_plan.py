"""How many examples and repetitions a question needs, before anything is spent. Pure.

What is planned is the standard error of the mean paired difference. Its variance comes from a
pilot, split into a part between examples and parts within them (Miller 2024, arXiv 2411.00640,
equations 9 and 10), or from assumptions: pass or fail on one answer each differ on a share d of
the examples with a mean difference of delta, so the variance of a difference is d - delta^2.

- Non-inferiority at a margin m, if delta is true: the distance to cover is m + delta.
- Superiority, if delta is true: the distance is delta.

A pilot without any change says little: the share of changed examples is then taken as 3 / n, the
upper end of its 95 % interval (the rule of three).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from app.core.errors import Invalid
from workbench.runner.generation.sequential import places_of_looks
from workbench.statistics.interval import normal_critical
from workbench.statistics.observations import Observations, align, paired_examples
from workbench.statistics.repetitions import split_variance
from workbench.statistics.sample_size import (
    Variance,
    examples_for_difference,
    fewest_examples_for_margin,
    planned_detectable_effect,
)
from workbench.statistics.sequential import (
    MIN_SEQUENCE_EXAMPLES,
    confidence_sequence_half_width,
)

__all__ = [
    "Goal",
    "PlanRow",
    "Question",
    "Spread",
    "assumed_spread",
    "detectable",
    "examples_needed",
    "pilot_spread",
    "plan_rows",
    "sequential_examples",
]

Goal = Literal["non_inferiority", "superiority"]

_ROUND_SIZES = (50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be shown. Differences are candidate minus baseline, higher being better.

    `margin` is the acceptable loss (non-inferiority only). Raises `Invalid` for a question that
    no number of examples answers.
    """

    goal: Goal
    margin: float | None
    expected_difference: float = 0.0
    alpha: float = 0.05
    power: float = 0.80

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or not 0 < self.power < 1:
            raise Invalid("Alpha and power must lie between 0 and 1, as in 0.05 and 0.8.")
        if self.goal == "superiority" and self.expected_difference <= 0:
            raise Invalid(
                "To show that the candidate is better, say by how much you expect it to be: "
                "--expected-difference 0.05",
                path="expected_difference",
            )
        if self.goal == "non_inferiority" and self.margin is None:
            raise Invalid(
                "Say which loss is acceptable: --margin 0.03 is 3 points of a rate.", path="margin"
            )
        if self.distance <= 0:
            raise Invalid(
                f"An expected loss of {-self.expected_difference:g} is as large as the margin: "
                "no number of examples can show that it lies within it.",
                path="expected_difference",
            )

    @property
    def distance(self) -> float:
        """How far the expected difference lies from what is to be excluded."""
        if self.goal == "superiority":
            return self.expected_difference
        return (self.margin or 0.0) + self.expected_difference


@dataclass(frozen=True, slots=True)
class Spread:
    """How much the difference of one example varies, and where that is known from.

    `repeatable` says whether the part within examples is known, so that repetitions can be
    planned. `notes` are sentences for people.
    """

    variance: Variance
    binary: bool
    source: str
    repeatable: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One number of examples: what it detects and costs, by the repetitions asked about.

    `costs` are US dollars from low to high; None is unknown.
    """

    n: int
    detectable: tuple[float, ...]
    enough: tuple[bool, ...]
    costs: tuple[tuple[float, float] | None, ...]


def pilot_spread(baseline: Observations, candidate: Observations) -> Spread:
    """Return the spread that two scored runs show; `Invalid` without at least two pairs."""
    aligned = align(baseline, candidate)
    pairs = paired_examples(aligned)
    n = len(pairs.keys)
    if n < 2:
        raise Invalid(
            f"The pilot has {n} examples with a score on both sides: score both runs, or run more.",
            path="pilot",
        )
    binary = baseline.is_binary and candidate.is_binary
    notes = []
    if n < 30:
        notes.append(f"{n} pairs are few to plan by: the figures are rough.")
    if pairs.clusters is not None:
        notes.append("Examples are clustered: more are needed than if they were independent.")
    source = f"pilot of {n} examples"
    split = split_variance(aligned.baseline, aligned.candidate)
    if split is not None and split.total > 0:
        return Spread(split.for_planning, binary, source, repeatable=True, notes=tuple(notes))
    total = float(np.var(pairs.candidate - pairs.baseline, ddof=1))
    if split is None:
        notes.append("The pilot has one answer each: what repetitions gain is not known.")
    if total == 0:
        total = min(1.0, 3.0 / n)
        notes.append(f"No example changed in the pilot: at most {100 * total:.1f} % are assumed.")
    return Spread(Variance(total), binary, source, repeatable=False, notes=tuple(notes))


def assumed_spread(
    *,
    expected_difference: float,
    baseline_rate: float | None = None,
    discordant: float | None = None,
    unstable: float | None = None,
) -> Spread:
    """Return the spread of pass or fail scores under assumptions.

    `discordant` is the share of examples on which one answer of each side differ; without it the
    two are taken as independent at `baseline_rate`, which is the most cautious guess.
    `unstable` is the share of examples on which two answers of the same variant differ. Raises
    `Invalid` for shares that contradict each other.
    """
    for name, share in (
        ("baseline_rate", baseline_rate),
        ("discordant", discordant),
        ("unstable", unstable),
    ):
        if share is not None and not 0 <= share <= 1:
            raise Invalid(f"--{name.replace('_', '-')} is a share from 0 to 1.", path=name)
    if baseline_rate is not None and not 0 <= baseline_rate + expected_difference <= 1:
        raise Invalid(
            f"A rate of {baseline_rate:g} cannot change by {expected_difference:+g}.",
            path="expected_difference",
        )
    notes = []
    if discordant is None:
        if baseline_rate is None:
            raise Invalid(
                "Nothing says how much the answers vary: name a pilot (--pilot BASELINE "
                "CANDIDATE), or assume --discordant 0.1 (the share of examples on which the two "
                "differ) or --baseline-rate 0.8.",
                path="discordant",
            )
        after = baseline_rate + expected_difference
        discordant = baseline_rate * (1 - after) + after * (1 - baseline_rate)
        notes.append(
            f"The two sides are taken as independent: {100 * discordant:.0f} % differ. Versions "
            "of one prompt usually agree more; a pilot or --discordant says so."
        )
    if discordant < abs(expected_difference):
        raise Invalid(
            f"A difference of {expected_difference:g} needs at least that share of examples that "
            f"differ, and {discordant:g} were assumed.",
            path="discordant",
        )
    if unstable is None:
        notes.append("What repetitions gain is not known: a pilot or --unstable says it.")
    total = discordant - expected_difference**2
    # Two answers to one example differ with probability 2 p (1 - p), twice their variance.
    within = min((unstable or 0.0) / 2, total / 2)
    variance = Variance(total - 2 * within, within, within)
    source = f"assumed: {100 * discordant:.3g} % of examples differ"
    return Spread(variance, True, source, repeatable=unstable is not None, notes=tuple(notes))


def examples_needed(question: Question, spread: Spread, repetitions: int = 1) -> int:
    """Return how many examples show what is asked, with so many answers on either side."""
    n = examples_for_difference(
        spread.variance.of_difference(repetitions, repetitions),
        question.distance,
        alpha=question.alpha,
        power=question.power,
    )
    if question.goal == "superiority" or question.margin is None or not spread.binary:
        return n
    return max(n, fewest_examples_for_margin(question.margin, 1 - question.alpha))


def sequential_examples(
    question: Question, spread: Spread, n_max: int, repetitions: int = 1
) -> int | None:
    """Return after how many examples a sequential plan is likely to show a loss below the margin.

    It is the first look at which the confidence sequence is narrow enough if the answers are as
    the spread has them; about half of such experiments end by then. None if that is at none of
    the looks up to `n_max`. The two pseudo-examples that guard sparse differences are counted in.
    """
    variance = spread.variance.of_difference(repetitions, repetitions)
    for n in places_of_looks(n_max):
        deviation = sqrt((n * variance + 2.0) / (n + 1.0))
        half_width = confidence_sequence_half_width(
            n + 2, deviation, alpha=question.alpha, n_optimal=n_max
        )
        if n >= MIN_SEQUENCE_EXAMPLES and half_width < question.distance:
            return n
    return None


def detectable(question: Question, spread: Spread, n: int, repetitions: int = 1) -> float:
    """Return the smallest margin, or for superiority the smallest difference, that n examples
    show with the asked power."""
    effect = planned_detectable_effect(
        n,
        spread.variance,
        repetitions_baseline=repetitions,
        repetitions_candidate=repetitions,
        alpha=question.alpha,
        power=question.power,
    )
    if question.goal == "superiority":
        return effect
    z = normal_critical(1 - question.alpha)
    # Even if no example changed, the interval of so few pass or fail pairs reaches this far.
    least = z * z / (n + z * z) if spread.binary else 0.0
    return max(least, effect - question.expected_difference)


def plan_rows(
    question: Question,
    spread: Spread,
    repetitions: Sequence[int],
    *,
    available: int | None,
    cost_of_example: tuple[float, float] | None,
) -> list[PlanRow]:
    """Return a row for each number of examples worth a look: round ones, the needed ones and the
    `available` one. `cost_of_example` is of one example with one answer of every variant."""
    needed = [examples_needed(question, spread, r) for r in repetitions]
    most = max(*needed, available or 0)
    sizes = {n for n in _ROUND_SIZES if n <= 2 * most} | set(needed) | {available or needed[0]}
    return [
        PlanRow(
            n,
            tuple(detectable(question, spread, n, r) for r in repetitions),
            tuple(n >= enough for enough in needed),
            tuple(
                None
                if cost_of_example is None
                else (cost_of_example[0] * n * r, cost_of_example[1] * n * r)
                for r in repetitions
            ),
        )
        for n in sorted(sizes)
    ]
