"""Other origins and host names: nobody by default, by setting only, and never with credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from app.core.settings import Settings
from app.main import create_app

ORIGIN = "https://desk.example"


@pytest.fixture
def database_kind() -> str:
    """Nothing here reaches a database."""
    return "sqlite"


@asynccontextmanager
async def client_with(settings: Settings, **changed: object) -> AsyncIterator[httpx2.AsyncClient]:
    application = create_app(settings.model_copy(update=changed))
    async with application.router.lifespan_context(application):
        transport = httpx2.ASGITransport(app=application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


async def preflight(client: httpx2.AsyncClient, origin: str) -> httpx2.Response:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,idempotency-key",
    }
    return await client.options("/api/prompts", headers=headers)


async def test_no_other_origin_is_let_in_by_default(settings: Settings) -> None:
    async with client_with(settings) as client:
        assert "access-control-allow-origin" not in (await preflight(client, ORIGIN)).headers
        got = await client.get("/health", headers={"origin": ORIGIN})
        assert "access-control-allow-origin" not in got.headers


async def test_an_origin_of_the_settings_is_let_in_without_credentials(settings: Settings) -> None:
    async with client_with(settings, cors_origins=(ORIGIN,)) as client:
        asked = await preflight(client, ORIGIN)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in asked.headers
        got = await client.get("/health", headers={"origin": ORIGIN})
        assert "x-request-id" in got.headers["access-control-expose-headers"]
        assert "access-control-allow-origin" not in (await preflight(client, "https://b")).headers


async def test_errors_may_be_read_by_an_origin_of_the_settings(settings: Settings) -> None:
    async with client_with(settings, cors_origins=(ORIGIN,)) as client:
        got = await client.post("/api/variants", content=b"x", headers={"origin": ORIGIN})
        assert got.status_code == 415
        assert got.headers["access-control-allow-origin"] == ORIGIN


async def test_only_trusted_host_names_are_answered(settings: Settings) -> None:
    async with client_with(settings, trusted_hosts=("desk.example", "[::1]")) as client:
        for host in ("desk.example", "DESK.example:8800", "[::1]:8800", "[::1]"):
            assert (await client.get("/health", headers={"host": host})).status_code == 200, host
        for host in ("evil.example", "desk.example.evil.example", "desk.example/@x", ""):
            got = await client.get("/health", headers={"host": host})
            assert got.status_code == 400, host
            assert got.json()["type"] == "urn:workbench:problem:bad_host"


@pytest.mark.parametrize(
    "header",
    ["x-http-method-override", "x-original-url", "x-rewrite-url", "x-forwarded-prefix"],
)
async def test_no_header_makes_another_request_of_it(settings: Settings, header: str) -> None:
    async with client_with(settings) as client:
        value = "DELETE" if "method" in header else "/health"
        got = await client.get("/api/prompts", headers={header: value})
        assert got.status_code == 401


@pytest.mark.parametrize(
    ("address", "status"), [("/api/prompts/a%00b/versions", 404), ("/api/prompts?search=%00", 422)]
)
async def test_nul_is_no_character_of_an_address(
    settings: Settings, address: str, status: int
) -> None:
    async with client_with(settings) as client:
        assert (await client.get(address)).status_code == status
