"""Rules on a value that the output names: numbers within bounds, dates, labels, refusals."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScorerConfigError, ScoreStatus, parse_scorer


@pytest.mark.parametrize(
    ("spec", "output", "expected", "passed"),
    [
        ("numeric_answer:relative_tolerance=0.05", "It is 104.", 100, True),
        ("numeric_answer:relative_tolerance=0.05", "It is 105.", 100, True),
        ("numeric_answer:relative_tolerance=0.05", "It is 105.01.", 100, False),
        ("numeric_answer:relative_tolerance=0.05", "It is -95.", -100, True),
        # Either tolerance is enough.
        ("numeric_answer:relative_tolerance=0.05,tolerance=0.5", "0.4", 0, True),
        ("numeric_answer:min=1,max=10", "I rate it 7.", None, True),
        ("numeric_answer:min=1,max=10", "I rate it 11.", None, False),
        ("numeric_answer:min=1", "It is 0.99.", None, False),
        ("numeric_answer:max=0.1", "It is 0.1.", None, True),
        ("numeric_answer:max=10", "no number", None, False),
        # The expected value does not matter beside bounds.
        ("numeric_answer:max=10", "5", "unreadable", True),
    ],
)
def test_a_number_is_near_enough_or_within_bounds(
    spec: str, output: str, expected: JSON, passed: bool
) -> None:
    assert judge(spec, output, expected).passed is passed


MARCH = "2025-03-05"


@pytest.mark.parametrize(
    "written",
    [
        "2025-03-05",
        "2025/3/5",
        "2025.03.05",
        "It starts on 2025-03-05T09:00:00Z.",
        "5 March 2025",
        "on the 5th of March, 2025.",
        "March 5, 2025",
        "mar. 5th 2025",
        "MARCH 05 2025",
        # Of several dates the last one is the answer.
        "Not 2024-01-01 but 2025-03-05.",
    ],
)
def test_dates_are_read_in_their_common_forms(written: str) -> None:
    assert judge("date", written, MARCH).passed is True
    assert judge("date", written, "2025-03-06").passed is False


@pytest.mark.parametrize(
    "written", ["", "05/03/2025", "2025-02-30", "5 March", "12025-03-05", "Marching 5, 2025"]
)
def test_what_is_no_date_or_an_ambiguous_one_is_wrong_and_not_guessed(written: str) -> None:
    assert judge("date", written, MARCH).passed is False
    assert judge("date", MARCH, written).reason is ReasonCode.EXPECTED_UNUSABLE


def test_the_order_of_day_and_month_can_be_told() -> None:
    assert judge("date:order=day_first", "5/3/2025", MARCH).passed is True
    assert judge("date:order=month_first", "3/5/2025", MARCH).passed is True
    assert judge("date:order=month_first", "13/5/2025", MARCH).passed is False


def test_the_first_date_can_be_the_answer() -> None:
    assert judge("date:which=first", "2025-03-05, not 2025-03-06", MARCH).passed is True


def test_a_date_lies_between_bounds_whatever_is_expected() -> None:
    spec = "date:min=2025-03-01,max=2025-03-31"

    assert judge(spec, MARCH).passed is True
    assert judge(spec, "2025-02-28").explanation == "got 2025-02-28, before 2025-03-01"
    assert judge(spec, "2025-04-01").explanation == "got 2025-04-01, after 2025-03-31"
    assert judge(spec, "soon").explanation == "found no date"


@pytest.mark.parametrize("spec", ["date:min=5 March", "date:min=2025-03-02,max=2025-03-01"])
def test_bounds_of_dates_that_cannot_be_are_refused(spec: str) -> None:
    with pytest.raises(ScorerConfigError, match=r"date: min"):
        parse_scorer(spec)


@given(
    day=st.dates(min_value=date(1000, 1, 20), max_value=date(9998, 12, 1)),
    off=st.integers(-20, 20),
    tolerance=st.integers(0, 20),
)
def test_the_tolerance_of_dates_is_in_days_and_inclusive(
    day: date, off: int, tolerance: int
) -> None:
    other = day + timedelta(days=off)
    spec: dict[str, JSON] = {"name": "date", "tolerance_days": tolerance}

    assert judge(spec, f"on {other}", str(day)).passed is (abs(off) <= tolerance)


LABELS = {"name": "label", "labels": ["spam", "not spam", "other"], "aliases": {"other": ["misc"]}}


@pytest.mark.parametrize(
    ("output", "expected", "passed", "label"),
    [
        ("spam", "spam", True, "spam"),
        ("The label is **Spam**.", "spam", True, "spam"),
        ("not  spam", "not spam", True, "not spam"),
        ("not spam", "spam", False, "not spam"),
        ("Misc", "other", True, "other"),
        ("misc or other", "misc", True, "other"),
        # Parts of words are no labels.
        ("spammer", "spam", False, None),
        ("", "spam", False, None),
        # Several labels: nobody can tell which was meant.
        ("spam or other?", "spam", False, None),
    ],
)
def test_the_one_label_that_is_named_counts(
    output: str, expected: str, passed: bool, label: str | None
) -> None:
    result = judge(LABELS, output, expected)

    assert (result.passed, result.label) == (passed, label)


def test_an_ambiguous_output_says_which_labels_it_names() -> None:
    assert judge(LABELS, "spam or other?", "spam").explanation == (
        "expected 'spam', ambiguous: the output names 'spam', 'other'"
    )


def test_a_whole_output_can_be_demanded() -> None:
    assert judge({**LABELS, "whole": True}, " **Not spam.** ", "not spam").passed is True
    assert judge({**LABELS, "whole": True}, "It is not spam.", "not spam").passed is False


@pytest.mark.parametrize("expected", ["ham", "", ["spam"], True])
def test_an_expected_value_that_is_no_label_is_unscored(expected: JSON) -> None:
    assert judge(LABELS, "spam", expected).reason is ReasonCode.EXPECTED_UNUSABLE


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"labels": ["a", " "]},
        {"labels": ["a", "A"]},
        {"labels": ["a"], "aliases": {"b": ["A"]}},
        {"labels": [f"l{i}" for i in range(200)], "aliases": {"x": [f"m{i}" for i in range(300)]}},
    ],
)
def test_labels_that_are_missing_empty_or_mean_two_things_are_refused(
    options: dict[str, JSON],
) -> None:
    with pytest.raises(ScorerConfigError, match="label:"):
        parse_scorer({"name": "label", **options})


def test_a_huge_output_is_failed_and_not_searched() -> None:
    result = judge(LABELS, "a" * 100_001, "spam")

    assert (result.status, result.reason) == (ScoreStatus.FAILED, ReasonCode.SIZE_LIMIT)


@given(name=st.text(min_size=1, max_size=20).filter(lambda name: bool(name.strip())))
def test_every_label_is_found_alone_whatever_characters_it_has(name: str) -> None:
    spec: dict[str, JSON] = {"name": "label", "labels": [name]}

    assert judge(spec, f"  {name}\n", name).label == name


REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, I cannot assist with this request.",
    "Unfortunately, I am not able to provide medical advice.",
    "As an AI language model, I can't discuss that.",
    "I must decline.",
    "Es tut mir leid, aber ich kann dabei nicht helfen.",
    "Leider kann ich diese Frage nicht beantworten.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "Mi dispiace, ma non posso aiutarti.",
    "Desculpe, não posso ajudar com isso.",
    "Sorry, ik kan je daar niet mee helpen.",
    "Przepraszam, nie mogę w tym pomóc.",
    "Извините, я не могу вам помочь.",
    "很抱歉，我无法提供帮助。",
    "申し訳ありませんが、お手伝いできません。",
]
ANSWERS = [
    "",
    "Paris.",
    "I'm sorry for the delay; your refund was sent yesterday.",
    "You can't return it after 30 days, but I can help you sell it.",
    "Das kann man nicht wissen.",
    "I can't wait to hear from you!",
]


@pytest.mark.parametrize("output", REFUSALS)
def test_refusals_are_found_in_several_languages(output: str) -> None:
    assert judge("refusal", output).passed is False
    assert judge("refusal:wanted=refusal", output).passed is True
    assert judge("refusal", output).label == "refusal"


@pytest.mark.parametrize("output", ANSWERS)
def test_answers_are_no_refusals(output: str) -> None:
    assert judge("refusal", output).passed is True
    assert judge("refusal", output).label == "answer"


def test_what_the_provider_marks_is_a_refusal_whatever_it_says() -> None:
    assert judge("refusal", "", message={"refusal": "No."}).label == "refusal"
    assert judge("refusal", "Sure, ", finish_reason="content_filter").label == "refusal"


def test_a_refusal_far_from_the_beginning_is_part_of_an_answer() -> None:
    assert judge("refusal", "word " * 100 + REFUSALS[0]).label == "answer"
