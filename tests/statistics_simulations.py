"""Simulated experiments that show whether an interval or a test keeps its promise.

A simulation case describes its data-generating process in one sentence. Each family below reads
the sentences of its kind, so that other numbers in the same sentence make another simulation.
Every family also knows a method that is wrong on purpose: run with it, the check must fail,
which shows that the check can fail.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from workbench.statistics.arrays import FloatArray
from workbench.statistics.effect import Differences, effect_test, estimate_effect
from workbench.statistics.interval import Interval, normal_critical
from workbench.statistics.observations import Observations
from workbench.statistics.ppi import classical_mean, ppi_mean
from workbench.statistics.sequential import running_e_values
from workbench.statistics.variants import analyse_variants
from workbench.statistics.verdict import decide, passes_gate

__all__ = ["FAMILIES", "simulate"]

Fields = Mapping[str, float]
Trial = Callable[[np.random.Generator, Fields, bool], bool]

_LEVEL = 0.95
_ALPHA = 0.05


@dataclass(frozen=True)
class Family:
    """One kind of simulated experiment: its sentence, what it counts, and how it runs."""

    sentence: re.Pattern[str]
    result: str
    trial: Trial


def simulate(
    process: str, n_sims: int, seed: int, *, wrong_method: bool = False
) -> dict[str, float]:
    """Return the share of `n_sims` experiments that cover the truth, or that go wrong."""
    for family in FAMILIES.values():
        match = family.sentence.search(process)
        if match:
            fields = {name: float(text) for name, text in match.groupdict().items()}
            rng = np.random.default_rng(seed)
            hits = sum(family.trial(rng, fields, wrong_method) for _ in range(n_sims))
            return {family.result: hits / n_sims}
    raise ValueError(f"No simulation is known for this process: {process}")


def _number(name: str) -> str:
    return rf"(?P<{name}>[-+]?\d*\.?\d+)"


def _sentence(text: str) -> re.Pattern[str]:
    """Build a pattern from a sentence in which <name> stands for a number."""
    parts = re.split(r"<(\w+)>", text)
    pattern = "".join(
        _number(part) if position % 2 else re.escape(part) for position, part in enumerate(parts)
    )
    return re.compile(pattern.replace(r"\ ", r"\s*"), re.IGNORECASE)


def _covers(interval: Interval, truth: float) -> bool:
    return interval.low <= truth <= interval.high


def _normal_interval(values: FloatArray) -> Interval:
    reach = normal_critical(_LEVEL) * float(values.std(ddof=1)) / math.sqrt(values.size)
    mean = float(values.mean())
    return Interval(mean - reach, mean + reach, _LEVEL)


def _draw_differences(rng: np.random.Generator, n: int, win: float, loss: float) -> FloatArray:
    draws = rng.random(n)
    return (draws < win).astype(np.float64) - ((draws >= win) & (draws < win + loss))


def _paired_binary(rng: np.random.Generator, fields: Fields, wrong: bool) -> bool:
    """Wrong: every pair is counted twice, once for each side's answer."""
    n, shares = int(fields["n"]), [fields[name] for name in ("both", "win", "loss")]
    outcome = np.searchsorted(np.cumsum(shares), rng.random(n), side="right")
    candidate, baseline = np.isin(outcome, (0, 1)), np.isin(outcome, (0, 2))
    truth = fields["win"] - fields["loss"]
    values = candidate.astype(np.float64) - baseline
    if wrong:
        values = np.tile(values, 2)
    return _covers(estimate_effect(Differences(values, True, 1.0), _LEVEL).interval, truth)


def _mean_pass_rate(intercept: float, variance: float) -> float:
    """Integrate the logistic function over a normal effect by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    rates = expit(intercept + math.sqrt(variance) * nodes)
    return float(weights @ rates / weights.sum())


def _repetitions(rng: np.random.Generator, fields: Fields, wrong: bool) -> bool:
    """Wrong: the mean of an example counts once for each of its repetitions."""
    n, k = int(fields["n"]), int(fields["k"])
    shared = rng.normal(0.0, fields["shared"], size=(n, 1))
    own = rng.normal(0.0, fields["own"], size=(n, 1))
    baseline = rng.random((n, k)) < expit(fields["baseline"] + shared)
    candidate = rng.random((n, k)) < expit(fields["candidate"] + shared + own)
    means = candidate.mean(axis=1) - baseline.mean(axis=1)
    spread = fields["shared"] ** 2
    truth = _mean_pass_rate(fields["candidate"], spread + fields["own"] ** 2)
    truth -= _mean_pass_rate(fields["baseline"], spread)
    differences = Differences(np.repeat(means, k) if wrong else means, False, 1.0)
    return _covers(estimate_effect(differences, _LEVEL).interval, truth)


def _clusters(rng: np.random.Generator, fields: Fields, wrong: bool) -> bool:
    """Wrong: the clusters are ignored."""
    clusters, size = int(fields["clusters"]), int(fields["size"])
    effects = rng.normal(0.0, math.sqrt(fields["between"]), size=(clusters, 1))
    values = effects + rng.normal(0.0, math.sqrt(fields["within"]), size=(clusters, size))
    codes = None if wrong else np.repeat(np.arange(clusters), size)
    differences = Differences(values.ravel(), False, 10.0, codes)
    return _covers(estimate_effect(differences, _LEVEL).interval, fields["truth"])


def _peeking(rng: np.random.Generator, fields: Fields, wrong: bool) -> bool:
    """Wrong: the fixed-n interval is looked at again and again."""
    n, first, step = (int(fields[name]) for name in ("n", "first", "step"))
    values = _draw_differences(rng, n, fields["win"], fields["loss"])
    looks = range(first, n + 1, step)
    if wrong:
        return any(not _covers(_normal_interval(values[:look]), 0.0) for look in looks)
    evidence = running_e_values(values)
    return any(evidence[look - 1] >= 1.0 / _ALPHA for look in looks)


def _noninferiority(rng: np.random.Generator, fields: Fields, wrong: bool) -> bool:
    """Wrong: "not significantly worse" is taken for "not worse"."""
    values = _draw_differences(rng, int(fields["n"]), fields["win"], fields["loss"])
    differences = Differences(values, True, 1.0)
    if wrong:
        worse = float(values.mean()) < 0.0 and effect_test(differences, seed=0).p_value <= _ALPHA
        return not worse
    effect = estimate_effect(differences, _LEVEL)
    verdict = decide(effect.interval, fields["margin"], n_pairs=values.size)
    return passes_gate(verdict, "non_inferiority")


def _several_candidates(rng: np.random.Generator, fields: Fields, wrong: bool) -> bool:
    """Wrong: each candidate is tested at the full level."""
    n, candidates = int(fields["n"]), int(fields["candidates"])
    scores = rng.normal(0.0, fields["deviation"], size=(candidates + 1, n))
    runs = [Observations.from_values([str(i) for i in range(n)], row) for row in scores]
    analysis = analyse_variants(runs[0], {str(i): run for i, run in enumerate(runs[1:])})
    adjusted = list(analysis.p_holm.values())
    raw = [one.p_value for one in analysis.candidates.values()]
    return any(p is not None and p <= _ALPHA for p in (raw if wrong else adjusted))


def _biased_judge(rng: np.random.Generator, fields: Fields, wrong: bool) -> bool:
    """Wrong: the judge's scores are believed as they are."""
    labelled, n = int(fields["labelled"]), int(fields["labelled"] + fields["unlabelled"])
    good = rng.random(n) < fields["truth"]
    passes = np.where(good, fields["good"], fields["bad"]) / 100.0
    judged = (rng.random(n) < passes).astype(np.float64)
    if wrong:
        return _covers(classical_mean(judged, _LEVEL).interval, fields["truth"])
    human = good[:labelled].astype(np.float64)
    corrected = ppi_mean(human, judged[:labelled], judged[labelled:], _LEVEL)
    return _covers(corrected.interval, fields["truth"])


FAMILIES: Mapping[str, Family] = {
    "paired_binary": Family(
        _sentence(
            "<n> items iid; P(both pass)=<both>, P(candidate only)=<win>, "
            "P(baseline only)=<loss>, P(neither)=<neither>"
        ),
        "coverage",
        _paired_binary,
    ),
    "repetitions": Family(
        _sentence(
            "<n> items, <k> samples per variant; item effect u~N(0,<shared>^2); "
            "logit P(pass)=<baseline>+u for baseline, <candidate>+u+v for candidate, "
            "v~N(0,<own>^2)"
        ),
        "coverage",
        _repetitions,
    ),
    "clusters": Family(
        _sentence(
            "<clusters> clusters x <size> items, d = N(0,<between>) cluster + N(0,<within>) item "
            "(variances); truth <truth>"
        ),
        "coverage",
        _clusters,
    ),
    "peeking": Family(
        re.compile(
            _sentence("up to <n> items; win <win>, loss <loss>, tie <tie>").pattern
            + ".*"
            + _sentence("look after every <step> items from item <first>").pattern,
            re.IGNORECASE,
        ),
        "type_one_error_max",
        _peeking,
    ),
    "noninferiority": Family(
        re.compile(
            _sentence("<n> items; win <win>, loss <loss>, tie <tie>:").pattern
            + ".*"
            + _sentence(", margin <margin>").pattern,
            re.IGNORECASE,
        ),
        "type_one_error_max",
        _noninferiority,
    ),
    "several_candidates": Family(
        _sentence(
            "<candidates> candidates against one baseline, <n> items, all scores iid "
            "N(0,<deviation>^2)"
        ),
        "type_one_error_max",
        _several_candidates,
    ),
    "biased_judge": Family(
        _sentence(
            "truth P=<truth>; judge passes <good>% of good and <bad>% of bad answers; "
            "<labelled> human labels, <unlabelled> judge-only"
        ),
        "coverage",
        _biased_judge,
    ),
}
