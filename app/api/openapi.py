"""The OpenAPI document: what FastAPI makes of the routes, and the parts they all refer to."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from app.api.errors import Problem

__all__ = ["complete_openapi"]


def complete_openapi(app: FastAPI) -> None:
    """Have the application's document carry the schema of errors."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = make()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
        return make()

    app.openapi = openapi  # type: ignore[method-assign] # the way that FastAPI has for it
