"""Production's tables and plots (pure)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import altair as alt
import pandas as pd
import pytest

from workbench.client.traffic import Deployment, Estimate, Group, Measures, Percentiles, Traffic
from workbench.dashboard.charts.production import (
    TimeAxis,
    cost_chart,
    duration_chart,
    ending_chart,
    error_chart,
    group_chart,
    token_chart,
)
from workbench.dashboard.frames.production import (
    between,
    cost_frame,
    deployment_frame,
    duration_frame,
    ending_frame,
    error_frame,
    figures,
    group_frame,
    move_kind,
    seconds,
    token_frame,
)

SINCE = datetime(2026, 3, 1, 9, 20, tzinfo=UTC)
ENDINGS = {"completed": 8, "failed": 2, "refused": 0}


def estimate(value: float, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value=value, low=low, high=high)


def percentiles(p50: float, n: int = 10) -> Percentiles:
    return Percentiles(
        n=n,
        is_exact=True,
        p50=estimate(p50, p50 * 0.9, p50 * 1.1),
        p95=estimate(p50 * 3, p50 * 2.5, None),
        p99=estimate(p50 * 5, None, None),
    )


def measures(**changed: Any) -> dict[str, Any]:
    return {
        "calls": 10,
        "endings": ENDINGS,
        "errors": 2,
        "error_rate": estimate(0.2, 0.06, 0.5),
        "latency": percentiles(800),
        "time_to_first_token": None,
        "input_tokens": 1200,
        "output_tokens": 300,
        "uncounted": 0,
        "cost": Decimal("0.0125"),
        "unpriced": 0,
        **changed,
    }


NOTHING = measures(
    calls=0,
    endings={},
    errors=0,
    error_rate=None,
    latency=None,
    input_tokens=0,
    output_tokens=0,
    cost=Decimal(0),
)


def move(hours: float = 1, **changed: Any) -> Deployment:
    facts = {
        "alias": "payments/refund-bot@production",
        "number": 4,
        "kind": "move",
        "at": SINCE + timedelta(hours=hours),
        "by": "user:ada",
        "reason": "better",
        "prompt": "refund-bot@2",
        "model": "openai/gpt-4.1@1",
        "canary_share": 0.0,
        "is_disabled": False,
    }
    return Deployment.model_validate(facts | changed)


def traffic(*points: dict[str, Any], moves: tuple[Deployment, ...] = ()) -> Traffic:
    begin = SINCE.replace(minute=0)
    group = {
        "name": None,
        "alias": None,
        "prompt": None,
        "model": None,
        "role": None,
        "total": measures(),
        "points": [
            {**point, "at": begin + timedelta(hours=place)} for place, point in enumerate(points)
        ],
    }
    return Traffic.model_validate(
        {
            "since": SINCE,
            "until": SINCE + timedelta(hours=24),
            "step_s": 3600,
            "under_way": 0,
            "groups": [group],
            "groups_left_out": 0,
            "deployments": moves,
            "scores": [],
        }
    )


def test_the_first_step_begins_with_the_window() -> None:
    frame = ending_frame(traffic(measures(), measures()))
    assert frame["from"].iloc[0] == SINCE
    assert frame["to"].iloc[0] == SINCE.replace(minute=0) + timedelta(hours=1)


def test_endings_that_did_not_occur_have_no_row() -> None:
    frame = ending_frame(traffic(measures()))
    assert dict(zip(frame["ending"], frame["answers"], strict=True)) == {
        "completed": 8,
        "failed": 2,
    }


def test_a_step_without_answers_has_no_error_rate_no_latency_and_no_cost() -> None:
    found = traffic(measures(), NOTHING)
    assert len(error_frame(found)) == 1
    assert len(duration_frame(found)) == 3
    assert len(cost_frame(found)) == 1


def test_a_step_of_unknown_cost_is_left_out_and_is_no_zero() -> None:
    assert cost_frame(traffic(measures(cost=None, unpriced=10))).empty


def test_durations_are_in_seconds_with_their_intervals() -> None:
    row = duration_frame(traffic(measures())).iloc[0]
    assert (row["seconds"], row["low"], row["high"]) == pytest.approx((0.8, 0.72, 0.88))


def test_moves_that_lie_close_share_a_label() -> None:
    found = traffic(measures(), moves=(move(1), move(1.2, number=5), move(9, number=6)))
    assert list(deployment_frame(found)["label"]) == [
        "refund-bot 4 move +1",
        "",
        "refund-bot 6 move",
    ]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"canary_share": 0.1}, "canary 10%"),
        ({"kind": "rollback"}, "rollback"),
        ({"kind": "settings", "canary_share": 0.1}, "settings"),
        ({"kind": "disable", "is_disabled": True}, "disabled"),
    ],
)
def test_a_move_is_told_by_what_it_changed(changed: dict[str, Any], told: str) -> None:
    assert move_kind(move(**changed)) == told


def leading(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    found = figures(Measures.model_validate(now), Measures.model_validate(before))
    return {figure.label: figure for figure in found}


def test_a_change_within_the_intervals_is_neither_better_nor_worse() -> None:
    found = leading(measures(), measures(error_rate=estimate(0.1, 0.02, 0.3)))
    assert found["Error rate"].change == "+10.00 points"
    assert found["Error rate"].is_worse is None


def test_a_change_beyond_both_intervals_is_worse_or_better() -> None:
    slow, fast = measures(latency=percentiles(2000)), measures()
    assert leading(slow, fast)["Latency p50"].is_worse is True
    assert leading(fast, slow)["Latency p50"].is_worse is False


def test_what_is_unknown_is_told_as_unknown() -> None:
    found = leading(measures(cost=None, unpriced=10, input_tokens=None, uncounted=10), NOTHING)
    assert found["Cost"].value == "unknown"
    assert found["Tokens"].value == "unknown"
    assert found["First token p50"].value == "unknown"
    assert found["Answers"].change is None


def test_answers_without_a_price_are_told() -> None:
    assert "3 answers have no known price" in leading(measures(unpriced=3), NOTHING)["Cost"].help


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [(None, "unknown"), (820.4, "820 ms"), (1600.0, "1.60 s"), (31_210.0, "31.2 s")],
)
def test_durations_are_told_as_people_read_them(milliseconds: float | None, told: str) -> None:
    assert seconds(milliseconds) == told


def test_an_interval_without_an_end_says_so() -> None:
    assert between(None, "2 s") == "95 % interval: up to 2 s"
    assert between("1 s", None) == "95 % interval: from 1 s"
    assert "too few" in between(None, None)


def axis_of(found: Traffic) -> TimeAxis:
    return TimeAxis("UTC", found.since, found.until)


def test_every_plot_has_a_title_units_and_n() -> None:
    found = traffic(measures(), measures(), moves=(move(),))
    moves = deployment_frame(found)
    plots: list[alt.LayerChart] = [
        ending_chart(ending_frame(found), moves, axis_of(found)),
        error_chart(error_frame(found), moves, axis_of(found)),
        duration_chart(duration_frame(found), moves, axis_of(found), title="Latency"),
        token_chart(token_frame(found), moves, axis_of(found)),
        cost_chart(cost_frame(found), moves, axis_of(found), 20),
    ]
    for plot in plots:
        spec = plot.to_dict()
        assert "n = " in spec["title"]["subtitle"]
        assert "time (UTC)" in str(spec)


def test_moves_are_named_where_no_bar_covers_their_names() -> None:
    found = traffic(measures(), moves=(move(),))
    moves = deployment_frame(found)
    assert "label" in str(error_chart(error_frame(found), moves, axis_of(found)).to_dict()["layer"])
    crowd = deployment_frame(traffic(moves=tuple(move(hours) for hours in range(1, 24))))
    assert "'text'" not in str(
        error_chart(error_frame(found), crowd, axis_of(found)).to_dict()["layer"]
    )


def test_groups_keep_the_ends_of_their_intervals() -> None:
    group = Group.model_validate(
        {
            "name": "bot@production",
            "alias": "bot@production",
            "prompt": None,
            "model": None,
            "role": None,
            "total": measures(),
            "points": [],
        }
    )
    frame = group_frame([group])
    row = frame.iloc[0]
    assert (row["error rate low"], row["error rate high"]) == (0.06, 0.5)
    assert pd.isna(row["latency p95 high"])
    plot = group_chart(frame, "error rate", title="Error rate", axis="errors", form=".1%")
    assert plot.to_dict()["title"]["subtitle"] == "with 95 % interval, n = 10"
