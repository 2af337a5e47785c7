"""Ollama, by its official SDK through the guard; the only module that imports ollama.

The SDK's public `chat` passes tools and replies through models of its own: keywords of a JSON
schema that those do not know (`anyOf`, `minimum`, ...) are dropped without a word, and one odd
count refuses the whole reply. A request has to be sent as it was recorded, so the client below
hands the SDK a finished body and takes the reply as it came; addresses, requests, lines and
errors stay the SDK's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from json import JSONDecodeError

import httpx
import ollama

from app.core.clock import Clock
from app.core.hashing import JSON
from app.core.settings import EndpointSettings
from app.llm.answers import malformed
from app.llm.errors import BadRequest, ConnectionFailed, LLMError
from app.llm.http_errors import ErrorContext, error_from_payload, error_from_status
from app.llm.ollama_wire import StreamReader, chat_body, read_chat
from app.llm.parsing import Object
from app.llm.providers import ModelReport, ProviderReply
from app.llm.sdk_gateway import ReplyBytes, SDKGateway
from app.llm.transport import (
    GuardedTransport,
    Reply,
    endpoint_redactor,
    endpoint_url,
    key_remedy,
)
from app.llm.types import LLMRequest, StreamEvent

__all__ = ["OllamaProvider"]


class OllamaProvider:
    """One Ollama server."""

    def __init__(self, endpoint: str, settings: EndpointSettings, *, clock: Clock) -> None:
        base = endpoint_url(endpoint, settings.base_url)
        self._endpoint = endpoint
        self._clock = clock
        self._redact = endpoint_redactor(settings)
        self._transport = GuardedTransport(endpoint, settings, redact=self._redact)
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self._sdk = _RawClient(
            host=str(base),
            follow_redirects=False,
            trust_env=False,
            transport=_SDKTransport(SDKGateway(self._transport, self._error), key),
        )

    async def generate(self, request: LLMRequest) -> ProviderReply:
        """Make one plain chat call."""
        body = chat_body(request, stream=False)
        context = self._context(request.parameters)
        try:
            payload = await self._sdk.chat_once(body)
        except _SDK_ERRORS as error:
            raise self._translate(error, context) from None
        return read_chat(payload, context)

    async def stream(
        self, request: LLMRequest
    ) -> AsyncGenerator[StreamEvent | ProviderReply, None]:
        """Make one streamed chat call; a success only if an object marked as done came."""
        body = chat_body(request, stream=True)
        context = self._context(request.parameters)
        reader = StreamReader(context)
        try:
            async with aclosing(self._sdk.chat_lines(body)) as payloads:
                async for payload in payloads:
                    for event in reader.events(payload):
                        yield event
                whole = reader.reply()
        except _SDK_ERRORS as error:
            raised = self._translate(error, context)
            raised.partial_text = raised.partial_text or reader.partial_text or None
            raise raised from None
        yield whole

    async def probe(self, provider_model: str) -> ModelReport:
        """Ask for a model's digest and context window."""
        context = self._context()
        try:
            shown = await self._sdk.show(provider_model)
            listed = (await self._sdk.list()).models
        except _SDK_ERRORS as error:
            raise self._translate(error, context) from None
        name = _tagged(provider_model)
        digest = next((m.digest for m in listed if m.model and _tagged(m.model) == name), None)
        lengths = [
            value
            for key, value in (shown.modelinfo or {}).items()
            if key.endswith(".context_length") and isinstance(value, int)
        ]
        return ModelReport(provider_model, digest, max(lengths, default=None))

    async def close(self) -> None:
        """Close connections."""
        await self._sdk.close()  # type: ignore[no-untyped-call] # the SDK leaves it untyped
        await self._transport.close()

    def _context(self, parameters: Collection[str] = ()) -> ErrorContext:
        return ErrorContext(self._endpoint, self._redact, parameters, key_remedy(self._endpoint))

    def _error(self, reply: Reply) -> LLMError:
        now = self._clock.now()
        return error_from_status(reply.status, reply.headers, reply.body, self._context(), now)

    def _translate(self, error: Exception, context: ErrorContext) -> LLMError:
        """Return our error for one that the SDK let through or made itself."""
        match error:
            case LLMError():
                return error
            case ollama.ResponseError():  # an error line in a stream; statuses are ours already
                return error_from_payload({"error": error.error}, error.error.encode(), context)
            case UnicodeEncodeError():
                return BadRequest(f"The request cannot be written as UTF-8: {error.reason}.")
            case httpx.HTTPError() | ConnectionError():
                why = self._redact(str(error))
                return ConnectionFailed(f"Endpoint {self._endpoint!r}: {why or 'no connection'}.")
        said = error.doc if isinstance(error, JSONDecodeError) else str(error)
        return malformed("is not what Ollama sends", said.encode(errors="replace"), context)


# Python's own errors are what the SDK raises on a reply that has another shape than it expects.
_SDK_ERRORS = (
    LLMError,
    ollama.ResponseError,
    httpx.HTTPError,
    ConnectionError,
    ValueError,
    TypeError,
    AttributeError,
)


class _RawClient(ollama.AsyncClient):
    """The SDK's client with bodies and replies left as they are."""

    async def chat_once(self, body: dict[str, JSON]) -> Object:
        return await self._request(dict, "POST", "/api/chat", json=body)

    async def chat_lines(self, body: dict[str, JSON]) -> AsyncGenerator[Object, None]:
        lines = await self._request(dict, "POST", "/api/chat", json=body, stream=True)
        async for line in lines:
            yield line


class _SDKTransport(httpx.AsyncBaseTransport):
    """Binds the gateway to httpx, which the SDK still uses.

    The SDK would sign requests with a key from its own environment variable; here the key is
    the endpoint's or none.
    """

    def __init__(self, gateway: SDKGateway, key: str | None) -> None:
        self._gateway = gateway
        self._authorization = {"authorization": f"Bearer {key}"} if key else {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name: v for name, v in request.headers.items() if name != "authorization"}
        reply = await self._gateway.send(
            request.method,
            str(request.url),
            {**headers, **self._authorization},
            await request.aread(),
        )
        body = _Body(reply)
        return httpx.Response(reply.status, headers=body.headers, stream=body, request=request)


class _Body(ReplyBytes, httpx.AsyncByteStream):
    """A reply's bytes, for httpx."""


def _tagged(model: str) -> str:
    """Return a model's name with its tag; none means `:latest`."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"
