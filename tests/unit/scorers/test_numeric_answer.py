from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode
from workbench.scorers._numbers import last_number, shown_number

WHOLE_NUMBERS = st.integers(-(10**15), 10**15)
DECIMALS = st.decimals(-(10**12), 10**12, allow_nan=False, places=3)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18", "18"),
        ("It is 18.", "18"),
        ("18 eggs, or 9 pairs", "9"),
        ("3 for 1,234.50 in all", "1234.5"),
        ("1,450,000", "1450000"),
        ("1'234'567.89", "1234567.89"),
        ("1\u202f234 or 1\u00a0234", "1234"),
        ("1_000", "1000"),
        # A comma not followed by exactly three digits separates numbers.
        ("1,2,3", "3"),
        ("12,34", "34"),
        ("1,2345", "2345"),
        ("1,234,5", "5"),
        ("in 2023, 450", "450"),
        ("$5.00", "5"),
        ("5 €", "5"),
        ("€5", "5"),
        ("15%", "15"),
        ("the 18th", "18"),
        ("**18**", "18"),
        (r"\boxed{18}", "18"),
        (".5", "0.5"),
        ("0.50", "0.5"),
        ("007", "7"),
        # A minus, and hyphens that are none.
        ("-3", "-3"),
        ("\u22123", "-3"),
        ("= -3", "-3"),
        ("(-3)", "-3"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("答案是-5", "-5"),
        ("16-3", "3"),
        ("(16)-3", "3"),
        ("10%-20%", "20"),
        ("10 - 3", "3"),
        ("COVID-19", "19"),
        ("10\u201312", "12"),
        ("1e3", "1000"),
        ("1.5E-2", "0.015"),
        ("2eggs", "2"),
        ("1/2", "0.5"),
        ("3 1/2", "3.5"),
        ("-1/4", "-0.25"),
        ("2/4/2024", "2024"),
        ("1/0", "0"),
        ("5 * 1/2 = 2.5", "2.5"),
        ("version 1.5.2", "2"),
        ("18\nand so on\n", "18"),
        ("\uff11\uff18", "18"),
    ],
)
def test_the_last_number_of_a_text(text: str, number: str) -> None:
    assert last_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "eighteen", "-", "$", "...", "\n\n", "½"])
def test_a_text_without_a_number(text: str) -> None:
    assert last_number(text) is None


@given(number=WHOLE_NUMBERS | DECIMALS)
@pytest.mark.parametrize(
    "form",
    [
        "{:f}",
        "{:,f}",
        "{:.6f}",
        "{:,.4f}",
        "${:,f}",
        "{:,f} €",
        "{:f}%",
        "The answer is {:f}.",
        "7 boxes of 8 make {:,f}!",
        "A: {:f}",
        "first 5, then 3\n#### {:,f}\n",
        "**Answer:** {:,f} (that is, 4 times as much)",
    ],
)
def test_one_number_in_any_form_is_the_same_number(form: str, number: int | Decimal) -> None:
    result = judge("numeric_answer", form.format(Decimal(number)), str(number))

    assert result.passed is True, result.explanation


@given(number=WHOLE_NUMBERS, other=WHOLE_NUMBERS)
def test_numbers_are_equal_only_if_they_are(number: int, other: int) -> None:
    assert judge("numeric_answer", f"{number:,}", other).passed is (number == other)


@given(numerator=st.integers(-1000, 1000), denominator=st.integers(1, 1000), k=st.integers(1, 9))
def test_a_fraction_equals_its_expansion(numerator: int, denominator: int, k: int) -> None:
    output = f"{k * numerator}/{k * denominator}"

    assert judge("numeric_answer", output, f"{numerator}/{denominator}").passed is True


@pytest.mark.parametrize(
    ("output", "number"),
    [
        # After a marker the first number counts, not the last.
        ("Work: 3 + 4.\nA: 18, from 9 times 2", 18),
        ("#### 18\n(from 9 eggs)", 18),
        ("####$18 for 9", 18),
        ("Answer: 18 eggs on 9 days", 18),
        ("**Final answer:** 18 in 2 ways", 18),
        ("ANSWER: 18 of 2", 18),
        ("answer : 18 of 2", 18),
        ("Answer:\n\n18 for 2", 18),
        ("  **A:** 18 for 2", 18),
        # The last marker counts, if a number follows it.
        ("A: 3\nA: 18 for 2", 18),
        ("Answer: 18 for 2\nA:", 18),
        ("The total is 18.\nAnswer:", 18),
        # Words that only look like markers.
        ("Publisher A: 5 cents, so 18", 18),
        ("My answers: 2 and 18", 18),
        ("a: 2, b: 18", 18),
        ("#### Step 3: add\nso it is 18", 18),
        ("### 3\nso it is 18", 18),
    ],
)
def test_where_the_answer_stands(output: str, number: int) -> None:
    result = judge("numeric_answer", output, number)

    assert result.passed is True, result.explanation


@pytest.mark.parametrize(
    ("output", "expected", "passed"),
    [
        ("Total: 18 of 20", 18, True),
        # The named marker is the only one, anywhere in a line, and its last occurrence counts.
        ("Total: 3, then Total: 18 of 20\nA: 4", 18, True),
        ("Total: 18 of 20", "from 5\nTotal: 18 of 3", True),
        ("Total: 18 of 20", "from 5\n#### 18", True),
        # Without the marker there is no answer, whatever else is said.
        ("It is 18", 18, False),
        ("18 is the Total:", 18, False),
    ],
)
def test_a_marker_named_by_the_user(output: str, expected: JSON, passed: bool) -> None:
    assert judge("numeric_answer:marker=Total:", output, expected).passed is passed


@pytest.mark.parametrize(
    ("tolerance", "output", "passed"),
    [
        ("0", "0.30000000000000001", False),
        ("0.1", "0.4", True),
        ("0.1", "0.2", True),
        ("0.1", "0.41", False),
        ("0.1", "0.400000000000000000000000000000000000001", False),
        ("1e-12", "0.3000000000001", True),
    ],
)
def test_tolerance_is_an_exact_absolute_difference(
    tolerance: str, output: str, passed: bool
) -> None:
    assert judge(f"numeric_answer:tolerance={tolerance}", output, 0.3).passed is passed


@pytest.mark.parametrize(
    ("output", "explanation"),
    [
        ("18.00", "expected 18, got 18"),
        ("It is 26 in all.", "expected 18, got 26"),
        ("No idea.", "expected 18, found no number"),
    ],
)
def test_the_explanation_shows_both_numbers(output: str, explanation: str) -> None:
    assert judge("numeric_answer", output, "#### 18").explanation == explanation


def test_an_output_without_a_number_is_wrong_and_not_missing() -> None:
    assert judge("numeric_answer", "", 18).value == 0.0


@pytest.mark.parametrize("expected", ["eighteen", "", True, [18], {"answer": 18}, float("inf")])
def test_an_expected_value_without_a_number_is_unscored(expected: JSON) -> None:
    assert judge("numeric_answer", "18", expected).reason is ReasonCode.EXPECTED_UNUSABLE


@pytest.mark.parametrize(
    ("number", "shown"),
    [("18.00", "18"), ("1E+3", "1000"), ("0.50", "0.5"), ("1E+400", "1E+400"), ("-0", "-0")],
)
def test_numbers_are_shown_without_trailing_zeros(number: str, shown: str) -> None:
    assert shown_number(Decimal(number)) == shown


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1,111",
        ",111",
        "1,",
        "1 ",
        "1/",
        "####",
        "####1",
        "A:",
        "A*",
        "\nA:",
        "Answer:",
        "-",
        "$",
        ".1",
    ],
)
def test_reading_takes_time_in_proportion_to_the_text_whatever_it_holds(piece: str) -> None:
    # The digit at the end spoils a thousands separator before it.
    output = "1" + piece * (400_000 // len(piece)) + "1"
    started = time.perf_counter()

    result = judge("numeric_answer:tolerance=0.5", output, 18)

    # A quadratic reading would take minutes.
    assert time.perf_counter() - started < 2.0
    assert result.value == 0.0
