"""Runs whose scores are chosen, stored as any run is: what a comparison reads, without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from app.bootstrap import Services
from app.core.ids import cell_id
from app.core.permissions import Actor
from app.llm.types import Usage, UsageSource
from app.schemas.datasets import DatasetVersionView, ExampleInput
from app.schemas.experiments import RunView
from app.schemas.generations import GenerationStatus, Outcome, Provenance
from app.schemas.scores import NewScore, ScorerView
from workbench.scorers import parse_scorer

__all__ = ["Cell", "ScoredRuns", "examples"]

_THEN = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)
_BATCH = 2_000


class Cell(NamedTuple):
    """One cell of a run: its score, or how it ended without one."""

    value: float | None = None
    status: GenerationStatus = "completed"
    repetition: int = 0
    cost: Decimal | None = None
    latency_ms: float | None = None
    reported_model: str | None = None
    reused: bool = False


def examples(
    count: int, metadata: Sequence[str] = (), *, cluster_size: int | None = None
) -> list[ExampleInput]:
    """Examples `e-00000` and on; the metadata columns hold the example's number modulo 5."""
    return [
        ExampleInput(
            key=f"e-{i:05d}",
            input={"question": f"What is {i} + {i}?"},
            expected_output=str(2 * i),
            metadata={name: f"{name}-{i % 5}" for name in metadata},
            cluster=None if cluster_size is None else f"c-{i // cluster_size}",
        )
        for i in range(count)
    ]


class ScoredRuns:
    """One dataset version and a scorer, to which runs with given scores are added."""

    def __init__(
        self,
        services: Services,
        actor: Actor,
        dataset: DatasetVersionView,
        ids: Mapping[str, UUID],
        scorer: ScorerView,
    ) -> None:
        self._services = services
        self._actor = actor
        self.dataset = dataset
        self.scorer = scorer
        self.ids = ids

    @classmethod
    async def over(
        cls,
        services: Services,
        actor: Actor,
        rows: Sequence[ExampleInput],
        *,
        name: str = "sums",
        scorer: str | Mapping[str, Any] = "exact_match",
    ) -> ScoredRuns:
        """Import the rows as the next version of a dataset, and name a scorer."""
        imported = await services.datasets.import_version(actor, name, rows, source="test")
        ids: dict[str, UUID] = {}
        position = -1
        while page := await services.datasets.examples(
            imported.version.id, after_position=position, limit=5000
        ):
            ids.update((example.key, example.id) for example in page)
            position = page[-1].position
        view = await services.scores.ensure_scorer(actor, parse_scorer(scorer).identity())
        return cls(services, actor, imported.version, ids, view)

    async def add(
        self,
        name: str,
        cells: Mapping[str, Cell | Sequence[Cell]],
        *,
        scorer: ScorerView | None = None,
    ) -> RunView:
        """Store a run made elsewhere with these cells and their scores."""
        run = await self._services.experiments.import_run(
            self._actor, self.dataset, name=name, source="test", outputs=()
        )
        await self.fill(run, cells, scorer=scorer)
        return run

    async def fill(
        self,
        run: RunView,
        cells: Mapping[str, Cell | Sequence[Cell]],
        *,
        scorer: ScorerView | None = None,
    ) -> None:
        """Store outcomes and scores of a run that is there."""
        flat = [
            (self.ids[key], cell)
            for key, of_key in cells.items()
            for cell in ([of_key] if isinstance(of_key, Cell) else of_key)
        ]
        for first in range(0, len(flat), _BATCH):
            batch = flat[first : first + _BATCH]
            await self._services.generations.record(
                self._actor, [_outcome(run, example_id, cell) for example_id, cell in batch], ()
            )
            await self.score(run, batch, scorer or self.scorer)

    async def score(
        self, run: RunView, cells: Sequence[tuple[UUID, Cell]], scorer: ScorerView
    ) -> None:
        """Store the scores of completed cells, given by example id."""
        scores = [
            NewScore(
                generation_id=cell_id(run.id, example_id, cell.repetition),
                status="unscored" if cell.value is None else "scored",
                value=cell.value,
                passed=None if cell.value is None else cell.value == 1.0,
                label=None,
                reason="no_expected" if cell.value is None else None,
                explanation="",
            )
            for example_id, cell in cells
            if cell.status == "completed"
        ]
        if scores:
            await self._services.scores.record(self._actor, scorer.id, scores)


def _outcome(run: RunView, example_id: UUID, cell: Cell) -> Outcome:
    made = cell_id(run.id, example_id, cell.repetition)
    return Outcome(
        id=made,
        provenance=Provenance(run.id),
        example_id=example_id,
        repetition=cell.repetition,
        status=cell.status,
        usage=Usage(None, None, source=UsageSource.UNREPORTED),
        started_at=_THEN,
        finished_at=_THEN,
        latency_ms=cell.latency_ms,
        attempt_count=0,
        output={"role": "assistant", "content": "42"} if cell.status == "completed" else None,
        error_code="server_error" if cell.status == "failed" else None,
        cost=cell.cost,
        reported_model=cell.reported_model,
        reused_from_id=made if cell.reused else None,
    )
