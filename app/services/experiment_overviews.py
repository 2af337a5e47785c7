"""Experiments in a list with how far they are and what was found, and the results of one.

A verdict of the list is the newest comparison of a candidate under the primary scorer: the one
that the plan names, else the first. Comparisons with other scorers stand with the experiment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, cast
from uuid import UUID

from app.core.errors import NotFound
from app.core.hashing import content_hash
from app.core.permissions import Actor, Permission
from app.database import Database
from app.repositories.experiment_overviews import (
    ComparedPair,
    ExperimentOverviewRepository,
    StoredVerdict,
)
from app.repositories.experiments import ExperimentRepository
from app.schemas.experiment_overviews import (
    CandidateVerdict,
    ExperimentFilter,
    ExperimentResults,
    ExperimentSummary,
    RunProgress,
    ToldVerdict,
)
from app.schemas.experiments import ExperimentView
from app.schemas.pages import Page, decode_cursor, page_of

__all__ = ["ExperimentOverviewService"]

_NONE = RunProgress()


class ExperimentOverviewService:
    """Use cases of looking at many experiments; reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, actor: Actor, wanted: ExperimentFilter, *, cursor: str | None, limit: int
    ) -> Page[ExperimentSummary]:
        """Return the experiments that the actor may read, newest first."""
        before = None if cursor is None else cast("int", decode_cursor(cursor, int)[0])
        async with self._database.report_session() as session:
            found, total = await ExperimentRepository(session).page(
                actor.prefixes(Permission.EXPERIMENT_READ),
                wanted=wanted,
                before=before,
                limit=limit + 1,
            )
            shown = found[:limit]
            run_ids = [run.id for experiment in shown for run in experiment.runs]
            overviews = ExperimentOverviewRepository(session)
            progress = await overviews.progress(run_ids)
            verdicts = await overviews.verdicts(run_ids)
            work = await overviews.work([it.id for it in shown])
        page = page_of(found, limit=limit, total=total, position=lambda it: (it.number,))
        return Page(
            items=[_summary(it, progress, verdicts, work.get(it.id)) for it in page.items],
            next_cursor=page.next_cursor,
            total_estimate=page.total_estimate,
        )

    async def results(self, actor: Actor, number: int) -> ExperimentResults:
        """Return what came of one experiment; `NotFound` for one that the actor may not read."""
        async with self._database.read_session() as session:
            found = await ExperimentRepository(session).by_number(number)
            dataset = None if found is None else found.dataset.partition("@")[0]
            if found is None or not actor.may(Permission.EXPERIMENT_READ, dataset):
                raise NotFound(f"There is no experiment {number}.")
            overviews = ExperimentOverviewRepository(session)
            run_ids = [run.id for run in found.runs]
            newest = _newest(await overviews.verdicts(run_ids))
            compared = await overviews.compared([it.comparison_id for it in newest])
            means = await overviews.means(run_ids)
        primary = _primary(found)
        primary_hash = None if primary is None else content_hash(primary)
        return ExperimentResults(
            verdicts=[_told(it, primary_hash) for it in compared],
            means=means,
        )


def _summary(
    found: ExperimentView,
    progress: Mapping[UUID, RunProgress],
    verdicts: Sequence[StoredVerdict],
    work: str | None,
) -> ExperimentSummary:
    runs = [progress.get(run.id, _NONE) for run in found.runs]
    costs = [run.cost for run in runs if run.cost is not None]
    primary = _primary(found)
    return ExperimentSummary(
        number=found.number,
        name=found.name,
        dataset=found.dataset,
        prompts=_distinct(run.prompt for run in found.runs),
        models=_distinct(run.model for run in found.runs),
        simulated=any(run.simulated for run in found.runs),
        runs=len(found.runs),
        status=found.status,
        work=cast("Literal['queued', 'running'] | None", work),
        wanted=found.wanted,
        done=sum(run.done for run in runs),
        failed=sum(run.failed for run in runs),
        cost=sum(costs, Decimal(0)) if costs else None,
        unpriced=sum(run.unpriced for run in runs),
        scorer=None if primary is None else primary["name"],
        verdicts=_candidates(found, verdicts, primary),
        created_at=found.created_at,
        created_by=found.created_by,
        finished_at=found.finished_at,
    )


def _distinct(texts: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text is not None))


def _primary(experiment: ExperimentView) -> dict[str, Any] | None:
    """Return the identity of the scorer that decides; None if there is no scorer."""
    scorers: list[dict[str, Any]] = experiment.spec["scorers"]
    named = [it for it in scorers if it["name"] == experiment.plan.scorer]
    return next(iter(named or scorers), None)


def _candidates(
    experiment: ExperimentView, stored: Sequence[StoredVerdict], primary: dict[str, Any] | None
) -> tuple[CandidateVerdict, ...]:
    """Return the newest verdict of each run under the primary scorer, in the runs' order."""
    if primary is None:
        return ()
    wanted = content_hash(primary)
    newest: dict[UUID, StoredVerdict] = {}
    for verdict in stored:  # newest first
        if verdict.scorer_hash == wanted:
            newest.setdefault(verdict.candidate_run_id, verdict)
    return tuple(
        CandidateVerdict(
            comparison_id=newest[run.id].comparison_id,
            candidate_run_id=run.id,
            candidate=run.name,
            verdict=newest[run.id].verdict,
        )
        for run in experiment.runs
        if run.id in newest
    )


def _newest(stored: Sequence[StoredVerdict]) -> Sequence[StoredVerdict]:
    """Return the newest comparison of each pair of runs under each scorer."""
    newest: dict[tuple[UUID, UUID, str], StoredVerdict] = {}
    for it in stored:
        newest.setdefault((it.baseline_run_id, it.candidate_run_id, it.scorer_hash), it)
    return list(newest.values())


def _told(found: ComparedPair, primary_hash: str | None) -> ToldVerdict:
    return ToldVerdict(
        comparison_id=found.stored.comparison_id,
        baseline=found.baseline,
        candidate_run_id=found.stored.candidate_run_id,
        candidate=found.candidate,
        scorer=found.scorer,
        primary=found.stored.scorer_hash == primary_hash,
        verdict=found.stored.verdict,
        sentence=found.sentence,
        n_pairs=found.n_pairs,
        warnings=found.warnings,
        created_at=found.created_at,
        created_by=found.created_by,
    )
