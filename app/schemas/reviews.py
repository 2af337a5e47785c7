"""Reviews at the boundary: what people think of single answers.

Labels under a criterion are what judges are qualified by. A mark, `ok` or `flagged`, is a review
too, under a criterion of its own (`MARKS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.schemas.examples import example

__all__ = [
    "MARKS",
    "LabelledAnswer",
    "Mark",
    "MarkView",
    "NewMark",
    "NewReview",
    "ReviewImport",
    "Reviewable",
]

MARKS: Final = "audit"
"""The criterion of marks; no labels are imported under it."""

Mark = Literal["ok", "flagged"]
"""What a person who looked at a generation says of it."""

_LONGEST_REASON: Final = 2_000  # characters


class NewMark(BaseModel):
    """What a person says of a generation; whoever flags one says why."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        **example(mark="flagged", reason="Promises a refund that the terms do not give."),
    )

    mark: Mark
    reason: str = Field(default="", max_length=_LONGEST_REASON, description="needed to flag")

    @model_validator(mode="after")
    def _a_flag_has_a_reason(self) -> Self:
        if self.mark == "flagged" and not self.reason:
            raise PydanticCustomError("no_reason", "whoever flags a generation gives a reason")
        return self


class MarkView(BaseModel):
    """One mark of a generation; the newest of a generation counts.

    `reason` is null if none was given, and while the texts of the generation are withheld.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    mark: Mark
    reason: str | None
    reviewer: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewReview:
    """One person's judgement of one generation, on its way in; `label` is the word for it."""

    generation_id: UUID
    reviewer: str
    value: float
    label: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Reviewable:
    """A generation of a run that people may label; only a completed one has an answer."""

    generation_id: UUID
    status: str


@dataclass(frozen=True, slots=True)
class ReviewImport:
    """What came of an import: reviews that are new, and those that said nothing new."""

    stored: int
    known: int


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """A completed answer with its example and people's labels under one criterion: for each
    reviewer the latest value."""

    run_id: UUID
    key: str
    repetition: int
    generation_id: UUID
    output: Any
    example: dict[str, Any]
    labels: Mapping[str, float]
