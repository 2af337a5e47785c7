"""Two runs under one scorer, compared: the whole default analysis in one call.

The order is fixed: align by example key, average repetitions within the example, take the
differences of the examples scored on both sides, let the data choose interval and test, turn
interval and margin into a verdict, and say beside it what the data cannot bear.

Differences, flips and the verdict are oriented: positive means that the candidate is better,
also for a metric of which less is better. Means stay in the metric's own unit and direction.
The same observations and seed give the same bytes.
"""

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
from workbench.statistics.multiplicity import simultaneous_level
from workbench.statistics.observations import (
    Aligned,
    ExampleScores,
    Observations,
    PairedExamples,
    align,
    all_pass_or_fail,
    are_binary,
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
    "Examined",
    "Sensitivity",
    "SideSummary",
    "analyse_pair",
    "examine_pair",
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


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """An analysis with the examples behind it, for further looks at the same data.

    `differences` are oriented, one for each of `keys`; `unit` is how they are worded.
    """

    analysis: Analysis
    aligned: Aligned
    keys: tuple[str, ...]
    differences: Differences
    unit: Unit


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
    return examine_pair(
        baseline,
        candidate,
        margin=margin,
        level=level,
        comparisons=comparisons,
        seed=seed,
        higher_is_better=higher_is_better,
        unit=unit,
        policy=policy,
    ).analysis


def examine_pair(
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
) -> Examined:
    """Return `analyse_pair` of the same arguments, with the examples that it rests on."""
    check_margin(margin)
    check_level(level)
    settings = _Settings(
        margin=margin,
        level=simultaneous_level(level, comparisons),
        own_level=level,
        higher_is_better=higher_is_better,
        binary=all_pass_or_fail(baseline, candidate),
        bounds=score_bounds(baseline, candidate),
        policy=policy,
        seed=seed,
    )
    worded = unit or _default_unit(settings.bounds)
    measured = _measure(align(baseline, candidate), settings)
    facts = _facts(measured, settings, worded)
    effect, test, plan = measured.effect, measured.test, measured.plan
    aligned = measured.aligned
    analysis = Analysis(
        verdict=measured.verdict,
        sentence=verdict_sentence(facts, policy),
        method=effect.method if effect else None,
        reason=effect.reason if effect else "No example has a score on both sides.",
        n_pairs=facts.n_pairs,
        n_clusters=facts.n_clusters,
        baseline=_summarise(baseline, aligned, aligned.baseline, settings),
        candidate=_summarise(candidate, aligned, aligned.candidate, settings),
        difference=_as_difference(effect),
        standard_error=facts.standard_error,
        candidate_only=facts.better,
        baseline_only=facts.worse,
        p_value=test.p_value if test else None,
        p_method=test.method if test else None,
        p_mid=test.mid_p if test else None,
        borderline=facts.borderline_p is not None,
        margin=margin,
        planning_margin=plan.planning_margin,
        smallest_margin=plan.smallest_margin,
        mde=plan.mde,
        n_for_margin=plan.n_for_margin,
        variance=split_variance(aligned.baseline, aligned.candidate),
        sensitivity=measured.sensitivity,
        warnings=_warnings(measured, facts, settings),
        higher_is_better=higher_is_better,
        comparisons=comparisons,
        seed=seed,
        policy=policy,
    )
    return Examined(analysis, aligned, measured.pairs.keys, measured.differences, worded)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the run could detect and what it would take."""

    planning_margin: float
    smallest_margin: float | None = None
    mde: float | None = None
    n_for_margin: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """The steps of one analysis; `effect` and `test` are None without a pair."""

    aligned: Aligned
    pairs: PairedExamples
    differences: Differences
    effect: Effect | None
    test: EffectTest | None
    verdict: Verdict
    plan: _Plan
    sensitivity: Sensitivity


def _measure(aligned: Aligned, settings: _Settings) -> _Measured:
    pairs = paired_examples(aligned)
    differences = _differences(pairs, settings)
    effect = _effect(differences, settings)
    verdict = _verdict(effect, settings)
    return _Measured(
        aligned=aligned,
        pairs=pairs,
        differences=differences,
        effect=effect,
        test=effect_test(differences, seed=settings.seed) if effect else None,
        verdict=verdict,
        plan=_plan(effect, settings),
        sensitivity=_sensitivity(aligned, verdict, settings),
    )


def _facts(measured: _Measured, settings: _Settings, unit: Unit) -> Facts:
    effect, plan = measured.effect, measured.plan
    return Facts(
        verdict=measured.verdict,
        estimate=effect.estimate if effect else None,
        interval=effect.interval if effect else None,
        standard_error=effect.standard_error if effect else None,
        n_pairs=measured.differences.values.size,
        better=measured.differences.better,
        worse=measured.differences.worse,
        n_clusters=effect.n_clusters if effect else None,
        margin=settings.margin,
        smallest_margin=plan.smallest_margin,
        detectable=plan.mde,
        planning_margin=plan.planning_margin,
        needed=plan.n_for_margin,
        borderline_p=_borderline_p(measured.verdict, measured.test, settings),
        unit=unit,
    )


def _default_unit(bounds: tuple[float, float]) -> Unit:
    return POINTS if bounds == (0.0, 1.0) else NO_UNIT


def _pass_or_fail(settings: _Settings, *means: FloatArray) -> bool:
    """Whether each example passed or failed as a whole.

    So it is with one sample an example, and with repetitions that all gave the same: these are
    the same data once more, and the interval must not change because of them.
    """
    return settings.binary and all(are_binary(side) for side in means)


def _differences(pairs: PairedExamples, settings: _Settings) -> Differences:
    return Differences(
        values=settings.sign * (pairs.candidate - pairs.baseline),
        binary=_pass_or_fail(settings, pairs.baseline, pairs.candidate),
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
    means = scores.means[chosen]
    mean = None
    if chosen.size:
        mean = run_mean(
            means,
            binary=_pass_or_fail(settings, means),
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
    effect = _effect(_differences(filled, settings), settings)
    return Sensitivity(missing, _verdict(effect, settings))


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


def _borderline_p(verdict: Verdict, test: EffectTest | None, settings: _Settings) -> float | None:
    """Return the exact p if the interval says superior and the exact test does not."""
    if verdict is not Verdict.SUPERIOR or test is None:
        return None
    alpha = 1.0 - settings.level
    exact = test.method is PMethod.MCNEMAR_EXACT
    return test.p_value if exact and test.p_value > alpha else None


def _warnings(
    measured: _Measured, facts: Facts, settings: _Settings
) -> tuple[AnalysisWarning, ...]:
    policy, aligned, effect = settings.policy, measured.aligned, measured.effect
    sensitivity, missing = measured.sensitivity, measured.sensitivity.missing
    changed = facts.better + facts.worse
    unequal = aligned.is_paired & (aligned.baseline.n_scored != aligned.candidate.n_scored)
    raised = [
        conditions.few_units(facts.n_pairs, facts.n_clusters, policy),
        conditions.few_clusters(facts.n_clusters, policy),
        conditions.sparse(
            guarded=effect is not None and effect.guarded, changed=changed, n_pairs=facts.n_pairs
        ),
        _ceiling(measured.pairs, changed, settings),
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
    if not pairs.keys:
        return None
    return conditions.ceiling(
        (float(pairs.baseline.mean()), float(pairs.candidate.mean())),
        settings.bounds,
        changed=changed,
        n_pairs=len(pairs.keys),
        policy=settings.policy,
    )
