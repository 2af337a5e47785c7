"""What a service is given that calls a provider itself: an alias with all that it stands for."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.lifecycle import ModelStatus
from app.schemas.aliases import AliasSettings, TargetRole
from app.schemas.prompts import PromptContent

__all__ = ["PublishedAlias", "PublishedModel"]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedModel(_View):
    """The model version that an alias stands for, and how long it will be there."""

    reference: str = Field(description="as in openai/gpt-4.1@1")
    provider: str
    provider_model: str = Field(description="what the provider calls it")
    status: ModelStatus
    sunset_at: datetime | None
    successor: str | None


class PublishedAlias(_View):
    """What an alias stands for, for callers who render, call and report by themselves.

    It is what those get who meet no canary: a split by weights is made by the server only. With a
    `message` the alias is disabled: answer with that text and call nothing. The alias' settings,
    its guards among them, are the caller's to keep.
    """

    alias: str
    deployment: int = Field(description="number of the deployment; say it when you report")
    deployment_id: UUID
    role: TargetRole = Field(description="fallback if the primary's model is retired")
    variant_id: UUID
    variant_hash: str
    prompt: str = Field(description="as in triage@3")
    content: PromptContent
    model: PublishedModel
    parameters: dict[str, Any] = Field(description="what to send, under the provider's names")
    settings: AliasSettings
    message: str | None
