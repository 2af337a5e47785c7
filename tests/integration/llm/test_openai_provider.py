"""Where an OpenAI-compatible request goes, how it is signed, and what the network may do to it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import openai
import orjson
import pytest
from yarl import URL

from app.core.errors import ConfigurationError
from app.core.redaction import Redactor
from app.core.settings import EndpointSettings
from app.llm.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectionFailed,
    EndpointUnreachable,
    LLMError,
    MalformedResponse,
    ParameterNotSupported,
    Timeout,
    UnknownModel,
)
from app.llm.http_errors import ErrorContext, error_from_status
from app.llm.openai_provider import SDKTransport
from app.llm.sdk_gateway import SDKGateway
from app.llm.transport import GuardedTransport, Reply
from app.llm.types import Message
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.llm.support import (
    KEY,
    QUICK,
    Exchange,
    TinyServer,
    client_for,
    provider,
    provider_for,
    request,
    settings,
)
from tests.unit.llm.support import NOON

TLS = Path(__file__).parent / "tls"


async def test_an_answer_carries_what_the_provider_reports() -> None:
    async with FakeProvider() as server, client_for(settings(server.base_url)) as client:
        response = await client.generate(request())

    assert response.choices[0].message == Message("assistant", "hello ☃ world")
    assert response.usage.input_tokens
    assert response.reported_model == "fake-model"
    assert response.reported_fingerprint == "fp_fake"
    assert (response.provider_request_id or "").startswith("req-")


async def test_the_body_on_the_wire_is_the_recorded_request() -> None:
    wanted = request()
    async with TinyServer() as server, client_for(settings(server.url)) as client:
        await client.generate(wanted)

    assert orjson.loads(server.seen[0].body) == wanted.request_shape


async def test_the_request_is_signed_and_addressed_as_the_sdk_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-7")
    async with TinyServer() as server:
        url = f"{server.url}/openai/v1/?api-version=preview"
        endpoint = settings(url, extra_headers={"X-Team": "blue"})
        async with client_for(endpoint) as client:
            await client.generate(request())

    seen = server.seen[0]
    assert seen.line == "POST /openai/v1/chat/completions?api-version=preview HTTP/1.1"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["openai-organization"] == "org-7"
    assert seen.headers["x-team"] == "blue"
    assert seen.headers["content-type"] == "application/json"
    assert not [name for name in seen.headers if name.startswith("x-stainless")]


async def test_an_extra_header_replaces_one_of_the_sdk() -> None:
    async with TinyServer() as server:
        endpoint = settings(server.url, extra_headers={"authorization": "Basic b3RoZXI="})
        async with client_for(endpoint) as client:
            await client.generate(request())

    assert server.seen[0].headers["authorization"] == "Basic b3RoZXI="


async def test_connections_are_used_again() -> None:
    async with TinyServer() as server, client_for(settings(server.url)) as client:
        for _ in range(10):
            await client.generate(request())

    assert server.connections == 1


async def test_a_redirect_is_not_followed() -> None:
    async with TinyServer() as target:

        async def redirect(exchange: Exchange) -> None:
            await exchange.answer(b"", status=307, headers={"Location": target.url})

        async with TinyServer(redirect) as server, client_for(settings(server.url)) as client:
            with pytest.raises(BadRequest, match="Redirects are not followed"):
                await client.generate(request())

    assert target.seen == []


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with FakeProvider() as server, client_for(settings(server.base_url)) as client:
        await client.generate(request())
        await client.probe(request().target)


async def test_the_proxy_of_the_settings_is_used() -> None:
    async with TinyServer() as proxy:
        endpoint = settings(
            "http://provider.test/v1", proxy=proxy.url.replace("//", "//me:secret@")
        )
        async with client_for(endpoint) as client:
            await client.generate(request())

    assert proxy.seen[0].line == "POST http://provider.test/v1/chat/completions HTTP/1.1"
    assert proxy.seen[0].headers["proxy-authorization"].startswith("Basic ")


async def test_a_proxy_that_is_not_there_is_told() -> None:
    endpoint = settings("http://provider.test/v1", proxy="http://127.0.0.1:9")
    async with client_for(endpoint) as client:
        with pytest.raises(EndpointUnreachable):
            await client.generate(request())


async def test_a_host_that_does_not_exist_is_no_surprise() -> None:
    async with client_for(settings("http://nowhere.invalid/v1", limits=QUICK)) as client:
        with pytest.raises((ConnectionFailed, Timeout)):
            await client.generate(request())


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    return context


async def test_a_certificate_of_an_own_authority_needs_the_ca_file() -> None:
    async with TinyServer(tls=server_tls()) as server:
        async with client_for(settings(server.url)) as client:
            with pytest.raises(EndpointUnreachable, match="ca_file"):
                await client.generate(request())
        async with client_for(settings(server.url, ca_file=TLS / "authority.pem")) as client:
            assert (await client.generate(request())).attempts == 1


@pytest.mark.parametrize("name", ["missing.pem", "server.key"])
def test_a_ca_file_that_cannot_be_used_is_told_with_its_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        provider(settings("https://127.0.0.1", ca_file=TLS / name))


@pytest.mark.parametrize("url", ["", "ftp://host/v1", "127.0.0.1:8000", "http://", "http://[::1"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        provider(settings(url))


async def test_a_local_server_needs_no_key() -> None:
    async with (
        FakeProvider() as server,
        client_for(settings(server.base_url, api_key=None)) as client,
    ):
        assert (await client.generate(request())).attempts == 1


async def test_openai_without_a_key_is_refused_before_the_call() -> None:
    async with provider_for(settings("https://api.openai.com/v1", api_key=None)) as one:
        with pytest.raises(AuthenticationFailed, match="has no key"):
            await one.generate(request())


@pytest.mark.parametrize(
    ("strict", "parameter", "remedy", "other"),
    [
        ("temperature", "temperature", "unsupported", None),
        ("top_p_with_temperature", "temperature", "exclusive", "top_p"),
        ("max_tokens", "max_tokens", "renamed", "max_completion_tokens"),
    ],
)
async def test_a_strict_provider_says_what_the_catalog_has_to_learn(
    strict: str, parameter: str, remedy: str, other: str | None
) -> None:
    options = ProviderOptions(strict=frozenset([strict]))  # type: ignore[list-item] # a literal
    async with FakeProvider(options) as server, client_for(settings(server.base_url)) as client:
        with pytest.raises(ParameterNotSupported) as caught:
            await client.generate(request())

    error = caught.value
    assert (error.parameter, error.remedy, error.other) == (parameter, remedy, other)


async def test_a_model_is_probed_through_the_sdk_and_the_guard() -> None:
    options = ProviderOptions(models=("m-1",), closed=True)
    async with FakeProvider(options) as server, provider_for(settings(server.base_url)) as one:
        assert (await one.probe("m-1")).provider_model == "m-1"
        with pytest.raises(UnknownModel):
            await one.probe("m-2")


@pytest.mark.parametrize("body", [b"<html></html>", b"[]", b"{"])
@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
async def test_a_description_that_is_none_is_malformed(body: bytes, content_type: str) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer(body, headers={"Content-Type": content_type})

    async with TinyServer(answer) as server, provider_for(settings(server.url)) as one:
        with pytest.raises(MalformedResponse):
            await one.probe("m-1")


# --- the official SDK through the guard ------------------------------------------------------


@asynccontextmanager
async def sdk_for(endpoint: EndpointSettings) -> AsyncIterator[openai.AsyncOpenAI]:
    guard = GuardedTransport("lab", endpoint, redact=Redactor())

    def to_error(reply: Reply) -> LLMError:
        context = ErrorContext("lab", Redactor())
        return error_from_status(reply.status, reply.headers, reply.body, context, NOON)

    http = httpx2.AsyncClient(transport=SDKTransport(SDKGateway(guard, to_error)))
    async with openai.AsyncOpenAI(
        api_key=KEY, base_url=endpoint.base_url, max_retries=0, http_client=http
    ) as sdk:
        yield sdk
    await guard.close()


async def test_the_sdk_completes_and_streams_through_the_guard() -> None:
    async with FakeProvider() as server, sdk_for(settings(server.base_url)) as sdk:
        plain = await sdk.chat.completions.create(
            model="fake-model", messages=[{"role": "user", "content": "é 🙂"}]
        )
        stream = await sdk.chat.completions.create(
            model="fake-model", messages=[{"role": "user", "content": "é 🙂"}], stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert plain.choices[0].message.content == text == "é 🙂"


async def test_address_and_headers_are_what_the_sdk_itself_would_send() -> None:
    left_to_each = {"host", "connection", "content-length", "accept-encoding"}

    def signed(exchange: Exchange) -> dict[str, str]:
        return {
            name: value
            for name, value in exchange.headers.items()
            if name not in left_to_each and not name.startswith("x-stainless")
        }

    async with TinyServer() as server:
        endpoint = settings(f"{server.url}/v1")
        async with sdk_for(endpoint) as sdk, provider_for(endpoint) as ours:
            await sdk.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "hi"}]
            )
            await ours.generate(request("m", "hi"))

    by_sdk, by_us = server.seen
    assert by_us.line == by_sdk.line
    assert signed(by_us) == signed(by_sdk)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("slow-first-byte", "timeout"),
        ("idle-gap", "timeout"),
        ("gzip-bomb", "response_too_large"),
        ("429-ms", "rate_limited"),
        ("307-redirect", "bad_request"),
    ],
)
async def test_the_sdk_is_held_to_the_same_limits_and_errors(fault: str, code: str) -> None:
    script = FaultScript(models={"m": fault}, oversized_bytes=8 << 20)
    async with FakeProvider(ProviderOptions(script=script)) as server:
        async with sdk_for(settings(server.base_url, limits=QUICK)) as sdk:
            with pytest.raises((openai.APIConnectionError, LLMError)) as caught:
                await sdk.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hi"}]
                )
        assert len(server.ledger.calls) == 1

    error = caught.value if isinstance(caught.value, LLMError) else caught.value.__cause__
    assert isinstance(error, LLMError)
    assert error.code == code


async def test_a_guard_can_be_closed_and_used_again() -> None:
    async with TinyServer() as server:
        guard = GuardedTransport("lab", settings(server.url), redact=Redactor())
        await guard.fetch("GET", URL(server.url))
        await guard.close()
        reply = await guard.fetch("GET", URL(server.url))
        await guard.close()

    assert reply.status == 200
