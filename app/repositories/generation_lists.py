"""Generations in lists: of everything that somebody may see, newest first.

What an index knows is found in all of them. What none knows (texts, sums, scores) is looked for
among a bounded number of rows that the other filters let through; whoever wants to look further
goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CompoundSelect,
    Select,
    Subquery,
    Table,
    and_,
    case,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import aliased

from app.database import AsyncSession
from app.models import (
    Alias,
    Content,
    Dataset,
    DatasetVersion,
    Example,
    Experiment,
    Generation,
    Judgement,
    LanguageModel,
    ModelVersion,
    Prompt,
    PromptVersion,
    Run,
)
from app.repositories.content import ContentRepository, decode_body
from app.repositories.counting import count_up_to
from app.repositories.generation_filters import Place, Scope, amounts, listed, visible
from app.repositories.prefixes import below
from app.repositories.provenance import facts, told
from app.repositories.text_search import holds_text, may_hold_text
from app.schemas.generations import GenerationFacts, GenerationFilter, SameAnswers, Sight
from app.schemas.pages import MAX_COUNTED

__all__ = ["MAX_SEARCHED", "Found", "GenerationListRepository"]

MAX_SEARCHED: Final = 10_000
"""Rows among which a filter is looked for that no index knows."""

_MOST_COMPARED: Final = 1_000  # answers to one request
_CANDIDATES: Final = 500  # texts that are read to see whether they hold what is searched
_BATCH: Final = 200  # a bound on the number of SQL parameters
_CONTENT: Table = Content.__table__  # type: ignore[assignment] # declarative tables are tables


@dataclass(frozen=True, slots=True)
class Found:
    """Some rows of a list, in order; `behind` is where the list goes on if there is more.

    `searched` is how many rows were looked at for a filter without an index, `is_bounded` that
    there are more of them, and `read_chats` that texts of production were among them.
    """

    items: Sequence[GenerationFacts]
    total: int
    behind: Place | None
    searched: int | None = None
    is_bounded: bool = False
    read_chats: bool = False


class GenerationListRepository:
    """Finds generations."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def names_a_run(self, wanted: GenerationFilter, sight: Sight) -> bool:
        """Return whether the run or experiment that a filter names is there and in sight."""
        return bool(await self._ids(_runs(wanted, sight)))

    async def page(
        self, wanted: GenerationFilter, sight: Sight, *, before: Place | None, limit: int
    ) -> Found:
        """Return up to `limit` generations that are older than a place, newest first."""
        scope = await self._scope(wanted, sight)
        if scope.is_empty:
            return Found((), 0, None, searched=0 if wanted.is_bounded else None)
        if wanted.is_bounded:
            return await self._searched(scope, before, limit)
        places = await self._places(listed(scope, before, limit + 1))
        more = len(places) > limit
        return Found(
            await self._facts(places[:limit]),
            await self._count(scope),
            places[limit - 1] if more else None,
        )

    async def same_answers(self, generation_id: UUID, sight: Sight) -> SameAnswers:
        """Return how often the request of a generation was made elsewhere, in sight."""
        generation = await self._session.get_one(Generation, generation_id)
        seen = visible(await self._scope(GenerationFilter(), sight))
        original = generation.reused_from_id or generation.id
        in_sight = select(Generation.id).where(Generation.id != generation_id, seen)
        reused = in_sight.where(Generation.reused_from_id == original)
        used_again = await count_up_to(self._session, reused)
        if generation.request_hash is None:
            return SameAnswers(
                requests=None,
                reused=used_again,
                original_id=generation.reused_from_id,
                compared=0,
                same=0,
            )
        others = in_sight.where(Generation.request_hash == generation.request_hash)
        compared, same = await self._word_for_word(generation, others)
        return SameAnswers(
            requests=await count_up_to(self._session, others),
            reused=used_again,
            original_id=generation.reused_from_id,
            compared=compared,
            same=same,
        )

    async def _word_for_word(self, generation: Generation, others: Select[UUID]) -> tuple[int, int]:
        """Return how many of the others have an answer, up to a bound, and how many have this
        one's: its text, its calls of tools and its refusal; not how the model came to it."""
        own = await ContentRepository(self._session).bodies(
            [it for it in (generation.output_content_id,) if it is not None]
        )
        if not own:
            return 0, 0
        answer = _said(next(iter(own.values())))
        bodies = (
            select(_CONTENT.c.body)
            .join(Generation, Generation.output_content_id == _CONTENT.c.id)
            .where(Generation.id.in_(others), _CONTENT.c.body.is_not(None))
            .limit(_MOST_COMPARED)
        )
        found = [_said(decode_body(row[0])) for row in await self._session.execute(bodies)]
        return len(found), sum(said == answer for said in found)

    async def _count(self, scope: Scope) -> int:
        some = listed(scope, None, MAX_COUNTED, in_order=False).subquery()
        return await self._session.scalar(select(func.count()).select_from(some)) or 0

    async def _searched(self, scope: Scope, before: Place | None, limit: int) -> Found:
        """Look for what no index knows among the next rows that the other filters let through."""
        text = scope.wanted.text
        window = listed(scope, before, MAX_SEARCHED).subquery()
        most = limit if text is None else _CANDIDATES
        candidates = await self._places(_matching(scope.wanted, window, most))
        fitting = await self._fitting(text, [place.id for place in candidates])
        found = [place for place in candidates if place.id in fitting][:limit]
        is_full = len(found) == limit
        # Where candidates were as many as are read, it is not known what comes behind them.
        until = found[-1] if is_full else candidates[-1] if len(candidates) == most else None
        searched, chats = await self._looked_at(window, until)
        behind = until
        if until is None and searched == MAX_SEARCHED:
            last = select(window.c.at, window.c.id).order_by(window.c.at, window.c.id).limit(1)
            [end] = await self._places(last)
            behind = end if await self._places(listed(scope, end, 1)) else None
        return Found(
            await self._facts(found),
            len(found),
            behind,
            searched=searched,
            is_bounded=behind is not None and not is_full,
            read_chats=text is not None and chats > 0,
        )

    async def _looked_at(self, window: Subquery, until: Place | None) -> tuple[int, int]:
        """Return how many rows a window has up to a place, and how many of them hold texts of
        production: chats, and what judges were asked about chats."""
        judged = aliased(Generation)
        about_chat = (
            select(1)
            .select_from(Judgement)
            .join(judged, judged.id == Judgement.judged_generation_id)
            .where(Judgement.generation_id == Generation.id, judged.purpose == "chat")
            .exists()
        )
        is_chat = or_(Generation.purpose == "chat", and_(Generation.purpose == "judge", about_chat))
        statement = (
            select(func.count(), func.sum(case((is_chat, 1), else_=0)))
            .select_from(window)
            .join(Generation, Generation.id == window.c.id)
        )
        if until is not None:
            statement = statement.where(tuple_(window.c.at, window.c.id) >= until)
        searched, chats = (await self._session.execute(statement)).one()
        return searched, chats or 0

    async def _fitting(self, text: str | None, candidates: Sequence[UUID]) -> set[UUID]:
        """Return which candidates hold a text in what was written, and not as a field's name."""
        if text is None:
            return set(candidates)
        found: set[UUID] = set()
        for start in range(0, len(candidates), _BATCH):
            request, output = _CONTENT.alias("request"), _CONTENT.alias("output")
            statement = (
                select(Generation.id, request.c.body, output.c.body)
                .outerjoin(request, request.c.id == Generation.request_content_id)
                .outerjoin(output, output.c.id == Generation.output_content_id)
                .where(Generation.id.in_(candidates[start : start + _BATCH]))
            )
            rows = (await self._session.execute(statement)).all()
            found |= {
                row[0]
                for row in rows
                if any(body and holds_text(decode_body(body), text) for body in row[1:])
            }
        return found

    async def _scope(self, wanted: GenerationFilter, sight: Sight) -> Scope:
        """Look up the names of a filter."""
        runs = examples = prompts = models = aliases = None
        if wanted.run_id or wanted.run or wanted.experiment is not None:
            runs = await self._ids(_runs(wanted, sight))
        if wanted.key is not None:
            examples = await self._ids(_examples(wanted.key))
            if runs is None:
                runs = await self._ids(_runs_over(examples, sight))
        if wanted.prompt is not None:
            prompts = await self._ids(_prompt_versions(wanted))
        if wanted.model is not None or wanted.provider is not None:
            models = await self._ids(_model_versions(wanted))
        if wanted.alias is not None:
            aliases = await self._ids(select(Alias.id).where(Alias.name == wanted.alias))
        seen_runs = seen_aliases = None
        if sight.datasets is not None:
            seen_runs = await self._ids(_runs(GenerationFilter(), sight))
        if sight.aliases is not None or sight.only is not None:
            seen_aliases = await self._ids(_aliases(sight))
        return Scope(wanted, seen_runs, seen_aliases, runs, examples, prompts, models, aliases)

    async def _places(
        self, statement: Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]
    ) -> list[Place]:
        return [Place(row[0], row[1]) for row in await self._session.execute(statement)]

    async def _facts(self, places: Sequence[Place]) -> list[GenerationFacts]:
        if not places:
            return []
        statement = facts().where(Generation.id.in_([place.id for place in places]))
        found = {row[0].id: told(row) for row in await self._session.execute(statement)}
        return [found[place.id] for place in places]

    async def _ids(self, statement: Select[UUID]) -> list[UUID]:
        return list((await self._session.execute(statement)).scalars())


def _matching(wanted: GenerationFilter, window: Subquery, limit: int) -> Select[*tuple[Any, ...]]:
    """Return the places of a window whose generations may hold what no index knows."""
    statement = (
        select(window.c.at, window.c.id)
        .join(Generation, Generation.id == window.c.id)
        .where(*amounts(wanted))
        .order_by(window.c.at.desc(), window.c.id.desc())
        .limit(limit)
    )
    if wanted.text is None:
        return statement
    request, output = _CONTENT.alias("request"), _CONTENT.alias("output")
    bodies = (request.c.body, output.c.body)
    return (
        statement.outerjoin(request, request.c.id == Generation.request_content_id)
        .outerjoin(output, output.c.id == Generation.output_content_id)
        .where(or_(*(may_hold_text(body, wanted.text) for body in bodies)))
    )


def _said(output: Any) -> Any:
    if not isinstance(output, dict):
        return output
    return [output.get(name) for name in ("content", "tool_calls", "refusal")]


def _aliases(sight: Sight) -> Select[UUID]:
    statement = select(Alias.id).where(below(Alias.name, sight.aliases))
    if sight.only is not None:
        statement = statement.where(Alias.name.in_(list(sight.only)))
    return statement


def _runs(wanted: GenerationFilter, sight: Sight) -> Select[UUID]:
    statement = (
        select(Run.id)
        .join(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(below(Dataset.name, sight.datasets))
    )
    if wanted.run_id is not None:
        statement = statement.where(Run.id == wanted.run_id)
    if wanted.run is not None:
        statement = statement.where(Run.name == wanted.run)
    if wanted.experiment is not None:
        number = Experiment.number == wanted.experiment
        statement = statement.join(Experiment, Experiment.id == Run.experiment_id).where(number)
    return statement


def _examples(key: str) -> Select[UUID]:
    """Return the examples of a key in all datasets, each a probe of the unique index."""
    datasets = select(Dataset.id)
    return select(Example.id).where(Example.dataset_id.in_(datasets), Example.key == key)


def _runs_over(examples: Sequence[UUID], sight: Sight) -> Select[UUID]:
    datasets = select(Example.dataset_id).where(Example.id.in_(examples))
    return (
        select(Run.id)
        .join(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(DatasetVersion.dataset_id.in_(datasets), below(Dataset.name, sight.datasets))
    )


def _prompt_versions(wanted: GenerationFilter) -> Select[UUID]:
    """Return the versions of a prompt that answered anything."""
    prompt = wanted.prompt
    assert prompt is not None  # noqa: S101 - asked for only then
    used = select(1).where(Generation.prompt_version_id == PromptVersion.id).exists()
    statement = (
        select(PromptVersion.id)
        .join(Prompt, Prompt.id == PromptVersion.prompt_id)
        .where(Prompt.name == prompt.name, used)
    )
    if prompt.number is not None:
        statement = statement.where(PromptVersion.number == prompt.number)
    if prompt.hash_prefix is not None:
        like = PromptVersion.content_hash.startswith(prompt.hash_prefix, autoescape=True)
        statement = statement.where(like)
    return statement


def _model_versions(wanted: GenerationFilter) -> Select[UUID]:
    """Return the versions of a model, or of all of a provider's, that answered anything."""
    used = select(1).where(Generation.model_version_id == ModelVersion.id).exists()
    statement = (
        select(ModelVersion.id)
        .join(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
        .where(used)
    )
    if wanted.provider is not None:
        statement = statement.where(LanguageModel.provider == wanted.provider)
    if (model := wanted.model) is not None:
        statement = statement.where(
            LanguageModel.provider == model.provider, LanguageModel.name == model.name
        )
        if model.number is not None:
            statement = statement.where(ModelVersion.number == model.number)
    return statement
