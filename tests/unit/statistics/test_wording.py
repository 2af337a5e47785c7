"""Sentences are computed from the numbers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.statistics.builders import runs_of_table
from workbench.statistics.analysis import analyse_pair
from workbench.statistics.interval import Interval
from workbench.statistics.number_format import format_p
from workbench.statistics.verdict import Verdict
from workbench.statistics.wording import NO_UNIT, Facts, Unit, verdict_sentence

MINUS = "\N{MINUS SIGN}"
NEVER = ("significant", "trend", "no difference", "nan", "inf", "None")

counts = st.tuples(*(st.integers(0, 400) for _ in range(4))).filter(lambda c: sum(c) > 0)
margins = st.one_of(st.none(), st.sampled_from((0.01, 0.03, 0.1)))


def sentence(*table: int, margin: float | None = None) -> str:
    return analyse_pair(*runs_of_table(*table), margin=margin).sentence


@pytest.mark.parametrize(
    ("table", "margin", "expected"),
    [
        (
            (240, 38, 14, 108),
            0.03,
            "Candidate is better by 6.0 points (95 % CI 2.6 to 9.7; 400 examples, 52 changed: "
            "38 better, 14 worse).",
        ),
        (
            (620, 20, 18, 342),
            0.03,
            f"No worse than the 3-point margin: difference 0.2 points (95 % CI {MINUS}1.1 to 1.5; "
            "1,000 examples, 38 changed: 20 better, 18 worse). Not shown to be better.",
        ),
        (
            (50, 9, 6, 35),
            0.03,
            f"Cannot tell: difference 3.0 points (95 % CI {MINUS}5.0 to 11.3; 100 examples, 15 "
            "changed: 9 better, 6 worse). This run could only detect about 10.9 points; about "
            "1,300 examples are needed for the 3-point margin.",
        ),
        (
            (200, 10, 40, 50),
            0.03,
            f"Worse by 10.0 points (95 % CI {MINUS}14.8 to {MINUS}5.6; 300 examples, 50 changed: "
            "10 better, 40 worse).",
        ),
        (
            (960, 5, 18, 17),
            0.03,
            f"Worse by 1.3 points (95 % CI {MINUS}2.4 to {MINUS}0.4; 1,000 examples, 23 changed: "
            "5 better, 18 worse), within the agreed 3-point margin. A person must accept the "
            "loss.",
        ),
        (
            (8, 4, 0, 3),
            0.03,
            "Only 15 examples; no verdict below 20 examples (or 10 clusters). Seen so far: 4 "
            "changed: 4 better, 0 worse; difference 27 points (95 % CI 1 to 52).",
        ),
    ],
)
def test_verdicts_with_a_margin(
    table: tuple[int, int, int, int], margin: float, expected: str
) -> None:
    assert sentence(*table, margin=margin) == expected


def test_without_a_margin_the_smallest_supported_one_is_named() -> None:
    worse = sentence(200, 10, 40, 50)
    assert worse.endswith("The smallest margin that these data would support is 14.8 points.")
    open_question = sentence(50, 9, 6, 35)
    assert "The smallest margin that these data would support is 5.1 points." in open_question
    assert open_question.endswith(
        "This run could only detect about 10.9 points; about 1,300 examples are needed to show "
        "3 points."
    )


def test_a_run_that_was_large_enough_is_not_told_to_grow() -> None:
    undecided = sentence(4_000, 80, 100, 1_820)
    assert undecided.endswith("examples are enough to show 3 points.")
    near_margin = sentence(700, 24, 38, 238, margin=0.03)
    assert near_margin.endswith("a loss as large as the margin remains possible.")


def test_nothing_changed_is_said_plainly() -> None:
    assert "1,000 examples, none changed" in sentence(1_000, 0, 0, 0)
    assert sentence(1, 0, 0, 0).startswith("Only 1 example;")


@given(counts, margins)
def test_no_sentence_says_what_must_never_be_said(
    table: tuple[int, int, int, int], margin: float | None
) -> None:
    text = sentence(*table, margin=margin)
    assert not any(word in text for word in NEVER)
    assert text.endswith(".")


@given(counts, margins)
def test_a_difference_never_stands_without_its_interval_and_number(
    table: tuple[int, int, int, int], margin: float | None
) -> None:
    text = sentence(*table, margin=margin)
    assert re.search(r"95 % CI \S+ to \S+", text)
    assert re.search(r"[\d,]+ examples?", text)


@given(counts, margins)
def test_rounding_never_hides_what_decided(
    table: tuple[int, int, int, int], margin: float | None
) -> None:
    analysis = analyse_pair(*runs_of_table(*table), margin=margin)
    found = re.search(r"CI (\S+) to ([^;)]+)", analysis.sentence)
    assert found is not None
    low, high = (float(text.replace(MINUS, "-").replace(",", "")) for text in found.groups())
    if analysis.verdict is Verdict.SUPERIOR:
        assert low > 0.0
    if analysis.verdict is Verdict.INFERIOR:
        assert high < 0.0
    if analysis.verdict is Verdict.NON_INFERIOR and margin is not None:
        assert low > -100.0 * margin


def facts(standard_error: float, unit: Unit) -> Facts:
    return Facts(
        verdict=Verdict.SUPERIOR,
        estimate=4.0 * standard_error,
        interval=Interval(2.0 * standard_error, 6.0 * standard_error, 0.95),
        standard_error=standard_error,
        n_pairs=100,
        better=60,
        worse=20,
        unit=unit,
    )


@pytest.mark.parametrize(
    ("standard_error", "shown"),
    [
        (0.004, "better by 0.016 "),
        (0.03, "better by 0.12 "),
        (0.3, "better by 1.2 "),
        (3.0, "better by 12.0 "),
        (300.0, "better by 1,200 "),
    ],
)
def test_digits_follow_the_standard_error(standard_error: float, shown: str) -> None:
    assert shown in verdict_sentence(facts(standard_error, NO_UNIT))


def test_units_with_and_without_a_name() -> None:
    plain = Facts(
        verdict=Verdict.NON_INFERIOR,
        estimate=0.0,
        interval=Interval(-0.3, 0.3, 0.95),
        standard_error=0.15,
        n_pairs=50,
        better=20,
        worse=20,
        margin=0.5,
        unit=Unit("s"),
    )
    assert "No worse than the margin of 0.5 s: difference 0.0 s" in verdict_sentence(plain)


@pytest.mark.parametrize(
    ("p_value", "text"),
    [(0.0001, "p < 0.001"), (0.0516, "p = 0.052"), (0.0012, "p = 0.0012"), (0.37, "p = 0.37")],
)
def test_p_values_have_two_digits(p_value: float, text: str) -> None:
    assert format_p(p_value) == text
