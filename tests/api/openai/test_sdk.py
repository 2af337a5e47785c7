"""The official `openai` package, unchanged, against the application on a real socket."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessage, ChatCompletionMessageFunctionToolCall
from pydantic import BaseModel

ASK: Any = [{"role": "user", "content": "Where is my parcel?"}]
BOT = "support-bot@production"
FREE = "free@production"
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "look_up",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"id": {"type": "integer"}},
            "required": ["id"],
            "additionalProperties": False,
        },
    },
}


class City(BaseModel):
    city: str


def called(message: ChatCompletionMessage) -> ChatCompletionMessageFunctionToolCall:
    """Return the one call that an answer wants."""
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    return call


# --- plain answers --------------------------------------------------------------------------------


def test_an_alias_answers(sdk: OpenAI) -> None:
    reply = sdk.chat.completions.create(model=BOT, messages=ASK)
    assert reply.choices[0].message.content == "Where is my parcel?"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.object == "chat.completion"
    assert reply.model == "openai/fake-model@1"
    assert reply.id.startswith("chatcmpl-")
    assert abs(reply.created - time.time()) < 60
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


async def test_an_alias_answers_the_async_client(server: Any) -> None:
    async with server.async_sdk() as sdk:
        reply = await sdk.chat.completions.create(model=BOT, messages=ASK)
    assert reply.choices[0].message.content == "Where is my parcel?"


def test_the_headers_say_what_answered(sdk: OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model=BOT, messages=ASK, temperature=1.5, store=False, user="u-1"
    )
    headers = raw.headers
    assert headers["x-workbench-alias"] == BOT
    assert headers["x-workbench-prompt"] == "support-bot@1"
    assert headers["x-workbench-model"] == "openai/fake-model@1"
    assert headers["x-workbench-deployment"] == "1"
    assert headers["x-workbench-role"] == "primary"
    assert headers["x-workbench-variant"].startswith("sha256:")
    assert headers["x-workbench-exact"] == "true"
    assert set(headers["x-workbench-ignored"].split(", ")) == {"temperature", "store"}
    assert int(headers["openai-processing-ms"]) >= 0
    reply = raw.parse()
    assert reply.id == f"chatcmpl-{headers['x-workbench-generation'].replace('-', '')}"
    assert reply._request_id == headers["x-request-id"]


def test_what_may_be_overridden_is(sdk: OpenAI, server: Any) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model=FREE, messages=ASK, temperature=1.5, seed=7, stop=["!"], max_completion_tokens=9
    )
    assert raw.headers["x-workbench-exact"] == "false"
    assert "x-workbench-ignored" not in raw.headers


def test_the_prompts_variables_are_filled(sdk: OpenAI) -> None:
    def ask(variables: dict[str, Any]) -> Any:
        return sdk.chat.completions.create(
            model="greeter@production",
            messages=ASK,
            extra_body={"prompt": {"variables": variables}},
        )

    assert ask({"shop": "Books"}).usage.prompt_tokens < ask({"shop": "B" * 400}).usage.prompt_tokens
    with pytest.raises(openai.BadRequestError) as refusal:
        ask({})
    assert refusal.value.param == "prompt.variables.shop"


def test_a_response_can_be_parsed(sdk: OpenAI) -> None:
    reply = sdk.chat.completions.parse(
        model=BOT,
        messages=[{"role": "user", "content": '{"city": "Paris"}'}],
        response_format=City,
    )
    assert reply.choices[0].message.parsed == City(city="Paris")


def test_tools_are_called(sdk: OpenAI) -> None:
    reply = sdk.chat.completions.create(
        model=BOT, messages=ASK, tools=[TOOL], tool_choice="required"
    )
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    call = called(choice.message)
    assert call.function.name == "look_up"
    json.loads(call.function.arguments)
    answer: Any = [*ASK, choice.message, {"role": "tool", "tool_call_id": call.id, "content": "7"}]
    again = sdk.chat.completions.create(model=BOT, messages=answer, tools=[TOOL])
    assert again.choices[0].finish_reason == "stop"


def test_a_model_is_called_directly(sdk: OpenAI) -> None:
    for name in ("openai/fake-model@1", "openai/fake-model", "fake-model"):
        raw = sdk.chat.completions.with_raw_response.create(
            model=name, messages=[{"role": "system", "content": "Be brief."}, *ASK]
        )
        assert raw.headers["x-workbench-prompt"] == "passthrough@1"
        assert "x-workbench-alias" not in raw.headers


def test_a_disabled_alias_answers_with_its_text(sdk: OpenAI) -> None:
    reply = sdk.chat.completions.create(model="closed@production", messages=ASK)
    assert reply.choices[0].message.content == "We are closed."
    assert reply.usage is not None
    assert reply.usage.total_tokens == 0
    with sdk.chat.completions.stream(model="closed@production", messages=ASK) as stream:
        assert stream.get_final_completion().choices[0].message.content == "We are closed."


def test_a_refusal_is_told(sdk: OpenAI) -> None:
    reply = sdk.chat.completions.create(model="openai/fault-refusal", messages=ASK)
    assert reply.choices[0].message.refusal
    with sdk.chat.completions.stream(model="openai/fault-refusal", messages=ASK) as stream:
        last = stream.get_final_completion()
    assert last.choices[0].message.refusal == reply.choices[0].message.refusal


# --- streams --------------------------------------------------------------------------------------


def test_a_stream_grows(sdk: OpenAI) -> None:
    chunks = list(sdk.chat.completions.create(model=BOT, messages=ASK, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len(chunks) > 3
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "Where is my parcel?"
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert all(chunk.usage is None for chunk in chunks)


async def test_a_stream_grows_for_the_async_client(server: Any) -> None:
    async with server.async_sdk() as sdk:
        stream = await sdk.chat.completions.create(model=BOT, messages=ASK, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == "Where is my parcel?"


def test_a_stream_tells_its_usage_in_the_end(sdk: OpenAI) -> None:
    *chunks, last = sdk.chat.completions.create(
        model=BOT, messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    plain = sdk.chat.completions.create(model=BOT, messages=ASK)
    assert all(chunk.choices for chunk in chunks)
    assert last.choices == []
    assert last.usage == plain.usage


def test_the_stream_helper_reads_text_and_structure(sdk: OpenAI) -> None:
    with sdk.chat.completions.stream(
        model=BOT,
        messages=[{"role": "user", "content": '{"city": "Paris"}'}],
        response_format=City,
    ) as stream:
        kinds = {event.type for event in stream}
        assert stream.get_final_completion().choices[0].message.parsed == City(city="Paris")
    assert {"chunk", "content.delta", "content.done"} <= kinds


def test_the_stream_helper_puts_tool_calls_together(sdk: OpenAI) -> None:
    with sdk.chat.completions.stream(
        model=BOT, messages=ASK, tools=[TOOL], tool_choice="required"
    ) as stream:
        final = stream.get_final_completion()
    call = called(final.choices[0].message)
    plain = sdk.chat.completions.create(
        model=BOT, messages=ASK, tools=[TOOL], tool_choice="required"
    )
    other = called(plain.choices[0].message)
    assert (call.function.name, call.function.arguments) == (
        other.function.name,
        other.function.arguments,
    )


def test_a_streams_headers_are_those_of_an_event_stream(sdk: OpenAI) -> None:
    with sdk.chat.completions.with_streaming_response.create(
        model=BOT, messages=ASK, stream=True
    ) as raw:
        headers = raw.headers
        body = raw.read()
    assert headers["content-type"].startswith("text/event-stream")
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-workbench-alias"] == BOT
    assert headers["x-request-id"]
    assert body.endswith(b"\n\ndata: [DONE]\n\n")


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "code", "param", "request_"),
    [
        (openai.NotFoundError, "model_not_found", "model", {"model": "nothing@production"}),
        (openai.NotFoundError, "model_not_found", "model", {"model": "openai/nothing"}),
        (openai.NotFoundError, "model_not_found", "model", {"model": "nothing"}),
        (openai.NotFoundError, "model_not_found", "model", {"model": "ended@production"}),
        (openai.BadRequestError, "invalid", "messages", {"messages": []}),
        (openai.BadRequestError, "invalid", "messages[0].role",
         {"messages": [{"role": "system", "content": "x"}]}),
        (openai.BadRequestError, "invalid", "temperature", {"model": FREE, "temperature": 9}),
        (openai.BadRequestError, "invalid", "temperature", {"model": FREE, "temperature": "hot"}),
        (openai.BadRequestError, "invalid", "audio", {"audio": {"voice": "x", "format": "wav"}}),
        (openai.BadRequestError, "invalid", "temperature",
         {"model": "strict@production", "temperature": 1}),
        (openai.BadRequestError, "invalid", "store",
         {"model": "strict@production", "store": False}),
        (openai.BadRequestError, "provider_bad_request", None,
         {"model": "openai/fault-400-context-length"}),
        (openai.BadRequestError, "content_filter", None,
         {"model": "openai/fault-400-content-filter"}),
        (openai.InternalServerError, "provider_authentication", None,
         {"model": "openai/fault-401"}),
        (openai.InternalServerError, "provider_unknown_model", None,
         {"model": "openai/fault-404-model"}),
        (openai.InternalServerError, "provider_server_error", None, {"model": "openai/fault-500"}),
        (openai.InternalServerError, "provider_quota_exhausted", None,
         {"model": "openai/fault-429-quota"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_is_the_sdks_own(
    sdk: OpenAI,
    kind: type[openai.APIStatusError],
    code: str,
    param: str | None,
    request_: dict[str, Any],
    stream: bool,
) -> None:
    with pytest.raises(kind) as refusal:
        sdk.chat.completions.create(**{"model": BOT, "messages": ASK, **request_, "stream": stream})
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert refusal.value.request_id


def test_a_key_that_is_none_is_refused(server: Any) -> None:
    with server.sdk("sk-wrong") as sdk, pytest.raises(openai.AuthenticationError) as refusal:
        sdk.chat.completions.create(model=BOT, messages=ASK)
    assert refusal.value.code == "invalid_api_key"


def test_a_retired_model_names_its_successor(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="openai/fake-model@1") as refusal:
        sdk.chat.completions.create(model="ended@production", messages=ASK)
    assert refusal.value.response.headers["x-workbench-successor"] == "openai/fake-model@1"


def test_a_model_that_is_going_to_end_says_so(sdk: OpenAI) -> None:
    headers = sdk.chat.completions.with_raw_response.create(
        model="ending@production", messages=ASK
    ).headers
    assert headers["deprecation"].startswith("@")
    assert headers["sunset"] == "Sat, 31 Jan 2099 00:00:00 GMT"
    assert headers["x-workbench-successor"] == "openai/fake-model@1"


@pytest.mark.parametrize("fault", ["stream-cut-before-finish", "stream-error-event"])
def test_a_stream_that_breaks_off_has_no_clean_end(sdk: OpenAI, fault: str) -> None:
    text = ""
    with pytest.raises(openai.APIError) as broken:
        for chunk in sdk.chat.completions.create(
            model=f"openai/fault-{fault}", messages=ASK, stream=True
        ):
            text += chunk.choices[0].delta.content or ""
    assert text
    assert str(broken.value.code).startswith("provider_")


def test_a_limit_that_is_reached_says_when_to_come_back(sdk: OpenAI) -> None:
    def ask() -> Any:
        return sdk.chat.completions.with_raw_response.create(
            model="limited@production", messages=ASK
        )

    with pytest.raises(openai.RateLimitError) as refusal:
        for _ in range(3):  # the minute may change once between two of them
            assert ask().headers["x-ratelimit-limit-requests"] == "1"
    headers = refusal.value.response.headers
    assert refusal.value.code == "rate_limit_exceeded"
    assert 0 < int(headers["retry-after"]) <= 60
    assert 0 < int(headers["retry-after-ms"]) <= 60_000
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in headers


def test_a_budget_that_is_spent_is_not_asked_again(sdk: OpenAI) -> None:
    with (
        sdk.with_options(max_retries=5) as patient,
        pytest.raises(openai.RateLimitError) as refusal,
    ):
        patient.chat.completions.create(model="poor@production", messages=ASK)
    assert refusal.value.code == "insufficient_quota"
    assert refusal.value.response.headers["x-should-retry"] == "false"
    assert refusal.value.response.request.headers["x-stainless-retry-count"] == "0"


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/nothing/at/all"])
def test_an_unknown_path_has_the_shape_of_openai(sdk: OpenAI, path: str) -> None:
    with pytest.raises(openai.NotFoundError) as refusal:
        sdk.post(path.removeprefix("/v1"), body={}, cast_to=object)
    assert refusal.value.code == "not_found"


def test_a_wrong_method_and_a_body_that_is_no_json_have_it_too(sdk: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refusal:
        sdk.get("/chat/completions", cast_to=object)
    assert (refusal.value.status_code, refusal.value.code) == (405, "method_not_allowed")
    with pytest.raises(openai.APIStatusError) as refusal:
        sdk.post("/chat/completions", content=b"{}", cast_to=object,
                 options={"headers": {"content-type": "text/plain"}})  # fmt: skip
    assert (refusal.value.status_code, refusal.value.type) == (415, "invalid_request_error")


# --- the same request twice -----------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_ones_answer(sdk: OpenAI, server: Any) -> None:
    key = {"Idempotency-Key": "twice"}
    before = len(server.provider.calls())
    first = sdk.chat.completions.create(model=BOT, messages=ASK, extra_headers=key)
    again = sdk.chat.completions.create(model=BOT, messages=ASK, extra_headers=key)
    assert again == first
    assert len(server.provider.calls()) == before + 1


def test_a_duplicate_waits_for_the_first(sdk: OpenAI, server: Any) -> None:
    before = len(server.provider.calls())

    def ask(_: int) -> str:
        key = {"Idempotency-Key": "at once"}
        return sdk.chat.completions.create(model=BOT, messages=ASK, extra_headers=key).id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(ask, range(8)))
    assert len(ids) == 1
    assert len(server.provider.calls()) == before + 1


def test_a_repeated_stream_is_the_same_answer(sdk: OpenAI) -> None:
    def ask() -> tuple[str, str]:
        chunks = list(
            sdk.chat.completions.create(
                model=BOT, messages=ASK, stream=True, extra_headers={"Idempotency-Key": "stream"}
            )
        )
        return chunks[0].id, "".join(c.choices[0].delta.content or "" for c in chunks)

    assert ask() == ask()


def test_a_key_of_another_request_is_refused(sdk: OpenAI) -> None:
    key = {"Idempotency-Key": "other"}
    sdk.chat.completions.create(model=BOT, messages=ASK, extra_headers=key)
    with pytest.raises(openai.BadRequestError) as refusal:
        sdk.chat.completions.create(model=FREE, messages=ASK, extra_headers=key)
    assert refusal.value.code == "idempotency_key_reused"


# --- models ---------------------------------------------------------------------------------------


def test_models_are_listed(sdk: OpenAI) -> None:
    listed = {model.id: model for model in sdk.models.list()}
    assert {BOT, FREE, "closed@production", "openai/fake-model@1"} <= listed.keys()
    assert "openai/ended@1" not in listed
    assert listed["ending@production"].shutdown_date == "2099-01-31"
    assert listed[BOT].owned_by == "prompt-workbench"
    assert listed["openai/fake-model@1"].owned_by == "openai"


@pytest.mark.parametrize("name", [BOT, "openai/fake-model@1"])
def test_a_model_is_shown(sdk: OpenAI, name: str) -> None:
    assert sdk.models.retrieve(name).id == name


def test_a_model_that_is_none_is_not_found(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refusal:
        sdk.models.retrieve("openai/nothing")
    assert refusal.value.code == "model_not_found"


def test_a_key_that_is_bound_to_an_alias_sees_and_calls_this_alone(server: Any) -> None:
    with server.sdk(server.bound_key) as sdk:
        assert [model.id for model in sdk.models.list()] == ["greeter@production"]
        for name in (BOT, "openai/fake-model@1"):
            with pytest.raises(openai.NotFoundError):
                sdk.chat.completions.create(model=name, messages=ASK)
