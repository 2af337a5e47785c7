"""The whole default analysis of two runs."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.statistics.builders import paired_runs, run_of, runs_of_table
from workbench.statistics.analysis import Analysis, analyse_pair
from workbench.statistics.effect import Method, PMethod
from workbench.statistics.observations import Observations
from workbench.statistics.policy import Policy
from workbench.statistics.single_run import MeanMethod
from workbench.statistics.verdict import Verdict
from workbench.statistics.warnings import WarningCode
from workbench.statistics.wording import Unit

pass_or_fail = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=20, max_size=120)


def codes(analysis: Analysis) -> set[WarningCode]:
    return {warning.code for warning in analysis.warnings}


def interval(analysis: Analysis) -> tuple[float, float]:
    assert analysis.difference is not None
    return analysis.difference.low, analysis.difference.high


def test_pass_or_fail_runs_are_compared_by_tango_and_mcnemar() -> None:
    analysis = analyse_pair(*runs_of_table(240, 38, 14, 108), margin=0.03)

    assert analysis.verdict is Verdict.SUPERIOR
    assert analysis.method is Method.TANGO
    assert analysis.p_method is PMethod.MCNEMAR_EXACT
    assert (analysis.n_pairs, analysis.candidate_only, analysis.baseline_only) == (400, 38, 14)
    assert analysis.difference is not None
    assert analysis.difference.estimate == pytest.approx(0.06)
    assert interval(analysis) == pytest.approx((0.025621, 0.096928), abs=1e-6)
    assert analysis.p_mid is not None
    assert analysis.p_value is not None
    assert analysis.p_mid < analysis.p_value < 0.01
    assert analysis.smallest_margin == 0.0
    assert analysis.warnings == ()


def test_each_side_is_summarised_by_itself() -> None:
    baseline = run_of(
        [1.0, 0.0, 1.0, None, None], statuses=["scored"] * 3 + ["refused", "unscored"]
    )
    candidate = run_of([1.0] * 5)

    side = analyse_pair(baseline, candidate).baseline

    assert side.mean == pytest.approx(2 / 3)
    assert side.interval_method is MeanMethod.WILSON
    assert (side.n_examples, side.n_cells, side.n_scored, side.n_correct) == (5, 5, 3, 2)
    assert (side.statuses["refused"], side.statuses["unscored"], side.statuses["failed"]) == (
        1,
        1,
        0,
    )


def test_graded_runs_are_compared_by_t_and_sign_flip() -> None:
    rng = np.random.default_rng(1)
    baseline = rng.uniform(0.1, 0.7, 80)
    analysis = analyse_pair(*paired_runs(baseline, baseline + rng.normal(0.1, 0.05, 80)))
    assert analysis.method is Method.T
    assert analysis.p_method is PMethod.SIGN_FLIP
    assert analysis.baseline.n_correct is None
    assert analysis.verdict is Verdict.SUPERIOR


def test_declared_clusters_decide_the_standard_error() -> None:
    rng = np.random.default_rng(2)
    shared = np.repeat(rng.normal(0.0, 0.3, 40), 6)
    clusters = [f"document-{i // 6}" for i in range(240)]
    noise = rng.normal(0.0, 0.1, (2, 240))
    plain = analyse_pair(*paired_runs(noise[0], noise[1] + shared))
    clustered = analyse_pair(*paired_runs(noise[0], noise[1] + shared, clusters=clusters))
    assert clustered.method is Method.CLUSTER_CR1
    assert clustered.n_clusters == 40
    assert plain.standard_error is not None
    assert clustered.standard_error is not None
    assert clustered.standard_error > 1.5 * plain.standard_error
    assert clustered.baseline.interval_method is MeanMethod.CLUSTER_CR1


def test_few_clusters_give_no_verdict_however_many_examples() -> None:
    rng = np.random.default_rng(3)
    clusters = [str(i // 50) for i in range(450)]
    analysis = analyse_pair(*paired_runs(rng.random(450), rng.random(450), clusters=clusters))
    assert analysis.verdict is Verdict.INSUFFICIENT_DATA
    assert WarningCode.FEW_UNITS in codes(analysis)
    assert "in 9 clusters" in analysis.sentence


@settings(deadline=None)
@given(pass_or_fail, st.randoms())
def test_order_of_the_cells_makes_no_difference(
    pairs: list[tuple[int, int]], random: "np.random.Generator"
) -> None:
    keys = [f"key-{i}" for i in range(len(pairs))]
    order = list(range(len(pairs)))
    random.shuffle(order)
    first = [pairs[i][0] for i in order]
    baseline = run_of([float(v) for v in first], keys=[keys[i] for i in order])
    analysis = analyse_pair(*paired_runs(*np.array(pairs, dtype=float).T, keys=keys))
    shuffled = analyse_pair(baseline, run_of([float(c) for _, c in pairs], keys=keys))
    assert shuffled == analysis


def test_order_of_repetitions_leaves_no_trace_in_any_digit() -> None:
    rng = np.random.default_rng(10)
    keys = np.array([f"key-{i % 70}" for i in range(210)])
    scores = rng.random((2, 210))
    analysis = analyse_pair(*paired_runs(scores[0], scores[1], keys=keys.tolist()))
    turns = [rng.permutation(210) for _ in scores]
    turned = [
        run_of(side[turn], keys=keys[turn].tolist())
        for side, turn in zip(scores, turns, strict=True)
    ]
    assert analyse_pair(turned[0], turned[1]) == analysis


@settings(deadline=None)
@given(pass_or_fail)
def test_swapping_the_runs_mirrors_the_difference(pairs: list[tuple[int, int]]) -> None:
    baseline, candidate = paired_runs(*np.array(pairs, dtype=float).T)
    one, other = analyse_pair(baseline, candidate), analyse_pair(candidate, baseline)
    low, high = interval(one)
    assert interval(other) == pytest.approx((-high, -low), abs=1e-12)
    assert (one.candidate_only, one.baseline_only) == (other.baseline_only, other.candidate_only)
    assert one.p_value == other.p_value


@settings(deadline=None)
@given(pass_or_fail)
def test_lower_is_better_turns_the_verdict_and_not_the_means(
    pairs: list[tuple[int, int]],
) -> None:
    baseline, candidate = paired_runs(*np.array(pairs, dtype=float).T)
    higher = analyse_pair(baseline, candidate)
    lower = analyse_pair(baseline, candidate, higher_is_better=False)
    low, high = interval(higher)
    assert interval(lower) == pytest.approx((-high, -low), abs=1e-12)
    assert lower.candidate.mean == higher.candidate.mean
    assert lower.candidate_only == higher.baseline_only


@settings(deadline=None)
@given(pass_or_fail, st.integers(2, 5))
def test_repeating_the_same_answers_does_not_shrink_the_interval(
    pairs: list[tuple[int, int]], times: int
) -> None:
    keys = [str(i) for i in range(len(pairs))]
    columns = np.array(pairs, dtype=float).T
    once = analyse_pair(*paired_runs(*columns, keys=keys))
    again = analyse_pair(*paired_runs(*np.tile(columns, times), keys=keys * times))
    assert interval(again) == interval(once)
    assert again.method is once.method is Method.TANGO
    assert again.n_pairs == once.n_pairs


def test_repetitions_that_differ_are_averaged_and_their_variance_is_split() -> None:
    rng = np.random.default_rng(4)
    keys = [str(i) for i in range(60) for _ in range(4)]
    cells = (rng.random((2, 240)) < 0.6).astype(float)
    analysis = analyse_pair(*paired_runs(cells[0], cells[1], keys=keys))
    assert analysis.method is Method.T
    assert analysis.n_pairs == 60
    assert analysis.baseline.n_cells == 240
    assert analysis.variance is not None
    assert analysis.variance.repetitions_baseline == pytest.approx(4.0)
    assert 0.0 <= analysis.variance.largest_gain <= 1.0


def test_below_twenty_pairs_flips_and_interval_are_shown_without_a_verdict() -> None:
    analysis = analyse_pair(*runs_of_table(8, 4, 0, 3), margin=0.03)
    assert analysis.verdict is Verdict.INSUFFICIENT_DATA
    assert interval(analysis)[0] > 0.0
    assert analysis.candidate_only == 4
    assert analysis.blocking_warnings[0].code is WarningCode.FEW_UNITS


def test_no_pair_at_all_is_said_and_not_raised() -> None:
    empty = analyse_pair(run_of([]), run_of([]))
    apart = analyse_pair(run_of([1.0, None]), run_of([None, 1.0]))
    for analysis in (empty, apart):
        assert analysis.verdict is Verdict.INSUFFICIENT_DATA
        assert (analysis.difference, analysis.method, analysis.p_value) == (None, None, None)
        assert "No example has a score on both sides" in analysis.sentence


def test_run_that_failed_throughout_does_not_hide_what_the_other_one_passed() -> None:
    analysis = analyse_pair(*paired_runs([1.0, 0.0, 1.0], [None, None, None]))
    assert analysis.baseline.n_correct == 2
    assert (analysis.candidate.n_correct, analysis.candidate.mean) == (0, None)
    assert analysis.sensitivity.missing.errors_as_worst == pytest.approx(-2 / 3)


def test_one_pair_is_enough_for_an_interval() -> None:
    for score in (1.0, 0.5):
        analysis = analyse_pair(run_of([0.0]), run_of([score]))
        assert analysis.n_pairs == 1
        assert interval(analysis)[0] < 0.0


def test_failures_never_count_as_zero_and_never_raise_a_rate_unseen() -> None:
    rng = np.random.default_rng(5)
    truth = (rng.random(500) < 0.6).astype(float)
    failed = rng.random(500) < 0.2
    candidate = [None if bad else float(v) for bad, v in zip(failed, truth, strict=True)]

    analysis = analyse_pair(*paired_runs(truth, candidate))

    assert analysis.difference is not None
    assert analysis.difference.estimate == 0.0
    assert analysis.n_pairs == 500 - int(failed.sum())
    assert analysis.candidate.statuses["failed"] == int(failed.sum())
    missing = analysis.sensitivity.missing
    assert missing.errors_as_worst is not None
    assert missing.errors_as_worst < -0.05
    assert analysis.sensitivity.verdict_errors_as_worst is Verdict.INFERIOR
    assert WarningCode.MISSING in {warning.code for warning in analysis.blocking_warnings}


def test_a_few_failures_on_both_sides_that_change_nothing_are_not_blocking() -> None:
    values = [float(i % 3 > 0) for i in range(300)]
    baseline: list[float | None] = [None, *values[1:]]
    candidate: list[float | None] = [*values[:-1], None]
    analysis = analyse_pair(*paired_runs(baseline, candidate))
    assert analysis.n_pairs == 298
    assert WarningCode.MISSING not in codes(analysis)


def test_an_example_that_one_run_lacks_counts_as_missing() -> None:
    baseline = run_of([1.0] * 40)
    candidate = run_of([1.0] * 30, keys=[f"example-{i}" for i in range(30)])
    analysis = analyse_pair(baseline, candidate)
    assert analysis.sensitivity.missing.n_examples == 40
    assert analysis.sensitivity.missing.share_candidate == pytest.approx(0.25)
    assert WarningCode.MISSING in codes(analysis)


def test_errors_as_worst_means_the_top_of_a_metric_of_which_less_is_better() -> None:
    baseline, candidate = paired_runs([0.0, 0.0, 1.0], [0.0, None, 1.0])
    missing = analyse_pair(baseline, candidate, higher_is_better=False).sensitivity.missing
    assert missing.errors_as_worst == pytest.approx(1 / 3)
    assert missing.worst_case_for_candidate == pytest.approx(1 / 3)


def test_unequal_numbers_of_repetitions_are_said() -> None:
    keys = [str(i // 2) for i in range(60)]
    candidate = [None if i == 0 else 1.0 for i in range(60)]
    analysis = analyse_pair(*paired_runs([1.0] * 60, candidate, keys=keys))
    assert WarningCode.EPOCHS_UNEQUAL in codes(analysis)


def test_several_comparisons_widen_the_interval_but_not_the_own_ones() -> None:
    runs = runs_of_table(240, 38, 14, 108)
    one, five = analyse_pair(*runs), analyse_pair(*runs, comparisons=5)
    assert five.difference is not None
    assert five.difference.level == pytest.approx(0.99)
    assert interval(five)[0] < interval(one)[0]
    assert five.baseline == one.baseline
    assert "99 % CI" in five.sentence


def test_superior_by_the_interval_alone_is_borderline() -> None:
    analysis = analyse_pair(*runs_of_table(300, 38, 22, 140))
    assert analysis.verdict is Verdict.SUPERIOR
    assert analysis.borderline
    assert "Borderline: the exact test gives p = 0.052" in analysis.sentence
    assert not analyse_pair(*runs_of_table(240, 38, 14, 108)).borderline


def test_without_a_margin_planning_assumes_three_hundredths_of_the_range() -> None:
    analysis = analyse_pair(*runs_of_table(50, 9, 6, 35))
    assert analysis.planning_margin == pytest.approx(0.03)
    assert analysis.n_for_margin == 1314
    assert analysis.mde == pytest.approx(0.1087, abs=1e-4)
    assert analysis.smallest_margin == pytest.approx(0.0502, abs=1e-4)
    wide = run_of([2.0, 5.0] * 15, lower=1.0, upper=5.0)
    assert analyse_pair(wide, wide).planning_margin == pytest.approx(0.12)


def test_needed_examples_are_never_fewer_than_any_data_would_need() -> None:
    analysis = analyse_pair(*runs_of_table(500, 0, 0, 500), margin=0.02)
    assert analysis.n_for_margin is not None
    assert analysis.n_for_margin >= 188


def test_policy_moves_the_conventions_and_travels_with_the_result() -> None:
    policy = Policy(min_pairs=10)
    analysis = analyse_pair(*runs_of_table(8, 4, 0, 3), policy=policy)
    assert analysis.verdict is Verdict.SUPERIOR
    assert analysis.policy == policy


def test_unit_is_points_for_rates_and_declared_for_other_metrics() -> None:
    waited = np.random.default_rng(8).uniform(1.0, 9.0, (2, 60))
    seconds = paired_runs(waited[0], waited[0] + 0.2 * waited[1] + 1.0)
    analysis = analyse_pair(*seconds, higher_is_better=False, unit=Unit("s"))
    assert "Worse by 1.99 s (95 % CI" in analysis.sentence
    assert "points" in analyse_pair(*runs_of_table(50, 9, 6, 35)).sentence


def test_same_observations_and_seed_give_the_same_bytes() -> None:
    rng = np.random.default_rng(6)
    runs = paired_runs(rng.random(50), rng.random(50))

    def as_bytes() -> bytes:
        return json.dumps(dataclasses.asdict(analyse_pair(*runs, seed=9))).encode()

    assert as_bytes() == as_bytes()


@pytest.mark.parametrize("kind", ["pass_or_fail", "repeated", "graded", "clustered"])
def test_equals_are_called_different_in_at_most_one_case_of_twenty(kind: str) -> None:
    rng = np.random.default_rng(7)
    n, trials = 60, 300
    called = 0
    for _ in range(trials):
        clusters = None
        keys = [str(i) for i in range(n)]
        difficulty = rng.random(n)
        if kind == "graded":
            sides = np.clip(difficulty + rng.normal(0.0, 0.2, (2, n)), 0.0, 1.0)
        elif kind == "repeated":
            keys = [key for key in keys for _ in range(3)]
            sides = (rng.random((2, 3 * n)) < np.repeat(difficulty, 3)).astype(float)
        else:
            if kind == "clustered":
                clusters = [str(i // 3) for i in range(n)]
                difficulty = np.repeat(rng.random(n // 3), 3)
            sides = (rng.random((2, n)) < difficulty).astype(float)
        analysis = analyse_pair(*paired_runs(*sides, keys=keys, clusters=clusters))
        called += analysis.verdict in (Verdict.SUPERIOR, Verdict.INFERIOR)
    assert called / trials <= 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_nonsense_is_refused_before_anything_is_computed() -> None:
    runs = runs_of_table(5, 5, 5, 5)
    with pytest.raises(ValueError, match="margin must be a positive number"):
        analyse_pair(*runs, margin=-0.03)
    with pytest.raises(ValueError, match="between 0 and 1"):
        analyse_pair(*runs, level=95)
    with pytest.raises(ValueError, match="at least 1"):
        analyse_pair(*runs, comparisons=0)


def test_analysis_holds_plain_numbers_that_json_can_carry() -> None:
    analysis = analyse_pair(*runs_of_table(50, 9, 6, 35), margin=0.03)
    text = json.dumps(dataclasses.asdict(analysis), allow_nan=False)
    assert json.loads(text)["verdict"] == "inconclusive"


def test_observations_may_come_with_their_kind_declared() -> None:
    rated = Observations(["a", "b"], np.array([1.0, 0.0]), ["scored"] * 2, binary=False)
    assert analyse_pair(rated, rated).method is Method.T_GUARDED
