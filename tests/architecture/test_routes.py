"""Every route says who may call it, is described, and is found where it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from app.api.authorisation import check_routes, declared_permissions
from app.core.errors import ConfigurationError
from app.core.settings import Settings
from app.main import create_app
from tests.architecture.sources import Finding, Module, example, forbid


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("workspace")
    url = f"sqlite+aiosqlite:///{folder / 'workbench.db'}"
    return create_app(Settings(workspace=folder, database_url=url))


def hidden_routes(module: Module) -> Iterator[Finding]:
    for call, _ in module.calls():
        if any(keyword.arg == "include_in_schema" for keyword in call.keywords):
            yield call, "hides a route from the OpenAPI document"


def described(app: FastAPI) -> set[str]:
    """Return method and path of everything that the OpenAPI document describes."""
    return {
        f"{method.upper()} {path}"
        for path, item in app.openapi()["paths"].items()
        for method in item
    }


def declared(app: FastAPI) -> set[str]:
    """Return what declares a permission, in the document's way of writing paths."""
    return {re.sub(r":\w+}", "}", route) for route in declared_permissions(app)}


def test_routes_are_found(application: FastAPI) -> None:
    found = described(application)
    assert {"GET /health", "GET /api/prompts", "POST /v1/chat/completions"} <= found


def test_every_route_declares_who_may_call_it(application: FastAPI) -> None:
    check_routes(application)
    assert described(application) <= declared(application)


def test_a_route_that_declares_nothing_stops_the_start(tmp_path: Path) -> None:
    app = create_app(Settings(workspace=tmp_path, database_url="sqlite+aiosqlite:///x.db"))

    @app.post("/api/anything")
    def write() -> None: ...

    with pytest.raises(ConfigurationError, match="/api/anything"):
        check_routes(app)


def test_every_operation_says_what_it_does(application: FastAPI) -> None:
    for path, item in application.openapi()["paths"].items():
        for method, operation in item.items():
            assert operation.get("description"), f"{method.upper()} {path} has no docstring"


def test_no_route_is_hidden() -> None:
    forbid(hidden_routes, within=["app.main", "app.api"])


def test_a_hidden_route_would_be_found() -> None:
    assert list(hidden_routes(example("@router.get('/', include_in_schema=False)\ndef f(): ...")))


def test_the_server_is_bound_to_loopback_unless_told_otherwise() -> None:
    assert Settings.model_fields["host"].default == "127.0.0.1"
