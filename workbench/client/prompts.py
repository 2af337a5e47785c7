"""Prompts and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Listing, quoted, versioned

__all__ = ["Prompt", "PromptVersion", "add", "listing", "version", "versions"]


class Prompt(Answer):
    """One prompt of the list, with its newest version's number."""

    SCHEMA: ClassVar[str] = "PromptSummary"

    name: str
    latest: int
    versions: int
    description: str
    origin: str
    updated_at: datetime
    author: str


class PromptVersion(Answer):
    """One version or draft (`number` None), whole."""

    SCHEMA: ClassVar[str] = "PromptVersionView"

    id: UUID
    name: str
    number: int | None
    content_hash: str
    content: dict[str, JsonValue]
    description: str
    message: str
    origin: str
    author: str
    created_at: datetime


def listing(search: str = "") -> Listing[Prompt]:
    """The prompts by name; `search` is part of name or description."""
    return Listing("/api/prompts", Prompt, {"search": search})


def versions(name: str) -> Listing[PromptVersion]:
    """The numbered versions of one prompt, oldest first."""
    return Listing(f"/api/prompts/{quoted(name)}/versions", PromptVersion)


def version(reference: str) -> Call[PromptVersion]:
    """The version `triage@3` whole."""
    return Call("GET", f"/api/prompts/{versioned(reference)}", PromptVersion)


def add(
    name: str, content: Mapping[str, Any], *, message: str = "", draft: bool = False
) -> Call[PromptVersion]:
    """Store content as the next version or as a draft; the same content is no change."""
    body = {"content": content, "message": message, "draft": draft}
    return Call("POST", f"/api/prompts/{quoted(name)}/versions", PromptVersion, body=body)
