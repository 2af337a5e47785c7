from __future__ import annotations

import pytest

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScorerConfigError, parse_scorer

OUTPUT = (
    '{"queue": "billing", "customer": {"orders": [{"total": 12.5}]}, "urgent": true, "id": "42"}'
)


@pytest.mark.parametrize(
    ("path", "expected", "passed"),
    [
        # An expected object is entered by the same path.
        ("queue", {"queue": "billing", "other": 1}, True),
        ("queue", {"queue": "bug"}, False),
        ("customer.orders[0].total", {"customer": {"orders": [{"total": 12.50}]}}, True),
        ("customer", {"customer": {"orders": [{"total": 12.5}]}}, True),
        # Any other expected value is what the field must be.
        ("queue", "billing", True),
        ("queue", "Billing", False),
        ("customer.orders", [{"total": 12.5}], True),
        # A CSV column holds an object as its JSON text ...
        ("queue", '{"queue": "billing"}', True),
        ("customer.orders", '[{"total": 12.5}]', True),
        # ... and can say numbers, true, false and null only as text.
        ("customer.orders[0].total", "12.50", True),
        ("urgent", "true", True),
        ("id", "42", True),
        ("id", 42, False),
        ("urgent", "True", False),
        ("urgent", 1, False),
        # Missing, in any step.
        ("priority", "high", False),
        ("customer.orders[1].total", 12.5, False),
        ("queue.name", "billing", False),
        ("queue[0]", "b", False),
    ],
)
def test_field_equals_expected(path: str, expected: JSON, passed: bool) -> None:
    result = judge({"name": "json_field", "path": path}, OUTPUT, expected)

    assert (result.passed, result.value) == (passed, float(passed))


@pytest.mark.parametrize(
    ("output", "expected", "explanation"),
    [
        ('{"queue": "bug"}', "billing", "queue: expected 'billing', got 'bug'"),
        ("{}", {"queue": "billing"}, "queue: missing, expected 'billing'"),
        ("billing", "billing", "not JSON: Expecting value at line 1 column 1"),
    ],
)
def test_the_explanation_names_the_field_and_both_values(
    output: str, expected: JSON, explanation: str
) -> None:
    result = judge("json_field:path=queue", output, expected)

    assert (result.passed, result.explanation) == (False, explanation)


def test_several_fields_give_the_share_that_is_right() -> None:
    spec = "json_field:paths=queue,urgent,priority,customer"

    result = judge(
        spec, OUTPUT, {"queue": "billing", "urgent": False, "priority": 1, "customer": {}}
    )

    assert (result.value, result.passed) == (0.25, False)
    assert result.explanation.startswith("1 of 4 fields right; urgent: expected false, got true")
    assert parse_scorer(spec).binary is False
    assert parse_scorer("json_field:path=queue").binary is True


def test_several_fields_all_right_pass() -> None:
    result = judge("json_field:paths=queue,urgent", OUTPUT, {"queue": "billing", "urgent": True})

    assert (result.value, result.passed) == (1.0, True)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        # Nothing says whether the field should be absent, so nothing can be judged.
        ("json_field:path=queue", {"other": 1}),
        ("json_field:paths=queue,urgent", {"queue": "billing"}),
        # One plain value cannot be what several fields should be.
        ("json_field:paths=queue,urgent", "billing"),
    ],
)
def test_an_expected_value_without_the_field_is_unscored(spec: str, expected: JSON) -> None:
    assert judge(spec, OUTPUT, expected).reason is ReasonCode.EXPECTED_UNUSABLE


def test_a_fenced_block_is_read_unless_the_option_forbids_it() -> None:
    output = f"Here it is:\n```json\n{OUTPUT}\n```\nDone."

    assert judge("json_field:path=queue", output, "billing").passed is True
    assert judge("json_field:path=queue,allow_fence=false", output, "billing").passed is False


@pytest.mark.parametrize(
    "spec",
    [
        "json_field",
        "json_field:path=a,paths=b",
        "json_field:path=",
        "json_field:path=a..b",
        "json_field:path=a[x]",
        "json_field:path=a[",
        'json_field:path=["a]',
    ],
)
def test_a_field_that_is_not_named_once_or_cannot_be_read_is_refused(spec: str) -> None:
    with pytest.raises(ScorerConfigError, match="json_field: "):
        parse_scorer(spec)
