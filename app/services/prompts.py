"""The prompt registry: versions are numbered here and never change.

Identity is the content hash. A draft is content without a number; publishing gives that
same row the next number, so that runs made on the draft stay valid evidence. Every write
locks the prompt's row first, so that any number of writers get numbers one at a time.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, cast
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, Invalid, NotFound
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.core.suggestions import did_you_mean
from app.database import AsyncSession, Database
from app.prompts import BUILTIN_NAMES
from app.repositories.prompts import PromptRepository
from app.schemas.names import Reference, parse_reference
from app.schemas.pages import Page, decode_cursor, decode_id, page_of
from app.schemas.prompts import (
    NewPromptVersion,
    PromptContent,
    PromptDiff,
    PromptSummary,
    PromptVersionFacts,
    PromptVersionView,
    RenderedMessage,
    check_parameters,
    parse_prompt_reference,
)
from app.services import audit
from app.services.rendering import PromptRenderer

__all__ = ["AlreadyRegistered", "NumberTaken", "PromptService", "Registered"]

Origin = Literal["builtin", "file", "api"]

_MAX_DIFF_LINES: Final = 2_000
"""The longest texts that a server compares: the time goes with the square of their lines."""


class NumberTaken(Conflict):
    """The number belongs to other content; `existing` and `diff` say to which."""

    code = "number_taken"

    def __init__(self, existing: PromptVersionView, content: PromptContent) -> None:
        self.existing = existing
        self._content = content
        super().__init__(
            f"{existing.reference} is taken: {existing.author} registered other content under "
            f"this number on {_when(existing)}.",
            hint="Take the next free number with --renumber, or give up your text: delete the "
            "file and run `workbench prompts pull`.",
        )

    @property
    def diff(self) -> str:
        """What the content would change, as a unified diff."""
        lines = list(self.existing.content.text_lines()), list(self._content.text_lines())
        return "\n".join(_unified_diff(*lines, self.existing.reference, "yours"))


class AlreadyRegistered(Conflict):
    """The content has another number already; `existing` says which."""

    code = "already_registered"

    def __init__(self, existing: PromptVersionView, number: int) -> None:
        self.existing = existing
        super().__init__(
            f"This content is already registered as {existing.reference}; "
            f"it cannot be {existing.name}@{number} as well.",
            hint="Delete the file with the other number, or change its text.",
        )


@dataclass(frozen=True)
class Registered:
    """The version and whether this call made it (False: it was there already)."""

    version: PromptVersionView
    created: bool


@dataclass(frozen=True)
class _Text:
    """What is to be stored, and what is said about it."""

    name: str
    content: PromptContent
    description: str
    message: str
    origin: Origin


class PromptService:
    """Use cases of the registry."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def register(
        self,
        actor: Actor,
        name: str,
        content: PromptContent,
        *,
        number: int | None,
        renumber: bool = False,
        description: str = "",
        message: str = "",
        origin: Origin = "file",
    ) -> Registered:
        """Store content under a number (from 1), or as a draft if `number` is None.

        The same content under the same number again is no change, and so is a draft whose
        content is stored already. With `renumber` a taken number gives way to the next free
        one. Raises `NumberTaken` for other content under the number, `AlreadyRegistered`
        if the content has another number, `Conflict` for the name of a built-in prompt,
        `Invalid` for a parameter that no model takes.
        """
        require(actor, Permission.PROMPT_WRITE, name)
        text = _checked(_Text(name, content, description, message, origin))
        async with self._database.write_session() as session:
            prompts = PromptRepository(session)
            prompt_id = await prompts.ensure_prompt(name, str(actor), self._clock.now())
            same = await prompts.by_hash(name, content.hash)
            if same is not None and (number is None or same.number == number):
                return Registered(same, created=False)
            if same is not None and same.number is not None and number is not None:
                raise AlreadyRegistered(same, number)
            if number is not None:
                number = await _free_number(prompts, prompt_id, text, number, renumber)
            version = await self._write(session, actor, text, prompt_id, same, number)
            await session.commit()
            return Registered(version, created=True)

    async def publish(
        self,
        actor: Actor,
        name: str,
        content: PromptContent,
        *,
        message: str,
        description: str = "",
        origin: Origin = "file",
    ) -> Registered:
        """Give content the next number, whether it was run as a draft before or not.

        Content that has a number already keeps it (`created` is False). Raises as
        `register` does.
        """
        require(actor, Permission.PROMPT_WRITE, name)
        text = _checked(_Text(name, content, description, message, origin))
        async with self._database.write_session() as session:
            prompts = PromptRepository(session)
            prompt_id = await prompts.ensure_prompt(name, str(actor), self._clock.now())
            same = await prompts.by_hash(name, content.hash)
            if same is not None and same.number is not None:
                return Registered(same, created=False)
            number = await prompts.next_number(prompt_id)
            version = await self._write(session, actor, text, prompt_id, same, number)
            await session.commit()
            return Registered(version, created=True)

    async def add(self, actor: Actor, name: str, new: NewPromptVersion) -> Registered:
        """Store content that came over the API as the next version, under its number or a draft.

        Raises as `register` does.
        """
        if new.number is None and not new.draft:
            return await self.publish(
                actor,
                name,
                new.content,
                message=new.message,
                description=new.description,
                origin="api",
            )
        return await self.register(
            actor,
            name,
            new.content,
            number=new.number,
            message=new.message,
            description=new.description,
            origin="api",
        )

    async def publish_draft(
        self, actor: Actor, reference: Reference | str, *, message: str
    ) -> Registered:
        """Give a stored draft the next number; raises as `get` and `publish` do."""
        draft = await self.get(reference)
        return await self.publish(
            actor,
            draft.name,
            draft.content,
            message=message,
            description=draft.description,
            origin=draft.origin,
        )

    async def page(
        self, actor: Actor, *, search: str = "", cursor: str | None, limit: int
    ) -> Page[PromptSummary]:
        """Return prompts that the actor may read, by name; `search` is part of name or text."""
        prefixes = actor.prefixes(Permission.PROMPT_READ)
        after = "" if cursor is None else str(decode_cursor(cursor, str)[0])
        async with self._database.read_session() as session:
            found, total = await PromptRepository(session).summaries_page(
                prefixes, search=search, after=after, limit=limit + 1
            )
        return page_of(found, limit=limit, total=total, position=lambda prompt: (prompt.name,))

    async def read(self, actor: Actor, reference: Reference | str) -> PromptVersionView:
        """Return a version as `get` does, if the actor may read the prompt."""
        if isinstance(reference, str):
            reference = parse_prompt_reference(reference)
        require(actor, Permission.PROMPT_READ, reference.name)
        return await self.get(reference)

    async def versions_page(
        self, actor: Actor, name: str, *, cursor: str | None, limit: int
    ) -> Page[PromptVersionView]:
        """Return the numbered versions of one prompt, oldest first."""
        require(actor, Permission.PROMPT_READ, name)
        after = 0 if cursor is None else cast("int", decode_cursor(cursor, int)[0])
        async with self._database.read_session() as session:
            prompts = PromptRepository(session)
            await _require_prompt(prompts, name)
            found, total = await prompts.versions_page(name, after=after, limit=limit + 1)
        return page_of(found, limit=limit, total=total, position=lambda version: (version.number,))

    async def drafts_page(
        self, actor: Actor, name: str, *, cursor: str | None, limit: int
    ) -> Page[PromptVersionView]:
        """Return the drafts of one prompt, newest first."""
        require(actor, Permission.PROMPT_READ, name)
        before = None if cursor is None else decode_id(cursor)
        async with self._database.read_session() as session:
            prompts = PromptRepository(session)
            await _require_prompt(prompts, name)
            found, total = await prompts.drafts_page(name, before=before, limit=limit + 1)
        return page_of(found, limit=limit, total=total, position=lambda draft: (str(draft.id),))

    async def timeline(
        self, actor: Actor, name: str, *, drafts: bool, cursor: str | None, limit: int
    ) -> Page[PromptVersionFacts]:
        """Return what is said of the versions of one prompt, or of its drafts, newest first."""
        require(actor, Permission.PROMPT_READ, name)
        async with self._database.read_session() as session:
            prompts = PromptRepository(session)
            await _require_prompt(prompts, name)
            if drafts:
                found, total = await prompts.draft_timeline_page(
                    name, before=None if cursor is None else decode_id(cursor), limit=limit + 1
                )
            else:
                before = None if cursor is None else cast("int", decode_cursor(cursor, int)[0])
                found, total = await prompts.timeline_page(name, before=before, limit=limit + 1)
        return page_of(
            found,
            limit=limit,
            total=total,
            position=lambda it: (str(it.id) if drafts else it.number,),
        )

    async def diff(
        self, actor: Actor, before: Reference | str, after: Reference | str
    ) -> PromptDiff:
        """Return how the text of `after` differs; `Invalid` for texts too long to compare."""
        old, new = await self.read(actor, before), await self.read(actor, after)
        lines = list(old.content.text_lines()), list(new.content.text_lines())
        if max(map(len, lines)) > _MAX_DIFF_LINES:
            raise Invalid(
                f"A text has more than {_MAX_DIFF_LINES:,} lines: read both and compare them.",
                path="before",
            )
        changed = await asyncio.to_thread(_unified_diff, *lines, old.reference, new.reference)
        return PromptDiff(before=old.reference, after=new.reference, lines=changed)

    async def render(
        self, actor: Actor, reference: Reference | str, values: Mapping[str, JSON]
    ) -> Sequence[RenderedMessage]:
        """Return the messages that a model would get with these values.

        Raises `Invalid` with path `variables.<name>` for a value that is missing or of
        another type.
        """
        version = await self.read(actor, reference)
        messages = PromptRenderer(version.content).render(values)
        return [RenderedMessage(role=message.role, content=message.text) for message in messages]

    async def get(self, reference: Reference | str) -> PromptVersionView:
        """Return a version by `name`, `name@3`, `name@<hash prefix>` or a draft's reference.

        A name alone is its newest version. Raises `NotFound` saying what exists instead,
        `Invalid` for text that is no reference or a hash prefix of several versions.
        """
        if isinstance(reference, str):
            reference = parse_prompt_reference(reference)
        async with self._database.read_session() as session:
            prompts = PromptRepository(session)
            found = await _look_up(prompts, reference)
            if len(found) == 1:
                return found[0]
            if found:
                raise Invalid(
                    f"{reference} is the beginning of several hashes: write more of it.",
                    path="prompt",
                )
            numbers = [v.number for v in await prompts.versions(reference.name)]
            names = await prompts.names()
        raise NotFound(_not_found(reference, numbers, names))

    async def versions(self, name: str) -> list[PromptVersionView]:
        """Return the numbered versions of one prompt, oldest first; `NotFound` for no prompt."""
        async with self._database.read_session() as session:
            prompts = PromptRepository(session)
            versions = await prompts.versions(name)
            names = [] if versions else await prompts.names()
        if not versions and name not in names:
            raise NotFound(_not_found(Reference(name), [], names))
        return versions

    async def all_versions(self) -> list[PromptVersionView]:
        """Return every numbered version, by name and number."""
        async with self._database.read_session() as session:
            return await PromptRepository(session).all_versions()

    async def published_hashes(self, names: Iterable[str]) -> dict[tuple[str, int], str]:
        """Return the content hash of each (name, number) of these prompts: one cheap read."""
        async with self._database.read_session() as session:
            return await PromptRepository(session).published_hashes(names)

    async def find_content(self, name: str, content: PromptContent) -> PromptVersionView | None:
        """Return the version or draft with exactly this content."""
        async with self._database.read_session() as session:
            return await PromptRepository(session).by_hash(name, content.hash)

    async def list(self) -> list[PromptSummary]:
        """Return every prompt that has a version."""
        async with self._database.read_session() as session:
            return await PromptRepository(session).summaries()

    async def _write(
        self,
        session: AsyncSession,
        actor: Actor,
        text: _Text,
        prompt_id: UUID,
        draft: PromptVersionView | None,
        number: int | None,
    ) -> PromptVersionView:
        """Number the stored draft, or insert a row; write the audit event."""
        prompts, now = PromptRepository(session), self._clock.now()
        if draft is not None and number is not None:
            version_id, action = draft.id, "published"
            await prompts.publish(
                draft.id, number=number, message=text.message, author=str(actor), now=now
            )
        else:
            version_id, action = new_id(), "draft_stored" if number is None else "registered"
            await prompts.add_version(_row(version_id, prompt_id, text, number, actor, now))
        version = await prompts.by_id(version_id)
        if version is None:
            raise NotFound("The version that was just written is gone.")
        await audit.record(
            session,
            self._clock,
            actor,
            f"prompt_version.{action}",
            "prompt_version",
            str(version.id),
            version.reference,
            {"content_hash": version.content_hash, "origin": version.origin},
        )
        return version


def _checked(text: _Text) -> _Text:
    """Return the text if it may be stored under its name at all."""
    if parse_reference(text.name, noun="prompt") != Reference(text.name):
        raise Invalid(f"{text.name!r} is a reference; give the name alone.", path="name")
    if text.origin != "builtin" and text.name in BUILTIN_NAMES:
        raise Conflict(
            f"{text.name} is the name of a built-in prompt.", hint="Choose another name."
        )
    if "\0" in text.description + text.message:
        raise Invalid("A description or message holds the character NUL; leave it out.")
    check_parameters(text.content.parameters)
    return text


async def _free_number(
    prompts: PromptRepository, prompt_id: UUID, text: _Text, number: int, renumber: bool
) -> int:
    """Return `number`, or the next free one if it is taken and `renumber` allows it."""
    taken = await prompts.by_number(text.name, number)
    if taken is None:
        return number
    if not renumber:
        raise NumberTaken(taken, text.content)
    return await prompts.next_number(prompt_id)


async def _look_up(prompts: PromptRepository, reference: Reference) -> list[PromptVersionView]:
    if reference.hash_prefix is not None:
        return await prompts.by_hash_prefix(reference.name, reference.hash_prefix)
    if reference.number is not None:
        found = await prompts.by_number(reference.name, reference.number)
    else:
        found = await prompts.latest(reference.name)
    return [] if found is None else [found]


def _row(
    version_id: UUID,
    prompt_id: UUID,
    text: _Text,
    number: int | None,
    actor: Actor,
    now: datetime,
) -> dict[str, object]:
    return {
        "id": version_id,
        "prompt_id": prompt_id,
        "number": number,
        "content_hash": text.content.hash,
        **text.content.stored(),
        "description": text.description,
        "message": text.message,
        "origin": text.origin,
        "author": str(actor),
        "created_at": now,
        "published_at": None if number is None else now,
    }


def _unified_diff(
    before: Sequence[str], after: Sequence[str], before_name: str, after_name: str
) -> tuple[str, ...]:
    return tuple(difflib.unified_diff(before, after, before_name, after_name, lineterm=""))


async def _require_prompt(prompts: PromptRepository, name: str) -> None:
    if not await prompts.exists(name):
        raise NotFound(_not_found(Reference(name), [], await prompts.names()))


def _when(version: PromptVersionView) -> str:
    return (version.published_at or version.created_at).strftime("%Y-%m-%d %H:%M UTC")


def _not_found(reference: Reference, numbers: list[int | None], names: list[str]) -> str:
    if numbers:
        known = ", ".join(str(number) for number in numbers)
        return f"There is no {reference}; {reference.name} has the versions {known}."
    if reference.name in names:
        return f"{reference.name} has no numbered version yet, only drafts."
    suggestion = did_you_mean(reference.name, names)
    return f"There is no prompt {reference.name!r} in the registry.{suggestion}"
