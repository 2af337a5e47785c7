"""What is sent, and what comes of it, without any input or output: both clients share it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import uuid4

import httpx2
from pydantic import TypeAdapter

from workbench.client.calls import Call, Listing, Page, Parameter, quoted
from workbench.client.errors import (
    ERRORS,
    APIError,
    ClientError,
    LimitReached,
    ServerFailed,
    StreamBroken,
    Unreachable,
)

__all__ = [
    "ChatAnswer",
    "Deltas",
    "Protocol",
    "Published",
    "Received",
    "Steps",
    "chat_body",
    "error_of",
    "headers_of",
]

_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0
_CHAT_TIMEOUT: Final = httpx2.Timeout(600, connect=5)
_RETRIED: Final = frozenset({408, 429, 502, 503, 504})
_STALE_S: Final = 24 * 3600  # how old a copy may be if the server does not say
_SENT_AGAIN: Final = frozenset({"GET", "POST", "PUT"})  # what comes to the same if it comes twice


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """One whole answer. `generation_id` finds it on record; `reply` is all that was answered."""

    text: str
    generation_id: str | None
    finish_reason: str | None
    reply: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Published:
    """What an alias stands for; `stale` if the server was not reached and this is an older copy."""

    body: Mapping[str, Any]
    stale: bool = False


AnswerT = TypeVar("AnswerT")

Received = httpx2.Response | httpx2.TransportError | None
Steps = Generator[httpx2.Request | float, Received, AnswerT]
"""Yields requests to send and seconds to wait, gets what came of them, returns the answer."""


@dataclass(slots=True)
class _Copy:
    """The last good copy of a published alias."""

    etag: str
    body: Mapping[str, Any]
    fetched_at: float
    usable_s: float


@dataclass
class Protocol:
    """Makes requests and reads answers; `now` and `jitter` are for tests to settle."""

    http: httpx2.Client | httpx2.AsyncClient
    retries: int
    now: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    copies: dict[str, _Copy] = field(default_factory=dict)

    def send(self, call: Call[AnswerT]) -> Steps[AnswerT]:
        """Send a call; a POST carries the key by which it happens once."""
        headers = {}
        if call.method == "POST":
            headers["Idempotency-Key"] = call.key or str(uuid4())
        request = self.http.build_request(
            call.method,
            call.path,
            params=_written(call.parameters),
            json=call.body,
            headers=headers,
        )
        response = yield from self._exchange(request, again=call.method in _SENT_AGAIN)
        if response.status_code == httpx2.codes.NO_CONTENT:
            return _validated(None, call.answer)
        return _validated(response.json(), call.answer)

    def page(
        self, listing: Listing[AnswerT], cursor: str | None, limit: int
    ) -> Steps[Page[AnswerT]]:
        """GET one page of a list."""
        wanted = _written({**listing.parameters, "limit": limit, "cursor": cursor})
        request = self.http.build_request("GET", listing.path, params=wanted)
        body = (yield from self._exchange(request)).json()
        items = [_validated(item, listing.item) for item in body["items"]]
        return Page(items, body["next_cursor"], body["total_estimate"])

    def chat(self, body: Mapping[str, Any], key: str | None) -> Steps[ChatAnswer]:
        """POST a chat; with a key it is answered once and may be sent again."""
        request = self.chat_request(body, key)
        response = yield from self._exchange(request, again=key is not None)
        return _chat_answer(response)

    def chat_request(self, body: Mapping[str, Any], key: str | None) -> httpx2.Request:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.http.build_request(
            "POST", "/v1/chat/completions", json=body, headers=headers, timeout=_CHAT_TIMEOUT
        )

    def published(self, prompt: str, alias: str) -> Steps[Published]:
        """GET what an alias stands for, or its last good copy while the server fails."""
        path = f"/api/prompts/{quoted(prompt)}/aliases/{quoted(alias)}"
        copy = self.copies.get(path)
        headers = {} if copy is None else {"If-None-Match": copy.etag}
        request = self.http.build_request("GET", path, headers=headers)
        try:
            response = yield from self._exchange(request)
        except (Unreachable, ServerFailed, LimitReached):
            if copy is None or self.now() - copy.fetched_at > copy.usable_s:
                raise
            return Published(copy.body, stale=True)
        if response.status_code == httpx2.codes.NOT_MODIFIED and copy is not None:
            copy.fetched_at = self.now()
            return Published(copy.body)
        body: Mapping[str, Any] = response.json()
        if etag := response.headers.get("etag"):
            self.copies[path] = _Copy(etag, body, self.now(), _usable_s(response))
        return Published(body)

    def _exchange(self, request: httpx2.Request, *, again: bool = True) -> Steps[httpx2.Response]:
        """Send a request, and again if that may help; return an answer that is no error."""
        tries = 1 + (self.retries if again else 0)
        for left in reversed(range(tries)):
            received = yield request
            if isinstance(received, httpx2.Response) and received.status_code < 400:
                return received
            error = error_of(received)
            wait = self._wait(error, tries - left)
            if left == 0 or wait is None:
                raise error
            yield wait
        raise AssertionError("the loop above returns or raises")

    def _wait(self, error: ClientError, tried: int) -> float | None:
        """Return in how many seconds to try again; None if that would not help."""
        pause = _FIRST_WAIT_S * 2.0 ** (tried - 1) * (0.5 + self.jitter() / 2)
        if isinstance(error, Unreachable):
            return pause
        if not isinstance(error, APIError):
            return None
        if error.status not in _RETRIED and error.code != "in_flight":
            return None
        wanted = max(pause, error.retry_after_s or 0.0)
        return wanted if wanted <= _LONGEST_WAIT_S else None


def _written(parameters: Mapping[str, Parameter]) -> dict[str, str | list[str]]:
    """Return query parameters as they are sent."""
    return {
        name: _text(value)
        for name, value in parameters.items()
        if value is not None and value != () and value != []
    }


def _text(value: Parameter) -> str | list[str]:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence):
        return list(value)
    return str(value)


def _validated(value: object, answer: type[AnswerT]) -> AnswerT:
    return TypeAdapter(answer).validate_python(value)


def error_of(received: Received) -> ClientError:
    """Return what to raise of an answer that is an error, or of none."""
    if not isinstance(received, httpx2.Response):
        return Unreachable(f"The server was not reached: {received or 'no answer'}.")
    body = _json_object(received)
    inner = body.get("error")  # the shape of /v1
    told: Mapping[str, Any] = inner if isinstance(inner, Mapping) else body
    detail = str(told.get("detail") or told.get("message") or received.reason_phrase)
    code = str(told.get("code") or str(told.get("type", "")).rpartition(":")[2] or "error")
    status = received.status_code
    kind = ERRORS.get(status, ServerFailed if status >= 500 else APIError)
    request_id = received.headers.get("x-request-id")
    path = told.get("path") or told.get("param")
    return kind(status, code, detail, request_id, path, _retry_after_s(received))


def _json_object(response: httpx2.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, Mapping) else {}


def _retry_after_s(response: httpx2.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None


def _usable_s(response: httpx2.Response) -> float:
    """Return for how long a copy may stand in, of `stale-if-error` in Cache-Control."""
    for directive in response.headers.get("cache-control", "").split(","):
        name, _, value = directive.strip().partition("=")
        if name == "stale-if-error" and value.isdecimal():
            return float(value)
    return _STALE_S


def chat_body(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    variables: Mapping[str, Any] | None,
    parameters: Mapping[str, Any],
    *,
    stream: bool,
) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "messages": list(messages), **parameters}
    if variables is not None:
        body["prompt"] = {"variables": dict(variables)}
    return {**body, "stream": True} if stream else body


def _chat_answer(response: httpx2.Response) -> ChatAnswer:
    reply = _json_object(response)
    choice = reply["choices"][0]
    return ChatAnswer(
        text=choice["message"].get("content") or "",
        generation_id=response.headers.get("x-workbench-generation"),
        finish_reason=choice.get("finish_reason"),
        reply=reply,
    )


class Deltas:
    """Reads the lines of a stream: pieces of text, until the line that says it is whole."""

    def __init__(self) -> None:
        self.whole = False

    def text(self, line: str) -> str:
        """Return the text of a line, empty for most; raise `StreamBroken` for an error's."""
        if not line.startswith("data:"):
            return ""
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            self.whole = True
            return ""
        chunk = json.loads(data)
        if "error" in chunk:
            raise StreamBroken(f"The answer broke off: {chunk['error'].get('message')}")
        return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])

    def check(self) -> None:
        """Raise `StreamBroken` unless the stream came to its end."""
        if not self.whole:
            raise StreamBroken("The answer broke off: the stream ended before its last line.")


def headers_of(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}
