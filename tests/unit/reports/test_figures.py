"""Charts are drawn from what is known; an unknown price is said and never drawn as 0."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from app.schemas.generations import RunTotals
from tests.unit.reports.builders import comparison, evidence, make_report, run_report
from workbench.reports.charts import FlipRow, TradeoffPoint, flip_bars, tradeoff_plot
from workbench.reports.experiment import RunReport
from workbench.reports.figures import flip_rows, slices, tradeoff


def _run(number: int, name: str, cost: str | None, *, unpriced: int = 0) -> RunReport:
    known = None if cost is None else Decimal(cost)
    totals = RunTotals(by_status={"completed": 200}, cost=known, unpriced=unpriced)
    return run_report(number, name, totals=totals)


def _tree(markup: str) -> ElementTree.Element:
    return ElementTree.fromstring(markup)


def test_runs_of_unknown_cost_are_named_and_not_drawn() -> None:
    runs = [_run(10, "baseline", "0.02"), _run(11, "candidate", "0.04"), _run(12, "own", None)]
    drawn = tradeoff(make_report(runs=runs))
    assert drawn is not None
    assert [(p.number, p.label, p.cost, p.baseline) for p in drawn.points] == [
        (1, "baseline (baseline)", 0.0001, True),
        (2, "candidate", 0.0002, False),
    ]
    assert drawn.unplotted == ("own: 70.0 %, cost unknown",)


def test_a_run_of_which_some_cells_have_no_price_has_an_unknown_cost() -> None:
    runs = [_run(10, "baseline", "0.02"), _run(11, "candidate", "0.04", unpriced=3)]
    assert tradeoff(make_report(runs=runs)) is None


def test_answers_that_were_used_again_do_not_make_a_run_look_cheaper() -> None:
    reused = replace(
        _run(11, "candidate", "0.02"),
        totals=RunTotals(by_status={"completed": 200}, cost=Decimal("0.02"), reused=100),
    )
    drawn = tradeoff(make_report(runs=[_run(10, "baseline", "0.02"), reused]))
    assert drawn is not None
    assert [point.cost for point in drawn.points] == [0.0001, 0.0002]


def test_where_nothing_cost_anything_there_is_no_picture() -> None:
    assert tradeoff(make_report(runs=[_run(10, "a", "0"), _run(11, "candidate", "0")])) is None


def test_a_run_without_a_score_is_named() -> None:
    runs = [_run(10, "baseline", "0.02"), _run(11, "candidate", "0.04")]
    bare = replace(_run(12, "unscored", "0.01"), scores=())
    drawn = tradeoff(make_report(runs=[*runs, bare]))
    assert drawn is not None and drawn.unplotted == ("unscored: no score",)


def test_flips_are_counted_with_what_stayed_the_same() -> None:
    [row] = flip_rows(make_report())
    assert (row.worse, row.same, row.better) == (2, 184, 14)


def test_a_comparison_without_pairs_has_no_bar() -> None:
    nothing = {"n_pairs": 0, "candidate_only": 0, "baseline_only": 0}
    assert flip_rows(make_report(comparisons=[comparison(changes=nothing)])) == []


def test_what_got_worse_lies_left_of_the_line_and_what_got_better_right() -> None:
    tree = _tree(flip_bars([FlipRow("candidate", 5, 80, 15)]))
    worse, better = (tree.find(f".//rect[@class='{kind}']") for kind in ("worse", "better"))
    assert worse is not None and better is not None
    ends = [(float(r.attrib["x"][:-1]), float(r.attrib["width"][:-1])) for r in (worse, better)]
    assert ends[0][0] + ends[0][1] == ends[1][0] == 50
    assert ends[1][1] == 3 * ends[0][1] or abs(ends[1][1] - 3 * ends[0][1]) < 0.02
    assert "5 worse, 15 better, 80 the same" in "".join(tree.itertext())


def test_slices_of_one_column_stand_together_and_a_missing_value_is_said() -> None:
    [part] = slices(make_report(comparisons=[comparison(changes=evidence())]))
    assert [(row.group, row.label) for row in part.rows] == [
        ("language", "en"),
        ("language", "de"),
        ("en", "no value"),
    ]
    assert part.rows[1].estimate is None
    assert part.more == 0


def test_more_slices_than_a_chart_bears_are_counted_with_a_command() -> None:
    many = {"slices": [evidence()["slices"][0]] * 55}
    [part] = slices(make_report(comparisons=[comparison(changes=many)]))
    assert (len(part.rows), part.more) == (40, 15)
    assert part.command == "workbench compare baseline candidate --format json"


_POINTS = st.lists(
    st.tuples(
        st.just(0.0) | st.floats(1e-9, 100),
        st.tuples(*[st.floats(0, 100)] * 3).map(sorted),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@given(_POINTS)
def test_every_point_lies_within_the_picture_dearer_ones_further_right(
    values: list[tuple[float, list[float], bool]],
) -> None:
    points = [
        TradeoffPoint(n, f"run {n}", cost, score, low, high, baseline)
        for n, (cost, (low, score, high), baseline) in enumerate(values, start=1)
    ]
    tree = _tree(tradeoff_plot(points))
    drawn = tree.findall(".//line[@class='effect']")
    places = [float(line.attrib["x1"].removesuffix("%")) for line in drawn]
    assert all(0 <= place <= 100 for place in places)
    assert [x for _, x in sorted(zip((p.cost for p in points), places, strict=True))] == sorted(
        places
    )
    assert len(tree.findall(".//*[@class='dot']")) == len(points)
    for line in drawn:
        assert float(line.attrib["y1"][:-1]) >= float(line.attrib["y2"][:-1])
