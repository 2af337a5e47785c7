"""A judge and people: warnings about its check, and its difference corrected by labels. Pure.

The correction is PPI++. People have looked at some of the examples under the judge's criterion.
Where they did so on both sides, their difference says how wrong the judge's is, and the judge's
scores of all other examples make the interval shorter (Angelopoulos, Duchi & Zrnic 2023). The
labelled examples must be a random sample: who reviews only what looks wrong gets a wrong answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from app.schemas.scores import HumanScore
from workbench.runner.judging.standing import JudgeStanding
from workbench.statistics import warnings as conditions
from workbench.statistics.agreement import differential_error_p
from workbench.statistics.analysis import Examined
from workbench.statistics.ppi import classical_mean, ppi_mean

__all__ = ["corrected_difference", "error_notes", "judge_notes"]


def judge_notes(standing: JudgeStanding, *, told: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the warnings about a judge as a comparison has them, but those of codes `told`,
    which the answers at hand have raised already."""
    return [
        {"code": warning.code.value, "blocking": warning.blocking, "text": warning.text}
        for warning in standing.warnings()
        if warning.code.value not in told
    ]


def error_notes(
    examined: Examined, people: tuple[Sequence[HumanScore], Sequence[HumanScore]]
) -> list[dict[str, Any]]:
    """Return the warning about a judge that errs differently on the two runs compared.

    A judge that is too kind to both sides alike leaves their difference right. Nothing is said with
    fewer examples labelled on both sides than any verdict needs, or of clustered ones.
    """
    policy = examined.analysis.policy
    human = _human_differences(examined, people)
    if len(human) < policy.min_pairs or examined.differences.clusters is not None:
        return []
    judged = dict(zip(examined.keys, examined.differences.values.tolist(), strict=True))
    before = np.zeros(len(human))  # what is left of either side is its change from the baseline
    p_value = differential_error_p(
        (before, np.array(list(human.values()))),
        (before, np.array([judged[key] for key in human])),
        seed=examined.analysis.seed,
    )
    warning = conditions.judge_weak(1.0, p_differential=p_value, policy=policy)
    if warning is None:
        return []
    return [{"code": warning.code.value, "blocking": warning.blocking, "text": warning.text}]


def corrected_difference(
    examined: Examined,
    people: tuple[Sequence[HumanScore], Sequence[HumanScore]],
    *,
    level: float,
    preferences: bool = False,
) -> dict[str, Any] | None:
    """Return the corrected difference, oriented like the judge's.

    For a judge of pairs (`preferences`) only which label is better counts, not by how much.

    None with fewer examples labelled on both sides than a judge needs to be trusted, or where
    clusters are declared, for which the correction has no interval here.
    """
    policy = examined.analysis.policy
    human = _human_differences(examined, people)
    if preferences:
        human = {key: float(np.sign(value)) for key, value in human.items()}
    if len(human) < policy.min_judge_labels or examined.differences.clusters is not None:
        return None
    judged = dict(zip(examined.keys, examined.differences.values.tolist(), strict=True))
    labels = np.array([human[key] for key in human])
    rest = np.array([value for key, value in judged.items() if key not in human])
    if rest.size:
        corrected = ppi_mean(labels, np.array([judged[key] for key in human]), rest, level)
    else:
        corrected = classical_mean(labels, level)
    return {
        "estimate": corrected.estimate,
        "low": corrected.interval.low,
        "high": corrected.interval.high,
        "level": level,
        "n_labels": corrected.n_labelled,
        "weight": corrected.weight,
    }


def _human_differences(
    examined: Examined, people: tuple[Sequence[HumanScore], Sequence[HumanScore]]
) -> dict[str, float]:
    """Return people's difference of each compared example that they labelled on both sides."""
    sign = 1.0 if examined.analysis.higher_is_better else -1.0
    before, after = (_means(side) for side in people)
    return {
        key: sign * (after[key] - before[key])
        for key in examined.keys
        if key in before and key in after
    }


def _means(scores: Sequence[HumanScore]) -> dict[str, float]:
    """Average the labels of an example's repetitions."""
    values: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        values[score.key].append(score.value)
    return {key: sum(of_key) / len(of_key) for key, of_key in values.items()}
