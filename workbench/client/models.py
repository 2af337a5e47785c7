"""Model versions."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from workbench.client.calls import Answer, Call, Listing, quoted

__all__ = ["Model", "listing", "version"]


class Model(Answer):
    """One model version."""

    SCHEMA: ClassVar[str] = "ModelVersionView"

    id: UUID
    provider: str
    name: str
    number: int
    provider_model: str
    status: str
    sunset_at: datetime | None
    successor: str | None


def listing() -> Listing[Model]:
    """The model versions by provider, name and number."""
    return Listing("/api/models", Model)


def version(reference: str) -> Call[Model]:
    """A version: `openai/gpt-4.1@2`, or without a number the latest."""
    return Call("GET", f"/api/models/{quoted(reference)}", Model)
