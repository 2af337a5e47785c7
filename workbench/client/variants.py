"""Variants: prompt version + model version + parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Listing

__all__ = ["Variant", "listing", "make"]


class Variant(Answer):
    """Prompt version + model version + parameters."""

    SCHEMA: ClassVar[str] = "VariantView"

    id: UUID
    content_hash: str
    prompt: str
    model: str
    asked: dict[str, JsonValue]
    applied: dict[str, JsonValue]


def listing(prompt: str | None = None) -> Listing[Variant]:
    """Variants, newest first; of one prompt if it is named."""
    return Listing("/api/variants", Variant, {"prompt": prompt})


def make(prompt: str, model: str, parameters: Mapping[str, Any] | None = None) -> Call[Variant]:
    """The variant of a prompt version, a model version and parameters; made if it is new."""
    body = {"prompt": prompt, "model": model, "parameters": dict(parameters or {})}
    return Call("POST", "/api/variants", Variant, body=body)
