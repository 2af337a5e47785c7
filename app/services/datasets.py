"""Datasets: immutable versions, imported whole or not at all.

A version is identified by its content hash: the same rows again are the version that is
there. Examples that a former version already has keep their rows and ids, so that a new
version leaves only its new cells to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from app.core.clock import Clock
from app.core.errors import Invalid, NotFound
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.core.suggestions import did_you_mean
from app.database import AsyncSession, Database
from app.repositories.content import ContentRepository
from app.repositories.datasets import DatasetRepository
from app.schemas.dataset_previews import DatasetPreview, DatasetPreviewRequest
from app.schemas.datasets import (
    ChangeCounts,
    DatasetChanges,
    DatasetSummary,
    DatasetVersionView,
    ExampleChange,
    ExampleChangeItem,
    ExampleInput,
    ExampleMember,
    ExampleView,
    NewDatasetVersion,
)
from app.schemas.names import Name, Reference, parse_reference
from app.schemas.pages import Page, decode_cursor, page_of
from app.services import audit
from app.services.dataset_assembly import Assembly, PreparedExample, prepared_batches
from app.services.dataset_previews import preview_of
from app.services.dataset_texts import read_examples

__all__ = ["DatasetService", "ImportedVersion"]

_PAGE = 500
_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True)
class ImportedVersion:
    """What an import came to.

    `created` is False if a version with exactly this content was there; that one is
    `version`. `repeated_inputs` counts rows without a key whose input an earlier row has.
    `changes` counts the differences from the version before; None for a first version.
    """

    version: DatasetVersionView
    created: bool
    repeated_inputs: int
    changes: ChangeCounts | None


class _Place(NamedTuple):
    """Where a difference stands: examples of the later version first, removed ones behind."""

    removed: bool
    position: int


class DatasetService:
    """Use cases of datasets."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def import_version(
        self,
        actor: Actor,
        name: str,
        rows: AsyncIterable[ExampleInput] | Iterable[ExampleInput],
        *,
        source: str,
        message: str = "",
    ) -> ImportedVersion:
        """Store the rows as the dataset's next version, in one transaction.

        Rows are streamed: memory does not grow with their texts. An error of the iterator
        or of a row leaves nothing behind. Imports of one dataset wait for each other.
        Raises `Invalid` for no rows, a key used twice, or inputs that differ between rows.
        """
        require(actor, Permission.DATASET_WRITE, name)
        _check_name(name)
        batches = prepared_batches(rows, self._clock.now())
        return await self._import(actor, name, batches, source=source, message=message)

    async def _import(
        self,
        actor: Actor,
        name: str,
        batches: AsyncIterable[Sequence[PreparedExample]],
        *,
        source: str,
        message: str,
    ) -> ImportedVersion:
        assembly = Assembly(source)
        async with self._database.write_session() as session:
            datasets = DatasetRepository(session)
            dataset_id = await datasets.ensure_dataset(name, str(actor), self._clock.now())
            parent = await datasets.latest(name)
            async for batch in batches:
                await _store(session, dataset_id, assembly, batch, reuse=parent is not None)
            if assembly.count == 0:
                raise Invalid(f"{source} has no rows; a dataset needs at least one example.")
            version = await datasets.by_hash(name, assembly.content_hash())
            created = version is None
            if version is None:
                version = await self._add_version(
                    session, actor, dataset_id, parent, assembly, source=source, message=message
                )
                await session.commit()
        if created:
            await self._refresh_statistics()
        changes = None
        if created and parent is not None:
            changes = await self.change_counts(parent, version)
        return ImportedVersion(version, created, assembly.repeated_inputs, changes)

    async def import_text(self, actor: Actor, new: NewDatasetVersion) -> ImportedVersion:
        """Store what came over the API as the dataset's next version; see `import_version`.

        Everything is read and hashed before the transaction begins, so that on SQLite nobody
        else's writing waits for that; the bound of a body bounds what is held.
        """
        require(actor, Permission.DATASET_WRITE, new.name)
        _check_name(new.name)
        prepared = prepared_batches(read_examples(new), self._clock.now())
        batches = [batch async for batch in prepared]
        return await self._import(
            actor, new.name, _in_order(batches), source=new.source, message=new.message
        )

    async def page(
        self, actor: Actor, *, search: str = "", cursor: str | None, limit: int
    ) -> Page[DatasetSummary]:
        """Return datasets that the actor may read, by name; `search` is part of the name."""
        prefixes = actor.prefixes(Permission.DATASET_READ)
        after = "" if cursor is None else str(decode_cursor(cursor, str)[0])
        async with self._database.read_session() as session:
            found, total = await DatasetRepository(session).summaries_page(
                prefixes, search=search, after=after, limit=limit + 1
            )
        return page_of(found, limit=limit, total=total, position=lambda dataset: (dataset.name,))

    async def read(self, actor: Actor, reference: Reference | str) -> DatasetVersionView:
        """Return a version as `get` does, if the actor may read the dataset."""
        if isinstance(reference, str):
            reference = parse_reference(reference, noun="dataset")
        require(actor, Permission.DATASET_READ, reference.name)
        return await self.get(reference)

    async def versions_page(
        self, actor: Actor, name: str, *, cursor: str | None, limit: int
    ) -> Page[DatasetVersionView]:
        """Return the versions of one dataset, oldest first; `NotFound` for no dataset."""
        require(actor, Permission.DATASET_READ, name)
        after = 0 if cursor is None else cast("int", decode_cursor(cursor, int)[0])
        async with self._database.read_session() as session:
            datasets = DatasetRepository(session)
            found, total = await datasets.versions_page(name, after=after, limit=limit + 1)
            if not total:
                raise _not_found(Reference(name), [], await datasets.names())
        return page_of(found, limit=limit, total=total, position=lambda version: (version.number,))

    async def preview(self, actor: Actor, request: DatasetPreviewRequest) -> DatasetPreview:
        """Return what a text would become, for those who may import; nothing is stored."""
        require(actor, Permission.DATASET_WRITE)
        return await asyncio.to_thread(preview_of, request, self._clock.now())

    async def changes_page(
        self,
        actor: Actor,
        before: Reference | str,
        after: Reference | str,
        *,
        cursor: str | None,
        limit: int,
    ) -> DatasetChanges:
        """Return what changed from one version to another, in the order of `diff`."""
        old, new = await self.read(actor, before), await self.read(actor, after)
        start = (
            _Place(removed=False, position=-1)
            if cursor is None
            else _Place(*cast("tuple[bool, int]", decode_cursor(cursor, bool, int)))
        )
        found: list[tuple[_Place, ExampleChange]] = []
        async with aclosing(self._changes(old, new, start)) as changes:
            async for change in changes:
                found.append(change)
                if len(found) > limit:
                    break
        counts = await self.change_counts(old, new)
        page = page_of(found, limit=limit, total=sum(counts), position=lambda it: tuple(it[0]))
        return DatasetChanges(
            items=[ExampleChangeItem.of(change) for _, change in page.items],
            next_cursor=page.next_cursor,
            total_estimate=page.total_estimate,
            before=old.reference,
            after=new.reference,
            **counts._asdict(),
        )

    async def _refresh_statistics(self) -> None:
        async with self._database.write_session() as session:
            await DatasetRepository(session).refresh_statistics()
            await session.commit()

    async def _add_version(
        self,
        session: AsyncSession,
        actor: Actor,
        dataset_id: UUID,
        parent: DatasetVersionView | None,
        assembly: Assembly,
        *,
        source: str,
        message: str,
    ) -> DatasetVersionView:
        datasets = DatasetRepository(session)
        version_id = new_id()
        await datasets.add_version(
            {
                "id": version_id,
                "dataset_id": dataset_id,
                "number": await datasets.next_number(dataset_id),
                "content_hash": assembly.content_hash(),
                "example_count": assembly.count,
                "parent_id": None if parent is None else parent.id,
                "input_names": list(assembly.input_names),
                "metadata_names": list(assembly.metadata_names),
                "expected_count": assembly.expected_count,
                "source": source,
                "message": message,
                "created_at": self._clock.now(),
                "created_by": str(actor),
            }
        )
        for first, example_ids in assembly.members():
            await datasets.add_members(version_id, first, example_ids)
        version = await datasets.by_id(version_id)
        if version is None:
            raise NotFound("The dataset version that was just written is gone.")
        await audit.record(
            session,
            self._clock,
            actor,
            "dataset_version.imported",
            "dataset_version",
            str(version.id),
            version.reference,
            {"content_hash": version.content_hash, "example_count": version.example_count},
        )
        return version

    async def get(self, reference: Reference | str) -> DatasetVersionView:
        """Return a version by `name` (the latest), `name@3` or `name@<hash prefix>`.

        `NotFound` says what exists.
        """
        if isinstance(reference, str):
            reference = parse_reference(reference, noun="dataset")
        async with self._database.read_session() as session:
            datasets = DatasetRepository(session)
            if reference.hash_prefix is not None:
                found = await datasets.by_hash_prefix(reference.name, reference.hash_prefix)
                version = found[0] if len(found) == 1 else None
            elif reference.number is not None:
                version = await datasets.by_number(reference.name, reference.number)
            else:
                version = await datasets.latest(reference.name)
            if version is not None:
                return version
            numbers = [v.number for v in await datasets.versions(reference.name)]
            names = await datasets.names()
        raise _not_found(reference, numbers, names)

    async def versions(self, name: str) -> list[DatasetVersionView]:
        """Return the versions of one dataset, oldest first; empty for an unknown one."""
        async with self._database.read_session() as session:
            return await DatasetRepository(session).versions(name)

    async def examples(
        self, version_id: UUID, *, after_position: int = -1, limit: int = _PAGE
    ) -> list[ExampleView]:
        """Return the next examples after a position, in order; empty at the end."""
        async with self._database.read_session() as session:
            return await DatasetRepository(session).examples(
                version_id, after_position=after_position, limit=limit
            )

    async def examples_at(self, version_id: UUID, positions: Sequence[int]) -> list[ExampleView]:
        """Return the examples at these positions of a version, in the order asked for."""
        async with self._database.read_session() as session:
            return await DatasetRepository(session).examples_at(version_id, positions)

    async def members_at(self, version_id: UUID, positions: Sequence[int]) -> list[ExampleMember]:
        """Return the ids, keys and clusters at these positions; no text is read."""
        async with self._database.read_session() as session:
            return await DatasetRepository(session).members_at(version_id, positions)

    async def example_by_key(self, version: DatasetVersionView, key: str) -> ExampleView:
        """Return the example of a version that has this key, or raise `NotFound`."""
        async with self._database.read_session() as session:
            found = await DatasetRepository(session).examples_by_key(version, [key])
        if key not in found:
            raise NotFound(
                f"{version.reference} has no example with the key {key!r}.",
                hint=f"`workbench datasets show {version.reference} --limit 20` lists keys.",
            )
        return found[key][0]

    async def change_counts(
        self, before: DatasetVersionView, after: DatasetVersionView
    ) -> ChangeCounts:
        """Count added, removed and changed examples, by key."""
        async with self._database.read_session() as session:
            return await DatasetRepository(session).change_counts(before, after)

    async def content_hashes(self, version_id: UUID, *, limit: int | None = None) -> dict[str, str]:
        """Return what identifies each example's content, by key; with `limit` of the first."""
        async with self._database.read_session() as session:
            return await DatasetRepository(session).content_hashes(version_id, limit=limit)

    async def metadata(self, version_id: UUID) -> dict[str, dict[str, JSON]]:
        """Return the metadata columns of each example of a version, by key."""
        async with self._database.read_session() as session:
            return await DatasetRepository(session).metadata(version_id)

    async def diff(
        self, before: DatasetVersionView, after: DatasetVersionView
    ) -> AsyncGenerator[ExampleChange]:
        """Yield what changed, by key: added and changed in the order of `after`, then removed.

        Read page by page; no session is held between two of them.
        """
        async for _, change in self._changes(before, after, _Place(removed=False, position=-1)):
            yield change

    async def _changes(
        self, before: DatasetVersionView, after: DatasetVersionView, start: _Place
    ) -> AsyncGenerator[tuple[_Place, ExampleChange]]:
        """Yield the changes behind a place, each with its own."""
        if not start.removed:
            async for example, content_hash, theirs in self._not_shared(
                after, before, start.position
            ):
                place = _Place(removed=False, position=example.position)
                if theirs is None:
                    yield place, ExampleChange(before=None, after=example)
                elif theirs[1] != content_hash:  # equal: the same text in another dataset
                    yield place, ExampleChange(before=theirs[0], after=example)
            start = _Place(removed=True, position=-1)
        async for example, _, theirs in self._not_shared(before, after, start.position):
            if theirs is None:
                place = _Place(removed=True, position=example.position)
                yield place, ExampleChange(before=example, after=None)

    async def _not_shared(
        self, version: DatasetVersionView, other: DatasetVersionView, position: int
    ) -> AsyncIterator[tuple[ExampleView, str, tuple[ExampleView, str] | None]]:
        """Yield (example, content hash, the other version's example of the same key)."""
        while True:
            async with self._database.read_session() as session:
                datasets = DatasetRepository(session)
                page = await datasets.not_shared(
                    version.id, other.id, after_position=position, limit=_PAGE
                )
                theirs = await datasets.examples_by_key(other, [e.key for e, _ in page])
            for example, content_hash in page:
                yield example, content_hash, theirs.get(example.key)
            if len(page) < _PAGE:
                return
            position = page[-1][0].position

    async def list(self) -> list[DatasetSummary]:
        """Return every dataset with its newest version."""
        async with self._database.read_session() as session:
            return await DatasetRepository(session).summaries()


async def _in_order(
    batches: Iterable[Sequence[PreparedExample]],
) -> AsyncIterator[Sequence[PreparedExample]]:
    for batch in batches:
        yield batch


async def _store(
    session: AsyncSession,
    dataset_id: UUID,
    assembly: Assembly,
    batch: Iterable[PreparedExample],
    *,
    reuse: bool,
) -> None:
    """Write the examples of a batch that the dataset does not have yet."""
    datasets = DatasetRepository(session)
    admitted = [(assembly.admit(prepared), prepared) for prepared in batch]
    stored: dict[tuple[str, str], UUID] = {}
    if reuse:
        stored = await datasets.stored_examples(dataset_id, [key for key, _ in admitted])
    contents: list[dict[str, Any]] = []
    examples: list[dict[str, Any]] = []
    for key, prepared in admitted:
        example_id = stored.get((key, prepared.content_hash))
        if example_id is None:
            example_id = new_id()
            contents.append(prepared.content)
            examples.append(
                {
                    "id": example_id,
                    "dataset_id": dataset_id,
                    "key": key,
                    "content_hash": prepared.content_hash,
                    "content_id": prepared.content["id"],
                    "cluster": prepared.example.cluster,
                }
            )
        assembly.add_id(example_id)
    await ContentRepository(session).add_all(contents)
    await datasets.add_examples(examples)


def _check_name(name: str) -> None:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        raise Invalid(
            f"{name!r} is no dataset name: use lower-case letters, digits, '.', '_' and '-', "
            "as in triage or team/triage, without a version.",
            path="name",
        ) from None


def _not_found(reference: Reference, numbers: list[int], names: list[str]) -> NotFound:
    if numbers:
        known = ", ".join(str(number) for number in numbers)
        return NotFound(f"There is no {reference}; {reference.name} has the versions {known}.")
    suggestion = did_you_mean(reference.name, names)
    return NotFound(
        f"There is no dataset {reference.name!r}.{suggestion}",
        hint="`workbench datasets list` shows what there is; "
        "`workbench datasets import FILE --name NAME --input COLUMN` brings one in.",
    )
