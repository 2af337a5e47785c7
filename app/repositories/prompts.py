"""Statements on `prompt` and `prompt_version`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.core.ids import new_id
from app.database import AsyncSession
from app.models import Prompt, PromptVersion
from app.repositories.counting import count_up_to
from app.repositories.prefixes import below
from app.schemas.prompts import (
    PromptContent,
    PromptSummary,
    PromptVersionFacts,
    PromptVersionView,
)

__all__ = ["PromptRepository"]


class PromptRepository:
    """Prompts and their versions; reads return schemas."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ensure_prompt(self, name: str, actor: str, now: datetime) -> UUID:
        """Return the prompt's id, making the prompt if there is none of that name.

        The row is locked until the transaction ends, so that numbers are given one at a time.
        """
        dialect = self._session.get_bind().dialect.name
        make = postgresql.insert if dialect == "postgresql" else sqlite.insert
        await self._session.execute(
            make(Prompt)
            .values(id=new_id(), name=name, created_at=now, created_by=actor)
            .on_conflict_do_nothing(index_elements=["name"])
        )
        statement = select(Prompt.id).where(Prompt.name == name).with_for_update()
        return (await self._session.execute(statement)).scalar_one()

    async def add_version(self, values: Mapping[str, Any]) -> None:
        """Insert one version or draft."""
        await self._session.execute(insert(PromptVersion), [dict(values)])

    async def publish(
        self, version_id: UUID, *, number: int, message: str, author: str, now: datetime
    ) -> None:
        """Give a draft its number."""
        await self._session.execute(
            update(PromptVersion)
            .where(PromptVersion.id == version_id, PromptVersion.number.is_(None))
            .values(number=number, message=message, author=author, published_at=now)
        )

    async def by_number(self, name: str, number: int) -> PromptVersionView | None:
        return await self._one(
            _versions().where(Prompt.name == name, PromptVersion.number == number)
        )

    async def by_hash(self, name: str, content_hash: str) -> PromptVersionView | None:
        return await self._one(
            _versions().where(Prompt.name == name, PromptVersion.content_hash == content_hash)
        )

    async def by_hash_prefix(self, name: str, prefix: str) -> list[PromptVersionView]:
        """Return up to two versions or drafts whose hash begins so."""
        statement = (
            _versions()
            .where(Prompt.name == name, PromptVersion.content_hash.startswith(prefix))
            .limit(2)
        )
        return [_view(row) for row in await self._session.execute(statement)]

    async def by_id(self, version_id: UUID) -> PromptVersionView | None:
        return await self._one(_versions().where(PromptVersion.id == version_id))

    async def latest(self, name: str) -> PromptVersionView | None:
        """Return the version with the highest number."""
        return await self._one(
            _versions()
            .where(Prompt.name == name, PromptVersion.number.is_not(None))
            .order_by(PromptVersion.number.desc())
            .limit(1)
        )

    async def versions(self, name: str) -> list[PromptVersionView]:
        """Return the numbered versions of a prompt, oldest first."""
        statement = _numbered(name).order_by(PromptVersion.number)
        return [_view(row) for row in await self._session.execute(statement)]

    async def versions_page(
        self, name: str, *, after: int, limit: int
    ) -> tuple[list[PromptVersionView], int]:
        """Return the versions above a number, oldest first, and how many there are in all."""
        statement = _numbered(name).where(PromptVersion.number > after)
        rows = await self._session.execute(statement.order_by(PromptVersion.number).limit(limit))
        return [_view(row) for row in rows], await self._count(_numbered(name))

    async def drafts_page(
        self, name: str, *, before: UUID | None, limit: int
    ) -> tuple[list[PromptVersionView], int]:
        """Return the drafts made before one, newest first, and how many there are in all."""
        drafts = _versions().where(Prompt.name == name, PromptVersion.number.is_(None))
        statement = drafts if before is None else drafts.where(PromptVersion.id < before)
        rows = await self._session.execute(statement.order_by(PromptVersion.id.desc()).limit(limit))
        return [_view(row) for row in rows], await self._count(drafts)

    async def timeline_page(
        self, name: str, *, before: int | None, limit: int
    ) -> tuple[list[PromptVersionFacts], int]:
        """Return facts of the versions below a number, newest first, and how many there are."""
        statement = _facts(name).where(PromptVersion.number.is_not(None))
        if before is not None:
            statement = statement.where(PromptVersion.number < before)
        rows = await self._session.execute(
            statement.order_by(PromptVersion.number.desc()).limit(limit)
        )
        return [_told(row) for row in rows], await self._count(_numbered(name))

    async def draft_timeline_page(
        self, name: str, *, before: UUID | None, limit: int
    ) -> tuple[list[PromptVersionFacts], int]:
        """Return facts of the drafts made before one, newest first, and how many there are."""
        statement = _facts(name).where(PromptVersion.number.is_(None))
        if before is not None:
            statement = statement.where(PromptVersion.id < before)
        rows = await self._session.execute(statement.order_by(PromptVersion.id.desc()).limit(limit))
        drafts = _versions().where(Prompt.name == name, PromptVersion.number.is_(None))
        return [_told(row) for row in rows], await self._count(drafts)

    async def exists(self, name: str) -> bool:
        """Whether there is a prompt of this name, be it with drafts only."""
        statement = select(Prompt.id).where(Prompt.name == name)
        return (await self._session.execute(statement)).scalar_one_or_none() is not None

    async def all_versions(self) -> list[PromptVersionView]:
        """Return every numbered version of every prompt, by name and number."""
        statement = (
            _versions()
            .where(PromptVersion.number.is_not(None))
            .order_by(Prompt.name, PromptVersion.number)
        )
        return [_view(row) for row in await self._session.execute(statement)]

    async def names(self) -> list[str]:
        """Return the names of all prompts."""
        return list(
            (await self._session.execute(select(Prompt.name).order_by(Prompt.name))).scalars()
        )

    async def published_hashes(self, names: Iterable[str]) -> dict[tuple[str, int], str]:
        """Return the content hashes of the numbered versions of these prompts."""
        statement = (
            select(Prompt.name, PromptVersion.number, PromptVersion.content_hash)
            .join(Prompt, Prompt.id == PromptVersion.prompt_id)
            .where(Prompt.name.in_(list(names)), PromptVersion.number.is_not(None))
        )
        rows = await self._session.execute(statement)
        return {(name, number): digest for name, number, digest in rows if number is not None}

    async def next_number(self, prompt_id: UUID) -> int:
        statement = select(func.max(PromptVersion.number)).where(
            PromptVersion.prompt_id == prompt_id
        )
        return ((await self._session.execute(statement)).scalar_one() or 0) + 1

    async def summaries(self) -> list[PromptSummary]:
        """Return one line for each prompt that has a version."""
        rows = await self._session.execute(_summaries().order_by(Prompt.name))
        return [PromptSummary.model_validate(dict(row._mapping)) for row in rows]

    async def summaries_page(
        self, prefixes: Sequence[str] | None, *, search: str, after: str, limit: int
    ) -> tuple[list[PromptSummary], int]:
        """Return the prompts below the prefixes after a name, and how many there are in all.

        `search` is looked for in names and descriptions, whatever the case of its letters.
        """
        wanted = _summaries().where(
            below(Prompt.name, prefixes),
            Prompt.name.icontains(search, autoescape=True)
            | PromptVersion.description.icontains(search, autoescape=True),
        )
        statement = wanted.where(Prompt.name > after).order_by(Prompt.name).limit(limit)
        rows = await self._session.execute(statement)
        found = [PromptSummary.model_validate(dict(row._mapping)) for row in rows]
        return found, await count_up_to(self._session, wanted)

    async def _count(self, statement: Select[PromptVersion, str]) -> int:
        return await count_up_to(self._session, statement.with_only_columns(PromptVersion.id))

    async def _one(self, statement: Select[PromptVersion, str]) -> PromptVersionView | None:
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else _view(row)


def _versions() -> Select[PromptVersion, str]:
    return select(PromptVersion, Prompt.name).join(Prompt, Prompt.id == PromptVersion.prompt_id)


def _facts(name: str) -> Select[*tuple[Any, ...]]:
    columns = [getattr(PromptVersion, field) for field in PromptVersionFacts.model_fields]
    return (
        select(*columns)
        .join(Prompt, Prompt.id == PromptVersion.prompt_id)
        .where(Prompt.name == name)
    )


def _told(row: Row[*tuple[Any, ...]]) -> PromptVersionFacts:
    return PromptVersionFacts.model_validate(dict(row._mapping))


def _numbered(name: str) -> Select[PromptVersion, str]:
    return _versions().where(Prompt.name == name, PromptVersion.number.is_not(None))


def _summaries() -> Select[str, int, int, str, str, datetime | None, str]:
    counted = (
        select(
            PromptVersion.prompt_id,
            func.max(PromptVersion.number).label("latest"),
            func.count(PromptVersion.number).label("versions"),
        )
        .where(PromptVersion.number.is_not(None))
        .group_by(PromptVersion.prompt_id)
        .subquery()
    )
    return (
        select(
            Prompt.name,
            counted.c.latest,
            counted.c.versions,
            PromptVersion.description,
            PromptVersion.origin,
            PromptVersion.published_at.label("updated_at"),
            PromptVersion.author,
        )
        .join(counted, counted.c.prompt_id == Prompt.id)
        .join(
            PromptVersion,
            (PromptVersion.prompt_id == Prompt.id) & (PromptVersion.number == counted.c.latest),
        )
    )


def _view(row: Row[PromptVersion, str]) -> PromptVersionView:
    version, name = row
    return PromptVersionView(
        id=version.id,
        prompt_id=version.prompt_id,
        name=name,
        number=version.number,
        content_hash=version.content_hash,
        content=PromptContent.model_validate(
            {
                "messages": version.messages,
                "variables": version.variables,
                "parameters": version.parameters,
                "tools": version.tools,
                "tool_choice": version.tool_choice,
                "response_format": version.response_format,
            }
        ),
        description=version.description,
        message=version.message,
        origin=version.origin,
        author=version.author,
        created_at=version.created_at,
        published_at=version.published_at,
    )
