"""Nothing is allowed unless its route says so, and nothing but the matched route decides."""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from pathlib import Path

import httpx2
import orjson
import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket

from app.api.authorisation import (
    PUBLIC,
    CurrentActor,
    check_routes,
    declared_permissions,
    needs,
)
from app.core.errors import ConfigurationError
from app.core.logging import create_logger
from app.core.permissions import Permission, Role
from app.core.settings import Settings, load_settings
from app.main import create_app
from tests.api.conftest import KEY_SECRET, ClientOf
from tests.architecture.sources import Finding, Module, example, forbid

ADDRESSES = [
    "/api/users/..%2F..%2Fhealth",
    "/api//users",
    "//api/users",
    "/api/users;/health",
    "/api/users?/health",
    "/health/..%2fapi%2fusers",
    "/API/users",
    "/api/users%00",
    "/api/users/%2e%2e/%2e%2e/health",
]


@pytest.fixture
def database_kind() -> str:
    """Who may call what does not depend on the database."""
    return "sqlite"


def application_of(router: APIRouter) -> FastAPI:
    application = FastAPI()
    application.include_router(router)
    return application


async def test_a_request_without_a_credential_is_told_to_bring_one(
    anonymous: httpx2.AsyncClient,
) -> None:
    response = await anonymous.get("/api/users")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["title"] == "unauthenticated"


async def test_health_is_for_everybody(anonymous: httpx2.AsyncClient) -> None:
    assert (await anonymous.get("/health")).status_code == 200
    assert (await anonymous.get("/health/ready")).status_code == 200


async def test_a_missing_permission_is_forbidden(client_of: ClientOf) -> None:
    viewer = await client_of(Role.VIEWER)
    response = await viewer.get("/api/users")
    assert response.status_code == 403
    assert "user:read" in response.json()["detail"]


async def test_a_user_without_a_role_is_signed_in_and_may_do_nothing(client_of: ClientOf) -> None:
    nobody = await client_of()
    assert (await nobody.get("/api/users/me")).json()["permissions"] == []
    assert (await nobody.get("/api/prompts")).status_code == 403


async def test_everybody_learns_who_they_are(client_of: ClientOf) -> None:
    viewer = await client_of(Role.VIEWER, prefix="payments/", name="ana")
    assert (await viewer.get("/api/users/me")).json() == {
        "kind": "user",
        "name": "ana",
        "permissions": [
            "alias:read",
            "dataset:read",
            "experiment:read",
            "model:read",
            "prompt:read",
        ],
        "prefixes": ["payments/"],
        "aliases": None,
    }


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "bearer\tx"])
async def test_only_a_bearer_credential_counts(
    anonymous: httpx2.AsyncClient, client: httpx2.AsyncClient, scheme: str
) -> None:
    key = client.headers["authorization"].removeprefix("Bearer ")
    headers = {"Authorization": f"{scheme} {key}"}
    assert (await anonymous.get("/api/users", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    "place",
    [
        {"cookies": "{}"},
        {"params": "{}"},
        {"headers": "x-api-key"},
        {"headers": "api-key"},
        {"headers": "proxy-authorization"},
    ],
)
async def test_a_credential_elsewhere_does_not_count(
    anonymous: httpx2.AsyncClient, client: httpx2.AsyncClient, place: dict[str, str]
) -> None:
    key = client.headers["authorization"].removeprefix("Bearer ")
    (kind, name), *_ = place.items()
    if kind == "headers":
        response = await anonymous.get("/api/users", headers={name: f"Bearer {key}"})
    elif kind == "params":
        response = await anonymous.get("/api/users", params={"access_token": key, "api_key": key})
    else:
        cookie = f"authorization=Bearer {key}; session={key}"
        response = await anonymous.get("/api/users", headers={"cookie": cookie})
    assert response.status_code == 401


@pytest.mark.parametrize("address", ADDRESSES)
async def test_no_way_of_writing_an_address_gets_around_the_sign_in(
    anonymous: httpx2.AsyncClient, address: str
) -> None:
    response = await anonymous.get(address)
    assert response.status_code in (401, 404)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "test/health?"},
        {"host": "test#/health"},
        {"x-forwarded-host": "localhost"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-prefix": "/health"},
        {"x-original-url": "/health"},
        {"x-rewrite-url": "/health"},
        {"x-http-method-override": "OPTIONS"},
    ],
)
async def test_no_header_gets_around_the_sign_in(
    anonymous: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    response = await anonymous.get("/api/users", headers=headers)
    assert response.status_code in (400, 401)


async def test_wrong_credentials_are_counted_by_address_and_logged_without_the_credential(
    settings: Settings,
) -> None:
    log = io.StringIO()
    application = create_app(settings, create_logger("INFO", stream=log))
    async with application.router.lifespan_context(application):
        transport = httpx2.ASGITransport(app=application, client=("192.0.2.1", 1))
        wrong = {"Authorization": "Bearer wb_canarycanary_" + "A" * 43}
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            answers = [await client.get("/api/users", headers=wrong) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    lines = [orjson.loads(line) for line in log.getvalue().splitlines()]
    refused = [line for line in lines if line["event"] == "sign_in_refused"]
    assert [line["client"] for line in refused] == ["192.0.2.1"] * 6
    assert all(line["request_id"] for line in refused)
    assert "canary" not in log.getvalue()


async def test_the_start_is_refused_without_a_secret_for_keys(
    database_url: str, tmp_path: Path
) -> None:
    bare = load_settings(tmp_path, {"WORKBENCH_DATABASE_URL": database_url})
    application = create_app(bare)
    with pytest.raises(ConfigurationError, match="API keys need a secret"):
        async with application.router.lifespan_context(application):
            pytest.fail("it has started")


async def test_the_secret_is_shown_nowhere(settings: Settings) -> None:
    assert KEY_SECRET not in repr(settings)


def test_a_route_that_says_nothing_stops_the_start() -> None:
    router = APIRouter()

    @router.get("/open")
    def silent() -> None: ...

    with pytest.raises(ConfigurationError, match="GET /open"):
        check_routes(application_of(router))


def test_a_websocket_that_says_nothing_stops_the_start() -> None:
    router = APIRouter()

    @router.websocket("/socket")
    async def silent(socket: WebSocket) -> None: ...

    with pytest.raises(ConfigurationError, match="/socket"):
        check_routes(application_of(router))


def test_a_mounted_application_stops_the_start() -> None:
    application = FastAPI()
    application.mount("/inner", FastAPI())
    with pytest.raises(ConfigurationError, match="/inner"):
        check_routes(application)


def test_a_route_in_the_place_of_the_documentation_is_not_taken_for_it() -> None:
    application = FastAPI(docs_url=None)

    @application.get("/docs")
    def silent() -> None: ...

    with pytest.raises(ConfigurationError, match="/docs"):
        check_routes(application)


def test_what_routes_declare_is_found_wherever_they_declare_it() -> None:
    inner = APIRouter(prefix="/inner", dependencies=[Depends(needs(Permission.AUDIT_READ))])
    outer = APIRouter()

    @inner.get("/a")
    def by_router() -> None: ...

    @outer.get("/b", dependencies=[Depends(needs(Permission.PROMPT_READ))])
    def by_route(actor: CurrentActor) -> None: ...

    @outer.post("/c")
    def by_actor(actor: CurrentActor) -> None: ...

    @outer.get("/d", dependencies=[Depends(PUBLIC)])
    def for_all() -> None: ...

    @outer.get("/e", dependencies=[Depends(needs(None))])
    def for_signed_in() -> None: ...

    outer.include_router(inner)
    application = application_of(outer)
    check_routes(application)
    assert declared_permissions(application) == {
        "GET /inner/a": "audit:read",
        "GET /b": "prompt:read",
        "POST /c": "signed in",
        "GET /d": "public",
        "GET /e": "signed in",
    }


def test_only_health_is_public(application: FastAPI) -> None:
    declared = declared_permissions(application)
    public = {route for route, permission in declared.items() if permission == "public"}
    assert public == {"GET /health", "GET /health/ready"}


def address_readings(module: Module) -> Iterator[Finding]:
    """Places that look at the address of a request, by its object or by its raw scope."""
    for node in module.nodes:
        match node:
            case ast.Attribute(ast.Name("request"), "url" | "base_url" | "scope" as part):
                yield node, f"reads the request's {part}"


def test_who_may_do_what_never_depends_on_the_text_of_an_address() -> None:
    forbid(address_readings, within=["app.api.authorisation", "app.services.sign_in"])


@pytest.mark.parametrize("source", ["request.url.path", "request.scope['path']"])
def test_a_look_at_the_address_would_be_found(source: str) -> None:
    assert list(address_readings(example(f"def f(request): return {source}")))
