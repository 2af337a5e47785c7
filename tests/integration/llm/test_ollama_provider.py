"""Ollama through its official SDK and the guard."""

from __future__ import annotations

import orjson
import pytest

from app.core.hashing import JSON
from app.llm.errors import BadRequest, EndpointUnreachable, UnknownModel
from app.llm.providers import ModelReport
from app.llm.types import LLMRequest, Message, ModelTarget, UsageSource
from tests.fake_provider import Drift, FakeProvider, FaultScript, ProviderOptions
from tests.integration.llm.support import (
    KEY,
    Exchange,
    TinyServer,
    client_for,
    provider_for,
    request,
    settings,
)

CHAT = {
    "model": "llama3",
    "message": {"role": "assistant", "content": "fine"},
    "done": True,
    "done_reason": "stop",
}


async def answer(exchange: Exchange) -> None:
    await exchange.answer(orjson.dumps(CHAT))


async def test_an_answer_carries_what_ollama_reports() -> None:
    async with (
        FakeProvider() as server,
        client_for(settings(server.ollama_url, "ollama")) as client,
    ):
        response = await client.generate(request(dialect="ollama"))

    assert response.choices[0].message.text == "hello ☃ world"
    assert response.usage.source is UsageSource.PROVIDER
    assert response.reported_model == "fake-model"


async def test_the_body_on_the_wire_is_ours_to_the_letter() -> None:
    tools: JSON = [
        {
            "type": "function",
            "function": {
                "name": "f",
                "parameters": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"z": {"anyOf": [{"type": "null"}]}, "a": {"minimum": 1}},
                },
            },
        }
    ]
    wanted = LLMRequest(
        ModelTarget("ollama", "lab", "llama3"),
        (Message("user", "hi"),),
        {"temperature": 0, "max_tokens": 8},
        tools=tools,
    )
    async with (
        TinyServer(answer) as server,
        client_for(settings(server.url, "ollama")) as client,
    ):
        response = await client.generate(wanted)

    body = orjson.loads(server.seen[0].body)
    assert orjson.dumps(body["tools"]) == orjson.dumps(tools)
    assert body["options"] == {"temperature": 0, "num_predict": 8}
    assert response.usage.source is UsageSource.UNREPORTED


@pytest.mark.parametrize(("key", "sent"), [(KEY, f"Bearer {KEY}"), (None, None)])
async def test_only_the_endpoints_own_key_is_sent(
    monkeypatch: pytest.MonkeyPatch, key: str | None, sent: str | None
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "of-another-server")
    async with (
        TinyServer(answer) as server,
        client_for(settings(server.url, "ollama", api_key=key)) as client,
    ):
        await client.generate(request(dialect="ollama"))

    assert server.seen[0].headers.get("authorization") == sent


async def test_a_model_is_probed_for_its_digest_and_context_window() -> None:
    options = ProviderOptions(models=("llama3",), closed=True, drift=Drift(0, digest="d" * 64))
    async with (
        FakeProvider(options) as server,
        provider_for(settings(server.ollama_url, "ollama")) as one,
    ):
        first = await one.probe("llama3")
        await one.generate(request("llama3", dialect="ollama"))
        later = await one.probe("llama3:latest")
        with pytest.raises(UnknownModel):
            await one.probe("llama4")

    assert first.context_window == 8192
    assert first.digest
    assert later == ModelReport("llama3:latest", "d" * 64, 8192)
    assert later.digest != first.digest


async def test_nothing_listening_is_told() -> None:
    async with TinyServer() as server:
        url = server.url
    async with client_for(settings(url, "ollama")) as client:
        with pytest.raises(EndpointUnreachable):
            await client.generate(request(dialect="ollama"))


async def test_an_error_in_mid_stream_keeps_the_text_before_it() -> None:
    script = FaultScript(models={"m": "ollama-error-line"})
    async with (
        FakeProvider(ProviderOptions(script=script)) as server,
        client_for(settings(server.ollama_url, "ollama")) as client,
    ):
        with pytest.raises(Exception, match="Something broke here") as caught:
            async for _ in client.stream(request("m", dialect="ollama")):
                pass

    assert caught.value.partial_text == "more"  # type: ignore[attr-defined] # an LLMError


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with (
        FakeProvider() as server,
        client_for(settings(server.ollama_url, "ollama")) as client,
    ):
        await client.generate(request(dialect="ollama"))


async def test_a_text_that_is_no_unicode_is_refused() -> None:
    async with (
        TinyServer(answer) as server,
        client_for(settings(server.url, "ollama")) as client,
    ):
        with pytest.raises(BadRequest):
            await client.generate(request(text="a\ud800", dialect="ollama"))

    assert server.seen == []


async def test_a_reply_that_is_no_json_is_kept_for_the_record() -> None:
    async def html(exchange: Exchange) -> None:
        await exchange.answer(b"<html>maintenance</html>")

    async with (
        TinyServer(html) as server,
        client_for(settings(server.url, "ollama")) as client,
    ):
        with pytest.raises(Exception, match="not what Ollama sends") as caught:
            await client.generate(request(dialect="ollama"))

    assert caught.value.body == "<html>maintenance</html>"  # type: ignore[attr-defined] # an LLMError
