from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScorerConfigError, ScoreStatus, parse_scorer

TICKET: dict[str, JSON] = {
    "type": "object",
    "properties": {
        "queue": {"enum": ["billing", "bug"]},
        "orders": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["queue"],
    "additionalProperties": False,
}
SPEC: dict[str, JSON] = {"name": "json_schema", "schema": TICKET}


@pytest.mark.parametrize(
    ("output", "passed"),
    [
        ('{"queue": "billing"}', True),
        ('  {"queue": "billing", "orders": [1, 2]}\n', True),
        ('{"queue": "other"}', False),
        ("{}", False),
        ('{"queue": "bug", "more": 1}', False),
        ('["queue"]', False),
        # No JSON is wrong, whatever kind of no JSON it is.
        ("", False),
        ("billing", False),
        ('{"queue": "billing"', False),
        ('{"queue": "billing"} and more', False),
        ('{"queue": NaN}', False),
        ('{"queue": "\\ud800"}', False),
        ("[" * 100_000, False),
        ('{"orders": [' + "1" * 5_000 + "]}", False),
        # One fenced block, with or without its language and prose.
        ('```json\n{"queue": "bug"}\n```', True),
        ('```\n{"queue": "bug"}\n```', True),
        ('```{"queue": "bug"}```', True),
        ('Sure!\n```JSON\n{"queue": "bug"}\n```\nAnything else?', True),
        ('```json\n{"queue": "no"}\n```', False),
        # Two blocks leave open which one is the answer; an open block may be cut off.
        ('```json\n{"queue": "bug"}\n```\n```json\n{"queue": "bug"}\n```', False),
        ('```json\n{"queue": "bug"}', False),
    ],
)
def test_output_is_json_of_the_wanted_shape(output: str, passed: bool) -> None:
    result = judge(SPEC, output)

    assert (result.passed, result.value) == (passed, float(passed))


def test_backticks_inside_a_json_text_are_no_fence() -> None:
    assert judge("json_schema:schema=true", '{"code": "```x```"}').passed is True


def test_fences_can_be_forbidden() -> None:
    assert judge(SPEC | {"allow_fence": False}, '```json\n{"queue": "bug"}\n```').passed is False


def test_json_with_text_around_it_can_be_accepted() -> None:
    output = 'I chose {"queue": "bug"} for this ticket.'

    assert judge(SPEC, output).passed is False
    assert judge(SPEC | {"anywhere": True}, output).passed is True
    assert judge(SPEC | {"anywhere": True}, 'I chose {"queue": "no"}.').passed is False


@pytest.mark.parametrize("expected", [TICKET, '{"required": ["queue"]}'])
def test_without_the_option_the_expected_value_is_the_schema(expected: JSON) -> None:
    assert judge("json_schema", '{"queue": "bug"}', expected).passed is True
    assert judge("json_schema", "{}", expected).passed is False


@pytest.mark.parametrize("expected", ["billing", 18, [], {"type": "objekt"}, {"pattern": "("}])
def test_an_expected_value_that_is_no_schema_is_unscored(expected: JSON) -> None:
    assert judge("json_schema", "{}", expected).reason is ReasonCode.EXPECTED_UNUSABLE


def test_the_explanation_lists_the_first_errors_with_their_place() -> None:
    result = judge(SPEC, '{"queue": "bug", "orders": ["a", 1, "b", "c", "d"]}')

    assert result.explanation == (
        'orders[0]: "a" is not of type "integer"; orders[2]: "b" is not of type "integer"; '
        'orders[3]: "c" is not of type "integer"; 1 more'
    )


def test_a_schema_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(ScorerConfigError, match="json_schema: The schema cannot be used"):
        parse_scorer({"name": "json_schema", "schema": {"type": "objekt"}})


def test_a_schema_never_reads_a_file_or_the_network(tmp_path: Path) -> None:
    other = tmp_path / "schema.json"
    other.write_text("{}")

    for reference in (other.as_uri(), "http://127.0.0.1:9/schema.json"):
        with pytest.raises(ScorerConfigError, match="not present in a registry"):
            parse_scorer({"name": "json_schema", "schema": {"$ref": reference}})


def test_a_pattern_that_exhausts_its_bound_is_failed_and_not_wrong() -> None:
    # A back-reference keeps the linear engine from being used.
    spec: dict[str, JSON] = {"name": "json_schema", "schema": {"pattern": r"(a*)*\1b$"}}

    result = judge(spec, '"' + "a" * 50 + '!"')

    assert (result.status, result.reason) == (ScoreStatus.FAILED, ReasonCode.TIME_LIMIT)


@given(text=st.text())
def test_the_schema_true_is_met_exactly_by_what_is_json(text: str) -> None:
    is_digits = text.isascii() and text.isdigit() and (text == "0" or not text.startswith("0"))

    if is_digits:
        assert judge("json_schema:schema=true", text).passed is True
    assert judge("json_schema:schema=false", text).passed is False
