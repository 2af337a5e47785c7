"""The prompt registry: versions are numbered here and never change.

Identity is the content hash. A draft is content without a number; publishing gives that
same row the next number, so that runs made on the draft stay valid evidence.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, NotFound
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import AsyncSession, Database, IntegrityError
from app.repositories.prompts import PromptRepository
from app.schemas.names import Reference, parse_reference
from app.schemas.prompts import PromptContent, PromptSummary, PromptVersionView
from app.services import audit

__all__ = ["NumberTaken", "PromptService", "Registered"]

Origin = Literal["builtin", "file", "api"]


class NumberTaken(Conflict):
    """The number belongs to other content; `existing` and `diff` say to which."""

    code = "number_taken"

    def __init__(self, existing: PromptVersionView, content: PromptContent) -> None:
        self.existing = existing
        self.diff = "\n".join(
            difflib.unified_diff(
                list(existing.content.text_lines()),
                list(content.text_lines()),
                existing.reference,
                "yours",
                lineterm="",
            )
        )
        when = (existing.published_at or existing.created_at).strftime("%Y-%m-%d %H:%M UTC")
        super().__init__(
            f"{existing.reference} is taken: {existing.author} registered other content under "
            f"this number on {when}.",
            hint="Take the next free number with --renumber, or `workbench prompts pull`.",
        )


@dataclass(frozen=True)
class Registered:
    """The version and whether this call made it (False: it was there already)."""

    version: PromptVersionView
    created: bool


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
        """Store content under a number, or as a draft if `number` is None.

        With `renumber` a taken number gives way to the next free one. The same content
        under the same number again is no change. Raises `NumberTaken` for other content,
        `Conflict` if the content already has another number.
        """
        require(actor, Permission.PROMPT_WRITE)
        try:
            return await self._register(
                actor, name, content, number, renumber, description, message, origin
            )
        except IntegrityError:
            # Another process wrote the same number or content between our look and our write.
            return await self._register(
                actor, name, content, number, renumber, description, message, origin
            )

    async def _register(
        self,
        actor: Actor,
        name: str,
        content: PromptContent,
        number: int | None,
        renumber: bool,
        description: str,
        message: str,
        origin: Origin,
    ) -> Registered:
        async with self._database.write_session() as session:
            prompts = PromptRepository(session)
            now = self._clock.now()
            prompt_id = await prompts.ensure_prompt(name, str(actor), now)
            same = await prompts.by_hash(name, content.hash)
            if same is not None and (number is None or same.number == number):
                return Registered(same, created=False)
            if same is not None and same.number is not None:
                if renumber:
                    return Registered(same, created=False)
                raise Conflict(
                    f"This content is already registered as {same.reference}; "
                    f"it cannot be {name}@{number} as well.",
                    hint="Delete the file with the other number, or change the text.",
                )
            if number is not None:
                taken = await prompts.by_number(name, number)
                if taken is not None and not renumber:
                    raise NumberTaken(taken, content)
                if taken is not None:
                    number = await prompts.next_number(prompt_id)
            if same is not None and number is not None:
                version = await self._publish(session, actor, same, number, message)
            else:
                version_id = new_id()
                await prompts.add_version(
                    {
                        "id": version_id,
                        "prompt_id": prompt_id,
                        "number": number,
                        "content_hash": content.hash,
                        **content.stored(),
                        "description": description,
                        "message": message,
                        "origin": origin,
                        "author": str(actor),
                        "created_at": now,
                        "published_at": None if number is None else now,
                    }
                )
                version = await _found(prompts, version_id)
                action = "draft_stored" if number is None else "registered"
                await self._audit(session, actor, f"prompt_version.{action}", version)
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
    ) -> Registered:
        """Give content the next number, whether it was run as a draft before or not."""
        require(actor, Permission.PROMPT_WRITE)
        while True:
            async with self._database.write_session() as session:
                prompts = PromptRepository(session)
                prompt_id = await prompts.ensure_prompt(name, str(actor), self._clock.now())
                number = await prompts.next_number(prompt_id)
            try:
                registered = await self.register(
                    actor, name, content, number=number, message=message, description=description
                )
            except NumberTaken:
                continue  # somebody published in between: take the next number
            return registered

    async def _publish(
        self,
        session: AsyncSession,
        actor: Actor,
        draft: PromptVersionView,
        number: int,
        message: str,
    ) -> PromptVersionView:
        prompts = PromptRepository(session)
        await prompts.publish(
            draft.id, number=number, message=message, author=str(actor), now=self._clock.now()
        )
        version = await _found(prompts, draft.id)
        await self._audit(session, actor, "prompt_version.published", version)
        return version

    async def get(self, reference: Reference | str) -> PromptVersionView:
        """Return a version by `name`, `name@3` or `name@<hash prefix>`; `NotFound` says what exists."""
        if isinstance(reference, str):
            reference = parse_reference(reference, noun="prompt")
        async with self._database.read_session() as session:
            prompts = PromptRepository(session)
            if reference.hash_prefix is not None:
                found = await prompts.by_hash_prefix(reference.name, reference.hash_prefix)
                version = found[0] if len(found) == 1 else None
            elif reference.number is not None:
                version = await prompts.by_number(reference.name, reference.number)
            else:
                version = await prompts.latest(reference.name)
            if version is not None:
                return version
            numbers = [v.number for v in await prompts.versions(reference.name)]
            names = await prompts.names()
        raise NotFound(_not_found(reference, numbers, names))

    async def versions(self, name: str) -> list[PromptVersionView]:
        """Return the numbered versions of one prompt, oldest first."""
        async with self._database.read_session() as session:
            return await PromptRepository(session).versions(name)

    async def all_versions(self) -> list[PromptVersionView]:
        """Return every numbered version, by name and number."""
        async with self._database.read_session() as session:
            return await PromptRepository(session).all_versions()

    async def find_content(self, name: str, content: PromptContent) -> PromptVersionView | None:
        """Return the version or draft with exactly this content."""
        async with self._database.read_session() as session:
            return await PromptRepository(session).by_hash(name, content.hash)

    async def list(self) -> list[PromptSummary]:
        """Return every prompt that has a version."""
        async with self._database.read_session() as session:
            return await PromptRepository(session).summaries()

    async def _audit(
        self, session: AsyncSession, actor: Actor, action: str, version: PromptVersionView
    ) -> None:
        await audit.record(
            session,
            self._clock,
            actor,
            action,
            "prompt_version",
            str(version.id),
            version.reference,
            {"content_hash": version.content_hash, "origin": version.origin},
        )


async def _found(prompts: PromptRepository, version_id: UUID) -> PromptVersionView:
    version = await prompts.by_id(version_id)
    if version is None:
        raise NotFound("The version that was just written is gone.")
    return version


def _not_found(reference: Reference, numbers: list[int | None], names: list[str]) -> str:
    if numbers:
        known = ", ".join(str(number) for number in numbers)
        return f"There is no {reference}; {reference.name} has the versions {known}."
    close = difflib.get_close_matches(reference.name, names, n=1)
    suggestion = f" Did you mean {close[0]}?" if close else ""
    return f"There is no prompt {reference.name!r} in the registry.{suggestion}"
