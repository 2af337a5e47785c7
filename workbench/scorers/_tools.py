"""Tool calls: those that a message holds, those that are expected, and how the two are matched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from app.core.hashing import JSON
from workbench.scorers._json import NotJSON, read_json

__all__ = ["MAX_CALLS", "ExpectedCall", "ToolCall", "calls_in", "expected_calls", "unmatched"]

MAX_CALLS: Final = 100
"""Most calls of one message that are compared."""

WantT = TypeVar("WantT")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model wants. `arguments` is None if they are no JSON."""

    name: str
    arguments: JSON


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """One call that should be there. Without `has_arguments` any will do."""

    name: str
    arguments: JSON = None
    has_arguments: bool = False


def calls_in(message: Mapping[str, JSON]) -> list[ToolCall]:
    """Return the tool calls of an assistant's message, in its order."""
    calls = message.get("tool_calls")
    return [_call(call) for call in calls] if isinstance(calls, (list, tuple)) else []


def _call(shape: JSON) -> ToolCall:
    """Read `{function: {name, arguments}}` or `{name, arguments}`; arguments are JSON text, or
    the value itself."""
    inner = shape.get("function", shape) if isinstance(shape, Mapping) else {}
    function: Mapping[str, JSON] = inner if isinstance(inner, Mapping) else {}
    name, arguments = function.get("name"), function.get("arguments")
    if isinstance(arguments, str):
        try:
            # Providers send an empty text for a call without arguments.
            arguments = read_json(arguments) if arguments.strip() else {}
        except NotJSON:
            arguments = None
    return ToolCall(name if isinstance(name, str) else "", arguments)


def expected_calls(value: JSON) -> list[ExpectedCall] | None:
    """Read one call or a list of them, also as JSON text: a name, or `{name, arguments}`.

    Returns None if it is neither.
    """
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            value = read_json(value)
        except NotJSON:
            return None
    items = value if isinstance(value, (list, tuple)) else [value]
    calls = [_expected_call(item) for item in items]
    known = [call for call in calls if call is not None]
    return known if len(known) == len(calls) else None


def _expected_call(item: JSON) -> ExpectedCall | None:
    if isinstance(item, str) and item:
        return ExpectedCall(item)
    if not isinstance(item, Mapping):
        return None
    shape = item.get("function", item)
    if not isinstance(shape, Mapping) or not isinstance(shape.get("name"), str):
        return None
    name = str(shape["name"])
    if "arguments" not in shape:
        return ExpectedCall(name)
    arguments = shape["arguments"]
    if isinstance(arguments, str):
        try:
            arguments = read_json(arguments)
        except NotJSON:
            return None
    return ExpectedCall(name, arguments, has_arguments=True)


def unmatched(
    found: Sequence[ToolCall],
    expected: Sequence[WantT],
    fits: Callable[[ToolCall, WantT], bool],
) -> list[int]:
    """Return the positions of expected calls that get no call of their own.

    Each call serves one expected call at most; as many as possible are served (augmenting
    paths, H. W. Kuhn, Naval Research Logistics Quarterly 2 (1955), 83-97).
    """
    served_by: dict[int, int] = {}  # position of a call -> position of what it serves
    may_serve = [[i for i, call in enumerate(found) if fits(call, want)] for want in expected]

    def serve(want: int, tried: set[int]) -> bool:
        for call in may_serve[want]:
            if call in tried:
                continue
            tried.add(call)
            if call not in served_by or serve(served_by[call], tried):
                served_by[call] = want
                return True
        return False

    return [want for want in range(len(expected)) if not serve(want, set())]
