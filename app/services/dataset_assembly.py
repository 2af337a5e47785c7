"""A dataset version in the making: what an import knows of the rows it has seen. Pure.

Rows arrive one after the other and are not kept. What is kept is about 50 bytes a row: the
example's id (16) and its key's place in a table of digests. Everything else is a running
hash or a count, so that a million rows fit beside the program.

The version's content hash is SHA-256 over the canonical JSON `[[key, example hash], ...]` in
the order of the rows, fed piece by piece.
"""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.core.errors import Invalid
from app.core.hashing import canonical_json
from app.repositories.content import content_row
from app.schemas.datasets import MAX_EXAMPLE_BYTES, ExampleInput

__all__ = ["Assembly", "KeyPositions", "PreparedExample", "prepare", "prepared_batches"]

_BATCH_EXAMPLES: Final = 1000
_BATCH_BYTES: Final = 4_000_000
_MAX_METADATA_NAMES: Final = 1000
_UUID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class PreparedExample:
    """An example with its hash and the `content` row to write if its text is new."""

    example: ExampleInput
    content_hash: str
    content: dict[str, Any]


def prepare(example: ExampleInput, now: datetime) -> PreparedExample:
    """Return an example with its hash and its texts."""
    return PreparedExample(example, example.hash, content_row(example.content(), now))


async def prepared_batches(
    rows: AsyncIterable[ExampleInput] | Iterable[ExampleInput], now: datetime
) -> AsyncIterator[list[PreparedExample]]:
    """Yield the rows in order, in batches bounded by number and by bytes.

    Reading and hashing of a plain iterable happen on a thread, so that the event loop
    keeps answering.
    """
    if isinstance(rows, AsyncIterable):
        batch = _Batch(now)
        async for example in rows:
            batch.add(example)
            if batch.full:
                yield batch.items
                batch = _Batch(now)
        if batch.items:
            yield batch.items
        return
    iterator = iter(rows)
    while items := await asyncio.to_thread(_next_batch, iterator, now):
        yield items


def _next_batch(rows: Iterator[ExampleInput], now: datetime) -> list[PreparedExample]:
    batch = _Batch(now)
    for example in rows:
        batch.add(example)
        if batch.full:
            break
    return batch.items


class _Batch:
    def __init__(self, now: datetime) -> None:
        self.items: list[PreparedExample] = []
        self._now = now
        self._bytes = 0

    def add(self, example: ExampleInput) -> None:
        prepared = prepare(example, self._now)
        self.items.append(prepared)
        self._bytes += prepared.content["size_bytes"]

    @property
    def full(self) -> bool:
        return len(self.items) >= _BATCH_EXAMPLES or self._bytes >= _BATCH_BYTES


class Assembly:
    """Admits rows one by one, gives each its key, and knows the version when all are in.

    Held for every version: keys are unique, and all examples have the same input names, so
    that a prompt that fits one example fits them all.
    """

    def __init__(self, source: str) -> None:
        """`source` stands at the beginning of each error."""
        self.count = 0
        self.refused = 0
        self.expected_count = 0
        self.repeated_inputs = 0
        self.input_names: tuple[str, ...] = ()
        self._source = source
        self._first_row = 1
        self._metadata_names: dict[str, None] = {}
        self._digest = hashlib.sha256(b"[")
        self._positions = KeyPositions()
        self._repeats: dict[str, int] = {}
        self._example_ids = bytearray()

    @property
    def metadata_names(self) -> tuple[str, ...]:
        """All names of metadata, in the order of their first appearance."""
        return tuple(self._metadata_names)

    def admit(self, prepared: PreparedExample) -> str:
        """Take in the next row and return its key.

        Raises `Invalid` naming the row (from 1) for a key used before, inputs that differ
        from the first row's, or an example above `MAX_EXAMPLE_BYTES`.
        """
        example = prepared.example
        if prepared.content["size_bytes"] > MAX_EXAMPLE_BYTES:
            raise self._error(
                f"the example is larger than {MAX_EXAMPLE_BYTES // 1_000_000} MB.", "input"
            )
        self._check_names(example)
        key = self._unused_key(example) if example.key is None else self._claim(example.key)
        piece = canonical_json([key, prepared.content_hash])
        self._digest.update(b"," + piece if self.count else piece)
        self.count += 1
        self.expected_count += example.expected_output is not None
        return key

    def refuse(self) -> None:
        """Count a row that is no example, so that those behind it are told by their own number."""
        self.count += 1
        self.refused += 1

    def add_id(self, example_id: UUID) -> None:
        """Note the id that the row admitted last but not yet noted has in the database."""
        self._example_ids += example_id.bytes

    def content_hash(self) -> str:
        """Return the hash over all rows admitted so far."""
        digest = self._digest.copy()
        digest.update(b"]")
        return f"sha256:{digest.hexdigest()}"

    def members(self) -> Iterator[tuple[int, list[UUID]]]:
        """Yield (position of the first, ids) in pieces, in the order of the rows."""
        step = _BATCH_EXAMPLES * _UUID_BYTES
        for start in range(0, len(self._example_ids), step):
            piece = bytes(self._example_ids[start : start + step])
            yield (
                start // _UUID_BYTES,
                [
                    UUID(bytes=piece[at : at + _UUID_BYTES])
                    for at in range(0, len(piece), _UUID_BYTES)
                ],
            )

    def _check_names(self, example: ExampleInput) -> None:
        if self.count == self.refused:  # the first that may stay
            self.input_names = tuple(example.input)
            self._first_row = self.count + 1
        elif example.input.keys() != set(self.input_names):
            raise self._different_inputs(example)
        self._metadata_names.update(dict.fromkeys(example.metadata))
        if len(self._metadata_names) > _MAX_METADATA_NAMES:
            raise self._error(
                f"more than {_MAX_METADATA_NAMES} different names of metadata; "
                "keep such data in one object under one name.",
                "metadata",
            )

    def _different_inputs(self, example: ExampleInput) -> Invalid:
        missing = [name for name in self.input_names if name not in example.input]
        other = [name for name in example.input if name not in self.input_names]
        problem = (
            f"the input has no {missing[0]!r}, which row {self._first_row} has"
            if missing
            else f"the input has {other[0]!r}, which row {self._first_row} has not"
        )
        return self._error(
            f"{problem}; all examples need the same inputs (null is a value).", "input"
        )

    def _claim(self, key: str) -> str:
        earlier = self._positions.put(key, self.count)
        if earlier is not None:
            raise self._error(f"the key {key!r} is already used by row {earlier + 1}.", "key")
        return key

    def _unused_key(self, example: ExampleInput) -> str:
        """Return the key made from the input; a repeated input gets `-2`, `-3` and so on."""
        made = example.made_key()
        if self._positions.put(made, self.count) is None:
            return made
        self.repeated_inputs += 1
        repeat = self._repeats.get(made, 1)
        while True:
            repeat += 1
            key = f"{made}-{repeat}"
            if self._positions.put(key, self.count) is None:
                self._repeats[made] = repeat
                return key

    def _error(self, problem: str, path: str) -> Invalid:
        return Invalid(f"{self._source}, row {self.count + 1}: {problem}", path=path)


class KeyPositions:
    """Where each key was first seen: an open-addressing table of 64-bit digests.

    12 bytes a slot, at most two thirds filled; a dictionary of the keys takes ten times
    that. Two of a million keys share a digest once in 37 million imports; Python draws its
    hash function anew in every process, so that importing again settles even that.
    """

    def __init__(self) -> None:
        self._used = 0
        self._allocate(1024)

    def put(self, key: str, position: int) -> int | None:
        """Note the key's position; or return the position that was noted before it."""
        digest = hash(key) & 0xFFFF_FFFF_FFFF_FFFF or 1  # 0 marks a free slot
        slot = self._slot(digest)
        if self._digests[slot]:
            return self._firsts[slot]
        self._digests[slot] = digest
        self._firsts[slot] = position
        self._used += 1
        if 3 * self._used > 2 * len(self._digests):
            self._grow()
        return None

    def _slot(self, digest: int) -> int:
        """Return the slot that holds the digest, or the free one where it belongs."""
        digests, mask = self._digests, self._mask
        slot = digest & mask
        while digests[slot] and digests[slot] != digest:
            slot = (slot + 1) & mask
        return slot

    def _allocate(self, slots: int) -> None:
        self._mask = slots - 1
        self._digests = array("Q", bytes(8 * slots))
        self._firsts = array("I", bytes(4 * slots))

    def _grow(self) -> None:
        digests, firsts = self._digests, self._firsts
        self._allocate(2 * len(digests))
        for digest, first in zip(digests, firsts, strict=True):
            if digest:
                slot = self._slot(digest)
                self._digests[slot] = digest
                self._firsts[slot] = first
