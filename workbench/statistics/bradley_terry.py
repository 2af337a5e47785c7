"""Strengths of N variants from pairwise wins: the Bradley-Terry model (1952).

logit P(i beats j) = strength_i - strength_j, a tie as half a win for each. Strengths are
relative to a reference variant and shown as the expected win rate against it. One example gives
several comparisons, so intervals resample examples and not comparisons.

The maximum likelihood estimate is finite only if every variant is reached from every other by
a chain of wins (Ford 1957); otherwise the variants that never lost, or never won, are named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from workbench.statistics.arrays import BoolArray, FloatArray
from workbench.statistics.bootstrap import draw_units, percentile_interval
from workbench.statistics.interval import Interval
from workbench.statistics.multiplicity import holm
from workbench.statistics.paired_binary import mcnemar_exact
from workbench.statistics.policy import DEFAULT_SEED

__all__ = ["BradleyTerry", "VariantStrength", "fit_bradley_terry", "rank_variants"]

_MAX_STEPS: Final = 100
_MAX_STEP: Final = 1.0
"""Longest Newton step: longer ones overshoot where the likelihood is flat."""
_TOLERANCE: Final = 1e-11
_RESAMPLE_RIDGE: Final = 1e-3
"""A resample may leave a variant without a loss; its strength then stops near 7 to 9."""


@dataclass(frozen=True, slots=True, eq=False)
class BradleyTerry:
    """Log-strengths relative to the reference (0 there) and their standard errors."""

    log_strength: FloatArray
    standard_error: FloatArray
    reference: int

    @property
    def win_rate(self) -> FloatArray:
        """Expected win rate of each variant against the reference."""
        rates: FloatArray = expit(self.log_strength)
        return rates


@dataclass(frozen=True, slots=True)
class VariantStrength:
    """One variant against the reference; `p_holm` is None for the reference itself."""

    name: str
    log_strength: float
    win_rate: float
    win_rate_interval: Interval
    p_value: float | None
    p_holm: float | None


def _as_wins(wins: FloatArray) -> FloatArray:
    table = np.asarray(wins, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or table.shape[0] < 2:
        raise ValueError("Wins must be a square table of at least two variants.")
    if not np.isfinite(table).all() or (table < 0.0).any():
        raise ValueError("Wins must be finite and not negative.")
    return table * (1.0 - np.eye(len(table)))


def _reaches(wins: FloatArray) -> BoolArray:
    """Tell which variant beats which through any chain of wins."""
    reach = (wins > 0.0) | np.eye(len(wins), dtype=np.bool_)
    for _ in range(len(wins)):
        reach = (reach.astype(np.intp) @ reach.astype(np.intp)) > 0
    return reach


def _check_connected(wins: FloatArray, names: Sequence[str]) -> None:
    reach = _reaches(wins)
    if reach.all():
        return
    fault = f"{names[0]} is not connected with every other by wins and losses"
    for name, won, lost in zip(names, wins.sum(axis=1), wins.sum(axis=0), strict=True):
        if won == 0.0 or lost == 0.0:
            fault = f"{name} never {'won' if won == 0.0 else 'lost'}"
    raise ValueError(
        f"Variant {fault}, so that strengths have no finite estimate. Judge more pairs, or leave "
        "the variant out."
    )


def _information(games: FloatArray, chance: FloatArray) -> FloatArray:
    """Fisher information of batches of tables: a weighted graph Laplacian."""
    weights = games * chance * (1.0 - chance)
    identity = np.eye(games.shape[-1])
    information: FloatArray = weights.sum(axis=-1)[..., np.newaxis] * identity - weights
    return information


def _solve(wins: FloatArray, reference: int, ridge: float) -> FloatArray:
    """Return log-strengths of a batch of win tables, shape (batch, variants, variants)."""
    games = wins + np.swapaxes(wins, -1, -2)
    free = np.delete(np.arange(wins.shape[-1]), reference)
    strength = np.zeros(wins.shape[:-1])
    penalty = ridge * np.eye(free.size)
    for _ in range(_MAX_STEPS):
        chance = expit(strength[..., :, np.newaxis] - strength[..., np.newaxis, :])
        gradient = (wins - games * chance).sum(axis=-1)[..., free] - ridge * strength[..., free]
        information = _information(games, chance)[..., free[:, np.newaxis], free] + penalty
        step = np.linalg.solve(information, gradient[..., np.newaxis])[..., 0]
        strength[..., free] += np.clip(step, -_MAX_STEP, _MAX_STEP)
        if float(np.abs(step).max()) < _TOLERANCE:
            break
    return strength


def fit_bradley_terry(
    wins: FloatArray, *, reference: int = 0, names: Sequence[str] | None = None
) -> BradleyTerry:
    """Fit the model; `wins[i, j]` is how often i beat j, ties half each way.

    ValueError if a strength has no finite estimate, naming the variant by `names`.
    """
    table = _as_wins(wins)
    labels = [str(i) for i in range(len(table))] if names is None else names
    _check_connected(table, labels)
    strength = _solve(table[np.newaxis], reference, ridge=0.0)[0]
    chance = expit(strength[:, np.newaxis] - strength)
    free = np.delete(np.arange(len(table)), reference)
    information = _information(table + table.T, chance)[np.ix_(free, free)]
    errors = np.zeros(len(table))
    errors[free] = np.sqrt(np.diag(np.linalg.inv(information)))
    return BradleyTerry(strength, errors, reference)


def rank_variants(
    wins_by_example: FloatArray,
    names: Sequence[str],
    *,
    reference: int = 0,
    level: float = 0.95,
    resamples: int = 2_000,
    seed: int = DEFAULT_SEED,
) -> tuple[VariantStrength, ...]:
    """Rank variants by their expected win rate against the reference, best first.

    `wins_by_example[e, i, j]` is 1 if i beat j on example e, 0.5 for a tie, 0 if it lost or they
    did not meet. Intervals are percentile bootstrap over examples; p is the exact sign test over
    examples against the reference, with Holm's adjustment.
    """
    examples = np.asarray(wins_by_example, dtype=np.float64)
    if examples.ndim != 3 or len(examples) < 2 or examples.shape[1] != len(names):
        raise ValueError("Give one table of wins for each of at least two examples.")
    fit = fit_bradley_terry(examples.sum(axis=0), reference=reference, names=names)
    rates = expit(_resampled_strengths(examples, reference, resamples, seed))
    others = [i for i in range(len(names)) if i != reference]
    p_values = {i: _sign_test(examples, i, reference) for i in others}
    adjusted = dict(zip(others, holm(list(p_values.values())).tolist(), strict=True))
    ranked = sorted(range(len(names)), key=lambda i: -float(fit.log_strength[i]))
    return tuple(
        VariantStrength(
            name=names[i],
            log_strength=float(fit.log_strength[i]),
            win_rate=float(fit.win_rate[i]),
            win_rate_interval=percentile_interval(rates[:, i], level),
            p_value=p_values.get(i),
            p_holm=adjusted.get(i),
        )
        for i in ranked
    )


def _resampled_strengths(
    examples: FloatArray, reference: int, resamples: int, seed: int
) -> FloatArray:
    n, variants = len(examples), examples.shape[1]
    flat = examples.reshape(n, variants * variants)
    strengths = np.empty((resamples, variants))
    for rows, drawn in draw_units(n, resamples=resamples, seed=seed):
        weights = np.stack([np.bincount(row, minlength=n) for row in drawn])
        wins = (weights @ flat).reshape(-1, variants, variants)
        strengths[rows] = _solve(wins, reference, ridge=_RESAMPLE_RIDGE)
    return strengths


def _sign_test(examples: FloatArray, variant: int, reference: int) -> float:
    net = examples[:, variant, reference] - examples[:, reference, variant]
    return mcnemar_exact(int(np.count_nonzero(net > 0.0)), int(np.count_nonzero(net < 0.0)))
