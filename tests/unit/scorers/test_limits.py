"""Outputs and expected values are hostile: long, deep, odd. Every rule stays bounded."""

from __future__ import annotations

import time

import pytest

from app.core.hashing import JSON
from tests.unit.scorers.judging import minimal
from workbench.scorers import SCORERS, ScoringInput, parse_rule, run_scorer

MEGABYTE = 1_000_000
OUTPUTS = {
    "one letter": "a" * MEGABYTE,
    "words": "word " * (MEGABYTE // 5),
    "digits": "1" * MEGABYTE,
    "brackets": "[" * MEGABYTE,
    "objects": '{"a":' * (MEGABYTE // 5),
    "dates": "1 January 1" * (MEGABYTE // 11),
    "dots": "." * MEGABYTE,
    "fences": "```\n" * (MEGABYTE // 4),
    "markup": "<a>" * (MEGABYTE // 3),
    "I cannot": "i cannot " * (MEGABYTE // 9),
    "labels": "billing " * (MEGABYTE // 8),
    "separators": "," * MEGABYTE,
}
EXPECTED: dict[str, JSON] = {
    "long": "a" * MEGABYTE,
    "list": ["a"] * 100_000,
    "text list": "[" + '"a",' * 100_000 + '"a"]',
}
LONGEST_S = 2.5


@pytest.mark.parametrize("name", list(SCORERS))
@pytest.mark.parametrize("output", list(OUTPUTS))
def test_a_megabyte_of_anything_is_judged_in_bounded_time(name: str, output: str) -> None:
    scorer = parse_rule(minimal(name))
    given = ScoringInput(output=OUTPUTS[output], expected="billing")
    started = time.process_time()

    first = run_scorer(scorer, given)

    assert time.process_time() - started < LONGEST_S
    assert first.explanation


@pytest.mark.parametrize("name", list(SCORERS))
@pytest.mark.parametrize("expected", list(EXPECTED))
def test_a_huge_expected_value_is_judged_in_bounded_time(name: str, expected: str) -> None:
    scorer = parse_rule(minimal(name))
    started = time.process_time()

    result = run_scorer(scorer, ScoringInput(output="a", expected=EXPECTED[expected]))

    assert time.process_time() - started < LONGEST_S
    assert result.explanation
