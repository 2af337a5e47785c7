"""Runs: one variant over one dataset version each."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from workbench.client.calls import Answer, Call, Listing

__all__ = ["Run", "RunStanding", "RunTotals", "listing", "standing"]


class Run(Answer):
    """One run with what it ran; prompt and model are None for outputs made elsewhere."""

    SCHEMA: ClassVar[str] = "RunView"

    id: UUID
    name: str
    origin: str
    experiment_number: int | None
    dataset: str
    variant_id: UUID | None
    prompt: str | None
    model: str | None
    provider: str | None
    created_at: datetime
    created_by: str


class RunTotals(Answer):
    """Sums over a run's outcomes; tokens and US dollars are None when none is known."""

    SCHEMA: ClassVar[str] = "RunTotals"

    by_status: dict[str, int] = Field(default_factory=dict)
    by_error: dict[str, int] = Field(default_factory=dict)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    unpriced: int = 0
    reopened: int = 0
    reused: int = 0


class RunStanding(Answer):
    """One run and what came of it so far."""

    SCHEMA: ClassVar[str] = "RunStanding"

    run: Run
    totals: RunTotals


def listing(experiment: int | None = None, name: str = "") -> Listing[Run]:
    """The runs, newest first; of one experiment, or whose names begin so."""
    return Listing("/api/runs", Run, {"experiment": experiment, "name": name})


def standing(run_id: UUID) -> Call[RunStanding]:
    """One run with its totals."""
    return Call("GET", f"/api/runs/{run_id}", RunStanding)
