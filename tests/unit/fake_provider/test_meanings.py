"""Every fault, over every protocol and form that can show it, means what the catalogue says.

The judge is a careful client of this file's own, written from the protocols and not from the
faults: it reads at most `BYTE_LIMIT` decoded bytes, gives up after `IDLE_S` without an event or
`TOTAL_S` in all, wants a terminal event at the end of a stream, and looks at shapes before it
trusts them.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.fake_provider import FAULTS, FakeProvider, Fault, FaultScript, Meaning, ProviderOptions
from tests.fake_provider.dialects import Ollama, OpenAI

BYTE_LIMIT = 1 << 20
IDLE_S = 0.5
TOTAL_S = 1.0
PATHS = {"openai": "/v1/chat/completions", "ollama": "/api/chat"}
SCRIPT = FaultScript(oversized_bytes=8 << 20, drip_interval_s=0.02)

Json = dict[str, object]


class Heard(NamedTuple):
    """What the client got: either it gave up for a reason, or a status and a body."""

    gave_up: Meaning | None
    status: int = 0
    content_type: str = ""
    body: bytes = b""


async def listen(http: aiohttp.ClientSession, url: str, request: Json) -> Heard:
    """Send the request and read the reply within the limits."""
    loop = asyncio.get_running_loop()
    body, last_event = b"", loop.time()
    try:
        async with (
            asyncio.timeout(TOTAL_S),
            http.post(url, json=request, allow_redirects=False) as reply,
        ):
            while True:
                async with asyncio.timeout_at(last_event + IDLE_S):
                    piece = await reply.content.readany()
                if not piece:
                    return Heard(None, reply.status, reply.content_type, body)
                body += piece
                if not piece.startswith(b": "):  # a comment is no sign of life
                    last_event = loop.time()
                if len(body) > BYTE_LIMIT:
                    return Heard("malformed_response")
    except TimeoutError:
        return Heard("timeout")
    except aiohttp.ClientError:
        return Heard("connection")


def conclude(heard: Heard, dialect: str, *, stream: bool) -> Meaning:
    """Return what a careful client makes of what it heard."""
    if heard.gave_up:
        return heard.gave_up
    if heard.status != 200:
        return from_status(heard.status, error_of(heard.body))
    try:
        objects, ended = parse(heard, dialect, stream=stream)
    except ValueError:
        return "malformed_response"
    if not objects:
        return "malformed_response"
    if any("error" in item for item in objects):
        return "server"
    choices = [choice for item in objects for choice in choices_of(item, dialect)]
    reasons = {choice.get("finish_reason") for choice in choices} - {None}
    if stream and not (ended and reasons) and any(said(choice) for choice in choices):
        return "truncated_stream"
    if "content_filter" in reasons:
        return "content_filtered"
    return "usable" if any(said(choice) for choice in choices) else "malformed_response"


def error_of(body: bytes) -> Json:
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {"message": error}


def from_status(status: int, error: Json) -> Meaning:
    if status in (401, 403):
        return "authentication"
    if status == 404:
        return "unknown_model"
    if status == 429:
        return "rate_limited"
    if status >= 500:
        return "server"
    if error.get("code") == "content_filter":
        return "content_filtered"
    about_parameter = error.get("code") in ("unsupported_value", "unsupported_parameter")
    if about_parameter or "but not both" in str(error.get("message")):
        return "parameter_not_supported"
    return "bad_request"


def parse(heard: Heard, dialect: str, *, stream: bool) -> tuple[list[Json], bool]:
    """Return the objects of the body, and whether its terminal event was among them."""
    if not stream or heard.content_type == "application/json":
        return [as_object(heard.body)], True
    if heard.content_type == Ollama.stream_type:
        lines = [as_object(line) for line in heard.body.split(b"\n") if line]
        return lines, any(line.get("done") is True for line in lines)
    if heard.content_type != OpenAI.stream_type:
        raise ValueError(f"{heard.content_type} is no stream.")
    events = [event.removeprefix(b"data: ") for event in heard.body.split(b"\n\n") if event]
    return [as_object(event) for event in events if event != b"[DONE]"], b"[DONE]" in events


def as_object(data: bytes) -> Json:
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("An object was wanted.")
    return value


def choices_of(item: Json, dialect: str) -> Iterator[Json]:
    if dialect == "ollama":
        yield {"message": item.get("message"), "finish_reason": item.get("done_reason")}
        return
    choices = item.get("choices")
    if isinstance(choices, list):
        yield from choices


def said(choice: Json) -> bool:
    """Say whether a choice carries text, a refusal or a tool call, be it an empty one."""
    message = choice.get("message") or choice.get("delta")
    if not isinstance(message, dict):
        return False
    return any(message.get(key) is not None for key in ("content", "refusal", "tool_calls"))


SHOWN = [
    pytest.param(fault, dialect, stream, id=f"{fault.name}-{dialect}-{form}")
    for fault in FAULTS.values()
    for dialect in PATHS
    for form, stream in (("plain", False), ("stream", True))
    if fault.applies_to(dialect, stream=stream)
]


async def play(
    http: aiohttp.ClientSession, server: FakeProvider, dialect: str, model: str, *, stream: bool
) -> Meaning:
    request: Json = {
        "model": model,
        "messages": [{"role": "user", "content": "a question of some length"}],
        "stream": stream,
        "stream_options": {"include_usage": True},
    }
    heard = await listen(http, f"{server.ollama_url}{PATHS[dialect]}", request)
    return conclude(heard, dialect, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", PATHS)
async def test_careful_client_finds_nothing_wrong_with_a_good_answer(
    http: aiohttp.ClientSession, dialect: str, stream: bool
) -> None:
    async with FakeProvider() as server:
        assert await play(http, server, dialect, "fake-model", stream=stream) == "usable"


@pytest.mark.parametrize(("fault", "dialect", "stream"), SHOWN)
async def test_fault_means_what_the_catalogue_says_and_is_on_the_ledger(
    http: aiohttp.ClientSession, fault: Fault, dialect: str, stream: bool
) -> None:
    async with FakeProvider(ProviderOptions(script=SCRIPT)) as server:
        meaning = await play(http, server, dialect, f"fault-{fault.name}", stream=stream)
        await server.until(lambda ledger: ledger.in_flight == 0)
        (call,) = server.ledger.calls
    assert meaning == fault.meaning
    assert (call.fault, call.outcome, call.status) == (fault.name, "fault", fault.status)
    # Whatever ends by itself is ended by the server, not by the client's patience.
    if fault.endless:
        assert call.client_gone


@pytest.mark.parametrize("dialect", PATHS)
async def test_stream_cut_anywhere_before_its_end_is_never_taken_for_whole(
    http: aiohttp.ClientSession, dialect: str
) -> None:
    async with FakeProvider() as server:
        meanings: list[Meaning] = []
        while not meanings or meanings[-1] != "usable":
            model = f"fault-stream-cut-at-{len(meanings)}"
            meanings.append(await play(http, server, dialect, model, stream=True))
    assert set(meanings[:-1]) == {"truncated_stream", "malformed_response"}
    assert len(meanings) > 300  # the good stream is longer than that
