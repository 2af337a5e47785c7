"""Statements that say what generations rest on, and count those of production.

In production ids are made as answers begin (UUIDv7), so that their order is that of time and a time
range is a range of ids. An experiment's ids (UUIDv8) are spread over all values: next to none of
them falls into such a range. Lists of everything are `app.repositories.generation_lists`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select
from sqlalchemy.orm import aliased

from app.database import AsyncSession
from app.models import (
    Alias,
    ChatCall,
    Dataset,
    DatasetVersion,
    Deployment,
    Example,
    Experiment,
    Generation,
    Judgement,
    LanguageModel,
    ModelVersion,
    Prompt,
    PromptVersion,
    Review,
    Run,
)
from app.repositories.content import ContentRepository
from app.repositories.counting import count_up_to
from app.repositories.prefixes import below
from app.schemas.chat_counts import ChatCount, ChatCounts
from app.schemas.generations import (
    ChatFacts,
    GenerationFacts,
    GenerationFilter,
    GenerationHome,
)
from app.schemas.reviews import MARKS

__all__ = ["ProvenanceRepository", "facts", "last_mark", "told"]

_REACH_MS: Final = 60_000
"""By how much an answer may begin after its id was made."""

_OWN: Final = tuple(
    name for name in GenerationFacts.model_fields if name in Generation.__table__.columns
)


class ProvenanceRepository:
    """Generations in lists, and what each one rests on."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_production(
        self,
        wanted: GenerationFilter,
        prefixes: Sequence[str] | None,
        only: Collection[str] | None = None,
        *,
        before: UUID | None,
        limit: int,
    ) -> tuple[list[GenerationFacts], int]:
        """Return answers in production through aliases below the prefixes and among `only`, newest
        first, and how many there are. Answers past every alias belong to no name: only None, for
        both, shows them."""
        statement = facts().where(*_in_production(wanted, prefixes, only))
        total = await count_up_to(self._session, statement.with_only_columns(Generation.id))
        if before is not None:
            statement = statement.where(Generation.id < before)
        rows = await self._session.execute(statement.order_by(Generation.id.desc()).limit(limit))
        return [told(row) for row in rows], total

    async def counts(
        self,
        wanted: GenerationFilter,
        prefixes: Sequence[str] | None,
        only: Collection[str] | None = None,
    ) -> ChatCounts:
        """Count the answers in production that `of_production` would list."""
        conditions = _in_production(wanted, prefixes, only)
        sums = facts().with_only_columns(
            func.count(Generation.id),
            func.count(ChatCall.actor.distinct()),
            func.count(Generation.subject.distinct()),
            func.count(ChatCall.conversation_id.distinct()),
            func.sum(Generation.cost),
            func.min(Generation.started_at),
            func.max(Generation.started_at),
        )
        answers, actors, subjects, conversations, cost, first_at, last_at = (
            await self._session.execute(sums.where(*conditions))
        ).one()
        target = (
            Alias.name,
            Deployment.number,
            ChatCall.role,
            Prompt.name,
            PromptVersion.number,
            LanguageModel.provider,
            LanguageModel.name,
            ModelVersion.number,
        )
        ended = func.coalesce(ChatCall.ending, "under way")
        grouped = (
            facts()
            .outerjoin(Deployment, Deployment.id == ChatCall.deployment_id)
            .with_only_columns(*target, ended, func.count(Generation.id))
            .where(*conditions)
            .group_by(*target, ended)
            .order_by(*target, ended)
        )
        endings: dict[tuple[Any, ...], dict[str, int]] = {}
        for *key, ending, count in await self._session.execute(grouped):
            endings.setdefault(tuple(key), {})[ending] = count
        return ChatCounts(
            answers=answers,
            actors=actors,
            subjects=subjects,
            conversations=conversations,
            cost=cost,
            first_at=first_at,
            last_at=last_at,
            targets=tuple(_counted(key, found) for key, found in endings.items()),
        )

    async def home(self, generation_id: UUID) -> GenerationHome | None:
        """Return where a generation belongs; a judge's question belongs where the answer does."""
        judged = aliased(Generation)
        statement = (
            select(
                func.coalesce(judged.purpose, Generation.purpose),
                Dataset.name,
                Run.name,
                Experiment.number,
                Alias.name,
                Generation.variant_id,
            )
            .outerjoin(Judgement, Judgement.generation_id == Generation.id)
            .outerjoin(judged, judged.id == Judgement.judged_generation_id)
            .outerjoin(Run, Run.id == func.coalesce(judged.run_id, Generation.run_id))
            .outerjoin(Experiment, Experiment.id == Run.experiment_id)
            .outerjoin(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
            .outerjoin(Dataset, Dataset.id == DatasetVersion.dataset_id)
            .outerjoin(ChatCall, ChatCall.generation_id == func.coalesce(judged.id, Generation.id))
            .outerjoin(Alias, Alias.id == ChatCall.alias_id)
            .where(Generation.id == generation_id)
        )
        row: Any = (await self._session.execute(statement)).one_or_none()
        return None if row is None else GenerationHome(*row)

    async def chat(self, generation_id: UUID) -> ChatFacts | None:
        """Return what is known of an answer in production, its tags included."""
        statement = (
            select(ChatCall, Alias.name, Deployment.number, Generation.subject)
            .join(Generation, Generation.id == ChatCall.generation_id)
            .outerjoin(Alias, Alias.id == ChatCall.alias_id)
            .outerjoin(Deployment, Deployment.id == ChatCall.deployment_id)
            .where(ChatCall.generation_id == generation_id)
        )
        row = (await self._session.execute(statement)).one_or_none()
        if row is None:
            return None
        call: ChatCall = row[0]
        tags = None
        if call.tags_content_id is not None:
            bodies = await ContentRepository(self._session).bodies([call.tags_content_id])
            tags = bodies.get(call.tags_content_id)
        own = {
            name: getattr(call, name)
            for name in ChatFacts.model_fields
            if name in ChatCall.__table__.columns
        }
        return ChatFacts(**own, alias=row[1], deployment=row[2], subject=row[3], tags=tags)


def last_mark() -> ScalarSelect[str]:
    """Return what the statement's generation was last marked as, as a column."""
    return (
        select(Review.label)
        .where(
            Review.generation_id == Generation.id,
            Review.criterion == MARKS,
            Review.source == "entered",
        )
        .order_by(Review.created_at.desc(), Review.id.desc())
        .limit(1)
        .correlate(Generation)
        .scalar_subquery()
    )


def facts() -> Select[*tuple[Any, ...]]:
    """Return a statement of generations with all that a list tells of them; see `told`."""
    return (
        select(
            Generation,
            Example.key,
            ChatCall.role,
            ChatCall.ending,
            Alias.name,
            Prompt.name,
            PromptVersion.number,
            PromptVersion.content_hash,
            LanguageModel.provider,
            LanguageModel.name,
            ModelVersion.number,
            ChatCall.conversation_id,
            last_mark(),
        )
        .outerjoin(Example, Example.id == Generation.example_id)
        .outerjoin(ChatCall, ChatCall.generation_id == Generation.id)
        .outerjoin(Alias, Alias.id == ChatCall.alias_id)
        .outerjoin(PromptVersion, PromptVersion.id == Generation.prompt_version_id)
        .outerjoin(Prompt, Prompt.id == PromptVersion.prompt_id)
        .outerjoin(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .outerjoin(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
    )


def _conditions(wanted: GenerationFilter) -> list[ColumnElement[bool]]:
    """Return what every list may be narrowed to."""
    found: list[ColumnElement[bool]] = []
    if wanted.statuses:
        found.append(Generation.status.in_(wanted.statuses))
    if wanted.since is not None:
        found.append(Generation.started_at >= wanted.since)
    if wanted.until is not None:
        found.append(Generation.started_at < wanted.until)
    if wanted.prompt is not None:
        found.append(Prompt.name == wanted.prompt.name)
        if wanted.prompt.number is not None:
            found.append(PromptVersion.number == wanted.prompt.number)
    if wanted.model is not None:
        found += [
            LanguageModel.provider == wanted.model.provider,
            LanguageModel.name == wanted.model.name,
        ]
        if wanted.model.number is not None:
            found.append(ModelVersion.number == wanted.model.number)
    return found


def _in_production(
    wanted: GenerationFilter, prefixes: Sequence[str] | None, only: Collection[str] | None
) -> list[ColumnElement[bool]]:
    """Return what an answer in production has to be to be found."""
    found = [
        Generation.purpose == "chat",
        Generation.id >= _first_id(wanted.since, reach_ms=_REACH_MS),
        below(Alias.name, prefixes),
        *_conditions(wanted),
    ]
    if wanted.until is not None:
        found.append(Generation.id <= _first_id(wanted.until))
    if wanted.alias is not None:
        found.append(Alias.name == wanted.alias)
    if only is not None:
        found.append(Alias.name.in_(list(only)))
    return found


def _counted(key: tuple[Any, ...], endings: dict[str, int]) -> ChatCount:
    alias, deployment, role, prompt, number, provider, model, version = key
    return ChatCount(
        alias=alias,
        deployment=deployment,
        role=role,
        prompt=f"{prompt}@{number}",
        model=f"{provider}/{model}@{version}",
        answers=sum(endings.values()),
        endings=endings,
    )


def _first_id(moment: datetime | None, *, reach_ms: int = 0) -> UUID:
    """Return an id that no UUIDv7 made at this moment, or `reach_ms` before it, is below.

    A UUIDv7 begins with 48 bits of milliseconds (RFC 9562, 5.7).
    """
    if moment is None:
        return UUID(int=0)
    return UUID(int=max(0, int(moment.timestamp() * 1000) - reach_ms) << 80)


def told(row: Any) -> GenerationFacts:
    """Return what a row of `facts` tells."""
    generation: Generation = row[0]
    prompt = None
    if row[5] is not None:
        number = row[6] if row[6] is not None else f"draft-{row[7].removeprefix('sha256:')[:8]}"
        prompt = f"{row[5]}@{number}"
    return GenerationFacts(
        **{name: getattr(generation, name) for name in _OWN},
        key=row[1],
        role=row[2],
        ending=row[3],
        alias=row[4],
        prompt=prompt,
        model=None if row[9] is None else f"{row[8]}/{row[9]}@{row[10]}",
        conversation_id=row[11],
        review=row[12],
    )
