"""May this judge decide? From labels, judgements and attacks to figures, checks and a word. Pure.

Every check is held against a number of the policy, and three outcomes are told apart: *passed*;
*failed*, which more labels would not mend; *not proven*, where there is too little to tell.
The judge is qualified if every check passed, and not qualified as soon as one failed.

Labels and judgements stand on one scale: the judge's own; for a judge of pairs 1, 0 and -1 for
"the candidate is better, neither, worse". Several reviewers of an answer count as their median;
where passes and fails are equally many, people do not agree and the answer is left out. Answers
to one example are not independent: where an example has several, intervals are bootstrapped over
examples.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Any, Final

import numpy as np

from workbench.scorers.judges import Scale
from workbench.statistics.agreement import (
    AlphaScale,
    KappaWeights,
    cohen_kappa,
    confusion_table,
    differential_error_p,
    krippendorff_alpha,
    krippendorff_interval,
)
from workbench.statistics.arrays import FloatArray
from workbench.statistics.bootstrap import draw_units, percentile_interval
from workbench.statistics.interval import Interval
from workbench.statistics.number_format import format_value
from workbench.statistics.policy import DEFAULT_POLICY, DEFAULT_SEED, Policy
from workbench.statistics.preferences import Choice, length_bias, order_bias
from workbench.statistics.proportions import clopper_pearson_upper, wilson_interval

__all__ = [
    "Decision",
    "Labelled",
    "Material",
    "Trial",
    "consensus",
    "looks_good",
    "qualification",
    "signs",
]

_RESAMPLES: Final = 1_000
_LEVEL: Final = 0.95
_ALPHA_SCALES: Final[Mapping[Scale, AlphaScale]] = {
    Scale.FIVE: "ordinal",
    Scale.SHARE: "interval",
    Scale.BINARY: "nominal",
    Scale.PREFERENCE: "nominal",
}
_CATEGORIES: Final[Mapping[Scale, tuple[tuple[float, str], ...]]] = {
    Scale.BINARY: ((0.0, "fail"), (1.0, "pass")),
    Scale.PREFERENCE: ((-1.0, "baseline"), (0.0, "neither"), (1.0, "candidate")),
    Scale.FIVE: tuple((float(value), str(value)) for value in range(1, 6)),
    Scale.SHARE: (),
}
_MIN_ERRORS: Final = 2
"""A relation between error and anything else needs at least so many units."""


class Decision(StrEnum):
    """What a check, or all of them together, say."""

    PASSED = "passed"
    NOT_PROVEN = "not_proven"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Labelled:
    """An answer, or a pair, that people labelled, and what the judge says of it.

    `labels` has a value for each reviewer. `judged` is None without a score, for the reason that
    `status` names. `length` is the answer's in characters, of a pair the candidate's minus the
    baseline's; `side` tells the runs apart.
    """

    key: str
    side: int
    repetition: int
    labels: Mapping[str, float]
    judged: float | None
    status: str
    length: int


@dataclass(frozen=True, slots=True)
class Trial:
    """An answer that may not pass, and whether the judge let it; None without a score."""

    kind: str
    name: str
    key: str
    passed: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All that a judge was asked.

    `again` are judgements of the same thing asked twice, `orders` what a judge of pairs chose
    with the candidate first and with the baseline first.
    """

    scale: Scale
    items: Sequence[Labelled]
    trials: Sequence[Trial]
    again: Sequence[tuple[float | None, float | None]] = ()
    orders: tuple[Sequence[Choice], Sequence[Choice]] | None = None


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    decision: Decision
    found: str
    asked: str
    sentence: str


@dataclass(frozen=True, slots=True)
class _Pairs:
    """What people and judge say of the same answers."""

    keys: tuple[str, ...]
    people: FloatArray
    judged: FloatArray
    lengths: FloatArray


@dataclass(frozen=True, slots=True)
class _Agreement:
    measure: str
    estimate: float
    low: float
    high: float
    level: float = field(default=_LEVEL)


def consensus(labels: Mapping[str, float], scale: Scale) -> float | None:
    """Return the median of people's labels; None if that is no judgement on the scale."""
    value = float(median(labels.values()))
    known = [category for category, _ in _CATEGORIES[scale]]
    exact = scale in (Scale.BINARY, Scale.PREFERENCE)
    return None if exact and value not in known else value


def looks_good(value: float, scale: Scale) -> bool:
    """Whether a value lies above the middle of its scale: a pass, 4 or 5, more than 0.5."""
    low, high = scale.range
    return value > (low + high) / 2.0


def signs(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return which answer each reviewer of both found better: 1 the second, -1 the first, 0."""
    both = [reviewer for reviewer in before if reviewer in after]
    return {reviewer: float(np.sign(after[reviewer] - before[reviewer])) for reviewer in both}


def qualification(material: Material, policy: Policy = DEFAULT_POLICY) -> dict[str, Any]:
    """Return everything that was found, as it is stored and printed.

    `decision` is the word for all; `checks` what it rests on; `sentence` says it in words.
    """
    pairs = _pairs(material)
    agreement = _agreement(pairs, material.scale)
    attacks = {kind: _attack_figures(material.trials, kind) for kind in ("null", "injection")}
    position = _position(material)
    consistency = _consistency(material.again, material.scale)
    material_checks = [
        _label_check(pairs, policy),
        _variety_check(pairs, material.scale, policy),
    ]
    enough = all(check.decision is Decision.PASSED for check in material_checks)
    checks = [
        *material_checks,
        _answered_check(material.items, policy),
        _agreement_check(agreement, enough, policy),
        *([] if position is None else [_position_check(position, policy)]),
        _attack_check("null answers", attacks["null"], policy),
        _attack_check("injections", attacks["injection"], policy),
    ]
    decision = _overall(checks)
    length, differential = _length(pairs), _differential(material)
    return {
        "decision": decision.value,
        "sentence": _sentence(decision, checks, agreement),
        "checks": [
            {
                "name": c.name,
                "decision": c.decision.value,
                "found": c.found,
                "asked": c.asked,
                "sentence": c.sentence,
            }
            for c in checks
        ],
        "notes": _notes(consistency, length, differential, policy),
        "n_labels": len(pairs.keys),
        "n_split": sum(consensus(item.labels, material.scale) is None for item in material.items),
        "without_score": dict(
            Counter(item.status for item in material.items if item.judged is None)
        ),
        "agreement": agreement and _plain(agreement),
        "ceiling": _ceiling(material),
        **_details(pairs, material.scale),
        "self_consistency": consistency,
        "position": position,
        "length": length,
        "differential_p": differential,
        "attacks": attacks,
        "scale": material.scale.value,
        "seed": DEFAULT_SEED,
    }


def _pairs(material: Material) -> _Pairs:
    found = [
        (item.key, people, item.judged, float(item.length))
        for item in material.items
        if item.judged is not None
        and (people := consensus(item.labels, material.scale)) is not None
    ]
    columns = np.array([row[1:] for row in found], dtype=float).reshape(-1, 3).T
    return _Pairs(tuple(row[0] for row in found), *columns)


def _plain(agreement: _Agreement) -> dict[str, Any]:
    return {
        "measure": agreement.measure,
        "estimate": agreement.estimate,
        "low": agreement.low,
        "high": agreement.high,
        "level": agreement.level,
    }


def _agreement(pairs: _Pairs, scale: Scale) -> _Agreement | None:
    """Kappa of verdicts, alpha of grades; None where agreement beyond chance is not defined."""
    if scale in (Scale.BINARY, Scale.PREFERENCE):
        return _kappa_agreement(pairs, scale, None)
    measure = f"Krippendorff's alpha ({_ALPHA_SCALES[scale]})"

    def statistic(chosen: slice | FloatArray) -> float:
        ratings = np.stack((pairs.people[chosen], pairs.judged[chosen]))
        return krippendorff_alpha(ratings, _ALPHA_SCALES[scale])

    try:
        estimate = statistic(slice(None))
        interval = _bootstrap(pairs.keys, statistic)
    except ValueError:
        return None
    return _Agreement(measure, estimate, interval.low, interval.high)


def _kappa_agreement(
    pairs: _Pairs, scale: Scale, weights: KappaWeights | None
) -> _Agreement | None:
    def table(chosen: slice | FloatArray) -> FloatArray:
        return _table(pairs.people[chosen], pairs.judged[chosen], scale)

    measure = "Cohen's kappa" if weights is None else f"Cohen's kappa ({weights} weights)"
    try:
        kappa = cohen_kappa(table(slice(None)), weights, _LEVEL)
        interval = kappa.interval
        if len(set(pairs.keys)) < len(pairs.keys):
            interval = _bootstrap(
                pairs.keys, lambda chosen: cohen_kappa(table(chosen), weights).kappa
            )
    except ValueError:
        return None
    # The large-sample interval knows no bounds; kappa does.
    return _Agreement(measure, kappa.kappa, max(-1.0, interval.low), min(1.0, interval.high))


def _table(people: FloatArray, judged: FloatArray, scale: Scale) -> FloatArray:
    """Count judgements by category, rows for people; what lies between goes to the nearest."""
    values = np.array([value for value, _ in _CATEGORIES[scale]])
    codes = [
        np.abs(side[:, np.newaxis] - values).argmin(axis=1).tolist() for side in (people, judged)
    ]
    return confusion_table(codes[0], codes[1], len(values))


def _bootstrap(keys: Sequence[str], statistic: Callable[[FloatArray], float]) -> Interval:
    """Return the percentile interval over examples; samples without the statistic are left out.

    ValueError if no sample has it.
    """
    places: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        places.setdefault(key, []).append(index)
    units = [np.array(indexes) for indexes in places.values()]
    replicates = []
    for _, drawn in draw_units(len(units), resamples=_RESAMPLES, seed=DEFAULT_SEED):
        for sample in drawn:
            try:
                replicates.append(statistic(np.concatenate([units[i] for i in sample])))
            except ValueError:  # everything in this sample is one value
                continue
    if not replicates:
        raise ValueError("No sample has a value.")
    return percentile_interval(np.array(replicates), _LEVEL)


def _ceiling(material: Material) -> dict[str, Any] | None:
    """Return how far people agree with each other, which bounds what a judge can reach."""
    reviewers = sorted({name for item in material.items for name in item.labels})
    if len(reviewers) < 2:
        return None
    ratings = np.array(
        [[item.labels.get(name, math.nan) for item in material.items] for name in reviewers]
    )
    scale = _ALPHA_SCALES[material.scale]
    try:
        found = krippendorff_interval(ratings, scale, level=_LEVEL, seed=DEFAULT_SEED)
    except ValueError:
        return None
    return {
        "measure": f"Krippendorff's alpha ({scale})",
        "estimate": found.alpha,
        "low": found.interval.low,
        "high": found.interval.high,
        "n_reviewers": len(reviewers),
        "n_answers": found.n_units,
    }


def _details(pairs: _Pairs, scale: Scale) -> dict[str, Any]:
    """Return accuracy, confusion matrix, sensitivity and specificity, and weighted kappa."""
    exact = int((pairs.people == pairs.judged).sum())
    names = [name for _, name in _CATEGORIES[scale]]
    weighted = (
        _kappa_agreement(pairs, scale, "linear") if scale is Scale.FIVE and pairs.keys else None
    )
    rates: dict[str, Any] = {"sensitivity": None, "specificity": None}
    if scale is not Scale.PREFERENCE:
        middle = sum(scale.range) / 2.0
        good, passed = pairs.people > middle, pairs.judged > middle
        rates = {
            "sensitivity": _share(int((good & passed).sum()), int(good.sum())),
            "specificity": _share(int((~good & ~passed).sum()), int((~good).sum())),
        }
    return {
        "accuracy": None if scale is Scale.SHARE else _share(exact, len(pairs.keys)),
        "mean_error": float(np.abs(pairs.people - pairs.judged).mean()) if pairs.keys else None,
        "confusion": {
            "categories": names,
            "people_by_judge": _table(pairs.people, pairs.judged, scale).astype(int).tolist(),
        }
        if names and pairs.keys
        else None,
        "weighted_kappa": weighted and _plain(weighted),
        **rates,
    }


def _share(count: int, n: int) -> dict[str, Any] | None:
    """Return a share with its Wilson interval; None of nothing."""
    if n == 0:
        return None
    interval = wilson_interval(count, n, _LEVEL)
    return {
        "count": count, "n": n, "share": count / n, "low": interval.low, "high": interval.high,
    }  # fmt: skip


def _consistency(
    again: Sequence[tuple[float | None, float | None]], scale: Scale
) -> dict[str, Any] | None:
    """Return how often the judge said the same when it was asked the same again."""
    both = [(one, other) for one, other in again if one is not None and other is not None]
    # Two numbers on a fine scale are hardly ever equal; what counts is what they stand for.
    if scale is Scale.SHARE:
        alike = sum(looks_good(a, scale) == looks_good(b, scale) for a, b in both)
    else:
        alike = sum(a == b for a, b in both)
    return _share(alike, len(both))


def _position(material: Material) -> dict[str, Any] | None:
    if material.orders is None or not material.orders[0]:
        return None
    found = order_bias(*material.orders)
    return {
        "n": found.n,
        "consistency": found.consistency,
        "always_first": found.always_first,
        "always_second": found.always_second,
        "p_value": found.p_position,
    }


def _length(pairs: _Pairs) -> dict[str, Any] | None:
    """Return whether the judge errs upwards on longer answers: of pairs, on longer candidates.

    The direction of each error, as the outcome of a logistic regression on length.
    """
    if len(pairs.keys) < _MIN_ERRORS:
        return None
    directions = np.sign(pairs.judged - pairs.people)
    found = length_bias(directions, pairs.lengths - pairs.lengths.mean())
    return {"slope": found.slope, "p_value": found.p_value}


def _differential(material: Material) -> float | None:
    """Return the p of "the judge errs alike on both runs"; None without labels of two runs."""
    sides: tuple[dict[str, list[tuple[float, float]]], ...] = ({}, {})
    for item in material.items:
        people = consensus(item.labels, material.scale)
        if people is not None and item.judged is not None and item.side < len(sides):
            sides[item.side].setdefault(item.key, []).append((people, item.judged))
    both = [key for key in sides[0] if key in sides[1]]
    if len(both) < _MIN_ERRORS:
        return None
    means = [np.array([np.mean(side[key], axis=0) for key in both]) for side in sides]
    return differential_error_p(
        (means[0][:, 0], means[1][:, 0]), (means[0][:, 1], means[1][:, 1]), seed=DEFAULT_SEED
    )


def _attack_figures(trials: Sequence[Trial], kind: str) -> dict[str, Any]:
    """Count what passed; a trial without a score is in neither count."""
    of_kind = [trial for trial in trials if trial.kind == kind]
    answered = [trial for trial in of_kind if trial.passed is not None]
    passed = [trial for trial in answered if trial.passed]
    names = Counter(trial.name for trial in passed)
    return {
        "n": len(answered),
        "passed": len(passed),
        "without_score": len(of_kind) - len(answered),
        "upper": clopper_pearson_upper(len(passed), len(answered), _LEVEL) if answered else None,
        "kinds": len({trial.name for trial in of_kind}),
        "names": dict(sorted(names.items(), key=lambda item: (-item[1], item[0]))),
    }


def _label_check(pairs: _Pairs, policy: Policy) -> _Check:
    n, wanted = len(pairs.keys), policy.min_judge_labels
    enough = n >= wanted
    sentence = (
        f"{n} labelled answers were judged."
        if enough
        else f"Only {n} labelled answers were judged; {wanted} are needed."
    )
    decision = Decision.PASSED if enough else Decision.NOT_PROVEN
    return _Check("labels", decision, f"{n}", f"at least {wanted}", sentence)


def _variety_check(pairs: _Pairs, scale: Scale, policy: Policy) -> _Check:
    """Both kinds of answers are there: on one kind alone, a judge that never looks is right."""
    wanted = policy.min_judge_labels_rare
    if scale is Scale.PREFERENCE:
        decided = int((pairs.people != 0.0).sum())
        counts = {"decided": decided}
        told = f"people preferred one answer in {decided} pairs"
    else:
        middle = sum(scale.range) / 2.0
        good = int((pairs.people > middle).sum())
        counts = {"good": good, "bad": len(pairs.keys) - good}
        told = f"people found {good} good and {len(pairs.keys) - good} bad"
    enough = min(counts.values()) >= wanted
    sentence = f"{told[0].upper()}{told[1:]}" + (
        "." if enough else f"; {wanted} of each are needed. Label more of the rarer kind."
    )
    found = ", ".join(f"{count} {name}" for name, count in counts.items())
    decision = Decision.PASSED if enough else Decision.NOT_PROVEN
    return _Check("variety", decision, found, f"at least {wanted} of each", sentence)


def _answered_check(items: Sequence[Labelled], policy: Policy) -> _Check:
    lost = [item for item in items if item.judged is None]
    share = len(lost) / len(items) if items else 0.0
    asked = f"at most {_percent(policy.max_error_share)} without a score"
    found = f"{len(lost)} of {len(items)}"
    if share <= policy.max_error_share:
        return _Check("answers", Decision.PASSED, found, asked, "The judge answers reliably.")
    failed = sum(item.status == "failed" for item in lost)
    provider = failed > len(lost) / 2
    sentence = f"The judge gave no score for {len(lost)} of {len(items)} labelled answers" + (
        ": its provider failed. Try again." if provider else "."
    )
    decision = Decision.NOT_PROVEN if provider else Decision.FAILED
    return _Check("answers", decision, found, asked, sentence)


def _agreement_check(agreement: _Agreement | None, enough: bool, policy: Policy) -> _Check:
    """Too little agreement is shown only by enough labels of either kind: on a few that are
    nearly all alike, kappa is low for any judge."""
    limit = policy.min_judge_agreement
    asked = f"lower bound at least {limit:.2f}"
    if agreement is None:
        sentence = "Agreement beyond chance is not defined: all labels or all judgements are alike."
        return _Check("agreement", Decision.NOT_PROVEN, "undefined", asked, sentence)
    found = _figures(agreement)
    if agreement.low >= limit:
        sentence = f"It agrees with people: {agreement.measure} {found}."
        return _Check("agreement", Decision.PASSED, found, asked, sentence)
    if agreement.high >= limit or not enough:
        sentence = (
            f"{agreement.measure} is {found}: agreement of {limit:.2f} is not shown. Label more "
            "answers."
        )
        return _Check("agreement", Decision.NOT_PROVEN, found, asked, sentence)
    sentence = f"It agrees too little with people: {agreement.measure} {found}."
    return _Check("agreement", Decision.FAILED, found, asked, sentence)


def _position_check(position: Mapping[str, Any], policy: Policy) -> _Check:
    share, limit = float(position["consistency"]), policy.min_swap_consistency
    found = f"{_percent(share)} of {position['n']} pairs"
    asked = f"at least {_percent(limit)} alike in both orders"
    if share >= limit:
        sentence = f"{found} are judged alike in both orders."
        return _Check("order", Decision.PASSED, found, asked, sentence)
    sentence = f"Only {found} are judged alike in both orders."
    return _Check("order", Decision.FAILED, found, asked, sentence)


def _attack_check(name: str, figures: Mapping[str, Any], policy: Policy) -> _Check:
    asked = f"upper bound at most {_percent(policy.max_false_pass)}"
    upper, passed, n = figures["upper"], figures["passed"], figures["n"]
    if upper is None:
        sentence = f"None of the {name} got a score."
        return _Check(name, Decision.NOT_PROVEN, "no score", asked, sentence)
    found = f"{passed} of {n} pass, upper bound {_percent(upper)}"
    if figures["without_score"]:
        found += f" ({figures['without_score']} without a score)"
    if upper <= policy.max_false_pass:
        return _Check(name, Decision.PASSED, found, asked, f"{passed} of {n} {name} pass.")
    if not passed:
        sentence = f"Only {n} {name} got a score: too few to show that none passes."
        return _Check(name, Decision.NOT_PROVEN, found, asked, sentence)
    worst = ", ".join(list(figures["names"])[:3])
    sentence = f"It lets {passed} of {n} {name} pass (such as {worst})."
    return _Check(name, Decision.FAILED, found, asked, sentence)


def _overall(checks: Sequence[_Check]) -> Decision:
    decisions = {check.decision for check in checks}
    for worst in (Decision.FAILED, Decision.NOT_PROVEN):
        if worst in decisions:
            return worst
    return Decision.PASSED


def _sentence(decision: Decision, checks: Sequence[_Check], agreement: _Agreement | None) -> str:
    if decision is Decision.PASSED and agreement is not None:
        labels = next(check.found for check in checks if check.name == "labels")
        return f"Qualified on {labels} labels: {agreement.measure} {_figures(agreement)}."
    head = "Not qualified" if decision is Decision.FAILED else "Not proven"
    why = " ".join(check.sentence for check in checks if check.decision is decision)
    return f"{head}: {why}"


def _notes(
    consistency: Mapping[str, Any] | None,
    length: Mapping[str, Any] | None,
    differential: float | None,
    policy: Policy,
) -> list[dict[str, str]]:
    """Return what does not keep a judge from deciding and should be known."""
    notes = []
    if consistency is not None and consistency["share"] < policy.min_swap_consistency:
        text = (
            f"Asked the same again, it says the same in only {_percent(consistency['share'])} of "
            f"{consistency['n']} cases. Lower its temperature, or give it samples=3."
        )
        notes.append({"code": "judge_inconsistent", "text": text})
    if length is not None and length["p_value"] < policy.alarm_p:
        kind = "longer" if length["slope"] > 0 else "shorter"
        text = f"It judges {kind} answers too kindly: its error goes with their length."
        notes.append({"code": "judge_length", "text": text})
    if differential is not None and differential < policy.alarm_p:
        text = "It errs differently on the two runs, which biases their difference."
        notes.append({"code": "judge_weak", "text": text})
    return notes


def _figures(agreement: _Agreement) -> str:
    figures = (agreement.estimate, agreement.low, agreement.high)
    estimate, low, high = (format_value(value, 2) for value in figures)
    return f"{estimate} (95 % CI {low} to {high})"


def _percent(share: float) -> str:
    text = f"{100.0 * share:.1f}"
    return f"{text.removesuffix('.0')} %"
