from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode


@pytest.mark.parametrize(
    ("spec", "output", "expected", "passed"),
    [
        ("contains", "The queue is billing.", "billing", True),
        ("contains", "The queue is Billing.", "billing", False),
        ("contains:ignore_case=true", "The queue is BILLING.", "Billing", True),
        ("contains", "", "billing", False),
        # Plain values are looked for as their JSON text.
        ("contains", "It is 18 dollars", 18, True),
        ("contains", "It is true", True, True),
        # With the option the expected value does not matter, nor that there is none.
        ("contains:text=sorry", "I am sorry.", None, True),
        ("contains:text=sorry", "I am sorry.", "billing", True),
    ],
)
def test_output_contains_the_text(spec: str, output: str, expected: JSON, passed: bool) -> None:
    assert judge(spec, output, expected).passed is passed


@pytest.mark.parametrize("expected", ["", [], ["billing"], {"queue": "billing"}])
def test_what_every_output_contains_or_what_is_no_text_is_unscored(expected: JSON) -> None:
    assert judge("contains", "billing", expected).reason is ReasonCode.EXPECTED_UNUSABLE


@given(before=st.text(), text=st.text(min_size=1), after=st.text())
def test_a_text_is_found_whatever_stands_around_it(before: str, text: str, after: str) -> None:
    assert judge("contains", before + text + after, text).passed is True
