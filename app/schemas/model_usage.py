"""What a model version was used for, and what stands on it now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.aliases import TargetRole
from app.schemas.generations import GenerationStatus
from app.schemas.models import Money

__all__ = [
    "MAX_BINDINGS",
    "MAX_USAGE_DAYS",
    "AliasBinding",
    "ExperimentBinding",
    "ModelBindings",
    "ModelUsage",
    "Purpose",
    "UsageRow",
]

Purpose = Literal["experiment", "judge", "chat"]

MAX_USAGE_DAYS: Final = 366
MAX_BINDINGS: Final = 100


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class UsageRow(_Strict):
    """The generations of one day (in UTC), purpose and status. Sums leave out what is unknown:
    None means that nothing of it is known."""

    day: date
    purpose: Purpose
    status: GenerationStatus
    generations: int
    input_tokens: int | None
    output_tokens: int | None
    cost: Money | None = Field(description="US dollars; of those whose cost is known")
    without_cost: int = Field(description="generations whose cost is not known")


class ModelUsage(_Strict):
    """Generations that a model version was called for since a time, by day, purpose and status.

    Answers that were used again are not counted: no call was made for them.
    """

    model: str = Field(description="reference, as in openai/gpt-4.1@1")
    since: datetime
    until: datetime
    purposes: Sequence[Purpose] = Field(description="which purposes you may see; others are not in")
    rows: Sequence[UsageRow]
    last_used_at: datetime | None = Field(description="at any time; None if never")


class AliasBinding(_Strict):
    """One alias whose current deployment calls the model version."""

    alias: str
    deployment: int
    since: datetime
    role: TargetRole
    weight: float
    prompt: str = Field(description="reference, as in triage@3")
    variant_hash: str


class ExperimentBinding(_Strict):
    """One open experiment with a run by the model version."""

    number: int
    name: str
    dataset: str = Field(description="reference, as in tickets@1")
    created_at: datetime
    created_by: str


class ModelBindings(_Strict):
    """What stands on a model version now, of what you may see: at most 100 of each, and whether
    there are more."""

    model: str = Field(description="reference, as in openai/gpt-4.1@1")
    aliases: Sequence[AliasBinding]
    more_aliases: bool
    experiments: Sequence[ExperimentBinding] = Field(description="open ones, newest first")
    more_experiments: bool
