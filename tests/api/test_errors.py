"""Errors are problem+json with a request id, and never tell traces, paths or settings."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from io import StringIO
from uuid import UUID

import httpx2
import pytest
from fastapi import Depends

from app.api.authorisation import PUBLIC
from app.api.errors import NOT_FOUND_DETAIL
from app.core.errors import (
    ConfigurationError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unavailable,
    WorkbenchError,
)
from app.core.logging import create_logger
from app.core.settings import Settings
from app.main import create_app

SECRET = "/srv/secret-place"


class Unexpected(Exception):
    """What a programming error would raise."""


RAISED: dict[str, Exception] = {
    "not_found": NotFound("There is no x."),
    "conflict": Conflict("x is taken."),
    "invalid": Invalid("x is wrong.", path="parameters.x"),
    "forbidden": Forbidden("You may not."),
    "configuration": ConfigurationError(f"{SECRET} is missing."),
    "unavailable": Unavailable(f"{SECRET} does not answer."),
    "error": WorkbenchError(SECRET),
    "refused": ConnectionRefusedError(111, SECRET),
    "unexpected": Unexpected(SECRET),
}


@pytest.fixture
def database_kind() -> str:
    """Errors look the same over any database; one is enough."""
    return "sqlite"


@pytest.fixture
def log() -> StringIO:
    return StringIO()


@pytest.fixture
async def client(settings: Settings, log: StringIO) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application with a route that raises what its path names."""
    application = create_app(settings, create_logger(stream=log))

    @application.get("/raise/{name}", dependencies=[Depends(PUBLIC)])
    async def fail(name: str) -> None:
        raise RAISED[name]

    async with application.router.lifespan_context(application):
        transport = httpx2.ASGITransport(app=application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [
        ("not_found", 404, NOT_FOUND_DETAIL),
        ("conflict", 409, "x is taken."),
        ("invalid", 422, "x is wrong."),
        ("forbidden", 403, "You may not."),
        # what tells how the server is made stays in its log
        ("configuration", 500, "The server is not configured correctly."),
        ("error", 500, "The server is not configured correctly."),
        ("unavailable", 503, "The server cannot answer at the moment; try again later."),
        ("refused", 503, "The server cannot answer at the moment; try again later."),
        ("unexpected", 500, "Something went wrong on our side."),
    ],
)
async def test_an_error_has_one_shape(
    client: httpx2.AsyncClient, name: str, status: int, detail: str
) -> None:
    response = await client.get(f"/raise/{name}")
    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["detail"] == detail
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["type"].startswith("urn:workbench:problem:")
    assert SECRET not in response.text
    assert "Traceback" not in response.text


async def test_an_invalid_field_is_named(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/raise/invalid")).json()["path"] == "parameters.x"


async def test_an_unknown_route_is_a_problem_too(client: httpx2.AsyncClient) -> None:
    response = await client.get("/nowhere")
    assert response.status_code == 404
    assert response.json()["type"] == "urn:workbench:problem:not_found"


async def test_another_method_is_refused_and_the_right_ones_are_told(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.post("/api/prompts")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET"
    assert response.json()["type"] == "urn:workbench:problem:method_not_allowed"


async def test_every_response_has_a_request_id(client: httpx2.AsyncClient) -> None:
    ids = {(await client.get("/health")).headers["x-request-id"] for _ in range(3)}
    assert len({UUID(request_id) for request_id in ids}) == 3


async def test_the_caller_s_request_id_is_kept(client: httpx2.AsyncClient) -> None:
    response = await client.get("/nowhere", headers={"x-request-id": "run-7.a_b"})
    assert response.headers["x-request-id"] == response.json()["request_id"] == "run-7.a_b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, '"}{'])
async def test_a_request_id_that_is_no_plain_token_is_replaced(
    client: httpx2.AsyncClient, given: str
) -> None:
    response = await client.get("/health", headers={"x-request-id": given})
    assert UUID(response.headers["x-request-id"])


async def test_an_unexpected_error_is_logged_once_with_its_trace_and_request_id(
    client: httpx2.AsyncClient, log: StringIO
) -> None:
    await client.get("/raise/unexpected", headers={"x-request-id": "seen"})
    (line,) = log.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["event"] == "unexpected_error"
    assert entry["request_id"] == "seen"
    assert "Unexpected" in entry["exception"]


async def test_the_log_has_what_the_answer_does_not_tell(
    client: httpx2.AsyncClient, log: StringIO
) -> None:
    await client.get("/raise/configuration")
    assert json.loads(log.getvalue())["detail"] == f"{SECRET} is missing."
