from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScorerConfigError, ScoreStatus, parse_scorer

LONG = "a" * 80
# Each needs more steps than there are nanoseconds in a year, on the text beside it.
EVIL = [
    (r"(a|aa)+$", LONG + "!"),
    (r"(a|a)*$", LONG + "!"),
    (r"(?:a|aa)+$", LONG + "!"),
    (r"((a|aa)(a|aa))+$", LONG * 2 + "!"),
    (r"^(?:a|ab|b)*$", "ab" * 40 + "!"),
    (r"(?:(?:a|b)|(?:a|b)(?:a|b))*$", "ab" * 40 + "c"),
    (r"(a+){10}b", LONG * 2),
    (r"(a{1,30}){1,30}b", LONG),
    (r"(?:a?){60}a{60}b", LONG),
    (r"(.*a){12}b", LONG * 2),
    (r"(x+x+){8}y", "x" * 200),
    (r"(.*?,){30}P", "1," * 60),
    (r"(\d|\d\d|\d\d\d)+[a-z]$", "1" * 80),
    (r"^(\d|\d\d)+(,|;)$", "1" * 80),
    (r"^(\w|\w\w)+$", "w" * 80 + "!"),
    (r"^(([a-z])|([a-z][a-z]))+[0-9]$", LONG),
    (r"(?:[a-z]|[a-z]{2}|[a-z]{3})+\d$", LONG),
    (r"(?:\s|\s\s)+\S\S$", " " * 80 + "x"),
    (r"(?i)^(é|éé)+$", "É" * 80 + "!"),
    (r"(?=(a|aa)+$)x|(a|aa)+$", LONG + "!"),
    (r"(?<!(a|aa)+$)(a|aa)+;$", LONG),
    (r"^(?P<w>a|aa)+(?P=w)b$", LONG),
    (r"(?:a|aa|aaa|aaaa)++$|(?:a|aa)+!$", LONG + "?"),
    (r"(?:foobarbaz){e<=8}", "x" * 20_000),
]


@pytest.mark.parametrize(
    ("spec", "output", "passed"),
    [
        (r"regex:pattern=\d{3}", "call 123 now", True),
        (r"regex:pattern=^\d{3}$", "call 123 now", False),
        (r"regex:pattern=\d{3},fullmatch=true", "123", True),
        (r"regex:pattern=\d{3},fullmatch=true", "123 ", False),
        ("regex:pattern=billing", "Billing", False),
        ("regex:pattern=billing,ignore_case=true", "Billing", True),
        (r"regex:pattern=\p{Lu}", "état É", True),
        # An escaped parenthesis before ?x is no flag.
        (r"regex:pattern=\(?x\)?", "x", True),
    ],
)
def test_output_matches_the_pattern(spec: str, output: str, passed: bool) -> None:
    assert judge(spec, output).passed is passed


def test_without_the_option_the_expected_text_is_the_pattern() -> None:
    assert judge("regex", "ticket 4711", r"ticket \d+").passed is True
    assert judge("regex:ignore_case=true", "TICKET", "ticket").passed is True
    assert judge("regex", "ticket", r"ticket \d+").passed is False


@pytest.mark.parametrize("expected", ["(", 18, {"a": 1}, "(?R)", "a" * 1_001])
def test_an_expected_value_that_is_no_pattern_is_unscored(expected: JSON) -> None:
    assert judge("regex", "anything", expected).reason is ReasonCode.EXPECTED_UNUSABLE


@pytest.mark.parametrize(("pattern", "output"), EVIL)
def test_a_pattern_that_would_run_for_ever_is_failed_within_its_limit(
    pattern: str, output: str
) -> None:
    started = time.perf_counter()

    result = judge({"name": "regex", "pattern": pattern, "time_limit_s": 0.05}, output)

    assert (result.status, result.reason) == (ScoreStatus.FAILED, ReasonCode.TIME_LIMIT)
    assert result.value is None
    assert "took longer than 0.05 s" in result.explanation
    assert time.perf_counter() - started < 1.0


def test_the_limit_is_one_second_unless_another_is_given() -> None:
    started = time.perf_counter()

    result = judge({"name": "regex", "pattern": EVIL[0][0]}, EVIL[0][1])

    assert result.reason is ReasonCode.TIME_LIMIT
    assert 0.9 < time.perf_counter() - started < 5.0


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a" * 1_001,
        "(" * 490 + ")" * 490,
        # Written out, these have a million, a milliard and ten milliard letters.
        "a{1000000}",
        "((a{1000}){1000}){1000}",
        "(?:(?:a{100}){1,100}){1000000}",
        "[a(]{5}(b(c{1000})){1000}",
        # Recursion, and flags that change how brackets are read.
        "a(?R)?b",
        "(a)(?1)",
        "(?P<n>a)(?&n)(?P>n)",
        "(?x) ((a{1000} # ) \n ){1000}){1000}",
        "(?V1)[[a]&&(]",
        r"\\(?R)",
    ],
)
def test_a_pattern_that_is_broken_or_could_exhaust_memory_is_refused(pattern: str) -> None:
    with pytest.raises(ScorerConfigError, match=r"regex: The (pattern|repeats in the pattern) "):
        parse_scorer({"name": "regex", "pattern": pattern})


@pytest.mark.parametrize(
    "pattern",
    [
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        r"(?i)\(?\d{3}\)?[ -]?\d{3}[ -]?\d{4}",
        "(?:.{0,5000}){0,5000}",
        "[{}]{3}{",
    ],
)
def test_large_optional_repeats_and_long_chains_of_small_ones_are_taken(pattern: str) -> None:
    parse_scorer({"name": "regex", "pattern": pattern})


def test_an_empty_pattern_is_refused_since_every_output_matches_it() -> None:
    with pytest.raises(ScorerConfigError, match="The pattern is empty"):
        parse_scorer({"name": "regex", "pattern": ""})
    assert judge("regex", "anything", "").reason is ReasonCode.EXPECTED_UNUSABLE


@given(pattern=st.text(alphabet=r"ab()[]{}|*+?\^$.,0123456789:=!<>PRx#-", max_size=40))
def test_any_pattern_is_taken_or_refused_in_a_sentence(pattern: str) -> None:
    try:
        parse_scorer({"name": "regex", "pattern": pattern})
    except ScorerConfigError as error:
        assert error.message.endswith(".")
        assert error.path == "pattern"
