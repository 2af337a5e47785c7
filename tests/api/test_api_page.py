"""The page of the API says what the routes do, and every route says enough of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.api_page import api_page
from app.core.settings import Settings
from app.main import create_app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "api.md"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("document")
    url = f"sqlite+aiosqlite:///{folder / 'none.db'}"
    return create_app(Settings(workspace=folder, database_url=url)).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_the_page_is_up_to_date(document: dict[str, Any]) -> None:
    """If not: python -m app.api_page > docs/reference/api.md"""
    assert PAGE.read_text(encoding="utf-8") == api_page(document)


def test_every_operation_says_what_it_does_and_how_it_ends(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        if not name.startswith("GET /health"):
            assert {"401", "503"} <= set(operation["responses"]), name


def test_every_body_that_is_asked_for_has_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            said = {*content, *content["schema"], *_referred(document, content["schema"])}
            assert {"examples", "example"} & said, name


def _referred(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    schemas: dict[str, dict[str, Any]] = document["components"]["schemas"]
    return schemas[name] if name else {}
