"""Find stored answers for open cells, a page at a time: what is found needs no call.

Two sources, asked in this order. An extension takes over what the experiment that it carries
on has for the same example. The cache (`--cache`, never by default) takes any completed answer
to an equal request; those of this experiment itself do not count, so that two of its runs, or
two equal examples, never share an answer because one of them came first.

Either way the request must be the same, by its hash. An answer whose text was erased, a failed
one and an imported one are never used again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.errors import Invalid
from app.core.ids import cell_id
from app.schemas.experiments import ExperimentView
from app.schemas.generations import StoredAnswer
from app.services.experiments import ExperimentService
from app.services.generations import GenerationService
from workbench.runner.generation.plans import RunPlan
from workbench.runner.generation.remaining import Cell

__all__ = ["Reuse", "open_reuse"]


@dataclass(frozen=True)
class Reuse:
    """Where stored answers may come from. `parents` are the runs carried on, in the order of
    `plans` (none: no extension)."""

    plans: Sequence[RunPlan]
    generations: GenerationService
    parents: Sequence[UUID]
    cache: bool

    async def filled(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells, each with the stored answer that it can use, if there is one."""
        wanted = {cell.id: self._request_hash(cell) for cell in cells}
        found = await self._of_parents(cells, wanted) if self.parents else {}
        if self.cache:
            found = {**await self._of_cache(cells, wanted), **found}
        return [cell._replace(answer=found.get(cell.id)) for cell in cells]

    def _request_hash(self, cell: Cell) -> str | None:
        """Return the hash of the cell's request; None if its example does not fit the prompt."""
        plan = self.plans[cell.run_index]
        try:
            return plan.request_hash(plan.request(cell))
        except Invalid:
            return None

    async def _of_parents(
        self, cells: Sequence[Cell], wanted: Mapping[UUID, str | None]
    ) -> dict[UUID, StoredAnswer]:
        counterparts = {
            cell_id(self.parents[cell.run_index], cell.example.id, cell.repetition): cell.id
            for cell in cells
        }
        stored = await self.generations.answers_of_cells(list(counterparts))
        return {
            counterparts[theirs]: answer
            for theirs, answer in stored.items()
            if answer.request_hash == wanted[counterparts[theirs]]
        }

    async def _of_cache(
        self, cells: Sequence[Cell], wanted: Mapping[UUID, str | None]
    ) -> dict[UUID, StoredAnswer]:
        hashes = list(dict.fromkeys(h for h in wanted.values() if h is not None))
        stored = await self.generations.answers_to_requests(
            hashes, besides=[plan.run.id for plan in self.plans]
        )
        return {
            cell.id: stored[request_hash]
            for cell in cells
            if (request_hash := wanted[cell.id]) is not None and request_hash in stored
        }


async def open_reuse(
    experiments: ExperimentService,
    generations: GenerationService,
    experiment: ExperimentView,
    plans: Sequence[RunPlan],
    *,
    cache: bool,
) -> Reuse | None:
    """Return the sources of an experiment's stored answers; None if every cell is to be asked."""
    parents: Sequence[UUID] = ()
    if experiment.extends_id is not None:
        parents = [run.id for run in (await experiments.by_id(experiment.extends_id)).runs]
    return Reuse(plans, generations, parents, cache) if parents or cache else None
