"""Two runs under one scorer, compared: the whole default analysis in one call.

The order is fixed: align by example key, average repetitions within the example, take the
differences of the examples scored on both sides, let the data choose interval and test, turn
interval and margin into a verdict, and say beside it what the data cannot bear.

Differences, flips and the verdict are oriented: positive means that the candidate is better,
also for a metric of which less is better. Means stay in the metric's own unit and direction.
The same observations and seed give the same bytes.
"""

import math
from dataclasses import dataclass

import numpy as np

from workbench.statistics import warnings as conditions
from workbench.statistics.arrays import FloatArray
from workbench.statistics.effect import (
    Differences,
    Effect,
    EffectTest,
    Method,
    PMethod,
    effect_test,
    estimate_effect,
)
from workbench.statistics.interval import Interval, check_level
from workbench.statistics.missingness import Missingness, describe_missing
from workbench.statistics.observations import (
    Aligned,
    ExampleScores,
    Observations,
    PairedExamples,
    align,
    paired_examples,
    score_bounds,
    shared_clusters,
)
from workbench.statistics.policy import DEFAULT_POLICY, DEFAULT_SEED, Policy
from workbench.statistics.repetitions import VarianceSplit, split_variance
from workbench.statistics.sample_size import (
    examples_for_margin,
    fewest_examples_for_margin,
    minimum_detectable_effect,
)
from workbench.statistics.single_run import MeanMethod, run_mean
from workbench.statistics.verdict import Verdict, check_margin, decide
from workbench.statistics.warnings import AnalysisWarning
from workbench.statistics.wording import NO_UNIT, POINTS, Facts, Unit, verdict_sentence

__all__ = [
    "Analysis",
    "Difference",
    "Sensitivity",
    "SideSummary",
    "analyse_pair",
]


@dataclass(frozen=True, slots=True)
class SideSummary:
    """One run by itself.

    `mean` and `interval` are over its own scored examples (None without any), `n_correct` is
    the number of cells scored 1 of a pass or fail metric (None for a graded one).
    """

    mean: float | None
    interval: Interval | None
    interval_method: MeanMethod | None
    n_examples: int
    n_cells: int
    n_scored: int
    n_correct: int | None
    statuses: dict[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean difference of the pairs, oriented so that positive is better."""

    estimate: float
    low: float
    high: float
    level: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Coverage, and the verdict when missing scores count as the worst score."""

    missing: Missingness
    verdict_errors_as_worst: Verdict


@dataclass(frozen=True, slots=True)
class Analysis:
    """A comparison, ready to store and to print.

    `difference`, `method`, `p_value` and the planning figures are None only if no example has a
    score on both sides. `mde` is the difference that this run detects at the policy's power,
    `n_for_margin` the number of examples that would show `planning_margin` (the declared
    margin, else 3 % of the range), `smallest_margin` the smallest margin that the interval
    supports (0 if the candidate is better).
    """

    verdict: Verdict
    sentence: str
    method: Method | None
    reason: str
    n_pairs: int
    n_clusters: int | None
    baseline: SideSummary
    candidate: SideSummary
    difference: Difference | None
    standard_error: float | None
    candidate_only: int
    baseline_only: int
    p_value: float | None
    p_method: PMethod | None
    p_mid: float | None
    borderline: bool
    margin: float | None
    planning_margin: float
    smallest_margin: float | None
    mde: float | None
    n_for_margin: int | None
    variance: VarianceSplit | None
    sensitivity: Sensitivity
    warnings: tuple[AnalysisWarning, ...]
    higher_is_better: bool
    comparisons: int
    seed: int
    policy: Policy

    @property
    def blocking_warnings(self) -> tuple[AnalysisWarning, ...]:
        """The warnings that keep a gate shut."""
        return tuple(warning for warning in self.warnings if warning.blocking)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What every step of one analysis needs to know."""

    margin: float | None
    level: float
    own_level: float
    higher_is_better: bool
    binary: bool
    bounds: tuple[float, float]
    policy: Policy
    seed: int

    @property
    def sign(self) -> float:
        return 1.0 if self.higher_is_better else -1.0

    @property
    def score_range(self) -> float:
        return self.bounds[1] - self.bounds[0]

    @property
    def worst_and_best(self) -> tuple[float, float]:
        low, high = self.bounds
        return (low, high) if self.higher_is_better else (high, low)


def analyse_pair(
    baseline: Observations,
    candidate: Observations,
    *,
    margin: float | None = None,
    level: float = 0.95,
    comparisons: int = 1,
    seed: int = DEFAULT_SEED,
    higher_is_better: bool = True,
    unit: Unit | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> Analysis:
    """Compare two runs of the same examples under the same scorer.

    `margin` is the agreed acceptable loss in the metric's unit (0.03 for 3 points), positive.
    With `comparisons` candidates against one baseline the interval is at level
    1 - (1 - `level`) / `comparisons`. `unit` says how differences are worded; by default
    points for scores between 0 and 1. An example that only one run has counts as missing from
    the other, so hand in the common examples of two dataset versions and report the rest.
    """
    check_margin(margin)
    check_level(level)
    if comparisons < 1:
        raise ValueError("The number of comparisons must be at least 1.")
    settings = _Settings(
        margin=margin,
        level=1.0 - (1.0 - level) / comparisons,
        own_level=level,
        higher_is_better=higher_is_better,
        binary=baseline.is_binary and candidate.is_binary,
        bounds=score_bounds(baseline, candidate),
        policy=policy,
        seed=seed,
    )
    aligned = align(baseline, candidate)
    pairs = paired_examples(aligned)
    differences = _differences(aligned, pairs, settings)
    effect = _effect(differences, settings)
    test = effect_test(differences, seed=seed) if effect else None
    verdict = _verdict(effect, settings)
    sides = (
        _summarise(baseline, aligned, aligned.baseline, settings),
        _summarise(candidate, aligned, aligned.candidate, settings),
    )
    sensitivity = _sensitivity(aligned, verdict, settings)
    plan = _plan(effect, settings)
    borderline = _is_borderline(verdict, effect, test, settings)
    facts = Facts(
        verdict=verdict,
        estimate=effect.estimate if effect else None,
        interval=effect.interval if effect else None,
        standard_error=effect.standard_error if effect else None,
        n_pairs=differences.values.size,
        better=differences.better,
        worse=differences.worse,
        n_clusters=effect.n_clusters if effect else None,
        margin=margin,
        smallest_margin=plan.smallest_margin,
        detectable=plan.mde,
        planning_margin=plan.planning_margin,
        needed=plan.n_for_margin,
        borderline_p=test.p_value if test and borderline else None,
        unit=unit or _default_unit(settings.bounds),
    )
    return Analysis(
        verdict=verdict,
        sentence=verdict_sentence(facts, policy),
        method=effect.method if effect else None,
        reason=effect.reason if effect else "No example has a score on both sides.",
        n_pairs=facts.n_pairs,
        n_clusters=facts.n_clusters,
        baseline=sides[0],
        candidate=sides[1],
        difference=_as_difference(effect),
        standard_error=facts.standard_error,
        candidate_only=facts.better,
        baseline_only=facts.worse,
        p_value=test.p_value if test else None,
        p_method=test.method if test else None,
        p_mid=test.mid_p if test else None,
        borderline=borderline,
        margin=margin,
        planning_margin=plan.planning_margin,
        smallest_margin=plan.smallest_margin,
        mde=plan.mde,
        n_for_margin=plan.n_for_margin,
        variance=split_variance(aligned.baseline, aligned.candidate),
        sensitivity=sensitivity,
        warnings=_warnings(facts, effect, aligned, pairs, sensitivity, settings),
        higher_is_better=higher_is_better,
        comparisons=comparisons,
        seed=seed,
        policy=policy,
    )


def _default_unit(bounds: tuple[float, float]) -> Unit:
    return POINTS if bounds == (0.0, 1.0) else NO_UNIT


def _repeated(aligned: Aligned) -> bool:
    cells = (aligned.baseline.n_cells, aligned.candidate.n_cells)
    return any(int(n.max(initial=0)) > 1 for n in cells)


def _differences(aligned: Aligned, pairs: PairedExamples, settings: _Settings) -> Differences:
    return Differences(
        values=settings.sign * (pairs.candidate - pairs.baseline),
        binary=settings.binary and not _repeated(aligned),
        score_range=settings.score_range,
        clusters=pairs.clusters,
    )


def _effect(differences: Differences, settings: _Settings) -> Effect | None:
    if differences.values.size == 0:
        return None
    return estimate_effect(differences, settings.level, settings.policy)


def _verdict(effect: Effect | None, settings: _Settings) -> Verdict:
    return decide(
        effect.interval if effect else None,
        settings.margin,
        n_pairs=effect.n_pairs if effect else 0,
        n_clusters=effect.n_clusters if effect else None,
        policy=settings.policy,
    )


def _as_difference(effect: Effect | None) -> Difference | None:
    if effect is None:
        return None
    interval = effect.interval
    return Difference(effect.estimate, interval.low, interval.high, interval.level)


def _summarise(
    run: Observations, aligned: Aligned, scores: ExampleScores, settings: _Settings
) -> SideSummary:
    chosen = np.flatnonzero(scores.n_scored > 0)
    single = settings.binary and int(scores.n_cells.max(initial=0)) <= 1
    mean = None
    if chosen.size:
        mean = run_mean(
            scores.means[chosen],
            binary=single,
            bounds=settings.bounds,
            clusters=shared_clusters(aligned, chosen),
            level=settings.own_level,
            policy=settings.policy,
        )
    return SideSummary(
        mean=mean.mean if mean else None,
        interval=mean.interval if mean else None,
        interval_method=mean.method if mean else None,
        n_examples=int(np.count_nonzero(scores.n_cells)),
        n_cells=len(run.keys),
        n_scored=int(run.is_scored.sum()),
        n_correct=int(np.count_nonzero(run.values == 1.0)) if settings.binary else None,
        statuses=run.count_statuses(),
    )


def _sensitivity(aligned: Aligned, verdict: Verdict, settings: _Settings) -> Sensitivity:
    worst, best = settings.worst_and_best
    missing = describe_missing(aligned, worst=worst, best=best)
    if missing.is_complete:
        return Sensitivity(missing, verdict)
    filled = PairedExamples(
        keys=aligned.keys,
        baseline=aligned.baseline.filled_means(worst),
        candidate=aligned.candidate.filled_means(worst),
        clusters=shared_clusters(aligned, np.arange(len(aligned.keys))),
    )
    effect = _effect(_differences(aligned, filled, settings), settings)
    return Sensitivity(missing, _verdict(effect, settings))


@dataclass(frozen=True, slots=True)
class _Plan:
    planning_margin: float
    smallest_margin: float | None = None
    mde: float | None = None
    n_for_margin: int | None = None


def _plan(effect: Effect | None, settings: _Settings) -> _Plan:
    policy = settings.policy
    planning_margin = settings.margin or policy.planning_share * settings.score_range
    if effect is None:
        return _Plan(planning_margin)
    alpha = 1.0 - settings.level
    variance = effect.standard_error**2 * effect.n_pairs
    needed = examples_for_margin(variance, planning_margin, alpha=alpha, power=policy.power)
    if effect.method is Method.TANGO:
        needed = max(needed, fewest_examples_for_margin(planning_margin, settings.level))
    return _Plan(
        planning_margin=planning_margin,
        smallest_margin=max(0.0, -effect.interval.low),
        mde=minimum_detectable_effect(effect.standard_error, alpha=alpha, power=policy.power),
        n_for_margin=needed,
    )


def _is_borderline(
    verdict: Verdict, effect: Effect | None, test: EffectTest | None, settings: _Settings
) -> bool:
    """Superior by the interval, but not by the exact test at the same level."""
    if verdict is not Verdict.SUPERIOR or effect is None or test is None:
        return False
    alpha = 1.0 - settings.level
    return test.method is PMethod.MCNEMAR_EXACT and test.p_value > alpha


def _warnings(
    facts: Facts,
    effect: Effect | None,
    aligned: Aligned,
    pairs: PairedExamples,
    sensitivity: Sensitivity,
    settings: _Settings,
) -> tuple[AnalysisWarning, ...]:
    policy, missing = settings.policy, sensitivity.missing
    changed = facts.better + facts.worse
    unequal = aligned.is_paired & (aligned.baseline.n_scored != aligned.candidate.n_scored)
    raised = [
        conditions.few_units(facts.n_pairs, facts.n_clusters, policy),
        conditions.few_clusters(facts.n_clusters, policy),
        conditions.sparse(
            guarded=effect is not None and effect.guarded, changed=changed, n_pairs=facts.n_pairs
        ),
        _ceiling(pairs, changed, settings),
        conditions.missing(
            (missing.share_baseline, missing.share_candidate),
            p_differs=missing.p_differs,
            verdict_changes=sensitivity.verdict_errors_as_worst is not facts.verdict,
            policy=policy,
        ),
        conditions.epochs_unequal(int(unequal.sum())),
    ]
    return tuple(warning for warning in raised if warning is not None)


def _ceiling(pairs: PairedExamples, changed: int, settings: _Settings) -> AnalysisWarning | None:
    means = [_mean(side) for side in (pairs.baseline, pairs.candidate)]
    if any(math.isnan(mean) for mean in means):
        return None
    return conditions.ceiling(
        (means[0], means[1]),
        settings.bounds,
        changed=changed,
        n_pairs=len(pairs.keys),
        policy=settings.policy,
    )


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else math.nan
