"""Numbers read the same in every report, and none is shown as another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.number_text import (
    count_text,
    difference_figures,
    level_text,
    milliseconds,
    money,
)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "$0"),
        (1234.5, "$1,234.50"),
        (1, "$1.00"),
        (0.5, "$0.500"),
        (0.01234, "$0.0123"),
        (0.0000123, "$0.0000123"),
    ],
)
def test_money_is_never_in_powers_of_ten(value: float, told: str) -> None:
    assert money(value) == told


@given(st.floats(1e-9, 1e9))
def test_money_keeps_three_digits_of_what_is_there(value: float) -> None:
    assert float(money(value).replace("$", "").replace(",", "")) == pytest.approx(value, rel=6e-3)


@pytest.mark.parametrize(
    ("level", "told"), [(0.95, "95 %"), (1 - 0.05 / 3, "98.33 %"), (0.9975, "99.75 %")]
)
def test_a_level_says_what_several_candidates_make_of_it(level: float, told: str) -> None:
    assert level_text(level) == told


@pytest.mark.parametrize(
    ("estimate", "low", "high", "told"),
    [
        (0.06, 0.026, 0.097, ("+6.0", "+2.6", "+9.7")),
        (0.0002, -0.0009, 0.0014, ("+0.02", "-0.09", "+0.14")),
        (0.0, 0.0, 0.0, ("±0.0", "±0.0", "±0.0")),
    ],
)
def test_a_narrow_interval_gets_the_digits_that_it_bears(
    estimate: float, low: float, high: float, told: tuple[str, str, str]
) -> None:
    figures = difference_figures({"estimate": estimate, "low": low, "high": high})
    assert tuple(figure.replace("\N{MINUS SIGN}", "-") for figure in figures) == told


def test_one_is_singular() -> None:
    assert count_text(1, "example") == "1 example"
    assert count_text(2000, "example") == "2,000 examples"


def test_milliseconds_become_seconds() -> None:
    assert milliseconds(812.4) == "812 ms"
    assert milliseconds(1900) == "1.9 s"
    assert milliseconds(-1900, signed=True) == "\N{MINUS SIGN}1.9 s"
