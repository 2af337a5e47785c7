"""The tables and plots of the Compare page, and its marked words: pure, without a page."""

from __future__ import annotations

import html
import math
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.client.comparisons import ComparedExample, ComparedSide, Comparison
from workbench.dashboard.charts.compare import forest, slice_forest, tradeoff
from workbench.dashboard.frames.compare import (
    by_baseline,
    examples_frame,
    forest_frame,
    known_slices,
    newest_of_family,
    pareto_measures,
    recent_frame,
    side_titles,
    sides_frame,
    slices_frame,
    tradeoff_frame,
    warned,
)
from workbench.dashboard.word_marks import MAX_SHOWN, marked_html
from workbench.text_diff import Segment, word_diff

SCORER, BASELINE = uuid4(), uuid4()
THEN = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)
INK = "#000000"


def side(mean: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "mean": mean,
        "interval": None if mean is None else [mean - 0.1, mean + 0.1],
        "n_examples": 100,
        "n_cells": 100,
        "statuses": {"scored": 98, "failed": 2},
        "reopened": 0,
        "reused": 0,
        **changes,
    }


def comparison(name: str, run_id: UUID | None = None, **changes: Any) -> Comparison:
    """A comparison of a rate that rises from 50 % to 60 %."""
    result = {
        "baseline_run": "base",
        "candidate_run": name,
        "scorer": {"name": "contains", "version": 1, "config": {}, "content_hash": "x"},
        "n_pairs": 96,
        "difference": {"estimate": 0.1, "low": 0.02, "high": 0.18, "level": 0.95},
        "baseline": side(0.5),
        "candidate": side(0.6),
        "margin": 0.03,
        "warnings": [],
        "cost": {"baseline": 0.02, "candidate": 0.01},
        "latency": {
            "baseline": {"p50": 100.0, "p95": 200.0},
            "candidate": {"p50": 90.0, "p95": 180.0},
        },
        "range": [0.0, 1.0],
        **changes,
    }
    return Comparison(
        id=uuid4(),
        baseline_run_id=BASELINE,
        candidate_run_id=run_id or uuid4(),
        scorer_id=SCORER,
        plan={},
        verdict="superior",
        result=result,
        created_at=THEN,
        created_by="ada",
    )


def test_the_newest_comparison_of_each_pair_stands_and_the_shown_one_stays() -> None:
    run = uuid4()
    old, shown = comparison("b", run), comparison("b", run)
    newer = old.model_copy(update={"created_at": THEN + timedelta(hours=1)})
    other, elsewhere = comparison("a"), comparison("c").model_copy(update={"scorer_id": uuid4()})
    assert newest_of_family([newer, other, elsewhere], shown) == [other, shown]


def test_candidates_of_another_baseline_stand_behind_in_a_group_of_their_own() -> None:
    shown = comparison("b")
    other = comparison("a").model_copy(update={"baseline_run_id": uuid4()})
    assert by_baseline(newest_of_family([other], shown)) == [[shown], [other]]


def test_a_rate_is_drawn_in_points_with_its_interval_and_words() -> None:
    shown = comparison("b")
    [row] = forest_frame([shown], shown).to_dict("records")
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((10.0, 2.0, 18.0))
    assert row["figures"] == "▲ superior: +10.0 (95 % CI +2.0 to +18.0), n = 96"
    assert row["shown"]


def test_without_a_pair_there_is_a_row_and_no_difference() -> None:
    shown = comparison("b", difference=None, n_pairs=0)
    [row] = forest_frame([shown], shown).to_dict("records")
    assert math.isnan(row["estimate"])
    assert "no example scored on both sides" in row["figures"]
    assert forest(forest_frame([shown], shown), title="t", axis="a", ink=INK).to_dict()


def test_slices_are_drawn_with_what_was_found_and_small_ones_can_be_chosen() -> None:
    part = {"column": "lang", "n_pairs": 48, "q_value": 0.2}
    found = comparison(
        "b",
        slices=[{**part, "value": "en", "estimate": 0.1, "low": -0.1, "high": 0.3}],
        slices_left_out=[
            {"column": "lang", "value": "de", "reason": "3 pairs"},
            {"column": "key", "value": None, "reason": "96 values"},
        ],
    )
    frame = slices_frame(found)
    assert list(frame["name"]) == ["lang = en"]
    assert "q = 0.20" in frame["figures"][0]
    assert known_slices(found.result) == [("lang", "de"), ("lang", "en")]
    assert slice_forest(frame, title="t", axis="a", ink=INK).to_dict()


def test_cells_are_counted_by_what_became_of_them() -> None:
    frame = sides_frame([comparison("b"), comparison("c")])
    assert list(frame["run"]) == ["base", "b", "c"]
    assert list(frame["failed"]) == [2, 2, 2]


def test_a_run_that_another_beats_in_everything_is_no_trade_off() -> None:
    dear = comparison("dear", cost={"baseline": 0.02, "candidate": 0.03})
    frame = tradeoff_frame([comparison("better"), dear])
    standing = dict(zip(frame["run"], frame["best"], strict=True))
    assert standing == {"base": False, "better": True, "dear": False}


def test_an_unknown_cost_is_unknown_and_decides_nothing() -> None:
    frame = tradeoff_frame([comparison("b", cost=None)])
    assert frame["cost"].isna().all()
    assert pareto_measures(frame) == ["score", "p95"]
    drawn = tradeoff(frame, "p95", title="t", axis="a", score="s", ink=INK).to_dict()
    assert drawn["title"]["text"] == ["t"]


def test_a_blocking_warning_comes_first_with_what_to_do() -> None:
    given = [
        {"code": "simulated", "blocking": False, "text": "A simulated model answered."},
        {"code": "missing", "blocking": True, "text": "6 % failed."},
    ]
    first, second = warned(comparison("b", warnings=given), experiment=7)
    assert (first.blocking, second.blocking) == (True, False)
    assert first.command == "workbench resume 7 --retry-failed"
    elsewhere = warned(comparison("b", warnings=given), experiment=None)
    assert elsewhere[0].command == ""


def test_recent_comparisons_tell_difference_and_verdict() -> None:
    [row] = recent_frame([comparison("b")]).to_dict("records")
    assert row["verdict"] == "▲ superior"
    assert row["difference"] == "+10.0 points (95 % CI +2.0 to +18.0)"


def test_recent_comparisons_have_the_marks_that_stand_beside_a_verdict() -> None:
    marked = comparison("b", simulated=True, judge={"qualified": False})
    frame = recent_frame([marked, comparison("c")])
    assert list(frame["marks"]) == ["judge not qualified, simulated", ""]


@pytest.mark.parametrize(
    ("candidate", "baseline", "titles"),
    [
        ("1/new", "1/old", ("new", "old")),
        ("2/new", "1/new", ("2/new", "1/new")),
        ("imported", "1/old", ("imported", "old")),
    ],
)
def test_runs_are_named_without_experiment_unless_it_alone_tells_them_apart(
    candidate: str, baseline: str, titles: tuple[str, str]
) -> None:
    assert side_titles({"candidate_run": candidate, "baseline_run": baseline}) == titles


def test_an_example_without_a_score_is_told_by_status_and_is_no_zero() -> None:
    one = ComparedExample(
        example_id=uuid4(),
        key="k",
        change=None,
        baseline=ComparedSide(mean=0.5, cells=2, scored=2, statuses={"scored": 2}),
        candidate=ComparedSide(mean=None, cells=2, scored=0, statuses={"failed": 2}),
    )
    [row] = examples_frame([one]).to_dict("records")
    assert math.isnan(row["candidate"])
    assert row["not scored"] == "candidate: 2 failed"
    assert row["repetitions"] == 2


@given(st.text(max_size=60), st.text(max_size=60))
def test_marked_words_hold_nothing_of_a_text_but_text(before: str, after: str) -> None:
    diff = word_diff(f"<script>{before}", f"<img onerror=x>{after}")
    for segments, mark in ((diff.before, "del"), (diff.after, "ins")):
        shown = marked_html(segments, mark)  # type: ignore[arg-type] # one of the two marks
        tags = {part.split(">")[0].split(" ")[0] for part in shown.split("<")[1:]}
        assert tags <= {"div", "/div", mark, f"/{mark}"}


def test_words_that_differ_are_marked_and_line_breaks_stay() -> None:
    shown = marked_html([Segment("a\n  b & ", changed=False), Segment("c", changed=True)], "ins")
    assert "a\n  b &amp; <ins" in shown
    assert html.unescape(shown).count("c</ins>") == 1


def test_of_a_very_long_text_the_beginning_is_shown() -> None:
    pieces = [Segment("x" * MAX_SHOWN, changed=False), Segment("y", changed=True)]
    assert "y</del>" not in marked_html(pieces, "del")
