"""`tool_calls`, `tool_calls_valid`, `tool_call_overlap`: did the model call the right tools?

Calls are those of the stored message (`tool_calls` in the chat-completions form). An expected
call is a name, or `{"name": ..., "arguments": {...}}`; without arguments any will do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

import jsonschema_rs
from pydantic import Field, JsonValue
from pydantic.dataclasses import dataclass

from app.core.hashing import JSON
from workbench.scorers._expected import no_expected, unusable
from workbench.scorers._json import equal_json
from workbench.scorers._overlap import Metric, common_items, overlap_value
from workbench.scorers._schema import checked, compiled_schema
from workbench.scorers._subset import TooMuchJSON, missing_json
from workbench.scorers._text import quoted
from workbench.scorers._tools import (
    MAX_CALLS,
    ExpectedCall,
    ToolCall,
    calls_in,
    expected_calls,
    unmatched,
)
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoringInput,
)

__all__ = [
    "ToolCallOverlap",
    "ToolCallOverlapConfig",
    "ToolCalls",
    "ToolCallsConfig",
    "ToolCallsValid",
    "ToolCallsValidConfig",
]

Calls: TypeAlias = list[JsonValue] | dict[str, JsonValue] | None
Condition: TypeAlias = Callable[[ToolCall], bool]
_ANYTHING: Final = compiled_schema(True)


class _Undecided(Exception):
    """Whether a call fits could not be found out within bounds; the message says why."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ToolCallsConfig(ScorerConfig):
    """Options of `tool_calls`."""

    calls: Calls = None
    """The calls wanted from every output, as JSON; without them, each example's expected value.
    An empty list wants no call."""
    arguments: Literal["exact", "subset", "schema", "any"] = "exact"
    """How arguments are compared: `exact` as JSON values, `subset` (the expected keys and values
    are among them), `schema` (what is expected is a JSON Schema), `any` (only names)."""
    order: Literal["strict", "any", "subset"] = "strict"
    """`strict`: the same calls in the same order; `any`: the same calls in any order; `subset`:
    each expected call is there, and there may be others."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ToolCallsValidConfig(ScorerConfig):
    """Options of `tool_calls_valid`; `tools` is needed."""

    tools: Calls = None
    """The tools, as in a request (a list of `{"type": "function", "function": {"name": ...,
    "parameters": schema}}`) or as an object from names to schemas."""
    min: int = Field(default=1, ge=0)
    """Fewest calls that are right."""
    max: int | None = Field(default=None, ge=0)
    """Most calls that are right."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ToolCallOverlapConfig(ScorerConfig):
    """Options of `tool_call_overlap`."""

    calls: Calls = None
    """The calls wanted from every output, as JSON; without them, each example's expected value.
    Their arguments do not matter here."""
    metric: Metric = "f1"
    """`f1`, `precision` (share of the calls that are expected), `recall` (share of the expected
    calls that were made) or `jaccard`."""


class ToolCalls(Scorer[ToolCallsConfig]):
    """Whether the model called the expected tools with the expected arguments.

    Example: `tool_calls:arguments=subset,order=any`
    """

    name = "tool_calls"
    version = 1
    config_type = ToolCallsConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Match the calls; more than 100 on a side are `failed`."""
        expected = _expected(given, self.config.calls)
        if isinstance(expected, ScoreResult):
            return expected
        found = calls_in(given.message)
        if max(len(found), len(expected)) > MAX_CALLS:
            return _too_many()
        try:
            conditions = [_condition(self.config.arguments, want) for want in expected]
        except ValueError as error:
            return ScoreResult.unscored(ReasonCode.EXPECTED_UNUSABLE, str(error))
        if self.config.order != "subset" and len(found) != len(expected):
            told = f"{len(expected)} calls expected, {len(found)} made: {_names(found)}"
            return ScoreResult.verdict(False, told)
        try:
            missing = (
                [i for i, call in enumerate(found) if not conditions[i](call)]
                if self.config.order == "strict"
                else unmatched(found, conditions, lambda call, fits: fits(call))
            )
        except TooMuchJSON as error:
            return ScoreResult.failed(ReasonCode.SIZE_LIMIT, str(error))
        except _Undecided as error:
            return ScoreResult.failed(ReasonCode.TIME_LIMIT, str(error))
        if missing:
            want = expected[missing[0]]
            shown = f"{want.name}({quoted(want.arguments) if want.has_arguments else '…'})"
            return ScoreResult.verdict(False, f"no such call: {shown}; made: {_names(found)}")
        return ScoreResult.verdict(True, f"calls: {_names(found)}")


class ToolCallsValid(Scorer[ToolCallsValidConfig]):
    """Whether every tool call names a known tool and its arguments fit that tool's schema.

    Example: `tool_calls_valid:tools={"search": {"type": "object", "required": ["query"]}}`
    """

    name = "tool_calls_valid"
    version = 1
    config_type = ToolCallsValidConfig

    def __init__(self, config: ToolCallsValidConfig) -> None:
        super().__init__(config)
        try:
            self._tools = _validators(config.tools)
        except ValueError as error:
            raise ScorerConfigError(f"tool_calls_valid: {error}", path="tools") from error

    def score(self, given: ScoringInput) -> ScoreResult:
        """Check each call; more than 100 are `failed`."""
        found = calls_in(given.message)
        if len(found) > MAX_CALLS:
            return _too_many()
        most = self.config.max
        if len(found) < self.config.min or (most is not None and len(found) > most):
            return ScoreResult.verdict(False, f"{len(found)} calls: {_names(found)}")
        for call in found:
            validator = self._tools.get(call.name)
            if validator is None:
                return ScoreResult.verdict(False, f"there is no tool {quoted(call.name)}")
            if call.arguments is None:
                return ScoreResult.verdict(False, f"{call.name}: the arguments are not JSON")
            result = checked(validator, call.arguments)
            if not result.passed:
                return result
        return ScoreResult.verdict(True, f"calls: {_names(found)}")


class ToolCallOverlap(Scorer[ToolCallOverlapConfig]):
    """How far the names of made and expected tool calls agree, repeats counted; graded.

    Example: `tool_call_overlap:metric=recall`
    """

    name = "tool_call_overlap"
    version = 1
    config_type = ToolCallOverlapConfig

    @property
    def binary(self) -> bool:
        """Graded: every value between 0 and 1 occurs."""
        return False

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare names and how often each occurs."""
        expected = _expected(given, self.config.calls)
        if isinstance(expected, ScoreResult):
            return expected
        found = calls_in(given.message)
        common = common_items((c.name for c in found), (c.name for c in expected))
        value = overlap_value(self.config.metric, common, len(found), len(expected))
        return ScoreResult.graded(
            value, f"{common} of {len(expected)} expected calls; made: {_names(found)}"
        )


def _expected(given: ScoringInput, calls: Calls) -> list[ExpectedCall] | ScoreResult:
    value: JSON = given.expected if calls is None else calls
    if value is None:
        return no_expected("tool calls")
    expected = expected_calls(value)
    return unusable(value, "no tool call and no list of them") if expected is None else expected


def _condition(how: str, want: ExpectedCall) -> Condition:
    """Return whether a call is the expected one; raises `ValueError` for a schema that is none.

    The condition raises `TooMuchJSON` or `_Undecided` for arguments that take too long.
    """
    compares = how != "any" and want.has_arguments
    schema = compiled_schema(want.arguments) if compares and how == "schema" else None

    def fits(call: ToolCall) -> bool:
        if call.name != want.name:
            return False
        if not compares:
            return True
        if call.arguments is None:
            return False
        if schema is not None:
            return _fits_schema(schema, call)
        if how == "subset":
            return missing_json(call.arguments, want.arguments) is None
        return equal_json(call.arguments, want.arguments)

    return fits


def _fits_schema(schema: jsonschema_rs.Validator, call: ToolCall) -> bool:
    result = checked(schema, call.arguments)
    if result.passed is None:
        raise _Undecided(f"{call.name}: {result.explanation}")
    return result.passed


def _validators(tools: Calls) -> dict[str, jsonschema_rs.Validator]:
    """Return the validator of each tool by its name; raises `ValueError` in a sentence."""
    if isinstance(tools, Mapping):
        return {name: compiled_schema(schema) for name, schema in tools.items()}
    validators = {}
    for tool in tools or ():
        function = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise ValueError(f"A tool needs a name; {quoted(tool)} has none.")
        parameters = function.get("parameters")
        name = str(function["name"])
        validators[name] = _ANYTHING if parameters is None else compiled_schema(parameters)
    if not validators:
        raise ValueError('Give the tools, such as tools={"search": {"type": "object"}}.')
    return validators


def _too_many() -> ScoreResult:
    return ScoreResult.failed(ReasonCode.SIZE_LIMIT, f"There are more than {MAX_CALLS} calls.")


def _names(calls: list[ToolCall]) -> str:
    return ", ".join(quoted(call.name, 40) for call in calls[:5]) or "none"
