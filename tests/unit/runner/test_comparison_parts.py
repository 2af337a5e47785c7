"""The pure parts of a comparison: coverage, what differs, people's labels, reliability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.schemas.scores import CellColumns, HumanScore
from tests.unit.reports.builders import make_report
from tests.unit.statistics.builders import run_of
from workbench.runner.comparison.cells import SideCells, content_coverage, side_cells
from workbench.runner.comparison.comparability import Side, check_comparable, mismatches
from workbench.runner.comparison.people import corrected_difference
from workbench.runner.comparison.reliability import reliability
from workbench.runner.comparison.slices import columns_of, slices_of
from workbench.scorers import parse_scorer
from workbench.statistics.analysis import examine_pair
from workbench.statistics.observations import align

RULE = parse_scorer("exact_match")
CONTENTS = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from("xyz"))


def cells(statuses: list[str], *, reused: int = 0) -> SideCells:
    """Cells of examples e0, e1 and so on; a scored one has passed."""
    n = len(statuses)
    return side_cells(
        CellColumns(
            keys=[f"e{i}" for i in range(n)],
            repetitions=[0] * n,
            statuses=statuses,
            values=[1.0 if status == "scored" else None for status in statuses],
            clusters=[None] * n,
            costs=[None] * n,
            latencies_ms=[None] * n,
            reopened=[False] * n,
            reused=[i < reused for i in range(n)],
        ),
        RULE,
    )


@given(CONTENTS, CONTENTS)
def test_every_example_is_common_changed_or_of_one_side(
    before: dict[str, str], after: dict[str, str]
) -> None:
    coverage, alike = content_coverage((before, after), ("d@1", "d@2"))
    assert coverage.common == len(alike)
    assert coverage.common + coverage.changed + coverage.only_baseline == len(before)
    assert coverage.common + coverage.changed + coverage.only_candidate == len(after)
    assert all(before[key] == after[key] for key in alike)


def test_cells_of_other_examples_are_left_out_and_still_counted_as_stored() -> None:
    columns = CellColumns(
        keys=["a", "a", "b"],
        repetitions=[0, 1, 0],
        statuses=["scored", "failed", "abandoned"],
        values=[1.0, None, None],
        clusters=[None, None, None],
        costs=[0.5, None, None],
        latencies_ms=[10.0, None, None],
        reopened=[True, False, False],
        reused=[False, False, True],
    )
    side = side_cells(columns, RULE, frozenset("a"))
    assert (side.n_cells, side.n_stored) == (2, 3)
    assert dict(side.statuses) == {"scored": 1, "failed": 1}
    assert (side.n_reopened, side.n_reused) == (1, 0)
    assert side_cells(columns, RULE).statuses["failed"] == 2


def sides() -> tuple[Side, Side]:
    """Two runs of one experiment that differ in nothing that a comparison minds."""
    report = make_report()
    first, second = (run.run for run in report.runs[:2])
    return Side(first, report.dataset), Side(second, report.dataset)


def fields(*pair: SideCells, of: tuple[Side, Side] | None = None) -> list[tuple[str, bool]]:
    found = mismatches(of or sides(), (pair[0], pair[1]))
    return [(mismatch.field, mismatch.blocking) for mismatch in found]


def test_like_conditions_differ_in_nothing() -> None:
    assert fields(cells(["scored"] * 20), cells(["scored"] * 20)) == []


def test_shares_of_failed_and_reused_answers_are_named_beyond_five_points() -> None:
    whole = cells(["scored"] * 20)
    assert fields(whole, cells(["scored"] * 19 + ["failed"])) == []
    assert fields(whole, cells(["scored"] * 18 + ["failed"] * 2)) == [("failed", False)]
    assert fields(whole, cells(["scored"] * 20, reused=10)) == [("reused", False)]


def test_another_version_and_a_simulated_model_on_one_side_block() -> None:
    whole = cells(["scored"] * 20)
    first, second = sides()
    newer = second.run.model_copy(update={"dataset": f"{second.run.dataset.partition('@')[0]}@99"})
    assert ("dataset", True) in fields(whole, whole, of=(first, Side(newer, second.dataset)))
    other = "openai" if first.run.simulated else "simulated"
    changed = second.run.model_copy(update={"provider": other})
    assert ("simulated", True) in fields(whole, whole, of=(first, Side(changed, second.dataset)))


def test_a_run_is_not_compared_with_itself() -> None:
    first, _ = sides()
    with pytest.raises(Invalid, match="with itself"):
        check_comparable(first.run, first.run)


# Slices


def test_equal_metadata_are_read_once_and_stand_for_every_example() -> None:
    shared = {"kind": "a", "n": 1, "ok": True, "nested": [1]}
    metadata = {"x": shared, "y": shared, "z": {"kind": "b", "n": None}}
    columns = columns_of(metadata, ["x", "y", "z", "unknown"])
    assert columns == {
        "kind": ["a", "a", "b", None],
        "n": ["1", "1", None, None],
        "ok": ["true", "true", None, None],
    }


def test_slices_are_bounded() -> None:
    found = examine_pair(run_of([1.0] * 2_000), run_of([0.0, 1.0] * 1_000))
    columns = {f"c{i}": [f"v{n % 20}" for n in range(2_000)] for i in range(5)}
    sliced = slices_of(found.differences, columns, seed=1)
    assert len(sliced.slices) == 60
    assert [row["column"] for row in sliced.left_out] == ["c3", "c4"]


# People


@given(st.integers(0, 49))
def test_few_labels_correct_nothing(n_labels: int) -> None:
    found = examine_pair(run_of([0.0] * 60), run_of([1.0] * 60))
    people = [HumanScore(f"example-{i}", 0, 1.0) for i in range(n_labels)]
    assert corrected_difference(found, (people, people), level=0.95) is None


def test_people_correct_a_judge_that_favours_the_candidate() -> None:
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 2, (2, 600)).astype(float)
    judged = truth.copy()
    judged[1] = np.where(rng.random(600) < 0.3, 1.0, truth[1])  # the judge lets the candidate pass
    found = examine_pair(run_of(judged[0]), run_of(judged[1]))
    labelled = rng.choice(600, size=150, replace=False)
    people = tuple(
        [HumanScore(f"example-{i}", 0, float(side[i])) for i in labelled] for side in truth
    )
    corrected = corrected_difference(found, (people[0], people[1]), level=0.95)
    real = float((truth[1] - truth[0]).mean())
    judge = found.analysis.difference
    assert corrected is not None and judge is not None
    assert judge.low > real
    assert corrected["low"] <= real <= corrected["high"]
    assert corrected["n_labels"] == 150
    assert 0.0 < corrected["weight"] <= 1.0


def test_of_pairs_only_which_label_is_better_counts() -> None:
    found = examine_pair(run_of([0.0] * 60), run_of([1.0] * 60))
    people = tuple(
        [HumanScore(f"example-{i}", 0, value + i % 3) for i in range(60)] for value in (1.0, 3.0)
    )
    plain = corrected_difference(found, (people[0], people[1]), level=0.95)
    pairs = corrected_difference(found, (people[0], people[1]), level=0.95, preferences=True)
    assert plain is not None and pairs is not None
    assert (plain["estimate"], pairs["estimate"]) == (2.0, 1.0)


# Reliability


def test_single_answers_tell_nothing_of_reliability() -> None:
    assert reliability(align(run_of([1.0, 0.0]), run_of([1.0, 1.0]))) is None


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3), min_size=1))
def test_passing_every_time_sometimes_and_once_are_consistent(rows: list[list[float]]) -> None:
    keys = [f"e{i}" for i in range(len(rows)) for _ in range(3)]
    run = run_of([score for row in rows for score in row], keys=keys)
    found = reliability(align(run, run))
    assert found is not None
    side = found["baseline"]
    between = side["pass_at_k"] - side["pass_hat_k"]
    assert between == pytest.approx(side["flipped"] / len(rows))


def test_an_example_that_lacks_a_repetition_is_left_out_and_counted() -> None:
    keys = ["a", "a", "b", "b"]
    run = run_of([1.0, 0.0, 1.0, None], keys=keys)
    found = reliability(align(run, run))
    assert found is not None
    assert found["baseline"]["n_examples"] == 1
