"""Comparisons: the paired effect between two runs, as it was computed and stored."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.jobs import accepted
from app.api.paging import Cursor, Limit
from app.api.parameters import READS, READS_LIST, WRITES, Search
from app.core.errors import Invalid
from app.core.permissions import Permission
from app.schemas.comparisons import (
    ComparedExample,
    ComparedExampleDetail,
    ComparisonView,
    Direction,
    ExampleFilter,
)
from app.schemas.jobs import CompareRequest, JobView
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/comparisons", tags=["comparisons"], route_class=OnceRoute)

_READ: Final = [Depends(needs(Permission.EXPERIMENT_READ))]


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_comparisons(
    actor: CurrentActor,
    services: ServicesDependency,
    experiment: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="only those of this experiment")
    ] = None,
    run_id: Annotated[
        UUID | None, Query(description="only those with this run as baseline or candidate")
    ] = None,
    scorer_id: Annotated[UUID | None, Query(description="only those under this scorer")] = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[ComparisonView]:
    """Comparisons, newest first; runs that were compared again have several."""
    return await services.comparisons.page(
        actor,
        experiment=experiment,
        run_id=run_id,
        scorer_id=scorer_id,
        cursor=cursor,
        limit=limit,
    )


@router.get("/{comparison_id}", dependencies=_READ, responses=READS)
async def get_comparison(
    comparison_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> ComparisonView:
    """One comparison: difference, interval, verdict, warnings, and the hash of its input."""
    return await services.comparisons.read(actor, comparison_id)


def _filter(
    direction: Annotated[
        Direction,
        Query(description="how they changed; `error` are those of which a cell has no score"),
    ] = "all",
    search: Search = "",
    column: Annotated[
        str | None, Query(max_length=300, description="a metadata column to slice by")
    ] = None,
    value: Annotated[
        str | None, Query(max_length=100, description="the slice: what is in the column")
    ] = None,
) -> ExampleFilter:
    if (column is None) != (value is None):
        raise Invalid("A slice takes both: column and value.", path="column")
    return ExampleFilter(direction, search, column, value)


@router.get("/{comparison_id}/examples", dependencies=_READ, responses=READS)
async def list_compared_examples(
    comparison_id: UUID,
    wanted: Annotated[ExampleFilter, Depends(_filter)],
    actor: CurrentActor,
    services: ServicesDependency,
    limit: Limit = DEFAULT_PAGE_SIZE,
    cursor: Cursor = None,
) -> Page[ComparedExample]:
    """The examples of a comparison, the largest change first; repetitions are folded into one.

    Those that both runs have an outcome for, with the scores as they are stored now. What has no
    score is counted by status and is never 0. Of a judge of pairs, those that the result names.
    """
    return await services.comparisons.examples(
        actor, comparison_id, wanted, cursor=cursor, limit=limit
    )


@router.get("/{comparison_id}/examples/{example_id}", dependencies=_READ, responses=READS)
async def get_compared_example(
    comparison_id: UUID, example_id: UUID, actor: CurrentActor, services: ServicesDependency
) -> ComparedExampleDetail:
    """One example side by side: input, expected output, and every answer with its scores."""
    return await services.comparisons.example(actor, comparison_id, example_id)


@router.post(
    "",
    status_code=202,
    dependencies=[Depends(needs(Permission.SCORE_WRITE)), Depends(once)],
    responses=WRITES,
)
async def compare_runs(
    request: CompareRequest, actor: CurrentActor, services: ServicesDependency, response: Response
) -> JobView:
    """Ask to compare runs with a baseline under one scorer.

    Outputs that were not scored yet are scored first. Intervals widen with the number of
    candidates, so that all of them hold together.
    """
    return accepted(await services.jobs.compare(actor, request), response)
