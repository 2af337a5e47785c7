"""The lazy source of open cells: pages of examples from the database, one page ahead.

Memory is bounded by two pages, however large the dataset is. Examples come in the order of
the dataset version, or in that of a sequential plan.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from uuid import UUID

from app.schemas.datasets import ExampleView
from app.schemas.experiments import ExperimentView
from app.services.datasets import DatasetService
from app.services.generations import GenerationService
from workbench.runner.generation.remaining import Cell, Shard, open_cells, wanted_cells
from workbench.runner.generation.reuse import Reuse

__all__ = ["CellSource"]

_PAGE = 500
_LEAST_PAGE = 20


class CellSource:
    """`await next()` until it answers None. Safe for many workers at once."""

    def __init__(
        self,
        experiment: ExperimentView,
        datasets: DatasetService,
        generations: GenerationService,
        *,
        shard: Shard,
        reopen: Collection[str],
        fresh: bool,
        order: Sequence[int] | None = None,
        reuse: Reuse | None = None,
    ) -> None:
        """`fresh`: no outcome is stored yet, so that none needs to be looked up. `order` holds
        the positions of the examples to ask, first to last; None: as the dataset has them."""
        self._experiment = experiment
        self._run_ids: Sequence[UUID] = [run.id for run in experiment.runs]
        self._datasets = datasets
        self._generations = generations
        self._shard = shard
        self._reopen = reopen
        self._fresh = fresh
        self._order = order
        self._reuse = reuse
        self._page_size = _page_size(experiment) if reuse else _PAGE
        self._taken = 0
        self._cells: deque[Cell] = deque()
        self._lock = asyncio.Lock()
        self._ahead: asyncio.Task[list[Cell] | None] | None = None
        self._closed = False

    async def next(self) -> Cell | None:
        """Return the next open cell; None when there is none left or the source is closed."""
        while not self._closed:
            if self._cells:
                return self._cells.popleft()
            async with self._lock:
                if not self._cells and not await self._refill():
                    return None
        return None

    def close(self) -> None:
        """Hand out no further cell."""
        self._closed = True
        if self._ahead is not None:
            self._ahead.cancel()

    async def _refill(self) -> bool:
        while not self._cells and not self._closed:
            page = await (self._ahead or self._page())
            self._ahead = None
            if page is None:
                return False
            self._ahead = asyncio.create_task(self._page())
            self._cells.extend(page)
        return not self._closed

    async def _page(self) -> list[Cell] | None:
        """Return the open cells of the next examples; None at the end of the dataset."""
        examples = await self._examples()
        if not examples:
            return None
        self._taken += len(examples)
        wanted = wanted_cells(examples, self._run_ids, self._experiment.repetitions)
        cells = [cell for cell in wanted if self._shard.has(cell)]
        if not self._fresh:
            stored = await self._generations.statuses([cell.id for cell in cells])
            cells = list(open_cells(cells, stored, self._reopen))
        return cells if self._reuse is None else await self._reuse.filled(cells)

    async def _examples(self) -> list[ExampleView]:
        count = min(self._page_size, self._experiment.example_count - self._taken)
        if count <= 0:
            return []
        version_id = self._experiment.dataset_version_id
        if self._order is not None:
            positions = self._order[self._taken : self._taken + count]
            return await self._datasets.examples_at(version_id, positions)
        # Positions count from 0 without a gap.
        return await self._datasets.examples(
            version_id, after_position=self._taken - 1, limit=count
        )


def _page_size(experiment: ExperimentView) -> int:
    """Return a number of examples whose cells may all hold an answer."""
    cells_per_example = len(experiment.runs) * experiment.repetitions
    return max(_LEAST_PAGE, _PAGE // cells_per_example)
