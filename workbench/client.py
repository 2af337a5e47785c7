"""Client of the Prompt Workbench's HTTP API, for dashboards and for other programs.

    from workbench.client import Client

    with Client("http://127.0.0.1:8800", key="wb_...") as client:
        for prompt in client.prompts(search="triage"):
            print(prompt.name, prompt.latest)
        answer = client.chat("support-bot@production", [{"role": "user", "content": "Hello"}])

`Client` waits, `AsyncClient` is awaited; both say the same. This module imports nothing of the
service and may be copied. Its models hold the fields that callers need and ignore all others, so
that a newer server's answers still read.

What may be sent again is sent again: reads, and POSTs that create, which carry an idempotency key
made here. Not sent again is a chat: whoever wants that gives the key. Errors carry the server's
sentence and its `request_id`.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, ClassVar, Final, Generic, Self, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2
from pydantic import BaseModel, ConfigDict, JsonValue

__all__ = [
    "APIError",
    "Answer",
    "AsyncClient",
    "ChatAnswer",
    "Client",
    "ClientError",
    "Conflict",
    "Dataset",
    "DatasetImport",
    "DatasetVersion",
    "Example",
    "Forbidden",
    "Invalid",
    "LimitReached",
    "Model",
    "NotFound",
    "Prompt",
    "PromptVersion",
    "Published",
    "ServerFailed",
    "StreamBroken",
    "Unauthenticated",
    "Unreachable",
    "Variant",
]

_RETRIES: Final = 2
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0
_PAGE: Final = 200  # items
_TIMEOUT: Final = httpx2.Timeout(60, connect=5)
_CHAT_TIMEOUT: Final = httpx2.Timeout(600, connect=5)
_RETRIED: Final = frozenset({408, 429, 502, 503, 504})
_STALE_S: Final = 24 * 3600  # how old a copy may be if the server does not say


# Errors


class ClientError(Exception):
    """Base of all errors here; `str(error)` is a sentence."""


class Unreachable(ClientError):
    """The server was not reached, or the connection broke before its answer came."""


class StreamBroken(ClientError):
    """An answer broke off: what came of it is not the whole."""


class APIError(ClientError):
    """The server refused or failed.

    `code` is the kind of error, `path` the field that is wrong, `retry_after_s` when to try again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        request_id: str | None,
        path: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{detail} (status {status}, request {request_id or 'unknown'})")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.path = path
        self.retry_after_s = retry_after_s


class Unauthenticated(APIError):
    """There is no key, or none that holds."""


class Forbidden(APIError):
    """The key lacks the permission."""


class NotFound(APIError):
    """There is no such object, or the key may not know that there is."""


class Conflict(APIError):
    """What is recorded forbids it."""


class Invalid(APIError):
    """A field breaks a rule; `path` names it."""


class LimitReached(APIError):
    """A limit of requests, tokens or money is reached."""


class ServerFailed(APIError):
    """The server, or a provider behind it, failed."""


_ERRORS: Final[Mapping[int, type[APIError]]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: LimitReached,
}


# Answers


class Answer(BaseModel):
    """One object of the API; `SCHEMA` is what the OpenAPI document calls it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    SCHEMA: ClassVar[str] = ""


class Prompt(Answer):
    """One prompt of the list, with its newest version's number."""

    SCHEMA: ClassVar[str] = "PromptSummary"

    name: str
    latest: int
    versions: int
    description: str
    origin: str
    updated_at: datetime
    author: str


class PromptVersion(Answer):
    """One version or draft (`number` None), whole."""

    SCHEMA: ClassVar[str] = "PromptVersionView"

    id: UUID
    name: str
    number: int | None
    content_hash: str
    content: dict[str, JsonValue]
    description: str
    message: str
    origin: str
    author: str
    created_at: datetime


class Model(Answer):
    """One model version."""

    SCHEMA: ClassVar[str] = "ModelVersionView"

    id: UUID
    provider: str
    name: str
    number: int
    provider_model: str
    status: str
    sunset_at: datetime | None
    successor: str | None


class Variant(Answer):
    """Prompt version + model version + parameters."""

    SCHEMA: ClassVar[str] = "VariantView"

    id: UUID
    content_hash: str
    prompt: str
    model: str
    asked: dict[str, JsonValue]
    applied: dict[str, JsonValue]


class Dataset(Answer):
    """One dataset of the list, with its newest version's number."""

    SCHEMA: ClassVar[str] = "DatasetSummary"

    name: str
    latest: int
    versions: int
    example_count: int
    expected_count: int
    input_names: tuple[str, ...]


class DatasetVersion(Answer):
    """One immutable version."""

    SCHEMA: ClassVar[str] = "DatasetVersionView"

    id: UUID
    name: str
    number: int
    content_hash: str
    example_count: int
    expected_count: int
    input_names: tuple[str, ...]
    message: str
    created_at: datetime
    created_by: str


class DatasetImport(Answer):
    """What an import came to; not `created` if a version with exactly this content was there."""

    SCHEMA: ClassVar[str] = "DatasetImport"

    version: DatasetVersion
    created: bool
    repeated_inputs: int


class Example(Answer):
    """One example of a dataset version."""

    SCHEMA: ClassVar[str] = "ExampleItem"

    id: UUID
    position: int
    key: str
    input: dict[str, JsonValue]
    expected_output: JsonValue
    metadata: dict[str, JsonValue]
    cluster: str | None


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


# What is sent, and what comes of it, without any input or output: both clients share it


AnswerT = TypeVar("AnswerT")

_Received = httpx2.Response | httpx2.TransportError | None
_Steps = Generator[httpx2.Request | float, _Received, AnswerT]
"""Yields requests to send and seconds to wait, gets what came of them, returns the answer."""


@dataclass(frozen=True, slots=True)
class _Page(Generic[AnswerT]):
    items: Sequence[AnswerT]
    next_cursor: str | None


@dataclass(slots=True)
class _Copy:
    """The last good copy of a published alias."""

    etag: str
    body: Mapping[str, Any]
    fetched_at: float
    usable_s: float


@dataclass
class _Protocol:
    """Makes requests and reads answers; `now` and `jitter` are for tests to settle."""

    http: httpx2.Client | httpx2.AsyncClient
    retries: int
    now: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = random.random
    copies: dict[str, _Copy] = field(default_factory=dict)

    def read(
        self, path: str, model: type[AnswerT], parameters: Mapping[str, str] | None = None
    ) -> _Steps[AnswerT]:
        """GET one object."""
        request = self.http.build_request("GET", path, params=parameters)
        response = yield from self._exchange(request)
        return _parsed(response, model)

    def page(
        self, path: str, model: type[AnswerT], parameters: Mapping[str, str], cursor: str | None
    ) -> _Steps[_Page[AnswerT]]:
        """GET one page of a list."""
        wanted = {**parameters, "limit": str(_PAGE)}
        if cursor is not None:
            wanted["cursor"] = cursor
        request = self.http.build_request("GET", path, params=wanted)
        body = (yield from self._exchange(request)).json()
        return _Page([_validated(item, model) for item in body["items"]], body["next_cursor"])

    def create(
        self, path: str, body: Mapping[str, Any], model: type[AnswerT], key: str | None = None
    ) -> _Steps[AnswerT]:
        """POST what happens once, however often it has to be sent."""
        headers = {"Idempotency-Key": key or str(uuid4())}
        request = self.http.build_request("POST", path, json=body, headers=headers)
        response = yield from self._exchange(request)
        return _parsed(response, model)

    def chat(self, body: Mapping[str, Any], key: str | None) -> _Steps[ChatAnswer]:
        """POST a chat; with a key it is answered once and may be sent again."""
        request = self.chat_request(body, key)
        response = yield from self._exchange(request, again=key is not None)
        return _chat_answer(response)

    def chat_request(self, body: Mapping[str, Any], key: str | None) -> httpx2.Request:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.http.build_request(
            "POST", "/v1/chat/completions", json=body, headers=headers, timeout=_CHAT_TIMEOUT
        )

    def published(self, prompt: str, alias: str) -> _Steps[Published]:
        """GET what an alias stands for, or its last good copy while the server fails."""
        path = f"/api/prompts/{_path(prompt)}/aliases/{_path(alias)}"
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

    def _exchange(self, request: httpx2.Request, *, again: bool = True) -> _Steps[httpx2.Response]:
        """Send a request, and again if that may help; return an answer that is no error."""
        tries = 1 + (self.retries if again else 0)
        for left in reversed(range(tries)):
            received = yield request
            if isinstance(received, httpx2.Response) and received.status_code < 400:
                return received
            error = _error(received)
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


def _parsed(response: httpx2.Response, model: type[AnswerT]) -> AnswerT:
    return _validated(response.json(), model)


def _validated(value: object, model: type[AnswerT]) -> AnswerT:
    if not issubclass(model, BaseModel):
        raise TypeError(f"{model.__name__} is no model of an answer.")
    return model.model_validate(value)


def _path(name: str) -> str:
    """Return a name as part of a path; the slash of `team/name` stays."""
    return quote(name, safe="/@:")


def _versioned(reference: str) -> str:
    """Return `name/versions/3` of `name@3`."""
    name, _, version = reference.partition("@")
    if not version:
        raise ValueError(f"{reference!r}: name a version, as in {name}@1.")
    return f"{_path(name)}/versions/{_path(version)}"


def _error(received: _Received) -> ClientError:
    """Return what to raise of an answer that is an error, or of none."""
    if not isinstance(received, httpx2.Response):
        return Unreachable(f"The server was not reached: {received or 'no answer'}.")
    body = _json_object(received)
    inner = body.get("error")  # the shape of /v1
    told: Mapping[str, Any] = inner if isinstance(inner, Mapping) else body
    detail = str(told.get("detail") or told.get("message") or received.reason_phrase)
    code = str(told.get("code") or str(told.get("type", "")).rpartition(":")[2] or "error")
    status = received.status_code
    kind = _ERRORS.get(status, ServerFailed if status >= 500 else APIError)
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


def _chat_body(
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


class _Deltas:
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


def _headers(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


# The two clients


class Client:
    """Waits for each answer. Close it when done, or use it in a `with`."""

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        retries: int = _RETRIES,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(
            base_url=base_url, headers=_headers(key), timeout=_TIMEOUT, transport=transport
        )
        self._protocol = _Protocol(self._http, retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def prompts(self, search: str = "") -> Iterator[Prompt]:
        """Yield the prompts by name; `search` is part of name or description."""
        return self._pages("/api/prompts", Prompt, {"search": search})

    def prompt_versions(self, name: str) -> Iterator[PromptVersion]:
        """Yield the numbered versions of one prompt, oldest first."""
        return self._pages(f"/api/prompts/{_path(name)}/versions", PromptVersion, {})

    def prompt(self, reference: str) -> PromptVersion:
        """Return the version `triage@3` whole."""
        return self._run(
            self._protocol.read(f"/api/prompts/{_versioned(reference)}", PromptVersion)
        )

    def add_prompt(
        self, name: str, content: Mapping[str, Any], *, message: str = "", draft: bool = False
    ) -> PromptVersion:
        """Store content as the next version or as a draft; the same content is no change."""
        body = {"content": content, "message": message, "draft": draft}
        path = f"/api/prompts/{_path(name)}/versions"
        return self._run(self._protocol.create(path, body, PromptVersion))

    def models(self) -> Iterator[Model]:
        """Yield the model versions by provider, name and number."""
        return self._pages("/api/models", Model, {})

    def model(self, reference: str) -> Model:
        """Return a version: `openai/gpt-4.1@2`, or without a number the latest."""
        return self._run(self._protocol.read(f"/api/models/{_path(reference)}", Model))

    def variants(self, prompt: str | None = None) -> Iterator[Variant]:
        """Yield variants, newest first; of one prompt if it is named."""
        return self._pages("/api/variants", Variant, {} if prompt is None else {"prompt": prompt})

    def make_variant(
        self, prompt: str, model: str, parameters: Mapping[str, Any] | None = None
    ) -> Variant:
        """Return the variant of a prompt version, a model version and parameters."""
        body = {"prompt": prompt, "model": model, "parameters": dict(parameters or {})}
        return self._run(self._protocol.create("/api/variants", body, Variant))

    def datasets(self, search: str = "") -> Iterator[Dataset]:
        """Yield the datasets by name."""
        return self._pages("/api/datasets", Dataset, {"search": search})

    def dataset(self, reference: str) -> DatasetVersion:
        """Return the version `tickets@1`."""
        path = f"/api/datasets/{_versioned(reference)}"
        return self._run(self._protocol.read(path, DatasetVersion))

    def examples(self, reference: str) -> Iterator[Example]:
        """Yield the examples of the version `tickets@1` in order."""
        return self._pages(f"/api/datasets/{_versioned(reference)}/examples", Example, {})

    def import_dataset(self, name: str, examples: Sequence[Mapping[str, Any]]) -> DatasetImport:
        """Store examples (`input`, `expected_output`, `key` ...) as the next version."""
        body = {"name": name, "examples": list(examples)}
        return self._run(self._protocol.create("/api/datasets", body, DatasetImport))

    def published(self, prompt: str, alias: str) -> Published:
        """Return what an alias stands for; the last good copy while the server is away."""
        return self._run(self._protocol.published(prompt, alias))

    def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        variables: Mapping[str, Any] | None = None,
        key: str | None = None,
        **parameters: Any,
    ) -> ChatAnswer:
        """Return the answer of `support-bot@production`; with a `key` it is answered once."""
        body = _chat_body(model, messages, variables, parameters, stream=False)
        return self._run(self._protocol.chat(body, key))

    def stream_chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        variables: Mapping[str, Any] | None = None,
        key: str | None = None,
        **parameters: Any,
    ) -> Iterator[str]:
        """Yield the answer's text as it grows; `StreamBroken` if it does not come to its end."""
        body = _chat_body(model, messages, variables, parameters, stream=True)
        deltas = _Deltas()
        try:
            response = self._http.send(self._protocol.chat_request(body, key), stream=True)
            try:
                if response.status_code >= 400:
                    response.read()
                    raise _error(response)
                for line in response.iter_lines():
                    if text := deltas.text(line):
                        yield text
            finally:
                response.close()
        except httpx2.TransportError as error:
            raise _broken(error) from error
        deltas.check()

    def _run(self, steps: _Steps[AnswerT]) -> AnswerT:
        received: _Received = None
        while True:
            try:
                step = steps.send(received)
            except StopIteration as done:
                answer: AnswerT = done.value
                return answer
            received = None
            if isinstance(step, float):
                time.sleep(step)
                continue
            try:
                received = self._http.send(step)
            except httpx2.TransportError as error:
                received = error

    def _pages(
        self, path: str, model: type[AnswerT], parameters: Mapping[str, str]
    ) -> Iterator[AnswerT]:
        cursor: str | None = None
        while True:
            page = self._run(self._protocol.page(path, model, parameters, cursor))
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return


class AsyncClient:
    """As `Client`, awaited. Close it when done, or use it in an `async with`."""

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        retries: int = _RETRIES,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx2.AsyncClient(
            base_url=base_url, headers=_headers(key), timeout=_TIMEOUT, transport=transport
        )
        self._protocol = _Protocol(self._http, retries)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    def prompts(self, search: str = "") -> AsyncIterator[Prompt]:
        """Yield the prompts by name; `search` is part of name or description."""
        return self._pages("/api/prompts", Prompt, {"search": search})

    def prompt_versions(self, name: str) -> AsyncIterator[PromptVersion]:
        """Yield the numbered versions of one prompt, oldest first."""
        return self._pages(f"/api/prompts/{_path(name)}/versions", PromptVersion, {})

    async def prompt(self, reference: str) -> PromptVersion:
        """Return the version `triage@3` whole."""
        path = f"/api/prompts/{_versioned(reference)}"
        return await self._run(self._protocol.read(path, PromptVersion))

    async def add_prompt(
        self, name: str, content: Mapping[str, Any], *, message: str = "", draft: bool = False
    ) -> PromptVersion:
        """Store content as the next version or as a draft; the same content is no change."""
        body = {"content": content, "message": message, "draft": draft}
        path = f"/api/prompts/{_path(name)}/versions"
        return await self._run(self._protocol.create(path, body, PromptVersion))

    def models(self) -> AsyncIterator[Model]:
        """Yield the model versions by provider, name and number."""
        return self._pages("/api/models", Model, {})

    async def model(self, reference: str) -> Model:
        """Return a version: `openai/gpt-4.1@2`, or without a number the latest."""
        return await self._run(self._protocol.read(f"/api/models/{_path(reference)}", Model))

    def variants(self, prompt: str | None = None) -> AsyncIterator[Variant]:
        """Yield variants, newest first; of one prompt if it is named."""
        return self._pages("/api/variants", Variant, {} if prompt is None else {"prompt": prompt})

    async def make_variant(
        self, prompt: str, model: str, parameters: Mapping[str, Any] | None = None
    ) -> Variant:
        """Return the variant of a prompt version, a model version and parameters."""
        body = {"prompt": prompt, "model": model, "parameters": dict(parameters or {})}
        return await self._run(self._protocol.create("/api/variants", body, Variant))

    def datasets(self, search: str = "") -> AsyncIterator[Dataset]:
        """Yield the datasets by name."""
        return self._pages("/api/datasets", Dataset, {"search": search})

    async def dataset(self, reference: str) -> DatasetVersion:
        """Return the version `tickets@1`."""
        path = f"/api/datasets/{_versioned(reference)}"
        return await self._run(self._protocol.read(path, DatasetVersion))

    def examples(self, reference: str) -> AsyncIterator[Example]:
        """Yield the examples of the version `tickets@1` in order."""
        return self._pages(f"/api/datasets/{_versioned(reference)}/examples", Example, {})

    async def import_dataset(
        self, name: str, examples: Sequence[Mapping[str, Any]]
    ) -> DatasetImport:
        """Store examples (`input`, `expected_output`, `key` ...) as the next version."""
        body = {"name": name, "examples": list(examples)}
        return await self._run(self._protocol.create("/api/datasets", body, DatasetImport))

    async def published(self, prompt: str, alias: str) -> Published:
        """Return what an alias stands for; the last good copy while the server is away."""
        return await self._run(self._protocol.published(prompt, alias))

    async def chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        variables: Mapping[str, Any] | None = None,
        key: str | None = None,
        **parameters: Any,
    ) -> ChatAnswer:
        """Return the answer of `support-bot@production`; with a `key` it is answered once."""
        body = _chat_body(model, messages, variables, parameters, stream=False)
        return await self._run(self._protocol.chat(body, key))

    async def stream_chat(
        self,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        *,
        variables: Mapping[str, Any] | None = None,
        key: str | None = None,
        **parameters: Any,
    ) -> AsyncIterator[str]:
        """Yield the answer's text as it grows; `StreamBroken` if it does not come to its end."""
        body = _chat_body(model, messages, variables, parameters, stream=True)
        deltas = _Deltas()
        try:
            response = await self._http.send(self._protocol.chat_request(body, key), stream=True)
            try:
                if response.status_code >= 400:
                    await response.aread()
                    raise _error(response)
                async for line in response.aiter_lines():
                    if text := deltas.text(line):
                        yield text
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            raise _broken(error) from error
        deltas.check()

    async def _run(self, steps: _Steps[AnswerT]) -> AnswerT:
        received: _Received = None
        while True:
            try:
                step = steps.send(received)
            except StopIteration as done:
                answer: AnswerT = done.value
                return answer
            received = None
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            try:
                received = await self._http.send(step)
            except httpx2.TransportError as error:
                received = error

    async def _pages(
        self, path: str, model: type[AnswerT], parameters: Mapping[str, str]
    ) -> AsyncIterator[AnswerT]:
        cursor: str | None = None
        while True:
            page = await self._run(self._protocol.page(path, model, parameters, cursor))
            for item in page.items:
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return


def _broken(error: httpx2.TransportError) -> StreamBroken:
    return StreamBroken(f"The answer broke off: {error or type(error).__name__}.")
