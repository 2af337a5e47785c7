"""Answers and errors that are given again as they were given first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Abandoned
from app.core.guards import GuardRefused
from app.core.ids import new_id
from app.llm.errors import LLMError, RateLimited, Timeout
from app.llm.types import Choice, FinishReason, LLMResponse, Message, ToolCall, Usage
from app.schemas.chat import ChatResult
from app.schemas.chat_calls import StoredCall
from app.services.chat.call import ChatCall, replay
from app.services.chat.outcome import output_json
from app.services.chat.replays import stored_error, stored_result
from tests.unit.services.chat.variants import variant

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TEXT = st.text(max_size=20)
MESSAGES = st.builds(
    Message,
    st.just("assistant"),
    st.one_of(st.none(), TEXT),
    tool_calls=st.lists(st.builds(ToolCall, TEXT, TEXT, TEXT), max_size=2).map(tuple),
    refusal=st.one_of(st.none(), TEXT),
    reasoning=st.one_of(st.none(), TEXT),
)
CHOICES = st.lists(
    st.builds(Choice, MESSAGES, st.sampled_from(FinishReason)), min_size=1, max_size=3
).map(tuple)


def response(choices: tuple[Choice, ...]) -> LLMResponse:
    return LLMResponse(choices, Usage(3, 4), None, 12.5, 3.5, NOW, 1)


def stored(answer: LLMResponse | None, code: str | None = None, error: object = None) -> StoredCall:
    return StoredCall(
        id=new_id(),
        ending="completed" if answer else "failed",
        started_at=NOW,
        variant_id=new_id(),
        role=None,
        bucket=None,
        alias_id=None,
        deployment_id=None,
        is_exact=True,
        ignored=(),
        output=None if answer is None else output_json(answer),
        error=error,
        error_code=code,
        finish_reason=None if answer is None else answer.choices[0].finish_reason.value,
        usage=Usage(3, 4),
        cost=None,
        latency_ms=12.5,
        time_to_first_token_ms=3.5,
        attempt_count=1,
        reported_model=None,
        reported_fingerprint=None,
        trace_id=None,
    )


@given(CHOICES)
def test_an_answer_comes_back_from_the_record_as_it_was(choices: tuple[Choice, ...]) -> None:
    given_first = response(choices)
    again = stored_result(stored(given_first), variant(), None)
    assert isinstance(again, ChatResult)
    assert again.response == given_first
    assert again.replayed


async def test_a_replayed_stream_says_everything_before_its_result() -> None:
    calls = (ToolCall("c1", "look", '{"a": 1}'),)
    message = Message("assistant", "Found.", tool_calls=calls, reasoning="Hm.")
    result = stored_result(
        stored(response((Choice(message, FinishReason.TOOL_CALLS),))), variant(), None
    )
    assert isinstance(result, ChatResult)
    call = ChatCall(result.generation_id, result.served, {})
    replay(call, result)
    said, last = [event async for event in call.events()]
    assert (said.text, said.reasoning) == ("Found.", "Hm.")
    assert said.tool_call_delta == [
        {
            "index": 0,
            "id": "c1",
            "type": "function",
            "function": {"name": "look", "arguments": '{"a": 1}'},
        }
    ]
    assert last.result is result


@pytest.mark.parametrize("kind", [RateLimited, Timeout])
def test_an_error_comes_back_as_its_kind(kind: type[LLMError]) -> None:
    shape = {"message": "No.", "http_status": 429, "body": "wait"}
    error = stored_result(stored(None, kind.code, shape), variant(), None)
    assert type(error) is kind
    assert (error.message, error.http_status, error.body) == ("No.", 429, "wait")


def test_a_guards_refusal_comes_back_with_its_name() -> None:
    error = stored_error("guard_refused", {"message": "Not that.", "guard": "secret"})
    assert isinstance(error, GuardRefused)
    assert error.name == "secret"


@pytest.mark.parametrize("code", ["abandoned", "cancelled", "internal", None])
def test_what_was_lost_stays_lost(code: str | None) -> None:
    assert isinstance(stored_error(code, None), Abandoned)


def test_an_erased_answer_cannot_be_given_again() -> None:
    whole = stored(response((Choice(Message("assistant", "x"), FinishReason.STOP),)))
    assert isinstance(stored_result(replace(whole, output=None), variant(), None), Abandoned)
