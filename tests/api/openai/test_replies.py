"""The shapes of answers, whole and in chunks, as OpenAI's own types read them.

The transcripts beside this file are what clients see of a stream, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessage

from app.api.openai.replies import ChunkWriter, completion, completion_id, served_headers
from app.core.hashing import JSON
from app.llm.types import Choice, FinishReason, LLMResponse, Message, ToolCall, Usage
from app.schemas.chat import ChatEvent, ChatResult, ServedBy

TRANSCRIPTS = Path(__file__).parent / "transcripts"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
GENERATION = UUID("019abc00-0000-7000-8000-000000000001")
SERVED = ServedBy(
    alias="support-bot@production",
    alias_id=UUID(int=1),
    deployment_id=UUID(int=2),
    deployment_number=7,
    role="canary",
    bucket=42,
    variant_id=UUID(int=3),
    variant_hash="sha256:ab",
    prompt="support@3",
    model="openai/gpt-5@2",
    provider="openai",
    is_exact=True,
)
CALL = ToolCall("call_1", "look_up", '{"id":7}')


def answered(*choices: Choice, usage: Usage | None = None, **changes: Any) -> ChatResult:
    response = LLMResponse(
        choices=choices,
        usage=usage or Usage(12, 3, cached_input_tokens=4, reasoning_tokens=1),
        cost=None,
        latency_ms=5.0,
        time_to_first_token_ms=2.0,
        started_at=NOW,
        attempts=1,
        reported_fingerprint="fp_1",
    )
    whole = ChatResult(GENERATION, SERVED, response, "completed", NOW)
    return replace(whole, **changes)


def said(text: str | None, reason: FinishReason = FinishReason.STOP, **message: Any) -> Choice:
    return Choice(Message("assistant", text, **message), reason)


def transcript(events: Iterable[ChatEvent], *, include_usage: bool = False) -> bytes:
    writer = ChunkWriter("chatcmpl-1", NOW, SERVED.model, include_usage=include_usage)
    return b"".join(writer.write(event) for event in events)


def payloads(stream: bytes) -> list[dict[str, Any]]:
    *events, done, rest = stream.split(b"\n\n")
    assert done == b"data: [DONE]"
    assert rest == b""
    return [orjson.loads(event.removeprefix(b"data: ")) for event in events]


def accumulated(stream: bytes) -> ChatCompletion:
    """Return what the SDK makes of a stream."""
    state = ChatCompletionStreamState()
    for payload in payloads(stream):
        state.handle_chunk(ChatCompletionChunk.model_validate(payload, strict=True))
    return state.get_final_completion()


def test_a_whole_answer_is_what_the_sdk_expects() -> None:
    shape = completion(answered(said("Hello.", tool_calls=(CALL,), reasoning="Hm.")), "r1")
    read = ChatCompletion.model_validate(shape, strict=True)
    assert read.id == f"chatcmpl-{GENERATION.hex}"
    assert read.created == int(NOW.timestamp())
    assert read.model == "openai/gpt-5@2"
    assert read.system_fingerprint == "fp_1"
    message = read.choices[0].message
    assert (message.role, message.content, message.refusal) == ("assistant", "Hello.", None)
    assert message.tool_calls is not None
    assert message.tool_calls[0].to_dict() == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "look_up", "arguments": '{"id":7}'},
    }
    assert message.to_dict()["reasoning_content"] == "Hm."


def test_usage_says_which_parts_were_cached_and_reasoned() -> None:
    usage = ChatCompletion.model_validate(completion(answered(said("x")), "r1")).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (12, 3, 15)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 4
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 1


def test_unknown_usage_is_null_and_not_zero() -> None:
    assert completion(answered(said("x"), usage=Usage(None, None)), "r1")["usage"] is None


@pytest.mark.parametrize(
    ("reason", "calls", "word"),
    [
        (FinishReason.STOP, (), "stop"),
        (FinishReason.LENGTH, (), "length"),
        (FinishReason.TOOL_CALLS, (CALL,), "tool_calls"),
        (FinishReason.CONTENT_FILTER, (), "content_filter"),
        (FinishReason.OTHER, (), "stop"),
        (FinishReason.OTHER, (CALL,), "tool_calls"),
    ],
)
def test_a_finish_reason_is_always_one_that_typed_clients_know(
    reason: FinishReason, calls: Sequence[ToolCall], word: str
) -> None:
    result = answered(said("x", reason, tool_calls=tuple(calls)))
    whole = ChatCompletion.model_validate(completion(result, "r1"), strict=True)
    assert whole.choices[0].finish_reason == word
    last = payloads(transcript([ChatEvent(result=result)]))[-1]
    assert last["choices"][0]["finish_reason"] == word


def test_the_text_of_a_disabled_alias_has_the_requests_id() -> None:
    assert completion_id(None, "r1") == "chatcmpl-r1"


# --- streams --------------------------------------------------------------------------------------


def calls(message: ChatCompletionMessage) -> list[tuple[str, str, str]]:
    found = [call for call in message.tool_calls or () if call.type == "function"]
    return [(call.id, call.function.name, call.function.arguments) for call in found]


def fragment(index: int, arguments: str, **first: Any) -> dict[str, Any]:
    return {"index": index, **first, "function": {"arguments": arguments}}


TEXT = [
    ChatEvent("Hel"),
    ChatEvent("lo."),
    ChatEvent(result=answered(said("Hello."))),
]
TOOLS = [
    ChatEvent(
        tool_call_delta=[
            {
                "index": 0,
                "id": "call_1",
                "type": "function",
                "function": {"name": "look_up", "arguments": ""},
            }
        ]
    ),
    ChatEvent(tool_call_delta=[fragment(0, '{"id"')]),
    ChatEvent(tool_call_delta=[fragment(0, ":7}")]),
    ChatEvent(result=answered(said(None, FinishReason.TOOL_CALLS, tool_calls=(CALL,)))),
]
CHOICES = [
    ChatEvent("One"),
    ChatEvent(
        result=answered(said("One"), said("Two", reasoning="Hm.", tool_calls=(CALL,))),
    ),
]
# An answer that is given again: its text at once, the rest with the result.
REPLAY = [
    ChatEvent("See:"),
    ChatEvent(result=answered(said("See:", FinishReason.TOOL_CALLS, tool_calls=(CALL,)))),
]
REFUSAL = [ChatEvent(result=answered(said(None, refusal="I cannot help with that.")))]


@pytest.mark.parametrize(
    ("name", "events", "include_usage"),
    [
        ("text", TEXT, False),
        ("usage", TEXT, True),
        ("tool_calls", TOOLS, False),
        ("choices", CHOICES, False),
        ("replay", REPLAY, False),
        ("refusal", REFUSAL, False),
    ],
)
def test_a_stream_is_the_one_on_record(
    name: str, events: Sequence[ChatEvent], include_usage: bool
) -> None:
    golden = (TRANSCRIPTS / f"{name}.sse").read_bytes()
    assert transcript(events, include_usage=include_usage) == golden


@pytest.mark.parametrize("events", [TEXT, TOOLS, CHOICES, REPLAY, REFUSAL])
@pytest.mark.parametrize("include_usage", [False, True])
def test_the_sdk_makes_of_a_stream_what_the_plain_answer_says(
    events: Sequence[ChatEvent], include_usage: bool
) -> None:
    result = events[-1].result
    assert result is not None
    whole = ChatCompletion.model_validate(completion(result, "r1"))
    read = accumulated(transcript(events, include_usage=include_usage))
    for ours, theirs in zip(whole.choices, read.choices, strict=True):
        assert theirs.message.content in (ours.message.content, ours.message.content or "")
        assert theirs.message.refusal == ours.message.refusal
        assert theirs.finish_reason == ours.finish_reason
        assert calls(theirs.message) == calls(ours.message)
    assert (read.usage is not None) == include_usage


def test_every_chunk_has_choices_unless_the_usage_was_asked_for() -> None:
    assert all(chunk["choices"] for chunk in payloads(transcript(TEXT)))
    assert all("usage" not in chunk for chunk in payloads(transcript(TEXT)))


def test_the_usage_comes_in_one_chunk_more() -> None:
    *chunks, last = payloads(transcript(TEXT, include_usage=True))
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 15


def test_all_chunks_have_one_id_time_and_model() -> None:
    chunks = payloads(transcript(CHOICES, include_usage=True))
    assert {(c["id"], c["created"], c["model"], c["object"]) for c in chunks} == {
        ("chatcmpl-1", int(NOW.timestamp()), "openai/gpt-5@2", "chat.completion.chunk")
    }


def test_log_probabilities_come_with_the_end() -> None:
    logprobs: JSON = {
        "content": [{"token": "x", "logprob": -0.1, "bytes": None, "top_logprobs": []}]
    }
    choice = replace(said("x"), logprobs=logprobs)
    read = accumulated(transcript([ChatEvent("x"), ChatEvent(result=answered(choice))]))
    assert read.choices[0].logprobs is not None
    assert read.choices[0].logprobs.content is not None
    assert read.choices[0].logprobs.content[0].token == "x"


@given(st.lists(st.text(min_size=1), min_size=1))
def test_however_a_text_is_cut_the_sdk_puts_it_together(pieces: list[str]) -> None:
    whole = "".join(pieces)
    events = [*(ChatEvent(piece) for piece in pieces), ChatEvent(result=answered(said(whole)))]
    assert accumulated(transcript(events)).choices[0].message.content == whole


# --- headers --------------------------------------------------------------------------------------


def test_the_headers_say_what_answered() -> None:
    assert served_headers(SERVED, GENERATION) == {
        "x-workbench-generation": str(GENERATION),
        "x-workbench-alias": "support-bot@production",
        "x-workbench-deployment": "7",
        "x-workbench-role": "canary",
        "x-workbench-variant": "sha256:ab",
        "x-workbench-prompt": "support@3",
        "x-workbench-model": "openai/gpt-5@2",
        "x-workbench-exact": "true",
    }


def test_what_was_asked_and_not_done_is_a_header() -> None:
    served = replace(SERVED, is_exact=False, ignored=("temperature", "store"))
    headers = served_headers(served, GENERATION)
    assert headers["x-workbench-ignored"] == "temperature, store"
    assert headers["x-workbench-exact"] == "false"


def test_a_model_called_directly_has_no_alias() -> None:
    served = replace(SERVED, alias=None, deployment_number=None, role=None)
    assert not {"x-workbench-alias", "x-workbench-deployment", "x-workbench-role"} & set(
        served_headers(served, GENERATION)
    )


def test_a_model_that_is_going_to_end_says_when() -> None:
    served = replace(
        SERVED, deprecated_at=NOW, sunset_at=NOW.replace(year=2027), successor="openai/gpt-6@1"
    )
    headers = served_headers(served, None)
    assert headers["deprecation"] == "@1795341600"
    assert headers["sunset"] == "Mon, 22 Nov 2027 10:00:00 GMT"
    assert headers["x-workbench-successor"] == "openai/gpt-6@1"


def test_the_documentation_has_every_header() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/reference/openai-api.md").read_text(
        encoding="utf-8"
    )
    served = replace(SERVED, ignored=("store",), deprecated_at=NOW, sunset_at=NOW, successor="x")
    for name in served_headers(served, GENERATION):
        assert f"`{name}`" in page
