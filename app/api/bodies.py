"""What a request's body may be, checked while it arrives and before anything parses it.

Bodies are JSON, and only `application/json` without an encoding: a browser's form cannot send it,
and nothing has to be unpacked. A body is as large as its route allows, as deep as a JSON value
reasonably is, without the character NUL, and it arrives within a time. It is held whole, as every
route reads it whole; the scan for depth goes piece by piece, so a large body never holds the event
loop for long.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import Failure, fail

__all__ = [
    "MAX_DEPTH",
    "Bodies",
    "BodyRules",
    "JSONDepth",
    "PatientRequest",
    "announces_body",
    "replayed",
]

MAX_DEPTH: Final = 100
"""Levels of arrays and objects in one body; what people write has fewer than twenty."""

_PARSED_AT_ONCE: Final = 256 * 1024
_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_CLOSE: Final = {"connection": "close"}  # what is left of the body is never read


@dataclass(frozen=True, slots=True)
class BodyRules:
    """`larger` maps the method and path of routes that take more, as an import does, to bytes."""

    max_bytes: int
    timeout_s: float
    larger: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def max_bytes_of(self, method: str, path: str) -> int:
        return self.larger.get((method, path), self.max_bytes)


class JSONDepth:
    """How deep a JSON text goes, told piece by piece; brackets inside strings do not count.

    For what is no JSON the number means nothing: the parser refuses it later.
    """

    def __init__(self) -> None:
        self.deepest = 0
        self._depth = 0
        self._in_string = False
        self._rest = b""  # a backslash whose meaning the next piece tells

    def feed(self, piece: bytes) -> None:
        """Read the next piece of the text."""
        text = (self._rest + piece).replace(b"\\\\", b"").replace(b'\\"', b"")
        self._rest = b"\\" if text.endswith(b"\\") else b""
        parts = text.split(b'"')  # every other one is within a string
        outside = b"".join(parts[self._in_string :: 2])
        self._in_string ^= len(parts) % 2 == 0
        steps = map(_STEP.__getitem__, outside.translate(None, _NO_BRACKETS))
        levels = list(accumulate(steps, initial=self._depth))
        self.deepest = max(self.deepest, max(levels))
        self._depth = levels[-1]


class Bodies:
    """ASGI middleware that hands a body on whole, or answers 408, 413, 415 or 422 itself."""

    def __init__(self, app: ASGIApp, rules: BodyRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not announces_body(headers := Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        limit = self._rules.max_bytes_of(scope["method"], scope["path"])
        read = _refusal(headers, limit) or await self._read(receive, limit)
        if isinstance(read, Failure):
            await fail(Request(scope), read)(scope, receive, send)
        elif read is not None:
            await self._app(scope, replayed(read, receive), send)

    async def _read(self, receive: Receive, limit: int) -> bytes | Failure | None:
        """Return the body, why it is refused, or None if the client is gone."""
        pieces: list[bytes] = []
        size = 0
        depth = JSONDepth()
        try:
            async with asyncio.timeout(self._rules.timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    pieces.append(message.get("body", b""))
                    size += len(pieces[-1])
                    if size > limit:
                        return _too_large(limit)
                    depth.feed(pieces[-1])
                    if depth.deepest > MAX_DEPTH:
                        return _TOO_DEEP
                    if not message.get("more_body", False):
                        body = b"".join(pieces)
                        return _NUL if _holds_nul(body) else body
        except TimeoutError:
            return _TOO_SLOW


class PatientRequest(Request):
    """A request whose body, if it is large, is parsed while the event loop goes on."""

    async def json(self) -> Any:
        body = await self.body()
        if len(body) <= _PARSED_AT_ONCE:
            return await super().json()
        return await asyncio.to_thread(json.loads, body, object_hook=_let_others_run)


def _let_others_run(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object as it is: without a function to call, the parser never yields its thread."""
    return value


_TOO_DEEP: Final = Failure(
    422, "invalid", f"The body nests deeper than {MAX_DEPTH} levels.", "body", _CLOSE
)
_NUL: Final = Failure(422, "invalid", "A text in the body holds the character NUL.", "body")
_TOO_SLOW: Final = Failure(408, "timeout", "The body took too long to arrive.", headers=_CLOSE)
_NOT_JSON: Final = Failure(
    415,
    "unsupported_media_type",
    "Send the body as application/json, without a content encoding.",
    headers=_CLOSE,
)


def _holds_nul(body: bytes) -> bool:
    r"""Whether a JSON text holds `\u0000`, which no database takes; `\\u0000` is six characters."""
    return b"\\u0000" in body and _ESCAPED_NUL.search(body) is not None


def _too_large(limit: int) -> Failure:
    return Failure(413, "too_large", f"The body has more than {limit} bytes.", headers=_CLOSE)


def announces_body(headers: Headers) -> bool:
    """Whether a body follows: HTTP/1.1 knows no other ways of saying so."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _refusal(headers: Headers, limit: int) -> Failure | None:
    """Return what the headers alone say against the body."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if media_type != "application/json" or encoding != "identity":
        return _NOT_JSON
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        return _too_large(limit)
    return None


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body first; after it, what the server says."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
