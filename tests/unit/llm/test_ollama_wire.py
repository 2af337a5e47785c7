"""Ollama's chat: what is sent under its names, and how replies are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.core.hashing import JSON
from app.llm.errors import (
    BadRequest,
    ContentFiltered,
    MalformedResponse,
    ParameterNotSupported,
    ServerError,
    TruncatedStream,
)
from app.llm.ollama_wire import StreamReader, chat_body, read_chat
from app.llm.types import (
    FinishReason,
    ImagePart,
    LLMRequest,
    Message,
    ModelTarget,
    TextPart,
    ToolCall,
    UsageSource,
)
from tests.unit.llm.support import CONTEXT, request


def wanted(*messages: Message, **fields: JSON) -> LLMRequest:
    target = ModelTarget("ollama", "lab", "llama3")
    return LLMRequest(target, messages or (Message("user", "hi"),), **fields)  # type: ignore[arg-type] # tests name a field of any type


def asking(parameters: Mapping[str, JSON]) -> LLMRequest:
    return replace(wanted(), parameters=parameters)


def chat(**changes: JSON) -> dict[str, JSON]:
    return {
        "model": "llama3",
        "message": {"role": "assistant", "content": "hi"},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 9,
        "eval_count": 2,
        **changes,
    }


def test_parameters_go_under_options_with_their_names() -> None:
    body = chat_body(
        request("hi", temperature=0, max_tokens=8, stop="\n", num_ctx=4096, think=True),
        stream=False,
    )

    assert body["options"] == {"temperature": 0, "num_predict": 8, "stop": ["\n"], "num_ctx": 4096}
    assert body["think"] is True
    assert body["stream"] is False


@pytest.mark.parametrize("name", ["n", "verbosity"])
def test_what_ollama_would_ignore_is_refused(name: str) -> None:
    with pytest.raises(ParameterNotSupported) as caught:
        chat_body(asking({name: 2}), stream=False)

    assert caught.value.parameter == name


@pytest.mark.parametrize(
    ("response_format", "sent"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, "json"),
        ({"type": "json_schema", "json_schema": {"schema": {"a": 1}}}, {"a": 1}),
    ],
)
def test_response_formats_have_ollamas_form(response_format: JSON, sent: JSON) -> None:
    assert chat_body(wanted(response_format=response_format), stream=False).get("format") == sent


def test_messages_carry_images_tools_and_thoughts() -> None:
    body = chat_body(
        wanted(
            Message("developer", "Be brief."),
            Message("user", (TextPart("what?"), ImagePart("data:image/png;base64,QUJD"))),
            Message("assistant", None, tool_calls=(ToolCall("1", "f", '{"a": 1}'),), reasoning="x"),
            Message("tool", "7", name="f"),
        ),
        stream=True,
    )

    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "what?", "images": ["QUJD"]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
            "thinking": "x",
        },
        {"role": "tool", "content": "7", "tool_name": "f"},
    ]


def test_a_tools_schema_is_sent_as_it_is_written() -> None:
    tools: JSON = [{"type": "function", "function": {"parameters": {"anyOf": [], "minimum": 1}}}]

    assert chat_body(wanted(tools=tools), stream=False)["tools"] == tools


@pytest.mark.parametrize(
    "bad",
    [
        wanted(Message("user", (ImagePart("https://example.org/cat.png"),))),
        wanted(Message("assistant", None, tool_calls=(ToolCall("1", "f", "not json"),))),
        wanted(tool_choice="required"),
        wanted(response_format={"type": "grammar"}),
    ],
)
def test_what_ollama_cannot_express_is_refused_before_the_call(bad: LLMRequest) -> None:
    with pytest.raises(BadRequest):
        chat_body(bad, stream=False)


def test_a_whole_reply_is_read() -> None:
    reply = read_chat(chat(), CONTEXT)

    assert reply.choices[0].message.content == "hi"
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (9, 2)
    assert reply.reported_model == "llama3"


def test_absent_counts_are_not_reported() -> None:
    payload = chat()
    del payload["prompt_eval_count"]

    usage = read_chat(payload, CONTEXT).usage

    assert (usage.input_tokens, usage.output_tokens) == (None, 2)
    assert usage.source is UsageSource.UNREPORTED


def test_tool_calls_are_read_and_end_for_tool_calls() -> None:
    calls: JSON = [{"function": {"name": "f", "arguments": {"a": 1}}}]
    choice = read_chat(chat(message={"content": "", "tool_calls": calls}), CONTEXT).choices[0]

    assert choice.message.tool_calls == (ToolCall("call_0", "f", '{"a":1}'),)
    assert choice.finish_reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    "payload",
    [{}, chat(message=None), chat(done=False), chat(message={"content": None})],
)
def test_what_is_no_answer_is_malformed(payload: dict[str, JSON]) -> None:
    with pytest.raises(MalformedResponse):
        read_chat(payload, CONTEXT)


def test_an_error_object_and_a_filtered_answer_are_errors() -> None:
    with pytest.raises(ServerError, match="boom"):
        read_chat({"error": "boom"}, CONTEXT)
    with pytest.raises(ContentFiltered):
        read_chat(chat(done_reason="content_filter"), CONTEXT)


def test_a_stream_yields_its_text_and_then_the_whole_answer() -> None:
    reader = StreamReader(CONTEXT)
    calls: JSON = [{"function": {"name": "f", "arguments": {}}}]
    objects: list[dict[str, JSON]] = [
        {"message": {"thinking": "hm"}, "done": False},
        {"message": {"content": "Hel"}, "done": False},
        {"message": {"content": "lo", "tool_calls": calls}, "done": False},
        chat(message={"content": ""}),
    ]
    events = [event for payload in objects for event in reader.events(payload)]

    assert [(event.text, event.reasoning) for event in events] == [
        ("", "hm"),
        ("Hel", ""),
        ("lo", ""),
    ]
    message = reader.reply().choices[0].message
    assert (message.content, message.reasoning) == ("Hello", "hm")
    assert message.tool_calls == (ToolCall("call_0", "f", "{}"),)


def test_a_stream_without_its_last_object_is_truncated() -> None:
    reader = StreamReader(CONTEXT)
    reader.events({"message": {"content": "Hel"}, "done": False})

    with pytest.raises(TruncatedStream):
        reader.reply()
    assert reader.partial_text == "Hel"


def test_an_empty_stream_is_malformed() -> None:
    with pytest.raises(MalformedResponse):
        StreamReader(CONTEXT).reply()
