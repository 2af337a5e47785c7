"""Rules on tool calls, in the form in which answers are stored."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import (
    ReasonCode,
    ScorerConfigError,
    ScoreResult,
    ScoreStatus,
    parse_scorer,
)
from workbench.scorers._tools import ExpectedCall, ToolCall, unmatched

SEARCH = ("search", '{"query": "refund", "limit": 3}')
OPEN = ("open", '{"id": 7}')


def called(spec: str | dict[str, JSON], expected: JSON, *calls: tuple[str, str]) -> ScoreResult:
    message: dict[str, JSON] = {
        "role": "assistant",
        "tool_calls": [
            {"id": f"c{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(calls)
        ],
    }
    return judge(spec, "", expected, message=message)


def wanted(name: str, **arguments: JSON) -> JSON:
    return {"name": name, "arguments": arguments}


@pytest.mark.parametrize(
    ("spec", "expected", "calls", "passed"),
    [
        ("tool_calls", "search", [SEARCH], True),
        ("tool_calls", "open", [SEARCH], False),
        ("tool_calls", wanted("search", limit=3, query="refund"), [SEARCH], True),
        ("tool_calls", wanted("search", query="refund"), [SEARCH], False),
        ("tool_calls:arguments=subset", wanted("search", query="refund"), [SEARCH], True),
        ("tool_calls:arguments=subset", wanted("search", query="x"), [SEARCH], False),
        ("tool_calls:arguments=any", wanted("search", query="x"), [SEARCH], True),
        ("tool_calls:arguments=schema", wanted("search", required=["query"]), [SEARCH], True),
        ("tool_calls:arguments=schema", wanted("search", required=["id"]), [SEARCH], False),
        ("tool_calls", ["search", "open"], [SEARCH, OPEN], True),
        ("tool_calls", ["open", "search"], [SEARCH, OPEN], False),
        ("tool_calls:order=any", ["open", "search"], [SEARCH, OPEN], True),
        ("tool_calls:order=any", ["open"], [SEARCH, OPEN], False),
        ("tool_calls:order=subset", ["open"], [SEARCH, OPEN], True),
        ("tool_calls:order=subset", ["open", "open"], [SEARCH, OPEN], False),
        ("tool_calls", [], [], True),
        ("tool_calls", [], [SEARCH], False),
        ("tool_calls", "search", [], False),
        # As a CSV column holds it, and as a request does.
        ("tool_calls", '[{"name": "open", "arguments": {"id": 7}}]', [OPEN], True),
        ("tool_calls", [{"function": {"name": "open", "arguments": '{"id": 7}'}}], [OPEN], True),
        # Arguments that are no JSON equal nothing.
        ("tool_calls", wanted("open", id=7), [("open", "{id: 7}")], False),
        ("tool_calls", wanted("now"), [("now", "")], True),
    ],
)
def test_the_expected_tools_were_called(
    spec: str, expected: JSON, calls: list[tuple[str, str]], passed: bool
) -> None:
    assert called(spec, expected, *calls).passed is passed


def test_the_calls_can_be_the_same_for_all() -> None:
    spec: dict[str, JSON] = {"name": "tool_calls", "calls": ["search"]}

    assert called(spec, None, SEARCH).passed is True


@pytest.mark.parametrize("expected", [3, [3], {"arguments": {}}, "[", [{"name": 3}], ""])
def test_what_is_no_call_is_unscored(expected: JSON) -> None:
    assert called("tool_calls", expected, SEARCH).reason is ReasonCode.EXPECTED_UNUSABLE


def test_a_schema_that_is_none_is_unscored() -> None:
    result = called("tool_calls:arguments=schema", wanted("search", type="objekt"), SEARCH)

    assert result.reason is ReasonCode.EXPECTED_UNUSABLE


@pytest.mark.parametrize("order", ["strict", "any", "subset"])
def test_what_a_schema_could_not_decide_is_failed_and_not_wrong(order: str) -> None:
    """A pattern may exceed the bound on backtracking."""
    schema: dict[str, JSON] = {"properties": {"q": {"pattern": r"^(\w+\s?)*(?=;)$"}}}
    call = ("search", json.dumps({"q": "word " * 40 + "!"}))

    result = called(f"tool_calls:arguments=schema,order={order}", wanted("search", **schema), call)

    assert (result.status, result.reason) == (ScoreStatus.FAILED, ReasonCode.TIME_LIMIT)


@pytest.mark.parametrize("calls", [[], [OPEN], [SEARCH]])
def test_whether_an_expected_schema_can_be_used_does_not_rest_on_the_output(
    calls: list[tuple[str, str]],
) -> None:
    result = called("tool_calls:arguments=schema", wanted("search", type="objekt"), *calls)

    assert result.reason is ReasonCode.EXPECTED_UNUSABLE


def test_too_many_calls_are_failed() -> None:
    assert called("tool_calls", "open", *[OPEN] * 101).reason is ReasonCode.SIZE_LIMIT


@given(
    fits=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=4),
)
def test_as_many_expected_calls_as_possible_get_a_call_of_their_own(
    fits: list[list[bool]],
) -> None:
    found = [ToolCall(str(i), None) for i in range(4)]
    expected = [ExpectedCall(str(i)) for i in range(len(fits))]
    best = max(
        sum(fits[want][call] for want, call in enumerate(order))
        for order in itertools.permutations(range(4), len(fits))
    )

    left = unmatched(found, expected, lambda call, want: fits[int(want.name)][int(call.name)])

    assert len(expected) - len(left) == best


TOOLS: dict[str, JSON] = {
    "name": "tool_calls_valid",
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "search",
                "parameters": {"type": "object", "required": ["query"]},
            },
        },
        {"type": "function", "function": {"name": "now"}},
    ],
}


@pytest.mark.parametrize(
    ("calls", "passed"),
    [
        ([SEARCH], True),
        ([("now", "")], True),
        ([SEARCH, OPEN], False),
        ([("search", "{}")], False),
        ([("search", "{query}")], False),
        ([], False),
    ],
)
def test_calls_name_known_tools_with_arguments_that_fit(
    calls: list[tuple[str, str]], passed: bool
) -> None:
    assert called(TOOLS, None, *calls).passed is passed


def test_the_number_of_calls_can_be_bounded() -> None:
    assert called({**TOOLS, "min": 0}, None).passed is True
    assert called({**TOOLS, "max": 1}, None, SEARCH, SEARCH).passed is False


@pytest.mark.parametrize(
    "tools", [None, [], [{"type": "function"}], {"a": {"type": "objekt"}}, {"a": 3}]
)
def test_tools_that_cannot_be_checked_are_refused(tools: JSON) -> None:
    with pytest.raises(ScorerConfigError, match="tool_calls_valid"):
        parse_scorer({"name": "tool_calls_valid", "tools": tools})


@pytest.mark.parametrize(
    ("metric", "value"), [("f1", 2 / 3), ("precision", 1.0), ("recall", 1 / 2), ("jaccard", 1 / 2)]
)
def test_the_names_of_calls_overlap_in_part(metric: str, value: float) -> None:
    spec: dict[str, JSON] = {"name": "tool_call_overlap", "metric": metric}

    assert called(spec, ["search", "open"], SEARCH).value == pytest.approx(value)


@given(
    message=st.recursive(
        st.none() | st.text() | st.integers(),
        lambda v: (
            st.lists(v) | st.dictionaries(st.sampled_from(["function", "name", "arguments"]), v)
        ),
        max_leaves=8,
    )
)
def test_any_shape_of_tool_calls_is_read_and_judged(message: JSON) -> None:
    result = judge("tool_calls", "", "search", message={"tool_calls": message})

    assert result.passed is not None or result.reason is ReasonCode.SIZE_LIMIT
    assert json.dumps(result.explanation)
