"""Generations in lists: of everything that somebody may see, newest first.

A list is walked by its strongest filter, and what that one's index knows is found in all rows. What
it does not know (the other filters, sums, scores, texts) is looked for among a bounded number of
the rows of that walk; whoever wants to look further goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    Table,
    and_,
    case,
    func,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.orm import aliased

from app.database import AsyncSession
from app.models import (
    Alias,
    Content,
    Dataset,
    DatasetVersion,
    Deployment,
    DeploymentTarget,
    Example,
    Experiment,
    Generation,
    Judgement,
    LanguageModel,
    ModelVersion,
    Prompt,
    PromptVersion,
    Run,
    Variant,
)
from app.repositories.content import ContentRepository, decode_body
from app.repositories.counting import count_up_to
from app.repositories.generation_filters import (
    MOST_RANGES,
    Group,
    Place,
    Scope,
    Walk,
    Window,
    amounts,
    carried,
    counted,
    in_sight,
    newest,
    rest,
    visible,
    walk_of,
    window,
)
from app.repositories.prefixes import below
from app.repositories.provenance import facts, told
from app.repositories.text_search import holds_text, may_hold_text
from app.schemas.generations import (
    GenerationFacts,
    GenerationFilter,
    SameAnswers,
    Sight,
)
from app.schemas.pages import MAX_COUNTED

__all__ = ["MAX_SEARCHED", "Found", "GenerationListRepository"]

MAX_SEARCHED: Final = 10_000
"""Rows among which is looked for what a list is not walked by."""

_FIRST_SEARCHED: Final = 250  # rows, which hold a page of what is not rare
_MOST_COMPARED: Final = 1_000  # answers to one request
_CANDIDATES: Final = 500  # texts that are read to see whether they hold what is searched
_BATCH: Final = 200  # a bound on the number of SQL parameters
_LAST_ID: Final = UUID(int=2**128 - 1)
_CONTENT: Table = Content.__table__  # type: ignore[assignment] # declarative tables are tables


@dataclass(frozen=True, slots=True)
class Found:
    """Some rows of a list, in order; `behind` is where the list goes on if there is more.

    `searched` is how many rows in sight were looked at, where that is no index's doing alone,
    `is_bounded` that there are more of them, and `read_chats` that texts of production were among
    them, or that answers were found by who their end user was.
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
        walk = walk_of(scope)
        if scope.is_empty or not walk.groups:
            return Found((), 0, None, searched=0 if wanted.is_bounded else None)
        search = _Search(scope, walk, limit)
        if search.is_needed:
            return await self._searched(search, before)
        statement, floor = await self._window(walk, before, limit + 1)
        places = await self._places(statement)
        total = await self._session.scalar(counted(walk, MAX_COUNTED)) or 0
        behind = places[limit - 1] if len(places) > limit else floor
        of_person = wanted.subject is not None and bool(places)
        return Found(await self._facts(places[:limit]), total, behind, read_chats=of_person)

    async def same_answers(self, generation_id: UUID, sight: Sight) -> SameAnswers:
        """Return how often the request of a generation was made elsewhere, in sight."""
        generation = await self._session.get_one(Generation, generation_id)
        seen = visible(await self._scope(GenerationFilter(), sight), Generation)
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

    async def _window(
        self, walk: Walk, before: Place | None, limit: int, *, carries: Sequence[str] | None = None
    ) -> tuple[Window, Place | None]:
        """Return the statement of a walk's next rows; and where they end, if not all of the runs
        and the like that it goes through are among its ranges."""
        groups: list[Group] = []
        above: datetime | None = None
        for group in walk.groups:
            if len(group.values) > MOST_RANGES:
                found = (await self._session.execute(newest(group, walk.wanted, before))).all()
                ids = [id_ for id_, at in found if at is not None]
                times = [at for _, at in found if at is not None]
                if len(ids) <= MOST_RANGES:
                    group = replace(group, values=ids)
                # With as many at the very same time nothing would be above the last.
                elif times[0] > times[-1]:
                    group = replace(group, values=ids[:-1])
                    above = times[-1] if above is None else max(above, times[-1])
            groups.append(group)
        some = [group for group in groups if not group.is_empty] or groups[:1]
        statement = window(walk.wanted, some, before, above=above, limit=limit, carries=carries)
        return statement, None if above is None else Place(above, _LAST_ID)

    async def _searched(self, search: _Search, before: Place | None) -> Found:
        """Look for what the walk does not know among its next rows: a few first, then as many as
        are looked at once."""
        for most in (_FIRST_SEARCHED, MAX_SEARCHED):
            statement, floor = await self._window(search.walk, before, most, carries=search.carries)
            rows = statement.subquery("looked_at")
            candidates = await self._places(search.candidates(rows))
            fitting = await self._fitting(search.text, [place.id for place in candidates])
            found = [place for place in candidates if place.id in fitting]
            if len(found) > search.limit:
                break
        is_full = len(found) > search.limit
        found = found[: search.limit]
        # Where candidates were as many as are read, it is not known what comes behind them.
        cut = candidates[-1] if len(candidates) == search.most else None
        until = found[-1] if is_full else cut
        looked = _Looked()
        if search.walk.wanted.is_bounded or not is_full:
            looked = await self._looked_at(search, rows, until)
        behind = until or floor
        if until is None and looked.rows == most:
            behind = await self._behind(search.walk, looked.end)
        is_bounded = behind is not None and not is_full
        of_person = search.walk.wanted.subject is not None and bool(found)
        return Found(
            await self._facts(found),
            await self._total(search, before, found, is_all=behind is None),
            behind,
            searched=looked.in_sight if search.walk.wanted.is_bounded or is_bounded else None,
            is_bounded=is_bounded,
            read_chats=of_person or (search.text is not None and looked.chats > 0),
        )

    async def _behind(self, walk: Walk, end: Place | None) -> Place | None:
        """Return the end of a window if the walk goes on behind it."""
        following, floor = await self._window(walk, end, 1)
        return end if floor is not None or await self._places(following) else None

    async def _total(
        self, search: _Search, before: Place | None, found: Sequence[Place], *, is_all: bool
    ) -> int:
        """Return how many the search finds among the newest rows; of texts and amounts, here."""
        if search.walk.wanted.is_bounded or (is_all and before is None):
            return len(found)
        walk, known = search.walk, 0
        if search.is_for_judges:
            *others, judges = walk.groups
            of_others = counted(replace(walk, groups=others), MAX_COUNTED)
            known = await self._session.scalar(of_others) or 0
            walk = replace(walk, groups=[judges])
        statement, _ = await self._window(walk, None, MAX_SEARCHED, carries=search.carries)
        counts = search.count(statement.subquery("looked_at"))
        return min(known + (await self._session.scalar(counts) or 0), MAX_COUNTED)

    async def _looked_at(self, search: _Search, rows: Subquery, until: Place | None) -> _Looked:
        """Return how far a search has come, up to a place."""
        judged = aliased(Generation)
        about_chat = (
            select(1)
            .select_from(Judgement)
            .join(judged, judged.id == Judgement.judged_generation_id)
            .where(Judgement.generation_id == rows.c.id, judged.purpose == "chat")
            .exists()
        )
        purpose = rows.c.purpose
        is_chat = or_(purpose == "chat", and_(purpose == "judge", about_chat))
        is_seen = in_sight(search.scope, search.walk, rows.c)
        if is_seen is None:
            is_seen = true()
        place = (rows.c.at, rows.c.id)
        counts = (func.count(), *(func.sum(case((it, 1), else_=0)) for it in (is_seen, is_chat)))
        statement = select(*place, *(count.over() for count in counts)).order_by(*place).limit(1)
        if until is not None:
            statement = statement.where(tuple_(*place) >= until)
        row = (await self._session.execute(statement)).first()
        return _Looked() if row is None else _Looked(Place(row[0], row[1]), *row[2:])

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
        scope = Scope(wanted)
        if sight.datasets is not None:
            scope = replace(scope, seen_runs=await self._ids(_runs(GenerationFilter(), sight)))
        if sight.aliases is not None or sight.only is not None:
            scope = replace(scope, seen_aliases=await self._ids(_aliases(sight)))
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
            aliases = await self._ids(_aliases(sight).where(Alias.name == wanted.alias))
        variants = _variants(prompts, models)
        return replace(
            scope,
            own_runs=await self._run_with(variants, scope.seen_runs),
            own_aliases=await self._serving(variants, scope.seen_aliases),
            runs=await self._run_with(variants, runs),
            examples=examples,
            prompt_versions=prompts,
            model_versions=models,
            aliases=await self._serving(variants, aliases),
        )

    async def _run_with(
        self, variants: Select[UUID] | None, runs: Sequence[UUID] | None
    ) -> Sequence[UUID] | None:
        """Return the runs of some variants; outputs that were made elsewhere may be of any."""
        if not runs or variants is None:
            return runs
        fitting = or_(Run.variant_id.is_(None), Run.variant_id.in_(variants))
        return await self._ids(select(Run.id).where(Run.id.in_(runs), fitting))

    async def _serving(
        self, variants: Select[UUID] | None, aliases: Sequence[UUID] | None
    ) -> Sequence[UUID] | None:
        """Return the aliases that ever served some variants: they answer with no others."""
        if not aliases or variants is None:
            return aliases
        statement = (
            select(Deployment.alias_id)
            .join(DeploymentTarget, DeploymentTarget.deployment_id == Deployment.id)
            .where(Deployment.alias_id.in_(aliases), DeploymentTarget.variant_id.in_(variants))
        )
        return await self._ids(statement.distinct())

    async def _places(self, statement: Select[*tuple[Any, ...]] | Window) -> list[Place]:
        return [Place(row[0], row[1]) for row in await self._session.execute(statement)]

    async def _facts(self, places: Sequence[Place]) -> list[GenerationFacts]:
        if not places:
            return []
        statement = facts().where(Generation.id.in_([place.id for place in places]))
        found = {row[0].id: told(row) for row in await self._session.execute(statement)}
        return [found[place.id] for place in places]

    async def _ids(self, statement: Select[UUID]) -> list[UUID]:
        return list((await self._session.execute(statement)).scalars())


class _Looked(NamedTuple):
    """How far a search came: the last place, how many rows were looked at, how many of them are in
    sight, and how many hold texts of production: chats, and what judges were asked about chats."""

    end: Place | None = None
    rows: int = 0
    in_sight: int = 0
    chats: int = 0


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for among the rows of a walk, for a page of `limit`."""

    scope: Scope
    walk: Walk
    limit: int

    @property
    def text(self) -> str | None:
        return self.walk.wanted.text

    @property
    def carries(self) -> Sequence[str]:
        """The columns of generations that are asked for."""
        return carried(self.scope, self.walk)

    @property
    def is_for_judges(self) -> bool:
        """Whether all that is to be found is which questions of judges are in sight."""
        wanted, told = self.walk.wanted, self.walk.told
        unknown = rest(self.scope, self.walk, Generation)
        return "sight_but_judges" in told and len(unknown) == 1 and not wanted.is_bounded

    @property
    def is_needed(self) -> bool:
        """Whether there is anything that the walk does not know."""
        return self.walk.wanted.is_bounded or bool(rest(self.scope, self.walk, Generation))

    @property
    def most(self) -> int:
        """How many candidates are read."""
        return self.limit + 1 if self.text is None else max(_CANDIDATES, self.limit + 1)

    def candidates(self, rows: Subquery) -> Select[*tuple[Any, ...]]:
        """Return the places of rows whose generations may be what is looked for."""
        statement = (
            select(rows.c.at, rows.c.id)
            .where(*self._conditions(rows))
            .order_by(rows.c.at.desc(), rows.c.id.desc())
            .limit(self.most)
        )
        if self.text is None:
            return statement
        request, output = _CONTENT.alias("request"), _CONTENT.alias("output")
        bodies = (request.c.body, output.c.body)
        return (
            statement.outerjoin(request, request.c.id == rows.c.request_content_id)
            .outerjoin(output, output.c.id == rows.c.output_content_id)
            .where(or_(*(may_hold_text(body, self.text) for body in bodies)))
        )

    def count(self, rows: Subquery) -> Select[*tuple[int]]:
        """Return the statement that counts the rows that are what is looked for, but for text."""
        return select(func.count()).select_from(rows).where(*self._conditions(rows))

    def _conditions(self, rows: Subquery) -> list[ColumnElement[bool]]:
        return [*rest(self.scope, self.walk, rows.c), *amounts(self.walk.wanted, rows.c)]


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


def _variants(prompts: Sequence[UUID] | None, models: Sequence[UUID] | None) -> Select[UUID] | None:
    """Return the variants of some prompt versions by some model versions; None is all of them."""
    if prompts is None and models is None:
        return None
    statement = select(Variant.id)
    if prompts is not None:
        statement = statement.where(Variant.prompt_version_id.in_(prompts))
    if models is not None:
        statement = statement.where(Variant.model_version_id.in_(models))
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
