"""Cells, examples and pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statistics.builders import floats, paired_runs, run_of
from workbench.statistics.observations import (
    STATUSES,
    Observations,
    align,
    paired_examples,
    score_bounds,
)

scores = st.one_of(st.none(), st.integers(0, 4).map(lambda i: i / 4))
cells = st.lists(st.tuples(st.sampled_from("abcdef"), scores), min_size=0, max_size=30)


def run_from(entries: list[tuple[str, float | None]]) -> Observations:
    return run_of([score for _, score in entries], keys=[key for key, _ in entries])


@given(cells, cells)
def test_alignment_loses_and_invents_no_cell(
    one: list[tuple[str, float | None]], other: list[tuple[str, float | None]]
) -> None:
    aligned = align(run_from(one), run_from(other))
    assert set(aligned.keys) == {key for key, _ in one + other}
    for side, entries in ((aligned.baseline, one), (aligned.candidate, other)):
        assert int(side.n_cells.sum()) == len(entries)
        assert int(side.n_scored.sum()) == sum(score is not None for _, score in entries)


@given(cells, cells)
def test_example_means_are_over_scored_repetitions_only(
    one: list[tuple[str, float | None]], other: list[tuple[str, float | None]]
) -> None:
    aligned = align(run_from(one), run_from(other))
    for key, mean in zip(aligned.keys, aligned.baseline.means, strict=True):
        values = [score for k, score in one if k == key and score is not None]
        if values:
            assert mean == pytest.approx(sum(values) / len(values))
        else:
            assert np.isnan(mean)


@given(cells, cells)
def test_runs_meet_by_key_and_never_by_position(
    one: list[tuple[str, float | None]], other: list[tuple[str, float | None]]
) -> None:
    pairs = paired_examples(align(run_from(one), run_from(other)))
    turned = paired_examples(align(run_from(one[::-1]), run_from(other[::-1])))
    found = {
        frozenset(zip(p.keys, p.baseline.tolist(), p.candidate.tolist(), strict=True))
        for p in (pairs, turned)
    }
    assert len(found) == 1


def test_example_without_a_score_on_one_side_is_no_pair_and_no_zero() -> None:
    pairs = paired_examples(align(*paired_runs([1.0, None, 0.5], [None, 1.0, 1.0])))
    assert pairs.keys == ("example-2",)
    assert pairs.baseline.tolist() == [0.5]
    assert pairs.candidate.tolist() == [1.0]


def test_missing_scores_can_be_filled_on_purpose_only() -> None:
    keys = ["a", "a", "b"]
    runs = paired_runs([1.0, None, None], [1.0, 1.0, 1.0], keys=keys)
    scores_of_a_and_b = align(*runs).baseline
    assert scores_of_a_and_b.filled_means(0.0).tolist() == [0.5, 0.0]
    assert scores_of_a_and_b.filled_means(1.0).tolist() == [1.0, 1.0]
    assert scores_of_a_and_b.missing_share() == pytest.approx(2 / 3)


def test_variance_within_an_example_is_gathered() -> None:
    aligned = align(*paired_runs([1.0, 0.0, 0.5], [1.0, 1.0, 1.0], keys=["a", "a", "b"]))
    assert aligned.baseline.within.tolist() == [0.5, 0.0]


def test_clusters_are_numbered_among_the_pairs() -> None:
    runs = paired_runs([1.0, 0.0, 1.0, 0.0], [1.0] * 4, clusters=["x", "x", "y", None])
    pairs = paired_examples(align(*runs))
    assert pairs.clusters is not None
    assert pairs.clusters.tolist() == [0, 0, 1, 2]


def test_clusters_of_one_example_each_are_no_clusters() -> None:
    runs = paired_runs([1.0, 0.0], [1.0, 1.0], clusters=["x", "y"])
    assert paired_examples(align(*runs)).clusters is None


def test_a_lone_example_named_like_a_cluster_stays_alone() -> None:
    runs = paired_runs([1.0] * 3, [0.0] * 3, keys=["x", "b", "c"], clusters=[None, "x", "x"])
    clusters = paired_examples(align(*runs)).clusters
    assert clusters is not None
    assert clusters.tolist() == [0, 0, 1]


def test_an_example_cannot_be_in_two_clusters() -> None:
    baseline = run_of([1.0], clusters=["x"])
    candidate = run_of([1.0], clusters=["y"])
    with pytest.raises(ValueError, match="example has one cluster"):
        align(baseline, candidate)


def test_pass_or_fail_is_seen_from_the_values_unless_declared() -> None:
    assert run_of([1.0, 0.0, None]).is_binary
    assert not run_of([1.0, 0.5]).is_binary
    assert not run_of([None, None]).is_binary
    declared = Observations(["a"], floats(1.0), ["scored"], binary=False)
    assert not declared.is_binary


def test_bounds_are_declared_or_hold_every_value_and_zero_and_one() -> None:
    assert score_bounds(run_of([0.2, 0.7])) == (0.0, 1.0)
    assert score_bounds(run_of([3.0, 5.0]), run_of([-1.0])) == (-1.0, 5.0)
    assert score_bounds(run_of([3.0], lower=1.0, upper=5.0), run_of([4.0])) == (1.0, 5.0)
    assert score_bounds(run_of([])) == (0.0, 1.0)
    with pytest.raises(ValueError, match="below the upper"):
        score_bounds(run_of([], lower=1.0), run_of([], upper=1.0))


def test_statuses_are_counted_each_by_itself() -> None:
    run = run_of([1.0, None, None], statuses=["scored", "failed", "refused"])
    counts = run.count_statuses()
    assert set(counts) == set(STATUSES)
    assert (counts["scored"], counts["failed"], counts["refused"]) == (1, 1, 1)
    assert counts["missing"] == 0


def test_values_alone_become_observations_with_missing_ones() -> None:
    run = Observations.from_values(["a", "b"], floats(2.5, float("nan")))
    assert list(run.statuses) == ["scored", "missing"]


@pytest.mark.parametrize(
    ("values", "statuses", "message"),
    [
        ([1.0], ["scored", "scored"], "one entry a cell"),
        ([1.0], ["fine"], "Unknown status 'fine'"),
        ([1.0], ["failed"], "exactly the scored cells have a value"),
        ([None], ["scored"], "exactly the scored cells have a value"),
        ([float("inf")], ["scored"], "must be finite"),
    ],
)
def test_contradictions_are_refused(
    values: list[float | None], statuses: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run_of(values, statuses=statuses)


def test_declared_range_and_kind_are_held_against_the_values() -> None:
    with pytest.raises(ValueError, match="outside the declared range 1 to 5"):
        run_of([0.0], lower=1.0, upper=5.0)
    with pytest.raises(ValueError, match="below the upper"):
        run_of([1.0], lower=5.0, upper=1.0)
    with pytest.raises(ValueError, match="values 0 and 1 only"):
        Observations(["a"], floats(0.5), ["scored"], binary=True)
