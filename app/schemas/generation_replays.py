"""What came of rendering a stored request again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from app.core.hashing import JSON
from app.schemas.datasets import ExampleView
from app.schemas.prompts import PromptContent

__all__ = ["ReplayDifference", "ReplaySource", "ReplayView"]

ReplayOutcome = Literal["identical", "different", "impossible"]


@dataclass(frozen=True, slots=True)
class ReplaySource:
    """The stored rows that a request was made of, and the request as it was sent.

    `request` is None if none is stored or its text was erased (`was_stored` tells which); `binding`
    is None if it belongs to no experiment of ours.
    """

    purpose: str
    origin: str
    repetition: int
    request: Mapping[str, JSON] | None
    was_stored: bool
    request_hash: str | None
    applied: Mapping[str, JSON]
    content: PromptContent | None
    provider: str | None
    endpoint: str | None
    provider_model: str | None
    digest: str | None
    example: ExampleView | None
    example_was_stored: bool
    binding: Mapping[str, str] | None


class ReplayDifference(BaseModel):
    """A part of the request that comes out different, as text; null where it is absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str = Field(description="as in `messages` or `parameters.temperature`")
    stored: str | None
    rendered: str | None


class ReplayView(BaseModel):
    """A request rendered again from stored rows, held against the one that was sent.

    No model is called. `hash_holds` says whether the request that is stored has the hash that was
    taken as it was sent; null if none was taken, as of chats.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation_id: UUID
    outcome: ReplayOutcome
    identical: bool | None = Field(description="null if it cannot be rendered again")
    reason: str | None = Field(description="why it cannot be rendered again")
    note: str | None = Field(description="what of it was read back from the request itself")
    checked: list[str] = Field(description="the parts that were held against each other")
    differences: list[ReplayDifference]
    stored_hash: str | None
    rendered_hash: str | None
    hash_holds: bool | None
