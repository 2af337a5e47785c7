"""A judge and people: how far it was checked, and its difference corrected by labels. Pure.

A judge's check is read as it was stored with its qualification: of its findings, `agreement` (an
object with `low`, the lower bound of the agreement beyond chance) and `sentence` are used.

The correction is PPI++. People have looked at some of the examples under the judge's criterion.
Where they did so on both sides, their difference says how wrong the judge's is, and the judge's
scores of all other examples make the interval shorter (Angelopoulos, Duchi & Zrnic 2023). The
labelled examples must be a random sample: who reviews only what looks wrong gets a wrong answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.schemas.scores import HumanScore, JudgeCheck
from workbench.statistics import warnings as conditions
from workbench.statistics.analysis import Examined
from workbench.statistics.ppi import classical_mean, ppi_mean

__all__ = ["corrected_difference", "judge_facts", "judge_notes"]


def judge_facts(check: JudgeCheck | None) -> dict[str, Any]:
    """Return what a comparison tells of the judge that decided it."""
    if check is None:
        sentence = "This judge was never checked against people."
        return {"qualified": False, "sentence": sentence, "agreement": None, "label_count": 0}
    standing = "agrees well enough with people" if check.qualified else "is not good enough"
    return {
        "qualified": check.qualified,
        "sentence": check.result.get(
            "sentence", f"Checked against {check.label_count} labels, this judge {standing}."
        ),
        "agreement": check.result.get("agreement"),
        "label_count": check.label_count,
    }


def judge_notes(check: JudgeCheck | None) -> list[dict[str, Any]]:
    """Return the warnings about a judge that was checked too little or agrees too little."""
    raised = [conditions.judge_unvalidated(0 if check is None else check.label_count)]
    low = _agreement_low(check)
    if low is not None:
        raised.append(conditions.judge_weak(low))
    return [
        {"code": warning.code.value, "blocking": warning.blocking, "text": warning.text}
        for warning in raised
        if warning is not None
    ]


def _agreement_low(check: JudgeCheck | None) -> float | None:
    agreement = None if check is None else check.result.get("agreement")
    low = agreement.get("low") if isinstance(agreement, Mapping) else None
    return float(low) if isinstance(low, int | float) else None


def corrected_difference(
    examined: Examined,
    people: tuple[Sequence[HumanScore], Sequence[HumanScore]],
    *,
    level: float,
) -> dict[str, Any] | None:
    """Return the corrected difference, oriented like the judge's.

    None with fewer examples labelled on both sides than a judge needs to be trusted, or where
    clusters are declared, for which the correction has no interval here.
    """
    policy = examined.analysis.policy
    human = _human_differences(examined, people)
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
