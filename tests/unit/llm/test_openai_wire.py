"""Chat completions: what is sent, and how careful replies are read."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from app.llm.errors import (
    BadRequest,
    ContentFiltered,
    LLMError,
    MalformedResponse,
    RateLimited,
    TruncatedStream,
)
from app.llm.openai_wire import StreamReader, encode_request, read_completion
from app.llm.providers import ProviderReply
from app.llm.types import (
    NO_USAGE,
    FinishReason,
    LLMRequest,
    Message,
    ModelTarget,
    StreamEvent,
    ToolCall,
    Usage,
    UsageSource,
)
from tests.unit.llm.support import CONTEXT, request

USAGE: JSON = {
    "prompt_tokens": 12,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def completion(**changes: JSON) -> dict[str, JSON]:
    return {
        "id": "chatcmpl-1",
        "model": "m-2026",
        "system_fingerprint": "fp",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        ],
        "usage": USAGE,
        **changes,
    }


def read(payload: JSON) -> ProviderReply:
    return read_completion(orjson.dumps(payload), CONTEXT)


def with_message(finish_reason: str | None = "stop", **message: JSON) -> dict[str, JSON]:
    return completion(choices=[{"message": message, "finish_reason": finish_reason}])


def test_the_body_is_the_recorded_request() -> None:
    wanted = request("hi", temperature=0)

    assert orjson.loads(encode_request(wanted, stream=False)) == wanted.request_shape
    assert orjson.loads(encode_request(wanted, stream=True)) == {
        **wanted.request_shape,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_text_that_is_no_unicode_is_refused_before_the_call() -> None:
    with pytest.raises(BadRequest, match="cannot be written"):
        encode_request(request("a\ud800"), stream=False)


def test_a_whole_reply_is_read() -> None:
    reply = read(completion())

    assert reply.choices[0].message == Message("assistant", "hi")
    assert reply.choices[0].finish_reason is FinishReason.STOP
    assert reply.usage == Usage(12, 5, 4, 3, UsageSource.PROVIDER)
    assert (reply.reported_model, reply.reported_fingerprint) == ("m-2026", "fp")
    assert reply.provider_request_id == "chatcmpl-1"


def test_the_request_id_of_the_header_comes_first() -> None:
    body = orjson.dumps(completion())

    assert read_completion(body, CONTEXT, header_request_id="r9").provider_request_id == "r9"


def test_tool_calls_refusals_and_reasoning_are_kept() -> None:
    call: JSON = {
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": '{"a": 1}'},
    }
    reply = read(with_message("tool_calls", content=None, tool_calls=[call], reasoning="hm"))

    assert reply.choices[0].message == Message(
        "assistant", None, tool_calls=(ToolCall("c1", "f", '{"a": 1}'),), reasoning="hm"
    )
    assert read(with_message(content=None, refusal="no")).choices[0].message.refusal == "no"


def test_arguments_sent_as_an_object_become_text_and_a_missing_id_a_number() -> None:
    call: JSON = {"function": {"name": "f", "arguments": {"a": 1}}}

    reply = read(with_message(content=None, tool_calls=[call]))

    assert reply.choices[0].message.tool_calls == (ToolCall("call_0", "f", '{"a":1}'),)


def test_content_in_parts_is_joined() -> None:
    parts: JSON = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]

    assert read(with_message(content=parts)).choices[0].message.content == "ab"


@pytest.mark.parametrize(
    "payload",
    [
        [],
        "text",
        {},
        completion(choices=[]),
        completion(choices="none"),
        completion(choices=[{"finish_reason": "stop"}]),
        completion(choices=[{"message": "hi"}]),
        with_message(content=None),
        with_message(content=7),
        with_message(content=None, tool_calls=[{"function": {}}]),
    ],
)
def test_what_is_no_answer_is_malformed(payload: JSON) -> None:
    with pytest.raises(MalformedResponse) as caught:
        read(payload)

    assert caught.value.body == orjson.dumps(payload).decode()


def test_an_empty_text_and_a_text_cut_to_nothing_are_answers() -> None:
    assert read(with_message(content="")).choices[0].message.content == ""
    assert read(with_message("length", content=None)).choices[0].message.content is None


@pytest.mark.parametrize(
    "usage",
    [
        None,
        "much",
        {},
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": "12", "completion_tokens": 2},
    ],
)
def test_usage_that_makes_no_sense_is_unreported_and_never_zero(usage: JSON) -> None:
    reply = read(completion(usage=usage))

    assert reply.usage.source is UsageSource.UNREPORTED
    assert reply.usage.input_tokens is None


def test_an_answer_that_the_filter_took_is_an_error_with_its_usage() -> None:
    with pytest.raises(ContentFiltered) as caught:
        read({**with_message("content_filter", content="so f"), "usage": USAGE})

    assert caught.value.partial_text == "so f"
    assert caught.value.usage == Usage(12, 5, 4, 3)


def test_one_filtered_choice_of_several_stays_a_choice() -> None:
    good: JSON = {"message": {"content": "a"}, "finish_reason": "stop"}
    gone: JSON = {"message": {"content": None}, "finish_reason": "content_filter"}

    reasons = [c.finish_reason for c in read(completion(choices=[good, gone])).choices]

    assert reasons == [FinishReason.STOP, FinishReason.CONTENT_FILTER]


def test_an_error_object_with_status_200_is_an_error() -> None:
    with pytest.raises(RateLimited):
        read({"error": {"message": "slow down", "code": 429}})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
FIELDS = ("id", "model", "choices", "usage", "error", "message", "content", "tool_calls", "delta")


@given(
    st.recursive(
        JSON_VALUES,
        lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner | st.lists(inner, max_size=2)),
        max_leaves=12,
    )
)
def test_any_json_is_an_answer_or_a_typed_error(payload: JSON) -> None:
    body = json.dumps(payload).encode()
    reader = StreamReader(CONTEXT)
    for attempt in (
        lambda: read_completion(body, CONTEXT),
        lambda: list(reader.events(body)),
        reader.reply,
    ):
        try:
            attempt()
        except LLMError as error:
            assert error.code != LLMError.code


# --- streams ---------------------------------------------------------------------------------


def chunk(delta: JSON = None, finish: str | None = None, **top: JSON) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return orjson.dumps({"id": "c", "model": "m-2026", "choices": [choice], **top})


def play(*payloads: bytes) -> tuple[list[StreamEvent], StreamReader]:
    reader = StreamReader(CONTEXT)
    events = [event for payload in payloads for event in reader.events(payload)]
    return events, reader


GOOD = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk(finish="stop"),
    orjson.dumps({"choices": [], "usage": USAGE}),
    b"[DONE]",
)


def test_a_stream_yields_its_text_and_then_the_whole_answer() -> None:
    events, reader = play(*GOOD)

    assert [event.text for event in events] == ["Hel", "lo"]
    reply = reader.reply()
    assert reply.choices[0].message.content == "Hello"
    assert reply.usage == Usage(12, 5, 4, 3)
    assert reply.reported_model == "m-2026"


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_a_stream_without_its_end_is_truncated(length: int) -> None:
    _, reader = play(*GOOD[:length])

    with pytest.raises(TruncatedStream):
        reader.reply()


def test_done_without_a_finish_reason_is_truncated() -> None:
    _, reader = play(GOOD[0], GOOD[1], b"[DONE]")

    with pytest.raises(TruncatedStream):
        reader.reply()


def test_a_choice_that_never_finishes_makes_the_stream_truncated() -> None:
    second = orjson.dumps({"choices": [{"index": 1, "delta": {"content": "x"}}]})
    _, reader = play(GOOD[1], second, GOOD[3], b"[DONE]")

    with pytest.raises(TruncatedStream):
        reader.reply()


def test_a_stream_that_says_nothing_is_malformed() -> None:
    for payloads in ((b"[DONE]",), (chunk({"content": None}), chunk(finish="stop"), b"[DONE]")):
        with pytest.raises(MalformedResponse):
            play(*payloads)[1].reply()


def test_usage_that_did_not_come_is_not_reported() -> None:
    _, reader = play(GOOD[1], GOOD[3], b"[DONE]")

    assert reader.reply().usage == NO_USAGE


def test_tool_calls_grow_from_their_pieces() -> None:
    def piece(index: int, **function: JSON) -> bytes:
        return chunk({"tool_calls": [{"index": index, "id": f"c{index}", "function": function}]})

    events, reader = play(
        piece(0, name="f", arguments=""),
        piece(0, arguments='{"a"'),
        piece(1, name="g", arguments="{}"),
        piece(0, arguments=": 1}"),
        chunk(finish="tool_calls"),
        b"[DONE]",
    )

    assert len(events) == 4
    assert reader.reply().choices[0].message.tool_calls == (
        ToolCall("c0", "f", '{"a": 1}'),
        ToolCall("c1", "g", "{}"),
    )


def test_several_choices_are_kept_and_only_the_first_is_passed_on() -> None:
    def piece(index: int, text: str, finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
        return orjson.dumps({"choices": [choice]})

    events, reader = play(piece(0, "a"), piece(1, "b", "stop"), piece(0, "c", "stop"), b"[DONE]")

    assert [event.text for event in events] == ["a", "c"]
    assert [c.message.content for c in reader.reply().choices] == ["ac", "b"]


def test_a_character_split_between_two_pieces_is_whole_in_the_answer() -> None:
    first = b'{"choices": [{"index": 0, "delta": {"content": "\\ud83d"}}]}'
    second = (
        b'{"choices": [{"index": 0, "delta": {"content": "\\ude42"}, "finish_reason": "stop"}]}'
    )
    events, reader = play(first, second, b"[DONE]")

    assert reader.reply().choices[0].message.content == "🙂"
    assert all(event.text.encode() for event in events)


def test_an_error_in_the_stream_is_raised_and_the_text_before_it_is_known() -> None:
    reader = StreamReader(CONTEXT)
    list(reader.events(GOOD[1]))

    with pytest.raises(LLMError, match="boom"):
        list(reader.events(b'{"error": {"message": "boom"}}'))
    assert reader.partial_text == "Hel"


def test_logprobs_of_all_pieces_are_joined() -> None:
    def piece(token: str, finish: str | None = None) -> bytes:
        logprobs = {"content": [{"token": token, "logprob": -0.5}]}
        choice = {
            "index": 0,
            "delta": {"content": token},
            "logprobs": logprobs,
            "finish_reason": finish,
        }
        return orjson.dumps({"choices": [choice]})

    _, reader = play(piece("a"), piece("b", "stop"), b"[DONE]")

    assert reader.reply().choices[0].logprobs == {
        "content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -0.5}]
    }


def test_the_request_carries_tools_and_formats() -> None:
    wanted = LLMRequest(
        ModelTarget("openai", "lab", "m"),
        (Message("user", "hi"),),
        tools=[{"type": "function"}],
        tool_choice="auto",
        response_format={"type": "json_object"},
    )

    body = orjson.loads(encode_request(wanted, stream=False))

    assert {"tools", "tool_choice", "response_format"} <= set(body)
