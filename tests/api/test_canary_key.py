"""Secrets through every error path: none is answered, logged, traced, counted or stored.

The endpoints' key and header, the server's own secret, the database's password, a person's key and
a token are canaries. They, the beginning of one, or one in disguise, may stand nowhere; what people
and models write may stand in the record and in answers, and in no line, span or metric.
"""

from __future__ import annotations

import asyncio
import base64
import traceback
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
import orjson
import pytest
from fastapi import Depends, FastAPI
from pydantic import SecretStr
from sqlalchemy import select, text

from app.api.authorisation import PUBLIC
from app.core.permissions import Role, local_actor
from app.core.settings import CallLimits, EndpointSettings, Settings
from app.database.base import Base
from app.schemas.models import ModelDeclaration
from tests.api.conftest import key_of
from tests.api.watched import ALIAS, Watched, chat_body, watch, watched_settings
from tests.fake_provider import FAULTS, FakeProvider, FaultScript, ProviderOptions
from tests.integration.llm.support import Exchange, TinyServer

PROVIDER_KEY = "sk-canary-7Qx9Lm2Tz5Rw8Yb1Nc4"
HEADER = "hdr~canary?3Vt6Kp0Wd4Xs"
SERVER_SECRET = "srv>canary+8Jn2Hf5Gb7Zc1Vx9Qe3Rw6"
PASSWORD = "pwd-canary-5Ud8Si3Oa7"
TOKEN = "eyJjYW5hcnkiOiJ0b2tlbiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"
FORGED = "wb_canaryforged_5Tg9Bn2Mk7Lp4Qa1Zs8Xw3Ed6Cr0Vf-Yh_Uj5Ikw9O"
TEXT = "the canary nobody but its owner may read"

QUICK = CallLimits(connect_s=2, first_byte_s=0.3, idle_s=0.25, total_s=4, max_bytes=1 << 20)
SCRIPT = FaultScript(oversized_bytes=4 << 20)
PLAIN = [name for name, fault in FAULTS.items() if fault.applies_to("openai", stream=False)]
STREAMED = [name for name, fault in FAULTS.items() if fault.form == "stream"]
STREAMED = [name for name in STREAMED if FAULTS[name].applies_to("openai", stream=True)]
ECHOES = (200, 302, 400, 401, 403, 404, 422, 429, 500)


def disguises(canary: str) -> set[str]:
    """Return the forms in which a canary may be met: whole, begun, quoted, in base64."""
    data = canary.encode()
    encoded = {base64.b64encode(data), base64.urlsafe_b64encode(data)}
    quoted = {quote(canary), quote(canary, safe=""), quote_plus(canary)}
    return {canary, canary[:12], *quoted, *(it.decode().rstrip("=") for it in encoded)}


def secret_part(key: str) -> str:
    """Return an API key without its public prefix, which names it."""
    return key[len("wb_canaryforged_") :]


@dataclass
class Shown:
    """Everything that could be seen, by where it was."""

    secrets: dict[str, str]
    places: dict[str, str] = field(default_factory=dict)

    def hits(self, *canaries: str, among: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Return where which canary was met, in the places whose names begin so."""
        return [
            (place, name)
            for place, shown in self.places.items()
            if not among or place.startswith(tuple(among))
            for name, canary in {**self.secrets, "text": TEXT}.items()
            if name in canaries and any(form in shown for form in disguises(canary))
        ]


class Echo(TinyServer):
    """Gives back all it was sent, with the status that the model's name ends in."""

    def __init__(self) -> None:
        super().__init__(self._play)

    async def _play(self, exchange: Exchange) -> None:
        status = int(orjson.loads(exchange.body)["model"].rpartition("-")[2])
        encoded = base64.b64encode(PROVIDER_KEY.encode()).decode()
        said = [exchange.line, *exchange.headers.values(), encoded, f"{PROVIDER_KEY[:12]}***4"]
        message = f"You sent: {' '.join(said)} {quote(PROVIDER_KEY)} {HEADER}"
        await exchange.answer(
            orjson.dumps({"error": {"message": message}}),
            status=status,
            headers={"x-request-id": "r-1", "x-echo": quote(message)},
        )


def break_down(application: FastAPI) -> None:
    @application.get("/broken", dependencies=[Depends(PUBLIC)])
    async def broken() -> None:
        url = f"postgresql://canary:{PASSWORD}@127.0.0.1/nowhere"
        raise RuntimeError(f"{PROVIDER_KEY} {SERVER_SECRET} Bearer {TOKEN} {FORGED} {url}")


@pytest.fixture
async def fakes() -> AsyncIterator[tuple[FakeProvider, Echo]]:
    async with AsyncExitStack() as stack:
        options = ProviderOptions(script=SCRIPT, answer=f"fixed:{TEXT}")
        fake = await stack.enter_async_context(FakeProvider(options))
        yield fake, await stack.enter_async_context(Echo())


@pytest.fixture
def settings(database_url: str, tmp_path: Path, fakes: tuple[FakeProvider, Echo]) -> Settings:
    """An endpoint for each fault: a circuit that is open for one stays closed for the others."""
    fake, echo = fakes
    with_password = database_url.replace("postgres@", f"postgres:{PASSWORD}@")
    found = watched_settings(
        tmp_path, with_password, fake.base_url, WORKBENCH_KEY_SECRET=SERVER_SECRET
    )
    endpoints = {name: _endpoint(fake.base_url) for name in ("openai", *PLAIN, *STREAMED)}
    echoes = {f"echo-{status}": _endpoint(echo.url) for status in ECHOES}
    return found.model_copy(update={"endpoints": {**endpoints, **echoes}})


def _endpoint(url: str) -> EndpointSettings:
    return EndpointSettings(
        provider="openai",
        base_url=url,
        api_key=SecretStr(PROVIDER_KEY),
        extra_headers={"x-team-key": SecretStr(HEADER)},
        limits=QUICK,
    )


@pytest.fixture
async def watched(settings: Settings) -> AsyncIterator[Watched]:
    async with watch(settings, level="DEBUG", routes=break_down) as watched:
        await watched.serve()
        watched.forget()
        yield watched


async def provider_failures(watched: Watched) -> AsyncIterator[tuple[str, httpx2.Response]]:
    """Every way in which a provider fails, plain and streamed, at once."""
    names = [*PLAIN, *STREAMED, *(f"echo-{status}" for status in ECHOES)]
    for name in names:
        model = f"openai/{name if name.startswith('echo') else f'fault-{name}'}"
        declared = ModelDeclaration.model_validate({"model": model, "endpoint": name})
        await watched.services.models.declare(local_actor(), declared)
    calls = {
        f"answer to {name}": watched.chat(
            f"openai/{name if name.startswith('echo') else f'fault-{name}'}",
            text=TEXT,
            stream=name in STREAMED,
        )
        for name in names
    }
    for place, reply in zip(calls, await asyncio.gather(*calls.values()), strict=True):
        yield place, reply


def refusals(key: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Requests that we refuse: what is wrong with each, and how it is sent."""
    chat = "POST /v1/chat/completions"
    yield "unknown model", chat, {"json": chat_body(TEXT)}
    yield "wrong parameter", chat, {"json": chat_body(text=TEXT, temperature=TEXT)}
    yield "unknown field", chat, {"json": chat_body(text=TEXT, nonsense=TEXT)}
    yield "wrong role", chat, {"json": {"model": ALIAS, "messages": [{"role": TEXT}]}}
    system = [{"role": "system", "content": TEXT}]
    yield "instructions", chat, {"json": {"model": ALIAS, "messages": system}}
    yield "lone surrogate", chat, {"content": f'{{"model":"{ALIAS}","{TEXT}":"\\ud800"}}'}
    yield "no JSON", chat, {"content": f"{TEXT}{{", "headers": {"content-type": "application/json"}}
    yield "other type", chat, {"content": TEXT, "headers": {"content-type": "text/plain"}}
    yield "invalid field", "POST /api/users", {"json": {"name": TEXT, PROVIDER_KEY: TOKEN}}
    yield "taken", "POST /api/users", {"json": {"name": "everything"}}
    yield "not found", f"GET /api/prompts/{quote(TEXT)}", {}
    yield "no route", f"GET /nowhere/{quote(TEXT)}", {"params": {"key": key}}
    yield "other method", "DELETE /v1/models", {"params": {"key": key, "text": TEXT}}
    yield "bad cursor", "GET /api/prompts", {"params": {"cursor": TEXT}}
    yield "mistake of ours", "GET /broken", {"headers": {"x-api-key": PROVIDER_KEY}}
    for number, sent in enumerate((TOKEN, FORGED, PROVIDER_KEY) * 2):  # after five: 429
        credential = {"Authorization": f"Bearer {sent}"}
        yield f"credential {number}", "GET /api/users", {"headers": credential}
    yield "basic", "GET /api/users", {"headers": {"Authorization": f"Basic {quote(key)}"}}
    yield "reused", chat, {"json": chat_body(text=TEXT), "headers": {"idempotency-key": "once"}}
    other = chat_body(text=f"{TEXT}!")
    yield "reused again", chat, {"json": other, "headers": {"idempotency-key": "once"}}


async def refused(watched: Watched, key: str) -> AsyncIterator[tuple[str, httpx2.Response]]:
    for name, where, sent in refusals(key):
        method, _, path = where.partition(" ")
        yield f"answer to {name}", await watched.client.request(method, path, **sent)


async def lost_tables(watched: Watched) -> AsyncIterator[tuple[str, httpx2.Response]]:
    """A database that fails in the middle of what it is asked, with texts in its hands."""
    for table in ("content", "prompt", "api_key"):
        async with watched.services.database.engine.begin() as connection:
            await connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_lost"))
        yield f"answer without {table}", await watched.chat(text=TEXT)
        yield f"page without {table}", await watched.client.get("/api/prompts")
        async with watched.services.database.engine.begin() as connection:
            await connection.execute(text(f"ALTER TABLE {table}_lost RENAME TO {table}"))


async def exports(watched: Watched) -> AsyncIterator[tuple[str, httpx2.Response]]:
    for path in ("/metrics", "/openapi.json", "/api/users", "/api/keys", "/api/models"):
        yield f"export of {path}", await watched.client.get(path)
    listed = await watched.client.get("/api/generations", params={"limit": 200})
    yield "export of /api/generations", listed
    for row in listed.json()["items"]:
        path = f"/api/generations/{row['id']}"
        yield f"export of {path}", await watched.client.get(path)


async def dump(watched: Watched) -> str:
    """Return every row of every table as text."""
    lines: list[str] = []
    async with watched.services.database.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            for row in await connection.execute(select(table)):
                lines.append(f"{table.name}: {tuple(row)!r}")
    return "\n".join(lines)


async def test_no_error_shows_a_secret_or_tells_what_was_said(watched: Watched) -> None:
    key = await key_of(watched.services, "canary", Role.ADMIN)
    watched.client.headers["Authorization"] = f"Bearer {watched.key}"
    secrets = {
        "provider key": PROVIDER_KEY,
        "header": HEADER,
        "server secret": SERVER_SECRET,
        "password": PASSWORD,
        "token": TOKEN,
        "forged key": secret_part(FORGED),
        "key": secret_part(key),
        "own key": secret_part(watched.key),
    }
    shown = Shown(secrets)
    statuses: set[int] = set()
    for steps in (
        provider_failures(watched),
        refused(watched, key),
        lost_tables(watched),
        exports(watched),
    ):
        async for place, reply in steps:
            statuses.add(reply.status_code)
            shown.places[place] = f"{reply.headers!r} {reply.text}"
    shown.places["log"] = watched.log.getvalue()
    shown.places["spans"] = "".join(span.to_json() for span in watched.spans)
    shown.places["settings"] = repr(watched.services.settings)
    shown.places["database"] = await dump(watched)

    assert len([place for place in shown.places if place.startswith("answer")]) >= 60
    assert statuses >= {200, 400, 401, 404, 405, 409, 415, 422, 429, 500, 502, 503, 504}
    assert {"http_request", "llm_call", "unexpected_error"} <= {it["event"] for it in watched.lines}
    assert TEXT in shown.places["database"]
    assert "You sent" in shown.places["database"]
    assert shown.hits(*secrets) == []
    silent = ["log", "spans", "settings", "export of /metrics", "export of /openapi.json"]
    assert shown.hits("text", among=silent) == []


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://canary:{PASSWORD}@127.0.0.1:1/nowhere",
        f"postgresql://canary:{PASSWORD}@[::1/nowhere",
        f"postgresql://canary:{PASSWORD}@127.0.0.1:port/nowhere",
    ],
)
async def test_a_database_that_is_not_there_shows_no_password(tmp_path: Path, address: str) -> None:
    seen: list[str] = []
    try:
        settings = watched_settings(tmp_path, address, "http://127.0.0.1:9/v1")
        seen.append(repr(settings))
        async with watch(settings, level="DEBUG"):
            pass
    except Exception as error:  # whichever it is, all of it may be shown
        seen += [repr(error), *traceback.format_exception(error)]
    assert len(seen) > 1
    assert [form for form in disguises(PASSWORD) if any(form in text for text in seen)] == []
