"""Rules on the text itself: containment of several texts, beginnings and ends, length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScorerConfigError, parse_scorer

TEXTS = st.lists(st.text(min_size=1), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("spec", "output", "expected", "passed"),
    [
        ("contains_any:texts=refund,credit", "We will credit you.", None, True),
        ("contains_any:texts=refund,credit", "We will call you.", None, False),
        ("contains_all:texts=name,address", "Your name and address?", None, True),
        ("contains_all:texts=name,address", "Your name?", None, False),
        ("contains_all:texts=NAME,ignore_case=true", "Your name?", None, True),
        # Without the option the expected value says which texts: a list, also as JSON text.
        ("contains_any", "blue", ["red", "blue"], True),
        ("contains_all", "blue", ["red", "blue"], False),
        ("contains_all", "red, blue", '["red", "blue"]', True),
        ("contains_all", "It is 18.", [18], True),
        ("contains_all", "red", "red", True),
        ("starts_with:texts=Dear", " Dear Ms Miller,", None, True),
        ("starts_with:texts=Dear,strip=false", " Dear Ms Miller,", None, False),
        ("starts_with:texts=hello,dear,ignore_case=true", "Dear Ms Miller,", None, True),
        ("starts_with", "yes, of course", ["yes", "no"], True),
        ("starts_with", "of course, yes", ["yes", "no"], False),
        ("ends_with:texts=?", "How are you?\n", None, True),
        ("ends_with:texts=?", "Fine.", None, False),
        ("ends_with", "The answer is B", "B", True),
    ],
)
def test_texts_are_found_where_they_are_wanted(
    spec: str, output: str, expected: JSON, passed: bool
) -> None:
    assert judge(spec, output, expected).passed is passed


@pytest.mark.parametrize("rule", ["contains_any", "contains_all", "starts_with", "ends_with"])
@pytest.mark.parametrize("expected", ["", [], [""], [None], [["a"]], {"a": 1}, ["a"] * 201])
def test_an_expected_value_that_is_no_list_of_texts_is_unscored(rule: str, expected: JSON) -> None:
    assert judge(rule, "a", expected).reason is ReasonCode.EXPECTED_UNUSABLE


@pytest.mark.parametrize("texts", [[""], ["a"] * 201, ["a" * 10_001], [3]])
def test_texts_that_are_empty_too_long_or_too_many_are_refused(texts: list[JSON]) -> None:
    with pytest.raises(ScorerConfigError, match="texts"):
        parse_scorer({"name": "contains_any", "texts": texts})


@given(output=st.text(), texts=TEXTS)
def test_all_implies_any_and_each_is_what_contains_says(output: str, texts: list[str]) -> None:
    each = [judge({"name": "contains", "text": text}, output).passed for text in texts]

    assert judge({"name": "contains_any", "texts": texts}, output).passed is any(each)
    assert judge({"name": "contains_all", "texts": texts}, output).passed is all(each)


@given(before=st.text(), text=st.text(min_size=1))
def test_a_text_stands_at_the_end_that_it_was_put_to(before: str, text: str) -> None:
    wanted: dict[str, JSON] = {"texts": [text], "strip": False}

    assert judge({"name": "ends_with", **wanted}, before + text).passed is True
    assert judge({"name": "starts_with", **wanted}, text + before).passed is True


@pytest.mark.parametrize(
    ("spec", "output", "passed"),
    [
        ("exact_match:texts=yes,y", "y", True),
        ("exact_match:texts=yes,y", "yep", False),
        ("exact_match:texts=Yes,ignore_case=true", " yes ", True),
        ('exact_match:texts=["{\\"a\\": 1}"],json=true', '{"a":1.0}', True),
        ("exact_match:texts=e\u0301", "\u00e9", False),
        ("exact_match:texts=e\u0301,unicode_form=NFC", "\u00e9", True),
        ("exact_match:texts=fi,unicode_form=NFC", "\ufb01", False),
        ("exact_match:texts=fi,unicode_form=NFKC", "\ufb01", True),
    ],
)
def test_the_output_equals_one_of_several_texts(spec: str, output: str, passed: bool) -> None:
    assert judge(spec, output).passed is passed


def test_an_expected_list_is_several_texts_only_where_that_is_said() -> None:
    assert judge("exact_match", "red", ["red", "blue"]).passed is False
    assert judge("exact_match:any_expected=true", "red", ["red", "blue"]).passed is True
    assert judge("exact_match:any_expected=true", "green", ["red", "blue"]).passed is False


@pytest.mark.parametrize(
    ("unit", "text", "count"),
    [
        ("characters", "  abc \n", 3),
        ("characters", "", 0),
        ("words", "One two,  three\nfour", 4),
        ("words", " \n ", 0),
        ("lines", "one\n\n two\r\nthree\n", 3),
        ("sentences", "One. Two! Three?", 3),
        ("sentences", "He said “No.” Then he left.", 2),
        ("sentences", "Wait... what?! Yes", 3),
        ("sentences", "Version 2.5 is out.", 1),
        ("sentences", "今天很好。明天呢？", 2),
        ("sentences", "... !!!", 0),
        ("sentences", "no end", 1),
        ("sentences", "", 0),
    ],
)
def test_length_counts_in_its_unit(unit: str, text: str, count: int) -> None:
    bounds: dict[str, JSON] = {"name": "length", "unit": unit, "min": count, "max": count}

    assert judge(bounds, text).passed is True
    assert judge({**bounds, "min": count + 1, "max": count + 1}, text).passed is False


def test_bounds_of_length_are_inclusive_and_may_be_open() -> None:
    assert judge("length:min=3", "abc").passed is True
    assert judge("length:min=4", "abc").explanation == "3 characters, at least 4 wanted"
    assert judge("length:max=2", "abc").explanation == "3 characters, at most 2 allowed"


@pytest.mark.parametrize("spec", ["length", "length:min=3,max=2", "length:max=-1"])
def test_bounds_that_are_missing_or_contradict_each_other_are_refused(spec: str) -> None:
    with pytest.raises(ScorerConfigError):
        parse_scorer(spec)


@given(text=st.text())
def test_no_text_has_more_sentences_than_characters(text: str) -> None:
    most = len(text.strip())

    assert judge({"name": "length", "unit": "sentences", "max": most}, text).passed is True
    assert judge({"name": "length", "unit": "words", "max": most}, text).passed is True
