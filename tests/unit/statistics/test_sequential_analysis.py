"""A comparison under a sequential plan."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statistics.builders import run_of
from workbench.statistics.analysis import Examined, examine_pair
from workbench.statistics.sequential_analysis import SequentialAnalysis, analyse_sequentially
from workbench.statistics.verdict import Verdict


def examined(
    better: int, worse: int, same: int, *, margin: float | None = None, comparisons: int = 1
) -> Examined:
    before = [0.0] * better + [1.0] * worse + [1.0] * same
    after = [1.0] * better + [0.0] * worse + [1.0] * same
    return examine_pair(run_of(before), run_of(after), margin=margin, comparisons=comparisons)


def look(found: Examined, n_max: int = 1_000, *, binary: bool = True) -> SequentialAnalysis:
    return analyse_sequentially(found, n_max=n_max, margin=found.analysis.margin, binary=binary)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_the_fixed_interval_and_its_test_are_nowhere_in_it(
    better: int, worse: int, same: int
) -> None:
    found = examined(better, worse, same + 1)
    sequential = look(found).analysis
    fixed = found.analysis
    assert fixed.difference is not None
    if sequential.difference is not None:
        assert sequential.difference.high - sequential.difference.low > (
            fixed.difference.high - fixed.difference.low
        )
    assert (sequential.p_mid, sequential.mde, sequential.n_for_margin) == (None, None, None)
    assert sequential.standard_error is None


def test_what_the_data_describe_stays() -> None:
    found = examined(20, 5, 75)
    sequential = look(found).analysis
    assert sequential.baseline == found.analysis.baseline
    assert (sequential.candidate_only, sequential.baseline_only) == (20, 5)


def test_a_decision_says_after_how_many_of_how_many() -> None:
    sequential = look(examined(40, 2, 58))
    assert sequential.decided
    assert sequential.analysis.verdict is Verdict.SUPERIOR
    assert "Decided after 100 of at most 1,000 examples" in sequential.analysis.sentence


def test_without_a_decision_the_plan_goes_on_or_ends() -> None:
    found = examined(10, 9, 81)
    assert "the plan goes on" in look(found).analysis.sentence
    ended = look(found, n_max=100)
    assert not ended.decided
    assert "ends without a decision" in ended.analysis.sentence


def test_a_few_examples_say_nothing_and_show_no_interval() -> None:
    sequential = look(examined(5, 1, 4)).analysis
    assert sequential.verdict is Verdict.INSUFFICIENT_DATA
    assert sequential.difference is None
    assert (
        sequential.sentence == "Only 10 examples so far; a sequential plan says nothing below 20."
    )


def test_the_e_process_is_named_where_it_alone_decided() -> None:
    sequential = look(examined(10, 0, 30))
    interval = sequential.look.interval
    assert interval is not None and interval.low < 0.0
    assert sequential.analysis.verdict is Verdict.SUPERIOR
    assert "The e-process of wins and losses decided" in sequential.analysis.sentence


def test_more_candidates_need_more_evidence() -> None:
    alone = look(examined(10, 0, 30)).analysis
    of_many = look(examined(10, 0, 30, comparisons=20)).analysis
    assert alone.verdict is Verdict.SUPERIOR
    assert of_many.verdict is Verdict.INCONCLUSIVE


def test_clusters_are_one_unit_each() -> None:
    rng = np.random.default_rng(2)
    clusters = [f"c{i // 4}" for i in range(240)]
    before, after = rng.integers(0, 2, 240).astype(float), rng.integers(0, 2, 240).astype(float)
    found = examine_pair(run_of(before, clusters=clusters), run_of(after, clusters=clusters))
    sequential = look(found, n_max=400)
    assert (sequential.n_used, sequential.n_max) == (60, 100)
    assert sequential.look.e_value is None


def test_repetitions_that_happen_to_agree_do_not_make_scores_pass_or_fail() -> None:
    assert look(examined(10, 0, 30), binary=False).look.e_value is None
