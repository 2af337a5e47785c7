"""Examples of bodies, as the OpenAPI document shows them."""

from __future__ import annotations

from pydantic import ConfigDict, JsonValue

__all__ = ["example"]


def example(**body: JsonValue) -> ConfigDict:
    """Return the part of a model's configuration that gives it an example: `model_config = ...`."""
    return ConfigDict(json_schema_extra={"examples": [body]})
