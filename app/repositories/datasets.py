"""Statements on `dataset`, `dataset_version`, `example` and their membership."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON as JSON_TYPE
from sqlalchemy import Row, Select, Table, and_, cast, exists, func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlalchemy.sql import ColumnElement

from app.core.hashing import JSON
from app.core.ids import new_id
from app.database import AsyncSession
from app.models import Content, Dataset, DatasetVersion, DatasetVersionExample, Example
from app.repositories.content import decode_body
from app.repositories.counting import count_up_to
from app.repositories.plain_rows import plain_rows
from app.repositories.prefixes import below
from app.schemas.datasets import (
    ChangeCounts,
    DatasetSummary,
    DatasetVersionView,
    ExampleMember,
    ExampleView,
)

__all__ = ["DatasetRepository"]

# Inserting through the tables skips the unit of work: three rows an example add up.
_EXAMPLE: Table = Example.__table__  # type: ignore[assignment] # declarative tables are tables
_MEMBER: Table = DatasetVersionExample.__table__  # type: ignore[assignment] # as above

_MAX_PARAMETERS = 500  # a bound on the number of SQL parameters in one IN

_Parent = aliased(DatasetVersion)


class DatasetRepository:
    """Datasets, versions and examples; reads return schemas."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ensure_dataset(self, name: str, actor: str, now: datetime) -> UUID:
        """Return the dataset's id, making it if there is none of that name.

        The row stays locked until the transaction ends, so that imports of one dataset
        come one after the other.
        """
        dialect = self._session.get_bind().dialect.name
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        await self._session.execute(
            make(Dataset)
            .values(id=new_id(), name=name, created_at=now, created_by=actor)
            .on_conflict_do_nothing(index_elements=["name"])
        )
        statement = select(Dataset.id).where(Dataset.name == name).with_for_update()
        return (await self._session.execute(statement)).scalar_one()

    async def next_number(self, dataset_id: UUID) -> int:
        statement = select(func.max(DatasetVersion.number)).where(
            DatasetVersion.dataset_id == dataset_id
        )
        return ((await self._session.execute(statement)).scalar_one() or 0) + 1

    async def add_version(self, values: Mapping[str, Any]) -> None:
        """Insert one version; its examples are there already, its members come after it."""
        await self._session.execute(insert(DatasetVersion), [dict(values)])

    async def stored_examples(
        self, dataset_id: UUID, keys: Sequence[str]
    ) -> dict[tuple[str, str], UUID]:
        """Return the ids of the dataset's examples with these keys, by (key, content hash)."""
        found: dict[tuple[str, str], UUID] = {}
        for start in range(0, len(keys), _MAX_PARAMETERS):
            statement = select(Example.key, Example.content_hash, Example.id).where(
                Example.dataset_id == dataset_id,
                Example.key.in_(keys[start : start + _MAX_PARAMETERS]),
            )
            for row in await self._session.execute(statement):
                found[row.key, row.content_hash] = row.id
        return found

    async def add_examples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert examples; their `content` rows are there already."""
        if rows:
            await self._session.execute(insert(_EXAMPLE), list(rows))

    async def add_members(self, version_id: UUID, first: int, example_ids: Sequence[UUID]) -> None:
        """Put examples into a version, at the positions from `first` on."""
        rows = [
            {"dataset_version_id": version_id, "position": position, "example_id": example_id}
            for position, example_id in enumerate(example_ids, first)
        ]
        await self._session.execute(insert(_MEMBER), rows)

    async def by_id(self, version_id: UUID) -> DatasetVersionView | None:
        return await self._one(_versions().where(DatasetVersion.id == version_id))

    async def by_number(self, name: str, number: int) -> DatasetVersionView | None:
        return await self._one(
            _versions().where(Dataset.name == name, DatasetVersion.number == number)
        )

    async def by_hash(self, name: str, content_hash: str) -> DatasetVersionView | None:
        return await self._one(
            _versions().where(Dataset.name == name, DatasetVersion.content_hash == content_hash)
        )

    async def by_hash_prefix(self, name: str, prefix: str) -> list[DatasetVersionView]:
        """Return up to two versions whose hash begins so."""
        statement = (
            _versions()
            .where(
                Dataset.name == name,
                DatasetVersion.content_hash.startswith(prefix, autoescape=True),
            )
            .limit(2)
        )
        return [_version(row) for row in await self._session.execute(statement)]

    async def latest(self, name: str) -> DatasetVersionView | None:
        """Return the version with the highest number."""
        return await self._one(
            _versions().where(Dataset.name == name).order_by(DatasetVersion.number.desc()).limit(1)
        )

    async def versions(self, name: str) -> list[DatasetVersionView]:
        """Return the versions of a dataset, oldest first."""
        statement = _versions().where(Dataset.name == name).order_by(DatasetVersion.number)
        return [_version(row) for row in await self._session.execute(statement)]

    async def names(self) -> list[str]:
        """Return the names of all datasets."""
        return list(
            (await self._session.execute(select(Dataset.name).order_by(Dataset.name))).scalars()
        )

    async def versions_page(
        self, name: str, *, after: int, limit: int
    ) -> tuple[list[DatasetVersionView], int]:
        """Return the versions above a number, oldest first, and how many there are in all."""
        wanted = _versions().where(Dataset.name == name)
        statement = wanted.where(DatasetVersion.number > after)
        rows = await self._session.execute(statement.order_by(DatasetVersion.number).limit(limit))
        total = await count_up_to(self._session, wanted.with_only_columns(DatasetVersion.id))
        return [_version(row) for row in rows], total

    async def summaries(self) -> list[DatasetSummary]:
        """Return one line for each dataset, by name."""
        rows = await self._session.execute(_summaries().order_by(Dataset.name))
        return [DatasetSummary.model_validate(dict(row._mapping)) for row in rows]

    async def summaries_page(
        self, prefixes: Sequence[str] | None, *, search: str, after: str, limit: int
    ) -> tuple[list[DatasetSummary], int]:
        """Return the datasets below the prefixes after a name, and how many there are in all.

        `search` is looked for in names.
        """
        wanted = _summaries().where(
            below(Dataset.name, prefixes), Dataset.name.icontains(search, autoescape=True)
        )
        statement = wanted.where(Dataset.name > after).order_by(Dataset.name).limit(limit)
        rows = await self._session.execute(statement)
        found = [DatasetSummary.model_validate(dict(row._mapping)) for row in rows]
        return found, await count_up_to(self._session, wanted)

    async def examples(
        self, version_id: UUID, *, after_position: int, limit: int
    ) -> list[ExampleView]:
        """Return the next examples of a version in their order, texts included."""
        statement = (
            _examples(version_id)
            .where(DatasetVersionExample.position > after_position)
            .order_by(DatasetVersionExample.position)
            .limit(limit)
        )
        return [_example(row) for row in await self._session.execute(statement)]

    async def examples_with(
        self, version_id: UUID, texts: Sequence[str], *, key_too: str, after: int, until: int
    ) -> list[ExampleView]:
        """Return the examples behind a position, up to another, whose stored JSON has all texts.

        The texts are parts of JSON, in any case of letters; instead of the first of them an
        example may have `key_too`, unless that is empty, in its key.
        """
        has = [Content.body.icontains(text, autoescape=True) for text in texts]
        if key_too and has:
            has[0] = has[0] | Example.key.icontains(key_too, autoescape=True)
        statement = (
            _examples(version_id)
            .where(
                DatasetVersionExample.position > after,
                DatasetVersionExample.position <= until,
                *has,
            )
            .order_by(DatasetVersionExample.position)
        )
        return [_example(row) for row in await self._session.execute(statement)]

    async def bodies(
        self, version_id: UUID, *, after: int, until: int
    ) -> list[tuple[int, str, str | None]]:
        """Return (position, key, stored JSON) behind a position, up to another, in order; an erased
        text is None."""
        statement = (
            select(DatasetVersionExample.position, Example.key, Content.body)
            .select_from(DatasetVersionExample)
            .join(Example, Example.id == DatasetVersionExample.example_id)
            .join(Content, Content.id == Example.content_id)
            .where(
                DatasetVersionExample.dataset_version_id == version_id,
                DatasetVersionExample.position > after,
                DatasetVersionExample.position <= until,
            )
            .order_by(DatasetVersionExample.position)
        )
        return [(row[0], row[1], row[2]) for row in await plain_rows(self._session, statement)]

    async def examples_at(self, version_id: UUID, positions: Sequence[int]) -> list[ExampleView]:
        """Return the examples at these positions, texts included, in the order asked for."""
        found: dict[int, ExampleView] = {}
        for start in range(0, len(positions), _MAX_PARAMETERS):
            statement = _examples(version_id).where(
                DatasetVersionExample.position.in_(positions[start : start + _MAX_PARAMETERS])
            )
            for row in await self._session.execute(statement):
                found[row.position] = _example(row)
        return [found[position] for position in positions]

    async def members_at(self, version_id: UUID, positions: Sequence[int]) -> list[ExampleMember]:
        """Return ids, keys and clusters of the examples at these positions, in this order."""
        found: dict[int, ExampleMember] = {}
        for start in range(0, len(positions), _MAX_PARAMETERS):
            statement = (
                select(DatasetVersionExample.position, Example.id, Example.key, Example.cluster)
                .join(Example, Example.id == DatasetVersionExample.example_id)
                .where(
                    DatasetVersionExample.dataset_version_id == version_id,
                    DatasetVersionExample.position.in_(positions[start : start + _MAX_PARAMETERS]),
                )
            )
            for row in await self._session.execute(statement):
                found[row.position] = ExampleMember(row.id, row.key, row.cluster)
        return [found[position] for position in positions]

    async def examples_by_key(
        self, version: DatasetVersionView, keys: Sequence[str]
    ) -> dict[str, tuple[ExampleView, str]]:
        """Return (example, content hash) of a version by key; an unknown key is missing."""
        # Ids first: a planner without statistics would walk through the whole version.
        ids = list((await self.stored_examples(version.dataset_id, keys)).values())
        found: dict[str, tuple[ExampleView, str]] = {}
        for start in range(0, len(ids), _MAX_PARAMETERS):
            statement = _examples(version.id).where(
                DatasetVersionExample.example_id.in_(ids[start : start + _MAX_PARAMETERS])
            )
            for row in await self._session.execute(statement):
                found[row.key] = (_example(row), row.content_hash)
        return found

    async def not_shared(
        self, version_id: UUID, other_id: UUID, *, after_position: int, limit: int
    ) -> list[tuple[ExampleView, str]]:
        """Return (example, content hash) of the next examples that the other version has not."""
        theirs = aliased(DatasetVersionExample)
        statement = (
            _examples(version_id)
            .where(
                DatasetVersionExample.position > after_position,
                ~exists().where(
                    theirs.dataset_version_id == other_id,
                    theirs.example_id == DatasetVersionExample.example_id,
                ),
            )
            .order_by(DatasetVersionExample.position)
            .limit(limit)
        )
        return [(_example(row), row.content_hash) for row in await self._session.execute(statement)]

    async def content_hashes(self, version_id: UUID, *, limit: int | None) -> dict[str, str]:
        """Return the content hash of each example by key; with `limit` of the first ones."""
        statement = (
            select(Example.key, Example.content_hash)
            .join(DatasetVersionExample, DatasetVersionExample.example_id == Example.id)
            .where(DatasetVersionExample.dataset_version_id == version_id)
        )
        if limit is not None:
            statement = statement.where(DatasetVersionExample.position < limit)
        rows = await self._session.execute(statement)
        return {key: content_hash for key, content_hash in rows}  # noqa: C416 - typed as a dict

    async def metadata(self, version_id: UUID) -> dict[str, dict[str, JSON]]:
        """Return the metadata of each example by key; an erased text has none.

        Only this part of the texts leaves the database. Examples with equal metadata share one
        object.
        """
        part: ColumnElement[str | None]
        if self._session.get_bind().dialect.name == "postgresql":
            part = cast(Content.body, JSON_TYPE)["metadata"].as_string()
        else:
            part = func.json_extract(Content.body, "$.metadata")
        statement = (
            select(Example.key, part)
            .select_from(DatasetVersionExample)
            .join(Example, Example.id == DatasetVersionExample.example_id)
            .join(Content, Content.id == Example.content_id)
            .where(DatasetVersionExample.dataset_version_id == version_id)
        )
        found: dict[str, str | None] = dict(await plain_rows(self._session, statement))
        decoded = {body: decode_body(body) for body in set(found.values()) if body is not None}
        return {key: decoded[body] for key, body in found.items() if body is not None}

    async def change_counts(
        self, before: DatasetVersionView, after: DatasetVersionView
    ) -> ChangeCounts:
        """Count what `not_shared` would list, without reading a text."""
        same_key = await self._count_matches(before, after, same_content=False)
        same = await self._count_matches(before, after, same_content=True)
        return ChangeCounts(
            added=after.example_count - same_key,
            removed=before.example_count - same_key,
            changed=same_key - same,
        )

    async def _count_matches(
        self, before: DatasetVersionView, after: DatasetVersionView, *, same_content: bool
    ) -> int:
        theirs, member = aliased(Example), aliased(DatasetVersionExample)
        match = (
            select(theirs.id)
            .join(member, member.example_id == theirs.id)
            .where(
                member.dataset_version_id == before.id,
                theirs.dataset_id == before.dataset_id,
                theirs.key == Example.key,
            )
        )
        if same_content:
            match = match.where(theirs.content_hash == Example.content_hash)
        statement = (
            select(func.count())
            .select_from(DatasetVersionExample)
            .join(Example, Example.id == DatasetVersionExample.example_id)
            .where(DatasetVersionExample.dataset_version_id == after.id, match.exists())
        )
        return (await self._session.execute(statement)).scalar_one()

    async def refresh_statistics(self) -> None:
        """Tell PostgreSQL's planner what an import has changed.

        Until it knows, which by itself it does a minute later, it takes the tables for small
        and joins them by going through all of one for each row of the other.
        """
        if self._session.get_bind().dialect.name == "postgresql":
            await self._session.execute(text("ANALYZE example, dataset_version_example"))

    async def _one(self, statement: Select[DatasetVersion, str, int]) -> DatasetVersionView | None:
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else _version(row)


def _versions() -> Select[DatasetVersion, str, int]:
    return (
        select(DatasetVersion, Dataset.name, _Parent.number)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .outerjoin(_Parent, _Parent.id == DatasetVersion.parent_id)
    )


def _summaries() -> Select[str, int, int, int, int, list[str], datetime, str]:
    counted = (
        select(
            DatasetVersion.dataset_id,
            func.max(DatasetVersion.number).label("latest"),
            func.count().label("versions"),
        )
        .group_by(DatasetVersion.dataset_id)
        .subquery()
    )
    return (
        select(
            Dataset.name,
            counted.c.latest,
            counted.c.versions,
            DatasetVersion.example_count,
            DatasetVersion.expected_count,
            DatasetVersion.input_names,
            DatasetVersion.created_at.label("updated_at"),
            DatasetVersion.created_by,
        )
        .join(counted, counted.c.dataset_id == Dataset.id)
        .join(
            DatasetVersion,
            and_(
                DatasetVersion.dataset_id == Dataset.id,
                DatasetVersion.number == counted.c.latest,
            ),
        )
    )


def _version(row: Row[DatasetVersion, str, int]) -> DatasetVersionView:
    version, name, parent = row  # `parent` is NULL for a first version
    return DatasetVersionView(
        id=version.id,
        dataset_id=version.dataset_id,
        name=name,
        number=version.number,
        content_hash=version.content_hash,
        example_count=version.example_count,
        expected_count=version.expected_count,
        input_names=tuple(version.input_names),
        metadata_names=tuple(version.metadata_names),
        parent=parent,
        source=version.source,
        message=version.message,
        created_at=version.created_at,
        created_by=version.created_by,
    )


def _examples(version_id: UUID) -> Select[UUID, int, str, str, str | None, str | None]:
    return (
        select(
            Example.id,
            DatasetVersionExample.position,
            Example.key,
            Example.content_hash,
            Example.cluster,
            Content.body,
        )
        .select_from(DatasetVersionExample)
        .join(Example, Example.id == DatasetVersionExample.example_id)
        .join(Content, Content.id == Example.content_id)
        .where(DatasetVersionExample.dataset_version_id == version_id)
    )


def _example(row: Row[UUID, int, str, str, str | None, str | None]) -> ExampleView:
    body = {} if row.body is None else decode_body(row.body)  # NULL: the text was erased
    return ExampleView(
        id=row.id,
        position=row.position,
        key=row.key,
        input=body.get("input", {}),
        messages=body.get("messages"),
        expected_output=body.get("expected_output"),
        metadata=body.get("metadata", {}),
        cluster=row.cluster,
    )
