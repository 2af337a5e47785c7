"""What of a conversation is sent when not all of it fits."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.llm.types import Message, ToolCall
from app.schemas.aliases import HistorySettings
from app.services.chat.history import estimated_tokens, fit_history

NEWEST = HistorySettings()
CALL = (ToolCall("c", "look", "{}"),)


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Turns of a user's message, maybe a tool's part, and an answer; then the question."""
    messages: list[Message] = []
    for _ in range(draw(st.integers(0, 8))):
        messages.append(Message("user", "x" * draw(st.integers(1, 400))))
        if draw(st.booleans()):
            messages.append(Message("assistant", None, tool_calls=CALL))
            messages.append(Message("tool", "found", tool_call_id="c"))
        messages.append(Message("assistant", "y" * draw(st.integers(1, 400))))
    return [*messages, Message("user", "z" * draw(st.integers(1, 100)))]


@given(conversations(), st.integers(0, 800))
def test_what_is_sent_fits_begins_with_a_question_and_is_as_much_as_can_be(
    messages: list[Message], tokens: int
) -> None:
    try:
        fitted = fit_history(messages, tokens=tokens, settings=NEWEST)
    except Invalid:
        assert _size(messages[-1:]) > tokens
        return
    sent = list(fitted.messages)
    assert sent == messages[len(messages) - len(sent) :]
    assert sent[0].role == "user"
    assert _size(sent) <= tokens
    earlier = messages[: len(messages) - len(sent)]
    assert (fitted.left_out is None) == (not earlier)
    if earlier:
        start = max(n for n, message in enumerate(earlier) if message.role == "user")
        assert _size(messages[start:]) > tokens


def _size(messages: list[Message]) -> int:
    return sum(estimated_tokens(len(orjson.dumps(message.to_json()))) for message in messages)


def test_what_is_left_out_is_told() -> None:
    messages = [Message("user", "one"), Message("assistant", "two"), Message("user", "three")]
    fitted = fit_history(messages, tokens=None, settings=HistorySettings(messages=2))
    told: Any = fitted.left_out
    assert fitted.messages == (messages[2],)
    assert (told["policy"], told["left_out_messages"], told["sent_messages"]) == ("newest", 2, 1)
    assert told["left_out_tokens"] > 0


def test_without_bounds_everything_is_sent() -> None:
    messages = [Message("user", "x" * 10_000)] * 50
    assert fit_history(messages, tokens=None, settings=NEWEST).messages == tuple(messages)


def test_the_policy_may_be_to_refuse() -> None:
    messages = [Message("user", "x" * 1_000), Message("assistant", "y"), Message("user", "z")]
    with pytest.raises(Invalid, match="begin another one"):
        fit_history(messages, tokens=100, settings=HistorySettings(policy="refuse"))
