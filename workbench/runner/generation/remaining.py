"""What is still to do: wanted cells minus stored outcomes. Pure.

A fresh start, a resume after a crash, a newer dataset version, more repetitions and a
retry of failed cells are all this one difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from app.core.ids import cell_id
from app.schemas.datasets import ExampleView
from app.schemas.generations import StoredAnswer

__all__ = ["Cell", "Shard", "open_cells", "seeded_order", "wanted_cells"]

Stored = tuple[str, str | None]  # (status, error code) of a stored outcome


class Cell(NamedTuple):
    """One outcome wanted: run `run_index` (position in the experiment) on one example.

    `answer` is a stored one to be used again instead of a call.
    """

    id: UUID
    run_index: int
    example: ExampleView
    repetition: int
    answer: StoredAnswer | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of the cells that one process takes: every `count`-th id, from `index` on."""

    index: int = 0
    count: int = 1

    def has(self, cell: Cell) -> bool:
        """Whether the cell is of this part; every cell is of exactly one."""
        return self.count == 1 or cell.id.int % self.count == self.index


def wanted_cells(
    examples: Iterable[ExampleView], run_ids: Sequence[UUID], repetitions: int
) -> Iterator[Cell]:
    """Yield every cell of these examples, all runs of an example next to each other.

    An experiment that is stopped early has then seen the same examples in every run.
    """
    for example in examples:
        for repetition in range(repetitions):
            for run_index, run_id in enumerate(run_ids):
                yield Cell(cell_id(run_id, example.id, repetition), run_index, example, repetition)


def open_cells(
    cells: Iterable[Cell], stored: Mapping[UUID, Stored], reopen: Collection[str] = ()
) -> Iterator[Cell]:
    """Yield the cells without an outcome, and failed ones whose error is to be retried.

    `reopen` holds error codes; `*` stands for every one.
    """
    for cell in cells:
        outcome = stored.get(cell.id)
        if outcome is None or _reopened(outcome, reopen):
            yield cell


def _reopened(outcome: Stored, reopen: Collection[str]) -> bool:
    status, error_code = outcome
    if status in ("completed", "refused") or not reopen:
        return False
    return "*" in reopen or (error_code or status) in reopen


def seeded_order(count: int, seed: int) -> list[int]:
    """Return the positions 0 to `count` - 1 in a random order that the seed alone decides.

    Positions are sorted by a hash of seed and position, so that the order is the same on every
    machine and for ever, and a smaller `count` keeps the order of what it has.
    """
    start = hashlib.sha256(f"examples:{seed}:".encode())

    def rank(position: int) -> bytes:
        ranked = start.copy()
        ranked.update(b"%d" % position)
        return ranked.digest()

    return sorted(range(count), key=rank)
