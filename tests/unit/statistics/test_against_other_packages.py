"""Our figures agree with statsmodels and scipy.stats.

These packages are slow to import and serve as cross-checks only, so they are imported by the
fixtures here and nowhere else.
"""

from importlib import import_module
from types import ModuleType
from typing import Literal

import numpy as np
import pytest

from workbench.statistics.agreement import cohen_kappa, fleiss_kappa
from workbench.statistics.arrays import skewness
from workbench.statistics.bootstrap import bootstrap_bca
from workbench.statistics.bradley_terry import fit_bradley_terry
from workbench.statistics.clusters import clustered_mean
from workbench.statistics.multiplicity import benjamini_hochberg, holm
from workbench.statistics.paired_binary import mcnemar_asymptotic, mcnemar_exact
from workbench.statistics.paired_graded import t_test, tost
from workbench.statistics.permutation import sign_flip_test
from workbench.statistics.proportions import (
    agresti_coull_interval,
    clopper_pearson_interval,
    wilson_interval,
)
from workbench.statistics.rank_tests import cochran_q, friedman, wilcoxon_signed_rank
from workbench.statistics.ratios import ratio_of_means

SEEDS = range(5)


@pytest.fixture(scope="module")
def statsmodels() -> ModuleType:
    return import_module("statsmodels.api")


@pytest.fixture(scope="module")
def scipy_stats() -> ModuleType:
    return import_module("scipy.stats")


@pytest.mark.parametrize("counts", [(0, 12), (3, 40), (81, 263), (50, 50)])
def test_proportion_intervals(statsmodels: ModuleType, counts: tuple[int, int]) -> None:
    for name, method in (
        ("wilson", wilson_interval),
        ("beta", clopper_pearson_interval),
        ("agresti_coull", agresti_coull_interval),
    ):
        theirs = statsmodels.stats.proportion_confint(*counts, method=name)
        ours = method(*counts)
        assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("discordant", [(6, 16), (0, 5), (30, 22)])
def test_mcnemar(statsmodels: ModuleType, discordant: tuple[int, int]) -> None:
    b, c = discordant
    table = [[40, b], [c, 60]]
    assert mcnemar_exact(b, c) == pytest.approx(statsmodels.stats.mcnemar(table, exact=True).pvalue)
    for corrected in (True, False):
        theirs = statsmodels.stats.mcnemar(table, exact=False, correction=corrected).pvalue
        ours = mcnemar_asymptotic(b, c, continuity_correction=corrected)
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_clustered_standard_error(statsmodels: ModuleType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 12, 90)
    _, codes = np.unique(codes, return_inverse=True)
    values = rng.normal(size=12)[codes % 12] + rng.normal(size=90)
    fit = statsmodels.OLS(values, np.ones(90)).fit(
        cov_type="cluster", cov_kwds={"groups": codes}, use_t=True
    )
    ours = clustered_mean(values, codes)
    assert ours.se_cr1 == pytest.approx(fit.bse[0] * (89 / 90 * 90 / 89) ** 0.5)
    assert (ours.interval.low, ours.interval.high) == pytest.approx(fit.conf_int()[0].tolist())


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_kappa(
    statsmodels: ModuleType, weights: Literal["linear", "quadratic"] | None
) -> None:
    table = np.array([[10.0, 4.0, 1.0], [3.0, 8.0, 2.0], [0.0, 1.0, 5.0]])
    theirs = statsmodels.stats.cohens_kappa(table, wt=weights)
    ours = cohen_kappa(table, weights)
    assert ours.kappa == pytest.approx(theirs.kappa)
    assert ours.standard_error == pytest.approx(theirs.std_kappa)
    assert ours.p_value == pytest.approx(theirs.pvalue_two_sided)


@pytest.mark.parametrize("seed", SEEDS)
def test_fleiss_kappa(statsmodels: ModuleType, seed: int) -> None:
    table = np.random.default_rng(seed).multinomial(6, [0.5, 0.3, 0.2], 30)
    assert fleiss_kappa(table.astype(float)) == pytest.approx(statsmodels.stats.fleiss_kappa(table))


@pytest.mark.parametrize("seed", SEEDS)
def test_adjusted_p_values(statsmodels: ModuleType, seed: int) -> None:
    p_values = np.random.default_rng(seed).random(15) ** 2
    multipletests = statsmodels.stats.multipletests
    assert holm(p_values).tolist() == pytest.approx(multipletests(p_values, method="holm")[1])
    theirs = multipletests(p_values, method="fdr_bh")[1]
    assert benjamini_hochberg(p_values).tolist() == pytest.approx(theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_equivalence_of_paired_means(statsmodels: ModuleType, seed: int) -> None:
    one, other = np.random.default_rng(seed).normal(size=(2, 30))
    theirs = statsmodels.stats.ttost_paired(one, other, -0.5, 0.5)[0]
    assert tost(one - other, -0.5, 0.5) == pytest.approx(theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_bradley_terry_is_a_logistic_regression(statsmodels: ModuleType, seed: int) -> None:
    rng = np.random.default_rng(seed)
    wins = rng.integers(1, 30, (4, 4)) * (1.0 - np.eye(4))
    pairs = [(i, j) for i in range(4) for j in range(i)]
    design = np.zeros((len(pairs), 4))
    for row, (i, j) in enumerate(pairs):
        design[row, i], design[row, j] = 1.0, -1.0
    outcome = np.array([[wins[i, j], wins[j, i]] for i, j in pairs])
    fit = statsmodels.GLM(outcome, design[:, 1:], family=statsmodels.families.Binomial()).fit()
    ours = fit_bradley_terry(wins)
    assert ours.log_strength[1:].tolist() == pytest.approx(fit.params.tolist(), abs=1e-5)
    assert ours.standard_error[1:].tolist() == pytest.approx(fit.bse.tolist(), abs=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_cochran_q(statsmodels: ModuleType, seed: int) -> None:
    table = (np.random.default_rng(seed).random((40, 4)) < 0.6).astype(float)
    theirs = statsmodels.stats.cochrans_q(table)
    ours = cochran_q(table)
    assert (ours.statistic, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))


@pytest.mark.parametrize("seed", SEEDS)
def test_friedman_with_ties(scipy_stats: ModuleType, seed: int) -> None:
    table = np.random.default_rng(seed).integers(0, 4, (40, 4)).astype(float)
    theirs = scipy_stats.friedmanchisquare(*table.T)
    ours = friedman(table)
    assert (ours.statistic, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))


@pytest.mark.parametrize("seed", SEEDS)
def test_t_test_and_skewness(scipy_stats: ModuleType, seed: int) -> None:
    values = np.random.default_rng(seed).gamma(2.0, 1.0, 25) - 1.5
    theirs = scipy_stats.ttest_1samp(values, 0.0)
    ours = t_test(values)
    assert (ours.statistic, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    bounds = theirs.confidence_interval()
    assert (ours.interval.low, ours.interval.high) == pytest.approx((bounds.low, bounds.high))
    assert skewness(values) == pytest.approx(scipy_stats.skew(values))


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_wilcoxon(
    scipy_stats: ModuleType, alternative: Literal["two-sided", "greater", "less"]
) -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, 30)
    theirs = scipy_stats.wilcoxon(values, alternative=alternative, method="exact")
    assert wilcoxon_signed_rank(values, alternative).p_value == pytest.approx(theirs.pvalue)


def test_wilcoxon_of_many_units_is_approximated(scipy_stats: ModuleType) -> None:
    values = np.random.default_rng(1).normal(0.1, 1.0, 300).round(1)
    theirs = scipy_stats.wilcoxon(values, method="asymptotic")
    ours = wilcoxon_signed_rank(values)
    assert not ours.exact
    assert ours.p_value == pytest.approx(theirs.pvalue)


def test_sign_flip(scipy_stats: ModuleType) -> None:
    values = np.random.default_rng(2).normal(0.3, 1.0, 12)
    theirs = scipy_stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_test(values, seed=1).p_value == pytest.approx(theirs.pvalue)


def test_bca_bootstrap(scipy_stats: ModuleType) -> None:
    values = np.random.default_rng(3).lognormal(0.0, 1.0, 40)
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    ours = bootstrap_bca(values, lambda samples: samples.mean(axis=-1), resamples=20_000, seed=1)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.03)


def test_paired_ratio_of_means(scipy_stats: ModuleType) -> None:
    rng = np.random.default_rng(4)
    baseline = rng.lognormal(0.0, 0.6, 80)
    candidate = baseline * rng.lognormal(0.2, 0.3, 80)
    theirs = scipy_stats.bootstrap(
        (candidate, baseline),
        lambda after, before, axis: after.mean(axis=axis) / before.mean(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    ours = ratio_of_means(baseline, candidate, resamples=20_000).interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=0.01)
