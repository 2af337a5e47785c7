"""Lists of generations: everything that somebody may see, filtered, newest first.

Facts are listed to whoever may see them. A filter that reads texts, or who the user was, holds in
production only among answers whose content the reader may read, and that customers' texts were
searched, or answers found by their end user, is an audit event; what was searched for is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.permissions import Actor, Permission
from app.database import Database
from app.repositories.generation_filters import Place
from app.repositories.generation_lists import Found, GenerationListRepository
from app.repositories.provenance import ProvenanceRepository
from app.schemas.generations import (
    GenerationFilter,
    GenerationPage,
    SameAnswers,
    Sight,
)
from app.schemas.pages import as_id, decode_cursor, encode_cursor
from app.services import audit
from app.services.generations import may_see

__all__ = ["GenerationListService"]

_SHORTEST_TEXT: Final = 2  # characters


class GenerationListService:
    """Finds generations."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(
        self, actor: Actor, wanted: GenerationFilter, *, cursor: str | None, limit: int
    ) -> GenerationPage:
        """Return generations that the actor may see, newest first.

        Raises `Forbidden` if they may see none at all, `NotFound` for a run or experiment that is
        not theirs to see, `Invalid` for filters that nothing can meet.
        """
        _check(wanted)
        sight = _sight_of(actor)
        narrowed = _readable(actor, sight) if wanted.text or wanted.subject else sight
        before = None if cursor is None else _place(cursor)
        async with self._database.read_session() as session:
            lists = GenerationListRepository(session)
            if _names_a_run(wanted) and not await lists.names_a_run(wanted, sight):
                raise NotFound(_no_run(wanted))
            found = await lists.page(wanted, narrowed, before=before, limit=limit)
        if found.read_chats:
            await self._record_search(actor, wanted, found)
        return _page(found, left_out=narrowed != sight and _may_hold_chats(wanted))

    async def _record_search(self, actor: Actor, wanted: GenerationFilter, found: Found) -> None:
        # By their end user answers are found in an index: as many are looked at as there are.
        searched = len(found.items) if found.searched is None else found.searched
        async with self._database.write_session() as session:
            await audit.record(
                session,
                self._clock,
                actor,
                "production_content.searched",
                "alias",
                "",
                wanted.alias or "",
                {"searched": searched, "found": len(found.items)},
            )
            await session.commit()

    async def same_answers(self, actor: Actor, generation_id: UUID) -> SameAnswers:
        """Return how often a generation's request was made elsewhere, and what came of it.

        Raises `NotFound` for a generation that the actor may not see.
        """
        async with self._database.read_session() as session:
            home = await ProvenanceRepository(session).home(generation_id)
            if home is None or not may_see(actor, home):
                raise NotFound(f"There is no generation {generation_id}.")
            lists = GenerationListRepository(session)
            return await lists.same_answers(generation_id, _sight_of(actor))


def _sight_of(actor: Actor) -> Sight:
    """Return what an actor may see; `Forbidden` if that is nothing for want of a permission."""
    if not (actor.may(Permission.EXPERIMENT_READ) or actor.may(Permission.CHAT_READ)):
        raise Forbidden(
            f"{actor} lacks the permissions {Permission.EXPERIMENT_READ} and "
            f"{Permission.CHAT_READ}, of which one is needed."
        )
    return Sight(
        datasets=actor.prefixes(Permission.EXPERIMENT_READ),
        aliases=actor.prefixes(Permission.CHAT_READ),
        only=actor.aliases,
    )


def _readable(actor: Actor, sight: Sight) -> Sight:
    """Return the part of a sight whose texts the actor may read."""
    content = actor.prefixes(Permission.PRODUCTION_CONTENT_READ)
    return Sight(sight.datasets, _both(sight.aliases, content), sight.only)


def _both(one: Sequence[str] | None, other: Sequence[str] | None) -> Sequence[str] | None:
    """Return the prefixes below which a name is below one of each; None is every name."""
    if one is None or other is None:
        return other if one is None else one
    longer = {max(a, b, key=len) for a in one for b in other if a.startswith(b) or b.startswith(a)}
    return tuple(sorted(longer))


def _check(wanted: GenerationFilter) -> None:
    """Refuse filters that contradict each other."""
    of_runs = _names_a_run(wanted) or wanted.key is not None
    if of_runs and wanted.alias is not None:
        raise Invalid("A run is served by no alias: leave one of them out.", path="alias")
    if wanted.since and wanted.until and wanted.until <= wanted.since:
        raise Invalid("`until` must lie behind `since`.", path="until")
    if wanted.text is not None and len(wanted.text.strip()) < _SHORTEST_TEXT:
        raise Invalid(
            f"Search for at least {_SHORTEST_TEXT} characters that can be seen.", path="text"
        )
    if wanted.scorer is None and ("score" in wanted.least or "score" in wanted.most):
        raise Invalid("Scores are of a scorer: say which.", path="scorer")


def _names_a_run(wanted: GenerationFilter) -> bool:
    return bool(wanted.run_id or wanted.run) or wanted.experiment is not None


def _no_run(wanted: GenerationFilter) -> str:
    if wanted.run_id or wanted.run:
        return f"There is no run {wanted.run_id or wanted.run}."
    return f"There is no experiment {wanted.experiment}."


def _may_hold_chats(wanted: GenerationFilter) -> bool:
    return not (_names_a_run(wanted) or wanted.key) and (
        not wanted.purposes or "chat" in wanted.purposes
    )


def _place(cursor: str) -> Place:
    at, generation_id = decode_cursor(cursor, str, str)
    try:
        moment = datetime.fromisoformat(str(at))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Invalid(
            "The cursor is none of this list: use next_cursor of the page before.", path="cursor"
        )
    return Place(moment, as_id(generation_id))


def _page(found: Found, *, left_out: bool) -> GenerationPage:
    behind = found.behind
    return GenerationPage(
        items=found.items,
        next_cursor=None
        if behind is None
        else encode_cursor(behind.at.isoformat(), str(behind.id)),
        total_estimate=found.total,
        searched=found.searched,
        is_bounded=found.is_bounded,
        left_out=left_out,
    )
