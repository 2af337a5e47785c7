"""The one way out: every byte to and from a model provider passes this guard.

Five limits hold for every call (`CallLimits`): time to connect, time to the first byte, idle gap,
total time, and bytes of the reply after decompression. In an event stream only payload ends the
idle gap; keep-alive comments do not. Redirects are never followed, and nothing is read from the
environment (proxies, netrc): proxy, CA file and extra headers come from the settings. The pool is
as large as the concurrency that the client allows, so nobody waits in it.

It stands on aiohttp, which costs less than half of what httpx2 does per call; the two SDKs reach
it through transports of their own (in their provider modules). Everything it raises is an
`LLMError`, made without the underlying exception: those carry request headers.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from errno import ECONNREFUSED
from types import MappingProxyType
from typing import Literal

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.tracing import Trace
from yarl import URL

from app.core.errors import ConfigurationError
from app.core.redaction import Redactor
from app.core.settings import CallLimits, EndpointSettings
from app.llm.errors import (
    ConnectionFailed,
    EndpointUnreachable,
    LLMError,
    MalformedResponse,
    ResponseTooLarge,
    Timeout,
)
from app.llm.sse import EventStreamActivity

__all__ = [
    "GuardedTransport",
    "Reply",
    "StreamedReply",
    "endpoint_redactor",
    "endpoint_url",
    "key_remedy",
]

Phase = Literal["connect", "first byte", "idle", "total"]

_UNTIMED = aiohttp.ClientTimeout(total=None, sock_connect=None)  # all timing is ours
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_UNKNOWN_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_LINGER_S = 0.25


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. `headers` compare without case; `body` is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GuardedTransport:
    """Connections to one endpoint; `endpoint` is its name, for messages.

    The settings' `extra_headers` go with every request, unless a call sends its own. Connections
    open on first use and `close` ends them.
    """

    def __init__(
        self,
        endpoint: str,
        settings: EndpointSettings,
        *,
        redact: Redactor,
    ) -> None:
        self._limits = settings.limits
        self._proxy = settings.proxy
        self._pool_size = settings.max_concurrency
        self._tls = _tls_context(endpoint, settings)
        self._guard = _Guard(endpoint, settings.limits, redact)
        self.extra_headers = {
            name: value.get_secret_value() for name, value in settings.extra_headers.items()
        }
        self._session: aiohttp.ClientSession | None = None

    async def fetch(
        self,
        method: str,
        url: URL,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Reply:
        """Make one call and return its whole reply, whatever its status."""
        timer = _CallTimer(self._limits)
        try:
            async with asyncio.timeout_at(timer.ends_at) as timer.scope:
                response = await self._request(method, url, body, headers, timer)
                try:
                    data = await self._read_whole(response, timer)
                except BaseException:
                    response.close()
                    raise
        except (aiohttp.ClientError, OSError) as error:
            raise self._guard.translate(error, timer) from None
        return Reply(response.status, response.headers, data)

    async def start(
        self,
        method: str,
        url: URL,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> StreamedReply:
        """Make one call and return its reply to be read piece by piece; the caller closes it."""
        timer = _CallTimer(self._limits)
        try:
            async with asyncio.timeout_at(timer.ends_at) as timer.scope:
                response = await self._request(method, url, body, headers, timer)
        except (aiohttp.ClientError, OSError) as error:
            raise self._guard.translate(error, timer) from None
        return StreamedReply(response, timer, self._guard)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _request(
        self,
        method: str,
        url: URL,
        body: bytes | None,
        headers: Mapping[str, str],
        timer: _CallTimer,
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            self._session = self._open_session()
        token = _current_timer.set(timer)
        try:
            response = await self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                proxy=self._proxy,
                allow_redirects=False,
            )
        finally:
            _current_timer.reset(token)
        timer.enter("idle", self._limits.idle_s)
        return response

    def _open_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=_TimedConnector(limit=self._pool_size, ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "gzip, deflate", **self.extra_headers},
            timeout=_UNTIMED,
            trust_env=False,
        )

    async def _read_whole(self, response: aiohttp.ClientResponse, timer: _CallTimer) -> bytes:
        content = response.content
        chunks: list[bytes] = []
        size = 0
        while chunk := await content.readany():
            chunks.append(chunk)
            size += len(chunk)
            self._guard.check_size(size)
            if content.at_eof():
                break
            timer.enter("idle", self._limits.idle_s)
        return b"".join(chunks)


class StreamedReply:
    """The reply of a call that is read in pieces, as they come."""

    def __init__(self, response: aiohttp.ClientResponse, timer: _CallTimer, guard: _Guard) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._timer = timer
        self._guard = guard
        self._size = 0
        self._idle_left_s = guard.limits.idle_s
        events = self.content_type == "text/event-stream"
        self._activity = EventStreamActivity() if events else None

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        """Return the next bytes, decompressed; empty at the end of the reply.

        Only the time spent in here counts against the idle gap, so a slow reader is not
        taken for a slow provider.
        """
        timer = self._timer
        timer.scope = None  # that of the piece before is over
        began = timer.enter("idle", self._idle_left_s)
        try:
            async with asyncio.timeout_at(timer.ends_at) as timer.scope:
                chunk = await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise self._guard.translate(error, timer) from None
        self._size += len(chunk)
        self._guard.check_size(self._size)
        if self._activity is None or self._activity.feed(chunk):
            self._idle_left_s = self._guard.limits.idle_s
        else:
            self._idle_left_s -= timer.since(began)
        return chunk

    async def read_all(self) -> bytes:
        """Return what is left of the reply."""
        chunks = []
        while chunk := await self.read():
            chunks.append(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        """Let go of the connection: one that was read to its end is used again."""
        self._response.release()

    async def finish(self) -> None:
        """Read to the end of a reply that has said all, so that its connection can be kept.

        Waits at most a quarter of a second; a failure changes nothing, the answer is complete.
        """
        try:
            async with asyncio.timeout(_LINGER_S):
                while await self._response.content.readany():
                    pass
        except (aiohttp.ClientError, OSError):
            pass


class _CallTimer:
    """The time limits of one call as one deadline that moves; `phase` names what it guards."""

    __slots__ = ("_loop", "_total_at", "ends_at", "first_byte_s", "phase", "scope")

    phase: Phase
    ends_at: float
    scope: asyncio.Timeout | None

    def __init__(self, limits: CallLimits) -> None:
        self._loop = asyncio.get_running_loop()
        self._total_at = self._loop.time() + limits.total_s
        self.first_byte_s = limits.first_byte_s
        self.scope = None
        self.enter("connect", limits.connect_s)

    def enter(self, phase: Phase, seconds: float) -> float:
        """Begin a phase that may last `seconds`, or start one anew; return the time of it."""
        now = self._loop.time()
        self.phase, self.ends_at = phase, now + seconds
        if self.ends_at > self._total_at:
            self.phase, self.ends_at = "total", self._total_at
        if self.scope is not None:
            self.scope.reschedule(self.ends_at)
        return now

    def since(self, began: float) -> float:
        """Return the seconds since a time that `enter` returned."""
        return self._loop.time() - began

    def expired(self) -> bool:
        """Return whether a limit was reached."""
        return self.scope is not None and self.scope.expired()


_current_timer: ContextVar[_CallTimer] = ContextVar("current_timer")


class _TimedConnector(aiohttp.TCPConnector):
    """A pool that tells the call's timer when the connection stands and the request goes out."""

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        timer = _current_timer.get()
        timer.enter("first byte", timer.first_byte_s)
        return connection


@dataclass(frozen=True, slots=True)
class _Guard:
    """What is needed to say, in our words, what went wrong."""

    endpoint: str
    limits: CallLimits
    redact: Redactor

    def check_size(self, size: int) -> None:
        """Raise `ResponseTooLarge` if a reply of so many bytes is more than allowed."""
        if size > self.limits.max_bytes:
            raise ResponseTooLarge(
                f"Endpoint {self.endpoint!r} sent more than {self.limits.max_bytes} bytes; the "
                "call was cut off. Raise max_bytes in the endpoint's limits if that is expected."
            )

    def translate(self, error: Exception, timer: _CallTimer) -> LLMError:
        """Return our error for one of aiohttp's or of the operating system."""
        if timer.expired():
            return self._timed_out(timer.phase)
        what = f"Endpoint {self.endpoint!r}"
        why = self.redact(str(error)) or type(error).__name__
        match error:
            case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
                return EndpointUnreachable(
                    f"{what}: no trusted TLS connection ({why}). Set the endpoint's ca_file if it "
                    "uses a certificate authority of its own."
                )
            case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
                return EndpointUnreachable(f"{what}: its proxy lets nothing through ({why}).")
            case aiohttp.ClientConnectorError():
                kind = EndpointUnreachable if _is_absent(error.os_error) else ConnectionFailed
                return kind(f"{what} cannot be reached ({why}). Check its base_url.")
            case aiohttp.ClientPayloadError() if isinstance(error.__cause__, ContentEncodingError):
                return MalformedResponse(f"{what} sent a body that cannot be decompressed.")
            case aiohttp.ClientResponseError():
                return MalformedResponse(f"{what} sent a reply that is not valid HTTP.")
        return ConnectionFailed(f"{what}: the connection broke before the reply was whole ({why}).")

    def _timed_out(self, phase: Phase) -> Timeout:
        limits = self.limits
        match phase:
            case "connect":
                words = f"did not accept a connection within {limits.connect_s:g} s"
            case "first byte":
                words = f"did not begin to answer within {limits.first_byte_s:g} s"
            case "idle":
                words = f"sent no content for {limits.idle_s:g} s"
            case "total":
                words = f"did not finish its answer within {limits.total_s:g} s"
        return Timeout(f"Endpoint {self.endpoint!r} {words} (the {phase} limit).")


def _is_absent(error: OSError) -> bool:
    """Return whether nothing is there to connect to: refused, or a host that does not exist."""
    if isinstance(error, socket.gaierror):
        return error.errno in _UNKNOWN_HOST
    return error.errno == ECONNREFUSED


def _tls_context(endpoint: str, settings: EndpointSettings) -> ssl.SSLContext | Literal[True]:
    """Return the system's trust, with the endpoint's own CA file added if it has one."""
    if settings.ca_file is None:
        return True
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The ca_file of endpoint {endpoint!r}, {settings.ca_file}, cannot be used: {error}.",
            path=f"endpoints.{endpoint}.ca_file",
        ) from error
    return context


def endpoint_redactor(settings: EndpointSettings) -> Redactor:
    """Return a redactor that knows every secret of an endpoint."""
    secrets = [value.get_secret_value() for value in settings.extra_headers.values()]
    if settings.api_key is not None:
        secrets.append(settings.api_key.get_secret_value())
    proxy_password = URL(settings.proxy).password if settings.proxy else None
    return Redactor([*secrets, *([proxy_password] if proxy_password else [])])


def key_remedy(endpoint: str) -> str:
    """Return the sentence that says how to mend a refused credential."""
    if endpoint == "openai":
        return "Set OPENAI_API_KEY to a valid key."
    variable = f"WORKBENCH_ENDPOINT_{endpoint.upper().replace('-', '_')}_API_KEY"
    return f"Set {variable} to a valid key."


def endpoint_url(endpoint: str, base_url: str | None) -> URL:
    """Return the endpoint's base URL, checked.

    Raises `ConfigurationError` if it is missing or no http(s) address.
    """
    try:
        url = URL(base_url or "")
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(
            f"Endpoint {endpoint!r} needs a base_url such as http://127.0.0.1:8000/v1.",
            path=f"endpoints.{endpoint}.base_url",
        )
    return url
