"""How the body of a chat-completions request is read."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.openai.fields import EXTENSIONS, FIELDS, Handling
from app.api.openai.requests import CompletionRequest, parse_completion_request
from app.core.errors import Invalid
from app.core.parameters import PARAMETER_NAMES
from app.llm.types import ImagePart, Message, TextPart, ToolCall

USER: dict[str, Any] = {"role": "user", "content": "Where is my parcel?"}
LEAST: dict[str, Any] = {"model": "support-bot@production", "messages": [USER]}


def parse(**fields: Any) -> CompletionRequest:
    return parse_completion_request(orjson.dumps({**LEAST, **fields}), request_id="r1")


def parse_message(message: Any) -> Message:
    return parse(messages=[message]).chat.messages[0]


def refused(**fields: Any) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        parse(**fields)
    return refusal.value


def test_the_least_request_names_a_model_and_a_message() -> None:
    wanted = parse()
    assert wanted.chat.target == "support-bot@production"
    assert wanted.chat.messages == (Message("user", "Where is my parcel?"),)
    assert wanted.chat.request_id == "r1"
    assert wanted.chat.parameters == {}
    assert wanted.chat.asked_besides == ()
    assert not wanted.chat.stream
    assert not wanted.include_usage


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b'{"a": NaN}', b"\xff"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_completion_request(body, request_id="r1")
    assert refusal.value.path == "body"


def test_a_lone_surrogate_is_no_json() -> None:
    with pytest.raises(Invalid):
        parse_completion_request(rb'{"model": "\ud800"}', request_id="r1")


# --- fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", sorted(n for n in {**FIELDS, **EXTENSIONS} if n in PARAMETER_NAMES)
)
def test_every_parameter_is_passed_under_the_houses_name(name: str) -> None:
    assert parse(**{name: 1}).chat.parameters == {name: 1}


def test_a_value_of_a_wrong_type_is_left_to_the_bounds_of_the_model() -> None:
    assert parse(temperature="hot").chat.parameters == {"temperature": "hot"}


def test_max_completion_tokens_is_max_tokens() -> None:
    assert parse(max_completion_tokens=7).chat.parameters == {"max_tokens": 7}
    assert parse(max_completion_tokens=7, max_tokens=7).chat.parameters == {"max_tokens": 7}


def test_two_limits_that_differ_are_refused() -> None:
    assert refused(max_completion_tokens=7, max_tokens=8).path == "max_tokens"


def test_logprobs_false_asks_for_nothing() -> None:
    assert parse(logprobs=False).chat.parameters == {}


REFUSED = {
    "audio": {"voice": "alloy"},
    "function_call": "auto",
    "functions": [{"name": "f"}],
    "logit_bias": {"50256": -100},
    "modalities": ["text", "audio"],
    "parallel_tool_calls": False,
    "web_search_options": {},
}


def test_the_refused_fields_are_all_tried_below() -> None:
    assert {n for n, f in FIELDS.items() if f.handling is Handling.REFUSED} == REFUSED.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_the_answer_and_cannot_be_done_is_refused(name: str) -> None:
    assert refused(**{name: REFUSED[name]}).path == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("function_call", "none"),
        ("functions", []),
        ("logit_bias", {}),
        ("modalities", ["text"]),
        ("parallel_tool_calls", True),
        ("service_tier", "auto"),
        ("store", True),
    ],
)
def test_asking_for_what_happens_anyway_is_neither_refused_nor_ignored(
    name: str, value: Any
) -> None:
    assert parse(**{name: value}).chat.asked_besides == ()


@pytest.mark.parametrize("name", sorted(n for n in FIELDS if n not in LEAST))
def test_null_is_absent(name: str) -> None:
    wanted = parse(**{name: None}).chat
    assert wanted.asked_besides == ()
    assert wanted.parameters == {}


@pytest.mark.parametrize(
    "name", sorted(n for n, f in FIELDS.items() if f.handling is Handling.IGNORED)
)
def test_what_only_tunes_the_service_is_ignored_by_name(name: str) -> None:
    assert parse(**{name: "x"}).chat.asked_besides == (name,)


def test_unknown_fields_are_ignored_by_name() -> None:
    wanted = parse(brand_new=1, messages=[{**USER, "cache_control": {"type": "ephemeral"}}]).chat
    assert wanted.asked_besides == ("messages[].cache_control", "brand_new")


def test_an_ignored_name_that_no_header_carries_is_not_repeated() -> None:
    wanted = parse(**{"x\r\nset-cookie: a": 1, "ü": 2, "ok": 3}).chat
    assert wanted.asked_besides == ("(unreadable)", "ok")


def test_the_list_of_ignored_names_is_bounded() -> None:
    assert len(parse(**{f"field_{n}": n for n in range(500)}).chat.asked_besides) == 32


# --- who and what for -----------------------------------------------------------------------------


def test_the_end_user_is_the_subject() -> None:
    assert parse(user="u-1").chat.subject == "u-1"
    assert parse(user="u-1", safety_identifier="s-1").chat.subject == "s-1"


@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_a_subject_is_a_text_of_200_characters_at_most(name: str) -> None:
    assert refused(**{name: 5}).path == name
    assert refused(**{name: "x" * 201}).path == name


def test_metadata_are_the_callers_tags() -> None:
    assert parse(metadata={"ticket": "7"}).chat.tags == {"ticket": "7"}


@pytest.mark.parametrize(
    "metadata",
    [5, {"a": 1}, {"k" * 65: "v"}, {"k": "v" * 513}, {str(n): "v" for n in range(17)}],
)
def test_metadata_beyond_the_protocols_bounds_is_refused(metadata: Any) -> None:
    assert refused(metadata=metadata).path == "metadata"


def test_the_prompts_variables_travel_in_prompt() -> None:
    wanted = parse(prompt={"variables": {"shop": "Books & Co", "items": [1, 2]}})
    assert wanted.chat.variables == {"shop": "Books & Co", "items": [1, 2]}


@pytest.mark.parametrize(
    ("prompt", "path"),
    [
        ("triage", "prompt"),
        ({"variables": []}, "prompt.variables"),
        ({"id": "triage"}, "prompt.id"),
        ({"bad\nname": 1}, "prompt"),
    ],
)
def test_a_prompt_takes_variables_only(prompt: Any, path: str) -> None:
    assert refused(prompt=prompt).path == path


def test_an_empty_idempotency_key_is_none() -> None:
    body = orjson.dumps(LEAST)
    wanted = parse_completion_request(body, request_id="r", idempotency_key="")
    assert wanted.chat.idempotency_key is None


def test_the_request_hash_depends_on_what_is_said_and_not_on_how_it_is_written() -> None:
    one = b'{"model": "a@b", "messages": [{"role": "user", "content": "x"}]}'
    other = b'{"messages":[{"content":"x","role":"user"}],"model":"a@b"}'
    hashes = {
        parse_completion_request(body, request_id="r").chat.request_hash for body in (one, other)
    }
    assert len(hashes) == 1
    assert parse(seed=1).chat.request_hash != parse(seed=2).chat.request_hash


# --- streams, tools, formats ----------------------------------------------------------------------


def test_a_stream_may_ask_for_its_usage() -> None:
    wanted = parse(stream=True, stream_options={"include_usage": True, "include_obfuscation": True})
    assert wanted.chat.stream
    assert wanted.include_usage
    assert wanted.chat.asked_besides == ("stream_options.include_obfuscation",)


def test_stream_options_without_a_stream_are_refused() -> None:
    assert refused(stream_options={"include_usage": True}).path == "stream_options"


def test_tools_are_functions() -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
    assert parse(tools=[tool], tool_choice="required").chat.tools == [tool]
    assert parse(tools=[]).chat.tools is None
    assert refused(tools=[tool, {"type": "custom"}]).path == "tools[1]"
    assert refused(tools=[{"type": "function", "function": {}}]).path == "tools[0].function.name"
    assert refused(tools={}).path == "tools"
    assert refused(tools=[tool], tool_choice="perhaps").path == "tool_choice"


def test_a_response_format_is_one_of_three() -> None:
    assert parse(response_format={"type": "json_object"}).chat.response_format
    assert refused(response_format={"type": "xml"}).path == "response_format.type"
    assert refused(response_format="json").path == "response_format"


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["developer", "system", "user", "assistant"])
def test_a_message_may_be_a_text(role: str) -> None:
    message = parse_message({"role": role, "content": "Hello", "name": "ann"})
    assert (message.role, message.content, message.name) == (role, "Hello", "ann")


def test_a_users_parts_are_texts_and_images() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
    ]
    assert parse_message({"role": "user", "content": parts}).content == (
        TextPart("What is this?"),
        ImagePart("data:image/png;base64,AA", "low"),
    )


def test_an_assistants_calls_and_a_tools_reply_are_kept() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assistant = parse_message({"role": "assistant", "content": None, "tool_calls": [call]})
    assert assistant.tool_calls == (ToolCall("c1", "f", "{}"),)
    assert assistant.content is None
    tool = parse_message({"role": "tool", "content": "42", "tool_call_id": "c1"})
    assert (tool.content, tool.tool_call_id) == ("42", "c1")


def test_an_assistants_refusal_is_a_field_or_a_part() -> None:
    field = parse_message({"role": "assistant", "content": None, "refusal": "No."})
    part = {"type": "refusal", "refusal": "No."}
    parts = parse_message({"role": "assistant", "content": [part]})
    assert field.refusal == parts.refusal == "No."
    assert field.content is None
    assert parts.content is None


def test_an_answer_of_ours_can_be_sent_back_as_it_came() -> None:
    silent = dict.fromkeys(("refusal", "audio", "function_call", "tool_calls"))
    answer: dict[str, Any] = {"role": "assistant", "content": "Hi", "annotations": [], **silent}
    assert parse(messages=[USER, answer, USER]).chat.asked_besides == ()


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        (None, "messages"),
        ([], "messages"),
        ("hello", "messages"),
        (["hello"], "messages[0]"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "function", "content": "x"}], "messages[0].role"),
        ([{"role": ["user"], "content": "x"}], "messages[0].role"),
        ([USER, {"role": "user"}], "messages[1].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": []}], "messages[0].content"),
        ([{"role": "user", "content": ["x"]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "file"}]}], "messages[0].content[0].type"),
        ([{"role": "system", "content": [{"type": "image_url"}]}], "messages[0].content[0].type"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            "messages[0].content[0].image_url.url",
        ),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "x", "detail": 3}}],
                }
            ],
            "messages[0].content[0].image_url.detail",
        ),
        ([{"role": "user", "content": "x", "name": 5}], "messages[0].name"),
        ([{"role": "assistant"}], "messages[0].content"),
        ([{"role": "assistant", "tool_calls": {}}], "messages[0].tool_calls"),
        ([{"role": "assistant", "tool_calls": [{}]}], "messages[0].tool_calls[0]"),
        (
            [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f"}}]}],
            "messages[0].tool_calls[0]",
        ),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
    ],
)
def test_a_message_that_is_none_is_refused_with_its_place(messages: Any, path: str) -> None:
    assert refused(messages=messages).path == path


@pytest.mark.parametrize("model", [None, "", 5, [], "x" * 301])
def test_a_model_is_a_short_text(model: Any) -> None:
    assert refused(model=model).path == "model"


NAMES = st.text(max_size=5) | st.sampled_from(
    [*FIELDS, "prompt", "variables", "role", "content", "type", "text", "image_url", "url", "id",
     "function", "name", "arguments", "tool_calls", "refusal", "user", "assistant"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES), st.lists(st.dictionaries(NAMES, VALUES), max_size=3))
def test_whatever_is_sent_is_read_or_refused_with_a_place(
    payload: dict[str, Any], messages: list[dict[str, Any]]
) -> None:
    body = orjson.dumps({**LEAST, **payload, "messages": [*messages, USER]})
    try:
        wanted = parse_completion_request(body, request_id="r1")
    except Invalid as refusal:
        assert refusal.path
        assert refusal.path.isprintable()
    else:
        assert ", ".join(wanted.chat.asked_besides).isascii()
