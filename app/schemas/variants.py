"""Variants at the boundary."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.core.parameters import REQUEST

__all__ = ["NewVariant", "VariantView"]


class VariantView(BaseModel):
    """What is measured, promoted and served: prompt version + model version + parameters.

    `asked` never changes; `applied` and `left_out` follow from it by what the catalog knows
    of the model now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    content_hash: str
    prompt_version_id: UUID
    model_version_id: UUID
    prompt: str = Field(description="reference, as in triage@3 or triage@draft-1a2b3c4d")
    model: str = Field(description="reference, as in openai/gpt-4.1@1")
    asked: dict[str, Any] = Field(description="values under our names, all layers merged")
    sources: dict[str, str] = Field(
        description="the layer that each came from: request, prompt, model or house"
    )
    applied: dict[str, Any] = Field(description="what is sent, under the provider's names")
    left_out: dict[str, str] = Field(description="why the rest is not sent, by our names")
    created_at: datetime
    created_by: str

    @property
    def short_hash(self) -> str:
        """Enough of the hash for people to tell variants apart; accepted as a reference."""
        return self.content_hash.removeprefix("sha256:")[:12]

    @property
    def refused(self) -> dict[str, str]:
        """What the experiment itself asked for and the model turned out not to take.

        A variant that has any must not be run: it would not be what was asked.
        """
        return {n: why for n, why in self.left_out.items() if self.sources[n] == REQUEST}


class NewVariant(BaseModel):
    """What a variant is to be made of; `parameters` are asked for before all other layers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(max_length=300, description="reference, as in triage@3")
    model: str = Field(max_length=300, description="reference, as in openai/gpt-4.1@1")
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
