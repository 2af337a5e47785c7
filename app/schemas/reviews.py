"""Reviews at the boundary: what people think of single answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

__all__ = ["LabelledAnswer", "NewReview", "ReviewImport", "Reviewable"]


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
