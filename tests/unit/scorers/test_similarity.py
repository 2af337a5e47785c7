from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScoreStatus, parse_scorer


@pytest.mark.parametrize(
    ("spec", "output", "expected", "value"),
    [
        ("similarity", "kitten", "kitten", 1.0),
        # Three edits (k-s, e-i, +g) over seven characters.
        ("similarity", "kitten", "sitting", 1 - 3 / 7),
        ("similarity", "abc", "xyz", 0.0),
        ("similarity", "", "abc", 0.0),
        ("similarity", "", "", 1.0),
        ("similarity", "ABC", "abc", 0.0),
        ("similarity:ignore_case=true", "ABC", "abc", 1.0),
        ("similarity", "18", 18, 1.0),
    ],
)
def test_similarity_is_one_minus_the_share_of_edits(
    spec: str, output: str, expected: JSON, value: float
) -> None:
    result = judge(spec, output, expected)

    assert result.value == pytest.approx(value)
    assert result.passed is None


def test_similarity_is_graded() -> None:
    assert parse_scorer("similarity").binary is False


@given(left=st.text(), right=st.text())
def test_similarity_is_symmetric_and_one_only_for_equal_texts(left: str, right: str) -> None:
    value = judge("similarity", left, right).value

    assert value == judge("similarity", right, left).value
    assert (value == 1.0) == (left == right)


def test_a_text_beyond_the_size_limit_is_failed_and_not_zero() -> None:
    result = judge("similarity", "a" * 50_001, "a")

    assert (result.status, result.reason) == (ScoreStatus.FAILED, ReasonCode.SIZE_LIMIT)
    assert judge("similarity", "a" * 50_000, "a").status is ScoreStatus.SCORED
