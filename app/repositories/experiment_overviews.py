"""Statements that sum up several experiments at once, each bounded by one page's experiments.

No text is read: what a comparison holds besides its sentence and its warnings stays where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import aliased

from app.database import AsyncSession
from app.models import Comparison, Generation, Job, Run, Score, Scorer
from app.schemas.experiment_overviews import RunMean, RunProgress
from app.schemas.jobs import UNFINISHED

__all__ = ["ComparedPair", "ExperimentOverviewRepository", "StoredVerdict"]

_ANSWERED = ("completed", "refused")


class StoredVerdict(NamedTuple):
    """The word of one comparison, with the scorer's hash."""

    comparison_id: UUID
    candidate_run_id: UUID
    baseline_run_id: UUID
    scorer_hash: str
    verdict: str


class ComparedPair(NamedTuple):
    """One comparison with what it says."""

    stored: StoredVerdict
    baseline: str
    candidate: str
    scorer: str
    sentence: str
    n_pairs: int | None
    warnings: Sequence[dict[str, Any]]
    created_at: Any
    created_by: str


class ExperimentOverviewRepository:
    """Progress, verdicts, means and work of given experiments."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def progress(self, run_ids: Sequence[UUID]) -> Mapping[UUID, RunProgress]:
        """Return how far each run is; one without outcomes is left out."""
        called = Generation.reused_from_id.is_(None)
        statement = (
            select(
                Generation.run_id,
                func.count(),
                func.sum(case((Generation.status.in_(_ANSWERED), 0), else_=1)),
                func.sum(case((called, Generation.cost))),
                func.sum(case((and_(called, Generation.cost.is_(None)), 1), else_=0)),
            )
            .where(Generation.run_id.in_(run_ids))
            .group_by(Generation.run_id)
        )
        return {
            run_id: RunProgress(done, failed, None if cost is None else Decimal(cost), unpriced)
            for run_id, done, failed, cost, unpriced in await self._session.execute(statement)
        }

    async def work(self, experiment_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Return for experiments that somebody works on, or will, whether it is running yet."""
        statement = select(Job.experiment_id, Job.status).where(
            Job.experiment_id.in_(experiment_ids), Job.status.in_(UNFINISHED), Job.kind == "run"
        )
        found: dict[UUID, str] = {}
        for experiment_id, status in await self._session.execute(statement):
            if experiment_id is not None and found.get(experiment_id) != "running":
                found[experiment_id] = status
        return found

    async def verdicts(self, run_ids: Sequence[UUID]) -> Sequence[StoredVerdict]:
        """Return the words of all comparisons whose candidate is one of the runs, newest first."""
        statement = (
            select(*_STORED)
            .join(Scorer, Scorer.id == Comparison.scorer_id)
            .where(Comparison.candidate_run_id.in_(run_ids))
            .order_by(Comparison.id.desc())
        )
        return [StoredVerdict(*row) for row in await self._session.execute(statement)]

    async def compared(self, ids: Sequence[UUID]) -> Sequence[ComparedPair]:
        """Return what given comparisons say, newest first."""
        baseline, candidate = aliased(Run), aliased(Run)
        statement = (
            select(
                *_STORED,
                baseline.name,
                candidate.name,
                Scorer.name,
                Comparison.result["sentence"].as_string(),
                Comparison.result["n_pairs"].as_integer(),
                Comparison.result["warnings"],
                Comparison.created_at,
                Comparison.created_by,
            )
            .join(Scorer, Scorer.id == Comparison.scorer_id)
            .join(baseline, baseline.id == Comparison.baseline_run_id)
            .join(candidate, candidate.id == Comparison.candidate_run_id)
            .where(Comparison.id.in_(ids))
            .order_by(Comparison.id.desc())
        )
        return [
            ComparedPair(
                StoredVerdict(*row[:5]),
                baseline=row[5],
                candidate=row[6],
                scorer=row[7],
                sentence=row[8] or "",
                n_pairs=row[9],
                warnings=row[10] or [],
                created_at=row[11],
                created_by=row[12],
            )
            for row in await self._session.execute(statement)
        ]

    async def means(self, run_ids: Sequence[UUID]) -> Sequence[RunMean]:
        """Return each run under each scorer that scored something of it, by run and scorer."""
        counts = (_count("scored"), _count("unscored"), _count("failed"))
        statement = (
            select(
                Generation.run_id,
                Scorer.id,
                Scorer.name,
                Scorer.version,
                func.avg(Score.value),
                *counts,
            )
            .select_from(Generation)
            .join(Score, Score.generation_id == Generation.id)
            .join(Scorer, Scorer.id == Score.scorer_id)
            .where(Generation.run_id.in_(run_ids))
            .group_by(Generation.run_id, Scorer.id, Scorer.name, Scorer.version)
            .order_by(Generation.run_id, Scorer.name, Scorer.id)
        )
        return [
            RunMean(
                run_id=row[0],
                scorer_id=row[1],
                scorer=row[2],
                version=row[3],
                mean=row[4],
                scored=row[5],
                unscored=row[6],
                failed=row[7],
            )
            for row in await self._session.execute(statement)
        ]


_STORED = (
    Comparison.id,
    Comparison.candidate_run_id,
    Comparison.baseline_run_id,
    Scorer.content_hash,
    Comparison.verdict,
)


def _count(status: str) -> ColumnElement[int]:
    return func.sum(case((Score.status == status, 1), else_=0))
