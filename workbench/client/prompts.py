"""Prompts and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Listing, quoted, versioned

__all__ = [
    "DeployedTarget",
    "Prompt",
    "PromptDeployment",
    "PromptVersion",
    "PromptVersionFacts",
    "add",
    "deployments",
    "listing",
    "publish",
    "timeline",
    "version",
    "versions",
]


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


class PromptVersionFacts(Answer):
    """What is said of one version or draft (`number` None), without its content."""

    SCHEMA: ClassVar[str] = "PromptVersionFacts"

    id: UUID
    number: int | None
    content_hash: str
    description: str
    message: str
    origin: str
    author: str
    created_at: datetime
    published_at: datetime | None


class DeployedTarget(Answer):
    """One variant that a move of an alias served."""

    SCHEMA: ClassVar[str] = "DeploymentTargetView"

    variant_hash: str
    prompt: str
    model: str
    role: str
    weight: float


class PromptDeployment(Answer):
    """One move of an alias that served versions of a prompt: `targets` are those of this prompt.

    It served from `created_at` until `ended_at`, None while it serves.
    """

    SCHEMA: ClassVar[str] = "PromptDeployment"

    alias: str
    number: int
    reason: str
    is_disabled: bool
    targets: tuple[DeployedTarget, ...]
    created_at: datetime
    created_by: str
    ended_at: datetime | None


def listing(search: str = "") -> Listing[Prompt]:
    """The prompts by name; `search` is part of name or description."""
    return Listing("/api/prompts", Prompt, {"search": search})


def versions(name: str) -> Listing[PromptVersion]:
    """The numbered versions of one prompt, oldest first."""
    return Listing(f"/api/prompts/{quoted(name)}/versions", PromptVersion)


def timeline(name: str, *, drafts: bool = False) -> Listing[PromptVersionFacts]:
    """What is said of the versions of one prompt, or of its drafts, newest first."""
    return Listing(f"/api/prompts/{quoted(name)}/timeline", PromptVersionFacts, {"drafts": drafts})


def deployments(name: str) -> Listing[PromptDeployment]:
    """Which aliases served versions of one prompt, newest first."""
    return Listing(f"/api/prompts/{quoted(name)}/deployments", PromptDeployment)


def version(reference: str) -> Call[PromptVersion]:
    """The version `triage@3` whole."""
    return Call("GET", f"/api/prompts/{versioned(reference)}", PromptVersion)


def add(
    name: str,
    content: Mapping[str, Any],
    *,
    message: str = "",
    draft: bool = False,
    number: int | None = None,
    description: str = "",
) -> Call[PromptVersion]:
    """Store content as the next version, under a number or as a draft.

    The same content is no change; other content under a taken number is a `Conflict`.
    """
    body = {
        "content": content,
        "message": message,
        "draft": draft,
        "number": number,
        "description": description,
    }
    return Call("POST", f"/api/prompts/{quoted(name)}/versions", PromptVersion, body=body)


def publish(reference: str, message: str) -> Call[PromptVersion]:
    """Give the draft `triage@draft-1a2b3c4d` the next number; `message` says what it changes."""
    path = f"/api/prompts/{versioned(reference)}/publish"
    return Call("POST", path, PromptVersion, body={"message": message})
