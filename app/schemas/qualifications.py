"""Checks of judges against people, at the boundary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.schemas.scores import ScorerView

__all__ = ["JudgeView", "NewQualification", "QualificationView"]


@dataclass(frozen=True, slots=True)
class NewQualification:
    """One check of a judge, to be stored. `input_hash` is over judge, labels and answers."""

    scorer: ScorerView
    dataset_version_id: UUID
    qualified: bool
    label_count: int
    input_hash: str
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class QualificationView:
    """A stored check of a judge; `dataset` is the name and `version` the number of the dataset
    version whose answers people had labelled."""

    id: UUID
    scorer: ScorerView
    dataset: str
    version: int
    qualified: bool
    label_count: int
    input_hash: str
    result: dict[str, Any]
    created_at: datetime
    created_by: str

    @property
    def dataset_reference(self) -> str:
        """The dataset version, as in `triage@3`."""
        return f"{self.dataset}@{self.version}"


@dataclass(frozen=True, slots=True)
class JudgeView:
    """A judge that was used, with its newest check; None if it never was checked."""

    scorer: ScorerView
    qualification: QualificationView | None
