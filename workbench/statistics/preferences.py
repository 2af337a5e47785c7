"""Pairwise preferences of a judge that saw every pair in both orders.

A win counts only if it holds in both orders; anything else is a tie (the MT-bench protocol,
Zheng et al. 2023, arXiv 2306.05685). What is left is a paired difference: 1 for a win, -1 for a
loss, 0 for a tie, so that the ordinary analysis applies (Tango's interval, exact sign test).
The win rate counts a tie half: (1 + difference) / 2. How often the order alone decided, and
whether length did, is reported beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from scipy.special import chdtrc, expit, log_expit

from workbench.statistics.arrays import FloatArray, as_finite_vector
from workbench.statistics.effect import (
    Differences,
    Effect,
    EffectTest,
    effect_test,
    estimate_effect,
)
from workbench.statistics.interval import Interval
from workbench.statistics.paired_binary import mcnemar_exact
from workbench.statistics.policy import DEFAULT_POLICY, DEFAULT_SEED, Policy

__all__ = [
    "Choice",
    "LengthBias",
    "OrderBias",
    "PreferenceAnalysis",
    "analyse_preferences",
    "length_bias",
    "order_bias",
    "swap_outcomes",
]


class Choice(StrEnum):
    """What the judge chose, already mapped back from position to variant."""

    CANDIDATE = "candidate"
    BASELINE = "baseline"
    TIE = "tie"


_VALUE: Final = {Choice.CANDIDATE: 1.0, Choice.BASELINE: -1.0, Choice.TIE: 0.0}


@dataclass(frozen=True, slots=True)
class OrderBias:
    """How far the order decided: `always_first` counts pairs won by whichever came first.

    `p_position` is the exact p of "first and second position are preferred equally often".
    """

    n: int
    consistency: float
    always_first: int
    always_second: int
    p_position: float


@dataclass(frozen=True, slots=True)
class LengthBias:
    """Win rate of the candidate as it is, and at equal length; `p_value` of no dependence."""

    slope: float
    p_value: float
    raw_win_rate: float
    controlled_win_rate: float


@dataclass(frozen=True, slots=True)
class PreferenceAnalysis:
    """Wins and losses of the candidate with the difference P(win) - P(loss) and the win rate."""

    wins: int
    losses: int
    ties: int
    win_rate: float
    win_rate_interval: Interval
    effect: Effect
    test: EffectTest
    order: OrderBias


def _check_pairs(candidate_first: Sequence[Choice], baseline_first: Sequence[Choice]) -> None:
    if len(candidate_first) != len(baseline_first):
        raise ValueError("Every pair must be judged in both orders.")
    if not candidate_first:
        raise ValueError("There is no judged pair.")


def swap_outcomes(
    candidate_first: Sequence[Choice], baseline_first: Sequence[Choice]
) -> FloatArray:
    """Return 1 for a win of the candidate in both orders, -1 for a loss in both, else 0."""
    _check_pairs(candidate_first, baseline_first)
    return np.array(
        [
            _VALUE[one] if one == other else 0.0
            for one, other in zip(candidate_first, baseline_first, strict=True)
        ]
    )


def order_bias(candidate_first: Sequence[Choice], baseline_first: Sequence[Choice]) -> OrderBias:
    """Return how consistent the judge is under a swap and which position it prefers."""
    _check_pairs(candidate_first, baseline_first)
    pairs = list(zip(candidate_first, baseline_first, strict=True))
    first = sum(pair == (Choice.CANDIDATE, Choice.BASELINE) for pair in pairs)
    second = sum(pair == (Choice.BASELINE, Choice.CANDIDATE) for pair in pairs)
    alike = sum(one == other for one, other in pairs)
    return OrderBias(len(pairs), alike / len(pairs), first, second, mcnemar_exact(first, second))


def analyse_preferences(
    candidate_first: Sequence[Choice],
    baseline_first: Sequence[Choice],
    *,
    clusters: Sequence[int] | None = None,
    level: float = 0.95,
    seed: int = DEFAULT_SEED,
    policy: Policy = DEFAULT_POLICY,
) -> PreferenceAnalysis:
    """Analyse one judged pair an example; `clusters` are codes 0 to C - 1.

    With several samples of an example, average their `swap_outcomes` and hand the means to
    `estimate_effect` with a range of 1.
    """
    outcomes = swap_outcomes(candidate_first, baseline_first)
    codes = None if clusters is None else np.asarray(clusters, dtype=np.intp)
    differences = Differences(outcomes, binary=True, score_range=1.0, clusters=codes)
    effect = estimate_effect(differences, level, policy)
    interval = effect.interval
    return PreferenceAnalysis(
        wins=differences.better,
        losses=differences.worse,
        ties=outcomes.size - differences.better - differences.worse,
        win_rate=(1.0 + effect.estimate) / 2.0,
        win_rate_interval=Interval((1.0 + interval.low) / 2.0, (1.0 + interval.high) / 2.0, level),
        effect=effect,
        test=effect_test(differences, seed=seed),
        order=order_bias(candidate_first, baseline_first),
    )


_MAX_STEPS: Final = 50
_RIDGE: Final = 1e-6
"""Keeps the fit finite when length separates wins from losses; invisible otherwise."""


def _fit_logistic(design: FloatArray, wins: FloatArray) -> tuple[FloatArray, float]:
    """Fit P(win) = logistic(design @ beta) by Newton steps; return beta and log-likelihood."""
    beta = np.zeros(design.shape[1])
    ridge = _RIDGE * np.eye(design.shape[1])
    for _ in range(_MAX_STEPS):
        chance = expit(design @ beta)
        gradient = design.T @ (wins - chance) - _RIDGE * beta
        weights = chance * (1.0 - chance)
        step = np.linalg.solve((design.T * weights) @ design + ridge, gradient)
        # Far from the optimum the full step can overshoot into a flat region.
        beta = beta + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < 1e-10:
            break
    linear = design @ beta
    likelihood = float(wins @ log_expit(linear) + (1.0 - wins) @ log_expit(-linear))
    return beta, likelihood


def length_bias(outcomes: FloatArray, length_difference: FloatArray) -> LengthBias:
    """Return how winning depends on length, and the win rate at equal length.

    `outcomes` are 1, 0, -1 as from `swap_outcomes`; `length_difference` is candidate minus
    baseline in any unit. Logistic regression on tanh(difference / standard deviation), as in
    length-controlled AlpacaEval (Dubois et al. 2024, arXiv 2404.04475), ties as half a win; p by
    likelihood ratio. Equal lengths throughout leave nothing to control: slope 0, p 1.
    """
    wins = (1.0 + as_finite_vector(outcomes, "outcomes")) / 2.0
    lengths = as_finite_vector(length_difference, "length_difference")
    if wins.shape != lengths.shape or wins.size < 2:
        raise ValueError("Give the length difference of every pair, and at least two pairs.")
    raw = float(wins.mean())
    deviation = float(lengths.std())
    if deviation == 0.0:
        return LengthBias(0.0, 1.0, raw, raw)
    ones = np.ones_like(lengths)
    beta, likelihood = _fit_logistic(np.column_stack((ones, np.tanh(lengths / deviation))), wins)
    _, without = _fit_logistic(ones[:, np.newaxis], wins)
    p_value = float(chdtrc(1, max(0.0, 2.0 * (likelihood - without))))
    controlled = 1.0 / (1.0 + math.exp(-float(beta[0])))
    return LengthBias(float(beta[1]), p_value, raw, controlled)
