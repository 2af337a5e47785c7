"""Without users and keys the API only reads, and only on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fastapi import FastAPI

from app.core.settings import Settings
from app.main import create_app
from tests.architecture.sources import Finding, Module, example, forbid


def hidden_routes(module: Module) -> Iterator[Finding]:
    for call, _ in module.calls():
        if any(keyword.arg == "include_in_schema" for keyword in call.keywords):
            yield call, "hides a route from the OpenAPI document"


def routes(app: FastAPI) -> set[str]:
    """Return method and path of everything that the OpenAPI document describes."""
    return {
        f"{method.upper()} {path}"
        for path, item in app.openapi()["paths"].items()
        for method in item
    }


def writing_routes(app: FastAPI) -> set[str]:
    return {route for route in routes(app) if not route.startswith(("GET ", "HEAD "))}


def application(folder: Path) -> FastAPI:
    url = f"sqlite+aiosqlite:///{folder / 'workbench.db'}"
    return create_app(Settings(workspace=folder, database_url=url))


def test_routes_are_found(tmp_path: Path) -> None:
    assert {"GET /health", "GET /health/ready", "GET /api/prompts"} <= routes(application(tmp_path))


def test_no_route_writes_before_routes_declare_permissions(tmp_path: Path) -> None:
    assert writing_routes(application(tmp_path)) == set()


def test_a_writing_route_would_be_found(tmp_path: Path) -> None:
    app = application(tmp_path)

    @app.post("/api/prompts")
    def write() -> None: ...

    assert writing_routes(app) == {"POST /api/prompts"}


def test_no_route_is_hidden() -> None:
    forbid(hidden_routes, within=["app.main", "app.api"])


def test_a_hidden_route_would_be_found() -> None:
    assert list(hidden_routes(example("@router.get('/', include_in_schema=False)\ndef f(): ...")))


def test_the_server_is_bound_to_loopback_unless_told_otherwise() -> None:
    assert Settings.model_fields["host"].default == "127.0.0.1"
