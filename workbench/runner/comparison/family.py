"""Several comparisons as one family: p-values together, any difference at all, and models. Pure.

Every candidate of a family is held against a baseline under one scorer. What belongs to the
family is written into each result, so that none of them can be read as if it stood alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench.runner.comparison.comparability import Side
from workbench.statistics import warnings as conditions
from workbench.statistics.analysis import Analysis
from workbench.statistics.observations import Observations
from workbench.statistics.variants import (
    ModelsAnalysis,
    analyse_across_models,
    holm_p_values,
    overall_test,
)

__all__ = ["Member", "add_family"]


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One comparison of a family with the scores behind it."""

    sides: tuple[Side, Side]
    scores: tuple[Observations, Observations]
    analysis: Analysis
    result: dict[str, Any]


def add_family(members: Sequence[Member], *, sequential: bool) -> None:
    """Write `p_holm`, `overall` and `across_models` into the members' results.

    The overall test is for at least three runs over one dataset version; it has no form that
    may be looked at early, so a sequential plan has none.
    """
    adjusted = holm_p_values([member.analysis.p_value for member in members])
    overall = None if sequential else _overall(members)
    for member, p_holm in zip(members, adjusted, strict=True):
        member.result["p_holm"] = p_holm if len(members) > 1 else None
        member.result["overall"] = overall
        member.result["across_models"] = None
    for group in _same_change(members):
        _add_models(group)


def _overall(members: Iterable[Member]) -> dict[str, Any] | None:
    runs: dict[str, Observations] = {}
    datasets = set()
    for member in members:
        for side, scores in zip(member.sides, member.scores, strict=True):
            runs[side.run.name] = scores
            datasets.add(side.run.dataset)
    if len(runs) < 3 or len(datasets) > 1:
        return None
    test = overall_test(list(runs.values()))
    return None if test is None else {**asdict(test), "n_runs": len(runs)}


def _same_change(members: Iterable[Member]) -> list[list[Member]]:
    """Group the comparisons of the same two prompts, each on another model version."""
    groups: dict[tuple[str | None, str | None], list[Member]] = defaultdict(list)
    for member in members:
        before, after = (side.run for side in member.sides)
        if before.model is not None and before.model == after.model:
            groups[before.prompt, after.prompt].append(member)
    return [
        group
        for group in groups.values()
        if 1 < len(group) == len({member.sides[0].run.model for member in group})
    ]


def _add_models(group: Sequence[Member]) -> None:
    by_model = {str(member.sides[0].run.model): member for member in group}
    first = group[0].analysis
    found = analyse_across_models(
        {model: member.scores for model, member in by_model.items()},
        margin=first.margin,
        seed=first.seed,
        higher_is_better=first.higher_is_better,
        policy=first.policy,
    )
    facts = _models(found, by_model)
    for member in group:
        member.result["across_models"] = facts
        if found.sign_differs:
            member.result["warnings"].append(_disagreement(found))


def _models(found: ModelsAnalysis, by_model: Mapping[str, Member]) -> dict[str, Any]:
    average = found.average
    member = next(iter(by_model.values()))
    return {
        "baseline_prompt": member.sides[0].run.prompt,
        "candidate_prompt": member.sides[1].run.prompt,
        "by_model": [
            {
                "model": model,
                "n_pairs": analysis.n_pairs,
                "difference": None if analysis.difference is None else asdict(analysis.difference),
            }
            for model, analysis in found.by_model.items()
        ],
        "average": {
            "n_pairs": average.n_pairs,
            "difference": None if average.difference is None else asdict(average.difference),
            "verdict": average.verdict.value,
            "sentence": average.sentence,
        },
        "sign_differs": found.sign_differs,
    }


def _disagreement(found: ModelsAnalysis) -> dict[str, Any]:
    estimates = {m: a.difference.estimate for m, a in found.by_model.items() if a.difference}
    warning = conditions.models_disagree(
        [model for model, estimate in estimates.items() if estimate > 0.0],
        [model for model, estimate in estimates.items() if estimate < 0.0],
    )
    assert warning is not None  # noqa: S101 - the signs differ, so neither list is empty
    return {"code": warning.code.value, "blocking": warning.blocking, "text": warning.text}
