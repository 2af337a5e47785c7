"""Outcomes in, stories out.

`record` is what the runner's group commit calls: one transaction for a batch. A failed
write raises and stops the run; nothing is counted as done before its commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import NotFound
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.answers import AnswerRepository
from app.repositories.generations import GenerationRepository
from app.repositories.judgements import JudgementRepository
from app.repositories.provenance import ProvenanceRepository
from app.repositories.reviews import ReviewRepository
from app.repositories.scores import ScoreRepository
from app.schemas.chat_counts import ChatCounts
from app.schemas.generations import (
    AttemptOutcome,
    AttemptView,
    CellValue,
    GenerationDetail,
    GenerationFacts,
    GenerationFilter,
    GenerationHome,
    GenerationView,
    Outcome,
    ReuseTotals,
    RunTotals,
    StoredAnswer,
)
from app.services import audit

__all__ = ["GenerationService", "may", "may_read", "may_see", "record_opening"]


class GenerationService:
    """Use cases of stored answers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(
        self, actor: Actor, outcomes: Sequence[Outcome], attempts: Sequence[AttemptOutcome]
    ) -> None:
        """Store a batch of outcomes and ended calls in one transaction."""
        require(actor, Permission.EXPERIMENT_RUN)
        async with self._database.write_session() as session:
            await GenerationRepository(session).add_outcomes(outcomes, attempts, self._clock.now())
            await session.commit()

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, tuple[str, str | None]]:
        """Return (status, error code) of those generations that have an outcome."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).statuses(ids)

    async def totals(self, run_ids: Sequence[UUID]) -> dict[UUID, RunTotals]:
        """Return the sums over each run's outcomes."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).totals(run_ids)

    async def attempt_count(self, run_ids: Sequence[UUID]) -> int:
        """Return how many ended calls are on the ledger for these runs."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).attempt_count(run_ids)

    async def reported(self, run_id: UUID) -> list[tuple[str | None, str | None, int]]:
        """Return what the provider called the model in this run: (name, fingerprint, count)."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).reported(run_id)

    async def stories(
        self,
        run_id: UUID,
        *,
        key: str | None = None,
        statuses: Sequence[str] = (),
        after: tuple[str, int] | None = None,
        limit: int = 20,
    ) -> list[GenerationView]:
        """Return whole generations of a run, by key and repetition, from `after` on."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).stories(
                run_id, key=key, statuses=statuses, after=after, limit=limit
            )

    async def attempts(self, generation_ids: Sequence[UUID]) -> dict[UUID, list[AttemptView]]:
        """Return every ended call made for each of up to a thousand generations."""
        async with self._database.read_session() as session:
            return await GenerationRepository(session).attempts(generation_ids)

    async def answers_of_cells(self, ids: Sequence[UUID]) -> dict[UUID, StoredAnswer]:
        """Return the answers of those of the generations that a model answered, by their ids."""
        async with self._database.read_session() as session:
            return await AnswerRepository(session).of_cells(ids)

    async def answers_to_requests(
        self, hashes: Sequence[str], *, besides: Sequence[UUID]
    ) -> dict[str, StoredAnswer]:
        """Return the newest answer to each request, by its hash, given outside some runs."""
        async with self._database.read_session() as session:
            return await AnswerRepository(session).to_requests(hashes, besides=besides)

    async def cell_values(self, ids: Sequence[UUID], scorer_id: UUID) -> dict[UUID, CellValue]:
        """Return how those of the cells ended that have an outcome, with their scores."""
        async with self._database.read_session() as session:
            return await AnswerRepository(session).values(ids, scorer_id)

    async def of_cell(self, run_id: UUID, key: str, repetition: int) -> GenerationView | None:
        """Return the generation of one cell of a run, if it has one."""
        async with self._database.read_session() as session:
            found = await AnswerRepository(session).locate(run_id, key, repetition)
            return None if found is None else await GenerationRepository(session).story(found)

    async def by_id(self, generation_id: UUID) -> GenerationView:
        """Return one whole generation; `NotFound` if there is none."""
        async with self._database.read_session() as session:
            found = await GenerationRepository(session).story(generation_id)
        if found is None:
            raise NotFound(f"There is no generation {generation_id}.")
        return found

    async def read(self, actor: Actor, generation_id: UUID) -> GenerationDetail:
        """Return one generation with its whole provenance; `NotFound` if the actor may not see it.

        The content of a customer's chat takes a permission of its own, and each opening of it is
        recorded before it is given out; without it the facts are shown and the texts withheld.
        """
        async with self._database.read_session() as session:
            home = await ProvenanceRepository(session).home(generation_id)
        if home is None or not may_see(actor, home):
            raise NotFound(f"There is no generation {generation_id}.")
        is_withheld = not may_read(actor, home)
        if home.purpose == "chat" and not is_withheld:
            await record_opening(self._database, self._clock, actor, generation_id, home)
        detail = await self._detail(generation_id)
        return _without_content(detail) if is_withheld else detail

    async def _detail(self, generation_id: UUID) -> GenerationDetail:
        async with self._database.read_session() as session:
            provenance = ProvenanceRepository(session)
            home = await provenance.home(generation_id)
            story = await GenerationRepository(session).story(generation_id)
            attempts = await GenerationRepository(session).attempts([generation_id])
            scores = await ScoreRepository(session).of_generations([generation_id])
            judgements = await JudgementRepository(session).of_generations([generation_id])
            chat = await provenance.chat(generation_id)
            reviews = await ReviewRepository(session).marks(generation_id)
        if story is None or home is None:
            raise NotFound(f"There is no generation {generation_id}.")
        return GenerationDetail(
            generation=story,
            run=home.run,
            dataset=home.dataset,
            variant_id=home.variant_id,
            chat=chat,
            content_withheld=False,
            attempts=attempts[generation_id],
            scores=scores[generation_id],
            judgements=judgements[generation_id],
            reviews=reviews,
            experiment=home.experiment,
        )

    async def counts(self, actor: Actor, wanted: GenerationFilter) -> ChatCounts:
        """Count answers in production, by what gave them and how they ended, and for how many."""
        require(actor, Permission.CHAT_READ)
        async with self._database.read_session() as session:
            return await ProvenanceRepository(session).counts(
                wanted, actor.prefixes(Permission.CHAT_READ), actor.aliases
            )

    async def export(
        self, actor: Actor, wanted: GenerationFilter, *, limit: int
    ) -> list[GenerationDetail]:
        """Return answers in production whole, newest first; that they left is one audit event.

        Those whose content the actor may not read come without it.
        """
        require(actor, Permission.CHAT_READ)
        async with self._database.read_session() as session:
            found, _ = await ProvenanceRepository(session).of_production(
                wanted,
                actor.prefixes(Permission.CHAT_READ),
                actor.aliases,
                before=None,
                limit=limit,
            )
        readable = [
            item for item in found if may(actor, Permission.PRODUCTION_CONTENT_READ, item.alias)
        ]
        if readable:
            await self._record_export(actor, readable, wanted)
        shown = {item.id for item in readable}
        details = [await self._detail(item.id) for item in found]
        return [it if it.generation.id in shown else _without_content(it) for it in details]

    async def _record_export(
        self, actor: Actor, items: Sequence[GenerationFacts], wanted: GenerationFilter
    ) -> None:
        aliases = sorted({item.alias or "" for item in items})
        async with self._database.write_session() as session:
            await audit.record(
                session,
                self._clock,
                actor,
                "production_content.exported",
                "alias",
                "",
                wanted.alias or ", ".join(aliases)[:300],
                {
                    "answers": len(items),
                    "since": None if wanted.since is None else wanted.since.isoformat(),
                    "until": None if wanted.until is None else wanted.until.isoformat(),
                },
            )
            await session.commit()

    async def reuse_totals(self) -> ReuseTotals:
        """Return what could be used again and what was, over all runs."""
        async with self._database.read_session() as session:
            return await AnswerRepository(session).reuse_totals()


async def record_opening(
    database: Database, clock: Clock, actor: Actor, generation_id: UUID, home: GenerationHome
) -> None:
    """Record that somebody reads the texts of an answer in production; before they do."""
    async with database.write_session() as session:
        await audit.record(
            session,
            clock,
            actor,
            "production_content.opened",
            "generation",
            str(generation_id),
            home.alias or "",
        )
        await session.commit()


def may_read(actor: Actor, home: GenerationHome) -> bool:
    """Whether an actor who may see a generation may read its texts, too."""
    is_chat = home.purpose == "chat"
    return not is_chat or may(actor, Permission.PRODUCTION_CONTENT_READ, home.alias)


def may_see(actor: Actor, home: GenerationHome) -> bool:
    """Whether an actor may see the facts of a generation."""
    if home.purpose == "chat":
        is_its_own = actor.aliases is None or home.alias in actor.aliases
        return is_its_own and may(actor, Permission.CHAT_READ, home.alias)
    return may(actor, Permission.EXPERIMENT_READ, home.dataset)


def may(actor: Actor, permission: Permission, name: str | None) -> bool:
    """Whether the permission is held for a name; for what has no name it must hold for all."""
    if name is None:
        return actor.prefixes(permission) is None
    return actor.may(permission, name)


def _without_content(detail: GenerationDetail) -> GenerationDetail:
    """Leave out every text from or to people or models, and who the user was."""
    texts = ("error", "request", "output", "expected_output", "input")
    nothing = dict.fromkeys(texts)
    chat = detail.chat
    return detail.model_copy(
        update={
            "generation": detail.generation.model_copy(update=nothing),
            "chat": chat and chat.model_copy(update={"subject": None, "tags": None}),
            "content_withheld": True,
            "attempts": [a.model_copy(update={"error": None}) for a in detail.attempts],
            "scores": [s.model_copy(update={"explanation": None}) for s in detail.scores],
            "judgements": [
                j.model_copy(update={"request": None, "reply": None}) for j in detail.judgements
            ],
            "reviews": [r.model_copy(update={"reason": None}) for r in detail.reviews],
        }
    )
