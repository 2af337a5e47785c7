"""The official OpenAI client, without retries of its own, takes the fake for the real thing."""

from collections.abc import AsyncIterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.fake_provider import FakeProvider, ProviderOptions
from tests.fake_provider.dialects import CREATED

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is 20 + 22?"}]
TOOL: ChatCompletionToolParam = {"type": "function", "function": {"name": "look_up"}}


@pytest.fixture
async def server() -> AsyncIterator[FakeProvider]:
    options = ProviderOptions(answer="arithmetic", right_share=1.0, models=("fake-model", "b"))
    async with FakeProvider(options) as running:
        yield running


@pytest.fixture
async def client(server: FakeProvider) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=server.base_url, api_key="any", max_retries=0, timeout=10
    ) as opened:
        yield opened


async def test_plain_completion(client: openai.AsyncOpenAI, server: FakeProvider) -> None:
    reply = await client.chat.completions.create(model="fake-model", messages=MESSAGES)
    assert reply.choices[0].message.content == "42"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (4, 1)
    assert (reply.model, reply.system_fingerprint, reply.created) == (
        "fake-model",
        "fp_fake",
        CREATED,
    )
    call = server.ledger.calls[0]
    assert reply.id == f"chatcmpl-{call.identity}-1"
    assert reply._request_id == f"req-{call.identity}-1"


async def test_streamed_completion_with_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="fake-model",
        messages=[{"role": "user", "content": "twelve chars"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert deltas == ["", "twel", "ve c", "hars", None]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 6


async def test_stream_without_the_option_has_no_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="fake-model", messages=MESSAGES, stream=True
    )
    assert not [chunk async for chunk in stream if chunk.usage or not chunk.choices]


async def test_several_choices_and_log_probabilities(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(
        model="fake-model", messages=MESSAGES, n=2, logprobs=True
    )
    assert [choice.index for choice in reply.choices] == [0, 1]
    logprobs = reply.choices[1].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert [item.token for item in logprobs.content] == ["42"]


async def test_tool_call_plain_and_streamed(client: openai.AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(
        model="fake-model", messages=MESSAGES, tools=[TOOL], tool_choice="required"
    )
    assert reply.choices[0].finish_reason == "tool_calls"
    calls = reply.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.arguments == '{"text":"What is 20 + 22?"}'
    stream = await client.chat.completions.create(
        model="fake-model", messages=MESSAGES, tools=[TOOL], tool_choice="required", stream=True
    )
    pieces = [
        call.function.arguments
        async for chunk in stream
        for call in chunk.choices[0].delta.tool_calls or []
        if call.function
    ]
    assert "".join(piece or "" for piece in pieces) == calls[0].function.arguments


async def test_models_are_listed_and_retrieved(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["fake-model", "b"]
    assert (await client.models.retrieve("team/any")).id == "team/any"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429-seconds", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("502-html", openai.InternalServerError),
        ("400", openai.BadRequestError),
        ("401", openai.AuthenticationError),
        ("403", openai.PermissionDeniedError),
        ("404-model", openai.NotFoundError),
        ("422", openai.UnprocessableEntityError),
        ("reset-before-headers", openai.APIConnectionError),
        ("close-without-reply", openai.APIConnectionError),
    ],
)
async def test_faults_reach_the_client_as_its_own_errors(
    client: openai.AsyncOpenAI, fault: str, error: type[openai.APIError]
) -> None:
    with pytest.raises(error):
        await client.chat.completions.create(model=f"fault-{fault}", messages=MESSAGES)


@pytest.mark.parametrize("fault", ["slow-first-byte", "idle-gap"])
async def test_silence_runs_into_the_time_limit(client: openai.AsyncOpenAI, fault: str) -> None:
    hasty = client.with_options(timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        await hasty.chat.completions.create(model=f"fault-{fault}", messages=MESSAGES)


async def test_parameter_refusal_names_the_parameter(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="fault-400-temperature", messages=MESSAGES)
    assert (caught.value.param, caught.value.code) == ("temperature", "unsupported_value")


async def test_fault_for_once_lets_the_second_attempt_pass(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        await client.chat.completions.create(model="fault-429-ms-once", messages=MESSAGES)
    reply = await client.chat.completions.create(model="fault-429-ms-once", messages=MESSAGES)
    assert reply.choices[0].message.content == "42"
