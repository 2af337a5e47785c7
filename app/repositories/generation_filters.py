"""The parts of statements that lists of generations are made of.

A list is a union of branches, and each branch is one range of an index that holds its rows in the
order of time: one status, one run, one prompt version, at least one purpose. So a page reads about
as many rows as it shows, and no planner is tempted to walk through everything in search of a few.
`_branches` says which filter makes the branches: the one that lets the fewest rows through.

A chat call is created as its generation begins, so `chat_call.created_at` is the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    case,
    desc,
    exists,
    false,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from app.models import (
    ChatCall,
    Generation,
    Judgement,
    Review,
    Score,
    Scorer,
)
from app.repositories.provenance import last_mark
from app.schemas.generations import Amount, GenerationFilter
from app.schemas.reviews import MARKS

__all__ = ["Place", "Scope", "amounts", "listed", "visible"]

_MOST_BRANCHES: Final = 60
_PURPOSES: Final = ("experiment", "judge", "chat")

Conditions = list[ColumnElement[bool]]
Places = CompoundSelect[*tuple[Any, ...]]


class Place(NamedTuple):
    """Where a generation stands in a list."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Scope:
    """A filter whose names are ids. None is no such filter; an empty sequence lets nothing pass.

    `seen_runs` and `seen_aliases` are those in sight; None is all of them, and then also what
    belongs to none.
    """

    wanted: GenerationFilter
    seen_runs: Sequence[UUID] | None = None
    seen_aliases: Sequence[UUID] | None = None
    runs: Sequence[UUID] | None = None
    examples: Sequence[UUID] | None = None
    prompt_versions: Sequence[UUID] | None = None
    model_versions: Sequence[UUID] | None = None
    aliases: Sequence[UUID] | None = None

    @property
    def sees_all(self) -> bool:
        """Whether everything is in sight."""
        return self.seen_runs is None and self.seen_aliases is None

    @property
    def is_empty(self) -> bool:
        """Whether no generation can be in it."""
        ids = (self.runs, self.examples, self.prompt_versions, self.model_versions, self.aliases)
        sees_nothing = self.seen_runs == [] and self.seen_aliases == []
        return sees_nothing or any(found is not None and not found for found in ids)


@dataclass(frozen=True, slots=True)
class _Branch:
    """One part of the list: `narrow` is what makes it a range of an index.

    One `of_chats` is read from `chat_call`; one that `is_seen` holds nothing out of sight.
    """

    narrow: ColumnElement[bool]
    of_chats: bool = False
    is_seen: bool = False


def listed(scope: Scope, before: Place | None, limit: int, *, in_order: bool = True) -> Places:
    """Return the statement of up to `limit` places older than one, newest first.

    Without an order, which counting does not need, any of them.
    """
    parts = []
    for branch in _branches(scope):
        part = _places(scope, branch, before).limit(limit)
        if in_order:
            at, id_ = _columns(branch)
            part = part.order_by(at.desc(), id_.desc())
        found = part.subquery()
        parts.append(select(found.c.at, found.c.id))
    union = union_all(*parts).limit(limit)
    return union.order_by(desc("at"), desc("id")) if in_order else union


def _columns(branch: _Branch) -> tuple[Any, Any]:
    if branch.of_chats:
        return ChatCall.created_at, ChatCall.generation_id
    return Generation.started_at, Generation.id


def _places(scope: Scope, branch: _Branch, before: Place | None) -> Select[*tuple[datetime, UUID]]:
    wanted = scope.wanted
    at, id_ = _columns(branch)
    statement = select(at.label("at"), id_.label("id"))
    of_generations = _conditions(scope, of_chats=branch.of_chats)
    if not branch.of_chats:
        if not (branch.is_seen or scope.sees_all):
            of_generations.append(visible(scope))
        if _asks_of_chats(scope):
            statement = statement.join(ChatCall, ChatCall.generation_id == Generation.id)
    elif of_generations:
        statement = statement.join(Generation, Generation.id == ChatCall.generation_id)
    if branch.of_chats and scope.seen_aliases is not None:
        statement = statement.where(ChatCall.alias_id.in_(scope.seen_aliases))
    statement = statement.where(branch.narrow, *of_generations, *_of_chat_calls(scope))
    if wanted.since is not None:
        statement = statement.where(at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(at < wanted.until)
    if before is not None:
        statement = statement.where(tuple_(at, id_) < before)
    return statement


def _asks_of_chats(scope: Scope) -> bool:
    wanted = scope.wanted
    return bool(scope.aliases or wanted.endings or wanted.conversation_id)


def _branches(scope: Scope) -> list[_Branch]:
    wanted = scope.wanted
    if wanted.request_id or wanted.trace_id or wanted.request_hash or wanted.reused_from_id:
        return [_Branch(true())]
    if wanted.conversation_id:
        return [_Branch(true(), of_chats=True)]
    if wanted.subject or wanted.review in ("ok", "flagged") or scope.examples is not None:
        return [_Branch(true())]
    if scope.runs is not None:
        return _each(Generation.run_id, scope.runs, is_seen=True)
    if wanted.statuses and "completed" not in wanted.statuses:
        return _each(Generation.status, wanted.statuses)
    if wanted.error_code:
        return [_Branch(true())]
    if wanted.endings and "completed" not in wanted.endings:
        return _each(ChatCall.ending, wanted.endings, of_chats=True)
    if wanted.finish_reason and wanted.finish_reason != "stop":
        return [_Branch(true())]
    if scope.prompt_versions is not None:
        return _each(Generation.prompt_version_id, scope.prompt_versions)
    if scope.model_versions is not None:
        return _each(Generation.model_version_id, scope.model_versions)
    if scope.aliases is not None:
        return _each(ChatCall.alias_id, scope.aliases, of_chats=True)
    if wanted.endings:
        return _each(ChatCall.ending, wanted.endings, of_chats=True)
    purposes = wanted.purposes or _PURPOSES
    return [branch for it in purposes for branch in _of_purpose(it, scope)] or [_Branch(false())]


def _of_purpose(purpose: str, scope: Scope) -> list[_Branch]:
    """Return the branches of a purpose: those in sight one by one where they are few."""
    is_it: ColumnElement[bool] = Generation.purpose == purpose
    if purpose == "experiment" and scope.seen_runs is not None:
        if len(scope.seen_runs) <= _MOST_BRANCHES:
            return _each(Generation.run_id, scope.seen_runs, is_seen=True)
        return [_Branch(and_(is_it, Generation.run_id.in_(scope.seen_runs)), is_seen=True)]
    if purpose == "chat" and scope.seen_aliases is not None:
        return _each(ChatCall.alias_id, scope.seen_aliases, of_chats=True)
    if purpose == "judge" and not scope.sees_all:
        return [_Branch(and_(is_it, _of_judges(scope)), is_seen=True)]
    return [_Branch(is_it, is_seen=True)]


def _each(
    column: InstrumentedAttribute[Any],
    values: Sequence[Any],
    *,
    of_chats: bool = False,
    is_seen: bool = False,
) -> list[_Branch]:
    if len(values) > _MOST_BRANCHES:
        return [_Branch(column.in_(values), of_chats, is_seen)]
    return [_Branch(column == value, of_chats, is_seen) for value in dict.fromkeys(values)]


def _conditions(scope: Scope, *, of_chats: bool) -> Conditions:
    """Return what generations must be, also where it makes the branches; those that are read as
    chat calls need not be told that they are of production."""
    wanted = scope.wanted
    purposes = None if of_chats and "chat" in wanted.purposes else wanted.purposes or None
    several: list[tuple[InstrumentedAttribute[Any], Sequence[Any] | None]] = [
        (Generation.run_id, scope.runs),
        (Generation.example_id, scope.examples),
        (Generation.prompt_version_id, scope.prompt_versions),
        (Generation.model_version_id, scope.model_versions),
        (Generation.purpose, purposes),
        (Generation.status, wanted.statuses or None),
    ]
    one: list[tuple[InstrumentedAttribute[Any], Any]] = [
        (Generation.error_code, wanted.error_code),
        (Generation.finish_reason, wanted.finish_reason),
        (Generation.subject, wanted.subject),
        (Generation.request_id, wanted.request_id),
        (Generation.trace_id, wanted.trace_id),
        (Generation.request_hash, wanted.request_hash),
        (Generation.reused_from_id, wanted.reused_from_id),
    ]
    return [
        *(column.in_(values) for column, values in several if values is not None),
        *(column == value for column, value in one if value is not None),
        *_of_partial_indexes(wanted),
        *_reviewed(wanted),
    ]


def _of_chat_calls(scope: Scope) -> Conditions:
    """Return what chat calls must be."""
    wanted = scope.wanted
    found: Conditions = []
    if scope.aliases is not None:
        found.append(ChatCall.alias_id.in_(scope.aliases))
    if wanted.endings:
        found.append(ChatCall.ending.in_(wanted.endings))
    if wanted.conversation_id is not None:
        found.append(ChatCall.conversation_id == wanted.conversation_id)
    return found


def _of_partial_indexes(wanted: GenerationFilter) -> Conditions:
    """Return what the conditions imply, in the words of the partial indexes: SQLite and a prepared
    statement know them by these alone."""
    found: Conditions = []
    if wanted.statuses and "completed" not in wanted.statuses:
        found.append(Generation.status != _word("completed"))
    if wanted.finish_reason and wanted.finish_reason != "stop":
        found.append(Generation.finish_reason != _word("stop"))
    return found


def _word(text: str) -> ColumnElement[str]:
    """Return a word of ours as a part of the statement's text."""
    return literal(text, literal_execute=True)


def _reviewed(wanted: GenerationFilter) -> Conditions:
    if wanted.review is None:
        return []
    marks = (Review.criterion == _word(MARKS), Review.source == _word("entered"))
    if wanted.review == "none":
        return [~exists().where(Review.generation_id == Generation.id, *marks)]
    marked = select(Review.generation_id).where(Review.label == wanted.review, *marks)
    return [Generation.id.in_(marked), last_mark() == wanted.review]


def visible(scope: Scope) -> ColumnElement[bool]:
    """Return that the statement's generation is in sight."""
    if scope.sees_all:
        return true()
    # No `or_`: PostgreSQL would take the index of purposes for it and read everything.
    return case(
        (Generation.purpose == "experiment", _of_experiments(Generation, scope)),
        (Generation.purpose == "chat", _of_chats(Generation, scope)),
        else_=_of_judges(scope),
    )


def _of_judges(scope: Scope) -> ColumnElement[bool]:
    """Return that a judge's question is in sight: as the answer is that it was asked about."""
    judged = aliased(Generation)
    about = (
        select(1)
        .select_from(Judgement)
        .join(judged, judged.id == Judgement.judged_generation_id)
        .where(
            Judgement.generation_id == Generation.id,
            or_(_of_experiments(judged, scope), _of_chats(judged, scope)),
        )
        .exists()
    )
    if scope.seen_runs is not None:
        return about
    return or_(about, ~exists().where(Judgement.generation_id == Generation.id))


def _of_experiments(generation: Any, scope: Scope) -> ColumnElement[bool]:
    is_one: ColumnElement[bool] = generation.purpose == "experiment"
    if scope.seen_runs is None:
        return is_one
    return and_(is_one, generation.run_id.in_(scope.seen_runs))


def _of_chats(generation: Any, scope: Scope) -> ColumnElement[bool]:
    is_one: ColumnElement[bool] = generation.purpose == "chat"
    if scope.seen_aliases is None:
        return is_one
    # A scalar, which is looked up row by row: for a join or a semi-join PostgreSQL would read the
    # calls of all aliases in sight.
    call = aliased(ChatCall)
    alias = (
        select(call.alias_id).where(call.generation_id == generation.id).limit(1).scalar_subquery()
    )
    return and_(is_one, alias.in_(scope.seen_aliases))


def amounts(wanted: GenerationFilter) -> Conditions:
    """Return the filters that no index knows, but for text."""
    columns: dict[Amount, ColumnElement[Any]] = {
        "cost": Generation.cost.expression,
        "latency_ms": Generation.latency_ms.expression,
        "tokens": Generation.input_tokens + Generation.output_tokens,
    }
    found: Conditions = []
    for name, column in columns.items():
        if (least := wanted.least.get(name)) is not None:
            found.append(column >= _amount(name, least))
        if (most := wanted.most.get(name)) is not None:
            found.append(column <= _amount(name, most))
    if wanted.scorer is not None:
        found.append(_scored(wanted, wanted.scorer))
    return found


def _amount(name: Amount, value: float) -> Decimal | float:
    return Decimal(str(value)) if name == "cost" else value


def _scored(wanted: GenerationFilter, scorer: str) -> ColumnElement[bool]:
    scorers = select(Scorer.id).where(Scorer.name == scorer)
    conditions = [Score.generation_id == Generation.id, Score.scorer_id.in_(scorers)]
    if (least := wanted.least.get("score")) is not None:
        conditions.append(Score.value >= least)
    if (most := wanted.most.get("score")) is not None:
        conditions.append(Score.value <= most)
    return exists().where(*conditions)
