"""The official Ollama client takes the fake for the real thing."""

from collections.abc import AsyncIterator

import httpx
import ollama
import pytest

from tests.fake_provider import FakeProvider, ProviderOptions

MESSAGES = [{"role": "user", "content": "twelve chars"}]


@pytest.fixture
async def server() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(ProviderOptions()) as running:
        yield running


@pytest.fixture
async def client(server: FakeProvider) -> AsyncIterator[ollama.AsyncClient]:
    async with ollama.AsyncClient(host=server.ollama_url, timeout=10) as opened:
        yield opened


async def test_plain_chat(client: ollama.AsyncClient) -> None:
    reply = await client.chat("fake-model", messages=MESSAGES)
    assert reply.message.content == "twelve chars"
    assert (reply.done, reply.done_reason) == (True, "stop")
    assert (reply.prompt_eval_count, reply.eval_count) == (3, 3)
    assert reply.total_duration is not None
    assert reply.eval_duration is not None
    assert reply.total_duration > reply.eval_duration > 0


async def test_streamed_chat(client: ollama.AsyncClient) -> None:
    parts = [part async for part in await client.chat("m", messages=MESSAGES, stream=True)]
    assert [part.message.content for part in parts] == ["twel", "ve c", "hars", ""]
    assert [part.done for part in parts] == [False, False, False, True]
    assert parts[-1].eval_count == 3


async def test_answer_is_cut_at_the_token_limit(client: ollama.AsyncClient) -> None:
    reply = await client.chat("m", messages=MESSAGES, options={"num_predict": 1})
    assert (reply.message.content, reply.done_reason) == ("twel", "length")


async def test_models_have_a_digest_and_a_description(client: ollama.AsyncClient) -> None:
    (model,) = (await client.list()).models
    assert model.model == "fake-model:latest"
    assert model.digest is not None
    assert len(model.digest) == 64
    shown = await client.show("fake-model")
    assert shown.modelinfo is not None
    assert shown.modelinfo["fake.context_length"] == 8192
    assert shown.capabilities == ["completion", "tools"]


async def test_closed_provider_does_not_know_other_models() -> None:
    async with (
        FakeProvider(ProviderOptions(closed=True)) as server,
        ollama.AsyncClient(host=server.ollama_url) as client,
    ):
        assert (await client.chat("fake-model:latest", messages=MESSAGES)).done
        for request in (client.show("other"), client.chat("other", messages=MESSAGES)):
            with pytest.raises(ollama.ResponseError, match="no model 'other'") as caught:
                await request
            assert caught.value.status_code == 404


async def test_missing_counts_are_missing(client: ollama.AsyncClient) -> None:
    reply = await client.chat("fault-ollama-missing-counts", messages=MESSAGES)
    assert (reply.prompt_eval_count, reply.eval_count) == (None, None)


async def test_error_line_ends_a_stream(client: ollama.AsyncClient) -> None:
    parts = []
    with pytest.raises(ollama.ResponseError) as caught:
        async for part in await client.chat(
            "fault-ollama-error-line", messages=MESSAGES, stream=True
        ):
            parts.append(part)
    assert len(parts) == 1
    assert caught.value.status_code == -1


async def test_silence_runs_into_the_time_limit(server: FakeProvider) -> None:
    async with ollama.AsyncClient(host=server.ollama_url, timeout=0.3) as hasty:
        with pytest.raises(httpx.ReadTimeout):
            await hasty.chat("fault-slow-first-byte", messages=MESSAGES)
