"""OpenAI and every server that speaks its chat completions; the only module that imports openai.

The official SDK knows where a request goes and how it is signed: base URL (with a query, as
Azure wants one), key, organisation, project. Those are taken from it once; a completion is then
written and read by `openai_wire` and sent through the guard directly, which costs a fifth of the
SDK's own way. The SDK itself is used where it saves code (looking up a model), through the same
guard and with its retries off.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import closing

import httpx2
import openai
from multidict import CIMultiDict
from yarl import URL

from app.core.clock import Clock
from app.core.settings import EndpointSettings
from app.llm.answers import malformed
from app.llm.errors import AuthenticationFailed, LLMError, MalformedResponse
from app.llm.http_errors import ErrorContext, error_from_status
from app.llm.openai_wire import StreamReader, encode_request, read_completion
from app.llm.providers import ModelReport, ProviderReply
from app.llm.sdk_gateway import ReplyBytes, SDKGateway
from app.llm.sse import EventLines
from app.llm.transport import (
    GuardedTransport,
    Reply,
    StreamedReply,
    endpoint_redactor,
    endpoint_url,
    key_remedy,
)
from app.llm.types import LLMRequest, StreamEvent

__all__ = ["OpenAIProvider", "SDKTransport"]

_NO_KEY = "no-key-set"  # the SDK demands one; a local server ignores it
_NEEDS_KEY = "api.openai.com"
_STREAM_HEADERS: Mapping[str, str] = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",  # a compressor would hold events back
}


class OpenAIProvider:
    """One account at one OpenAI-compatible server."""

    def __init__(self, endpoint: str, settings: EndpointSettings, *, clock: Clock) -> None:
        base = endpoint_url(endpoint, settings.base_url)
        self._endpoint = endpoint
        self._clock = clock
        self._redact = endpoint_redactor(settings)
        self._remedy = key_remedy(endpoint)
        self._lacks_key = settings.api_key is None and base.host == _NEEDS_KEY
        self._transport = GuardedTransport(endpoint, settings, redact=self._redact)
        self._sdk = openai.AsyncOpenAI(
            api_key=settings.api_key.get_secret_value() if settings.api_key else _NO_KEY,
            base_url=str(base.with_query(None)),
            default_query=dict(base.query),
            default_headers=self._transport.extra_headers,
            max_retries=0,
            timeout=None,
            http_client=httpx2.AsyncClient(
                transport=SDKTransport(SDKGateway(self._transport, self._error)),
                trust_env=False,
                follow_redirects=False,
            ),
        )
        self._url = (URL(str(self._sdk.base_url)) / "chat/completions").with_query(base.query)
        self._headers = _headers(self._sdk)
        self._stream_headers = {**self._headers, **_STREAM_HEADERS}

    async def generate(self, request: LLMRequest) -> ProviderReply:
        """Make one plain completion."""
        body = encode_request(request, stream=False)
        self._require_key()
        reply = await self._transport.fetch("POST", self._url, body=body, headers=self._headers)
        context = self._context(request.parameters)
        if reply.status != 200:
            raise self._error(reply, context)
        request_id = reply.headers.get("x-request-id")
        return read_completion(reply.body, context, header_request_id=request_id)

    async def stream(
        self, request: LLMRequest
    ) -> AsyncGenerator[StreamEvent | ProviderReply, None]:
        """Make one streamed completion.

        It is a success only if every choice has its finish reason and the line `data: [DONE]`
        came to its end.
        """
        body = encode_request(request, stream=True)
        self._require_key()
        context = self._context(request.parameters)
        with closing(
            await self._transport.start("POST", self._url, body=body, headers=self._stream_headers)
        ) as reply:
            if reply.status != 200 or reply.content_type != "text/event-stream":
                raise await self._no_stream(reply, context)
            reader = StreamReader(context, header_request_id=reply.headers.get("x-request-id"))
            lines = EventLines()
            try:
                while not reader.done and (chunk := await reply.read()):
                    for payload in lines.feed(chunk):
                        for event in reader.events(payload):
                            yield event
                if lines.empty:
                    raise malformed("is an empty stream", b"", context)
                whole = reader.reply()
            except LLMError as error:
                error.partial_text = error.partial_text or reader.partial_text or None
                raise
            await reply.finish()
        yield whole

    async def probe(self, provider_model: str) -> ModelReport:
        """Look the model up at `/models/{name}`."""
        self._require_key()
        try:
            name = (await self._sdk.models.retrieve(provider_model)).id
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, LLMError):
                raise error.__cause__ from None
            raise
        except (openai.APIResponseValidationError, ValueError, AttributeError):
            # AttributeError: for a body that is no JSON the SDK returns its text.
            raise MalformedResponse(
                f"Endpoint {self._endpoint!r} describes {provider_model!r} in no way we know."
            ) from None
        return ModelReport(name or provider_model)

    async def close(self) -> None:
        """Close connections."""
        await self._sdk.close()
        await self._transport.close()

    def _context(self, parameters: Collection[str] = ()) -> ErrorContext:
        return ErrorContext(self._endpoint, self._redact, parameters, self._remedy)

    def _error(self, reply: Reply, context: ErrorContext | None = None) -> LLMError:
        now = self._clock.now()
        return error_from_status(
            reply.status, reply.headers, reply.body, context or self._context(), now
        )

    async def _no_stream(self, reply: StreamedReply, context: ErrorContext) -> LLMError:
        """Return the error for a reply that is not the event stream that was asked for."""
        body = await reply.read_all()
        if reply.status != 200:
            return self._error(Reply(reply.status, reply.headers, body), context)
        try:
            read_completion(body, context)
        except LLMError as error:
            return error
        return MalformedResponse(
            f"Endpoint {self._endpoint!r} sent a whole answer where a stream was asked for.",
            http_status=200,
            body=self._redact.excerpt(body),
        )

    def _require_key(self) -> None:
        if self._lacks_key:
            raise AuthenticationFailed(f"Endpoint {self._endpoint!r} has no key. {self._remedy}")


def _headers(sdk: openai.AsyncOpenAI) -> Mapping[str, str]:
    """Return what the SDK would send, without its description of this machine."""
    merged = CIMultiDict(sdk.auth_headers)
    for name, value in sdk.default_headers.items():
        if isinstance(value, str) and not name.lower().startswith("x-stainless-"):
            merged[name] = value
    return merged


class SDKTransport(httpx2.AsyncBaseTransport):
    """Binds the gateway to httpx2."""

    def __init__(self, gateway: SDKGateway) -> None:
        self._gateway = gateway

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        reply = await self._gateway.send(
            request.method, str(request.url), request.headers, await request.aread()
        )
        body = _Body(reply)
        return httpx2.Response(reply.status, headers=body.headers, stream=body, request=request)


class _Body(ReplyBytes, httpx2.AsyncByteStream):
    """A reply's bytes, for httpx2."""
