"""The forest plot puts what it is given where it belongs, and escapes what it is told."""

from __future__ import annotations

import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.reports.charts import ForestRow, axis_ticks, forest_plot

_VALUES = st.floats(-1000, 1000)


def _row(low: float, estimate: float, high: float, **changes: str) -> ForestRow:
    texts = {"label": "candidate", "figures": "+6.0", "tone": "v-superior", **changes}
    return ForestRow(**texts, low=low, estimate=estimate, high=high)


def _tree(*rows: ForestRow, margin: float | None = None) -> ElementTree.Element:
    """Read the plot strictly: markup that is not well formed is an error."""
    plot = forest_plot(rows, unit="points", margin=margin)
    return ElementTree.fromstring(str(plot))


def _positions(tree: ElementTree.Element, path: str, attribute: str) -> list[float]:
    found = [element.attrib[attribute] for element in tree.iterfind(path)]
    return [float(text.removesuffix("%")) for text in found]


def test_the_estimate_lies_between_the_ends_and_all_lie_right_of_zero() -> None:
    tree = _tree(_row(2, 6, 10))
    [zero] = _positions(tree, ".//line[@class='zero']", "x1")
    [estimate] = _positions(tree, ".//circle", "cx")
    low, low_cap, high_cap = _positions(tree, ".//line[@class='effect']", "x1")
    assert zero < low == low_cap < estimate < high_cap


def test_the_margin_is_drawn_left_of_zero_when_it_was_declared() -> None:
    tree = _tree(_row(-2, 1, 4), margin=3)
    [margin] = _positions(tree, ".//line[@class='margin']", "x1")
    [zero] = _positions(tree, ".//line[@class='zero']", "x1")
    assert margin < zero
    assert "dashed: margin of 3" in "".join(tree.itertext())
    assert _positions(_tree(_row(-2, 1, 4)), ".//line[@class='margin']", "x1") == []


@given(
    st.lists(st.tuples(_VALUES, _VALUES, _VALUES).map(sorted), min_size=1, max_size=6),
    st.none() | st.floats(0.01, 100),
)
def test_everything_lies_within_the_picture_in_the_order_of_its_values(
    values: list[list[float]], margin: float | None
) -> None:
    tree = _tree(*(_row(*three) for three in values), margin=margin)
    for path, attribute in ((".//line", "x1"), (".//circle", "cx"), (".//text", "x")):
        positions = _positions(tree, path, attribute)
        assert all(0 <= position <= 100 for position in positions)
    drawn = _positions(tree, ".//circle", "cx")
    by_value = [x for _, x in sorted(zip((v[1] for v in values), drawn, strict=True))]
    assert by_value == sorted(drawn)


@given(_VALUES, st.floats(1e-6, 1000))
def test_ticks_are_a_few_round_numbers_within_the_axis(low: float, width: float) -> None:
    ticks = axis_ticks(low, low + width)
    assert 2 <= len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= low + width + 1e-9 for tick in ticks)
    steps = [after - before for before, after in pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)
    leading = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-6)
    assert min(abs(leading - digit) for digit in (1, 2, 5)) < 1e-2


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((-10, 0, 10), ["-10", "-5", "0", "+5", "+10"]),
        ((-0.4, 0.1, 0.4), ["-0.4", "-0.2", "0", "+0.2", "+0.4"]),
        ((0, 0, 0), ["-1.0", "-0.5", "0", "+0.5", "+1.0"]),
    ],
)
def test_the_axis_is_labelled_with_signs_and_no_needless_digits(
    values: tuple[float, float, float], told: list[str]
) -> None:
    texts = [text.text or "" for text in _tree(_row(*values)).iterfind(".//text")]
    assert [text.replace("\N{MINUS SIGN}", "-") for text in texts] == told


def test_a_row_without_an_estimate_says_so_and_draws_nothing() -> None:
    tree = _tree(ForestRow("candidate", "no example scored on both sides", "v-insufficient-data"))
    assert list(tree.iterfind(".//circle")) == []
    assert "no example scored on both sides" in "".join(tree.itertext())


def test_rows_of_one_group_share_a_heading() -> None:
    tree = _tree(
        _row(1, 2, 3, group="against a"),
        _row(1, 2, 3, group="against a"),
        _row(1, 2, 3, group="against b"),
    )
    headings = tree.iterfind(".//div[@class='forest-row forest-group']")
    assert ["".join(heading.itertext()) for heading in headings] == ["against a", "against b"]


@given(st.text(alphabet="<>&\"'abc/=", min_size=1))
def test_labels_are_escaped(text: str) -> None:
    tree = _tree(_row(1, 2, 3, label=text, figures=text, group=text, tone="v-superior"))
    assert {element.tag for element in tree.iter()} == {"div", "svg", "line", "circle", "text"}
    assert text in "".join(tree.itertext())


def test_the_chart_needs_no_style_attribute_that_the_policy_would_forbid() -> None:
    tree = _tree(_row(1, 2, 3), margin=3)
    assert not any("style" in element.attrib for element in tree.iter())
