"""Comparisons at the boundary."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

__all__ = ["ComparisonView", "NewComparison"]


class NewComparison(BaseModel):
    """A computed analysis on its way to the record. `input_hash` covers all scores used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    baseline_run_id: UUID
    candidate_run_id: UUID
    scorer_id: UUID
    plan: dict[str, Any]
    verdict: str
    method: str
    result: dict[str, Any]
    input_hash: str


class ComparisonView(NewComparison):
    """A stored analysis."""

    id: UUID
    created_at: datetime
    created_by: str
