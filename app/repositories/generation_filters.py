"""The parts of statements that lists of generations are made of.

A list is walked by one filter, the one that lets the fewest rows through (`walk_of`): a union of
ranges, each of one index that holds its rows in the order of time. So a page reads about as many
rows as it shows, and no planner is tempted to walk through everything in search of a few. What the
other filters ask (`rest`) is looked for among a bounded number of the rows of that walk (`window`).

Who sees some names only walks through their runs and aliases. Where those are many, the newest of
them make the ranges, and the window ends where the next one would begin to matter (`newest`).

A chat call is created as its generation begins, so `chat_call.created_at` is the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import add
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
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from app.models import (
    Alias,
    ChatCall,
    Generation,
    Judgement,
    ModelVersion,
    PromptVersion,
    Review,
    Run,
    Score,
    Scorer,
)
from app.repositories.provenance import last_mark
from app.schemas.generations import Amount, GenerationFilter
from app.schemas.reviews import MARKS

__all__ = [
    "MOST_RANGES",
    "Group",
    "Place",
    "Scope",
    "Walk",
    "Window",
    "amounts",
    "carried",
    "counted",
    "in_sight",
    "newest",
    "rest",
    "visible",
    "walk_of",
    "window",
]

MOST_RANGES: Final = 16
"""Ranges of one window: more cost a planner more than they save."""

_PURPOSES: Final = ("experiment", "judge", "chat")
_AMOUNTS: Final[Mapping[Amount, Sequence[str]]] = {
    "cost": ("cost",),
    "latency_ms": ("latency_ms",),
    "tokens": ("input_tokens", "output_tokens"),
    "score": (),
}
"""Columns of generations that amounts are the sums of; scores are rows of their own."""

_OWNERS: Final[Mapping[str, InstrumentedAttribute[UUID]]] = {
    "run_id": Run.id,
    "prompt_version_id": PromptVersion.id,
    "model_version_id": ModelVersion.id,
    "alias_id": Alias.id,
}

Conditions = list[ColumnElement[bool]]
Window = CompoundSelect[*tuple[Any, ...]]


class Place(NamedTuple):
    """Where a generation stands in a list."""

    at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class Scope:
    """A filter whose names are ids. None is no such filter; an empty sequence lets nothing pass.

    `seen_runs` and `seen_aliases` are those in sight; None is all of them, and then also what
    belongs to none. `own_runs` and `own_aliases` are those of them that can have what is wanted.
    `runs` and `aliases` are in sight and can have it.
    """

    wanted: GenerationFilter
    seen_runs: Sequence[UUID] | None = None
    seen_aliases: Sequence[UUID] | None = None
    own_runs: Sequence[UUID] | None = None
    own_aliases: Sequence[UUID] | None = None
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
        purposes = self.wanted.purposes
        no_chats = self.asks_of_chats and bool(purposes) and "chat" not in purposes
        return sees_nothing or no_chats or any(found is not None and not found for found in ids)

    @property
    def asks_of_chats(self) -> bool:
        """Whether only answers in production can be in it."""
        wanted = self.wanted
        return bool(self.aliases is not None or wanted.endings or wanted.conversation_id)


@dataclass(frozen=True, slots=True)
class Group:
    """Ranges of one index, one for each value of its first column; without a column what it is
    told `also` is one range. One `of_chats` is read from `chat_call`."""

    column: InstrumentedAttribute[Any] | None
    values: Sequence[Any] = ()
    also: Sequence[ColumnElement[bool]] = ()
    of_chats: bool = False

    @property
    def is_empty(self) -> bool:
        return self.column is not None and not self.values

    def ranges(self) -> Conditions:
        """Return the conditions of the ranges; all values are one if they are too many."""
        if self.column is None or len(self.values) > MOST_RANGES:
            return [self.together()]
        return [and_(self.column == value, *self.also) for value in dict.fromkeys(self.values)]

    def together(self) -> ColumnElement[bool]:
        """Return the condition of all ranges."""
        if self.column is None:
            return and_(true(), *self.also)
        return and_(self.column.in_(self.values), *self.also)


@dataclass(frozen=True, slots=True)
class Walk:
    """By which ranges the rows of a list are read, and the names of the filters that these meet."""

    wanted: GenerationFilter
    groups: Sequence[Group]
    told: frozenset[str]

    def is_of_all(self, scope: Scope) -> bool:
        """Whether what is out of sight is among the rows, whatever it is."""
        return not (scope.sees_all or self.told & {"sight", "sight_but_judges"})


def walk_of(scope: Scope) -> Walk:
    """Return the walk that reads the fewest rows."""
    groups, told = _rare(scope) or _common(scope)
    if all(group.of_chats for group in groups):
        told |= {"purposes"}
    return Walk(scope.wanted, [it for it in groups if not it.is_empty], told)


_Walked = tuple[list[Group], frozenset[str]]


def _rare(scope: Scope) -> _Walked | None:
    """Return a walk through what there is little of, if that is wanted."""
    wanted = scope.wanted
    if found := _few(scope):
        also = [condition for conditions in found.values() for condition in conditions]
        return [Group(None, also=also)], frozenset(found)
    if wanted.conversation_id:
        group = Group(ChatCall.conversation_id, [wanted.conversation_id], of_chats=True)
        return [group], frozenset({"conversation_id"})
    if scope.runs is not None:
        return [Group(Generation.run_id, scope.runs)], frozenset({"runs", "sight"})
    if wanted.statuses and "completed" not in wanted.statuses:
        also = [Generation.status != _word("completed")]
        return [Group(Generation.status, wanted.statuses, also)], frozenset({"statuses"})
    if wanted.error_code:
        return [Group(Generation.error_code, [wanted.error_code])], frozenset({"error_code"})
    if wanted.endings and "completed" not in wanted.endings:
        group = Group(ChatCall.ending, wanted.endings, of_chats=True)
        return [group], frozenset({"endings"})
    if wanted.finish_reason and wanted.finish_reason != "stop":
        also = [Generation.finish_reason != _word("stop")]
        group = Group(Generation.finish_reason, [wanted.finish_reason], also)
        return [group], frozenset({"finish_reason"})
    return None


def _few(scope: Scope) -> dict[str, Conditions]:
    """Return the filters that one or a few rows meet: ids, end users, marks, examples."""
    wanted = scope.wanted
    one: dict[str, tuple[InstrumentedAttribute[Any], Any]] = {
        "request_id": (Generation.request_id, wanted.request_id),
        "trace_id": (Generation.trace_id, wanted.trace_id),
        "request_hash": (Generation.request_hash, wanted.request_hash),
        "reused_from_id": (Generation.reused_from_id, wanted.reused_from_id),
        "subject": (Generation.subject, wanted.subject),
    }
    found = {name: [column == it] for name, (column, it) in one.items() if it is not None}
    if wanted.review in ("ok", "flagged"):
        found["review"] = _marked(wanted.review)
    if scope.examples is not None:
        found["examples"] = [Generation.example_id.in_(scope.examples)]
        found["runs"] = [Generation.run_id.in_(scope.runs or ())]
    return found


def _common(scope: Scope) -> _Walked:
    """Return a walk through what there is much of. Who sees some names only walks through those,
    lest all that they read be out of their sight."""
    wanted = scope.wanted
    if scope.aliases is not None:
        group = Group(ChatCall.alias_id, scope.aliases, of_chats=True)
        return [group], frozenset({"aliases", "sight"})
    if not scope.sees_all:
        return _of_sight(scope)
    if scope.prompt_versions is not None:
        group = Group(Generation.prompt_version_id, scope.prompt_versions)
        return [group], frozenset({"prompt_versions"})
    if scope.model_versions is not None:
        group = Group(Generation.model_version_id, scope.model_versions)
        return [group], frozenset({"model_versions"})
    if wanted.endings:
        return [Group(ChatCall.ending, wanted.endings, of_chats=True)], frozenset({"endings"})
    group = Group(Generation.purpose, wanted.purposes or _PURPOSES)
    return [group], frozenset({"purposes"})


def _of_sight(scope: Scope) -> _Walked:
    """Return a walk through the runs and aliases in sight. Of judges all is read: their questions
    are in sight as the answers are that they were asked about."""
    purposes = ("chat",) if scope.asks_of_chats else scope.wanted.purposes or _PURPOSES
    groups = []
    if "experiment" in purposes:
        groups.append(
            Group(Generation.purpose, ["experiment"])
            if scope.own_runs is None
            else Group(
                Generation.run_id, scope.own_runs, [Generation.purpose == _word("experiment")]
            )
        )
    if "chat" in purposes:
        groups.append(
            Group(Generation.purpose, ["chat"])
            if scope.own_aliases is None
            else Group(ChatCall.alias_id, scope.own_aliases, of_chats=True)
        )
    if "judge" in purposes:
        groups.append(Group(Generation.purpose, ["judge"]))
    return groups, frozenset({"purposes", "sight_but_judges" if "judge" in purposes else "sight"})


def newest(
    group: Group, wanted: GenerationFilter, before: Place | None
) -> Select[*tuple[UUID, datetime | None]]:
    """Return the statement of a group's ids whose rows begin latest, and of when: one more than
    there may be ranges."""
    assert group.column is not None  # noqa: S101 - only ids are many
    owner = _OWNERS[group.column.key]
    at, _ = _columns(group)
    limits = _times(at, wanted)
    if before is not None:
        limits.append(at <= before.at)
    last = select(func.max(at)).where(group.column == owner, *group.also, *limits).scalar_subquery()
    return (
        select(owner, last)
        .where(owner.in_(group.values))
        .order_by(last.desc().nulls_last())
        .limit(MOST_RANGES + 1)
    )


def window(
    wanted: GenerationFilter,
    groups: Sequence[Group],
    before: Place | None,
    *,
    above: datetime | None = None,
    limit: int,
    carries: Sequence[str] | None = None,
) -> Window:
    """Return the statement of up to `limit` places older than one, newest first, and begun after
    `above`; if it `carries` anything, then what generations were wanted for, and these columns."""
    parts = []
    for group in groups:
        at, id_ = _columns(group)
        conditions = _times(at, wanted)
        if above is not None:
            conditions.append(at > above)
        if before is not None:
            conditions.append(tuple_(at, id_) < before)
        for narrow in group.ranges():
            part = _rows(group, carries=carries).where(narrow, *conditions)
            found = part.order_by(at.desc(), id_.desc()).limit(limit).subquery()
            parts.append(select(*found.c))
    return union_all(*parts).order_by(desc("at"), desc("id")).limit(limit)


def counted(walk: Walk, most: int) -> Select[*tuple[int]]:
    """Return the statement that counts the rows of a walk up to a bound."""
    parts = []
    for group in walk.groups:
        at, _ = _columns(group)
        found = _rows(group).where(group.together(), *_times(at, walk.wanted)).limit(most)
        parts.append(select(found.subquery().c.id))
    return select(func.count()).select_from(union_all(*parts).limit(most).subquery())


def _columns(group: Group) -> tuple[Any, Any]:
    if group.of_chats:
        return ChatCall.created_at, ChatCall.generation_id
    return Generation.started_at, Generation.id


def _rows(group: Group, *, carries: Sequence[str] | None = None) -> Select[*tuple[Any, ...]]:
    at, id_ = _columns(group)
    statement = select(at.label("at"), id_.label("id"))
    if carries is None:
        return statement
    purpose: ColumnElement[str] = Generation.purpose.expression
    if group.of_chats:
        purpose = _word("chat")
        if carries:
            statement = statement.join(Generation, Generation.id == ChatCall.generation_id)
    columns = (getattr(Generation, name) for name in dict.fromkeys(carries))
    return statement.add_columns(purpose.label("purpose"), *columns)


def _times(at: Any, wanted: GenerationFilter) -> Conditions:
    found: Conditions = []
    if wanted.since is not None:
        found.append(at >= wanted.since)
    if wanted.until is not None:
        found.append(at < wanted.until)
    return found


def carried(scope: Scope, walk: Walk) -> list[str]:
    """Return the columns of generations, besides `purpose`, that what a walk does not know takes:
    few, since a window is sorted with them, and since nobody reads its generations once more."""
    wanted = scope.wanted
    found = [column for column, _ in _unknown(scope, walk)]
    if walk.is_of_all(scope):
        found.append("run_id")
    for amount in {**wanted.least, **wanted.most}:
        found += _AMOUNTS[amount]
    if wanted.text:
        found += ["request_content_id", "output_content_id"]
    return [column for column in found if column != "purpose"]


def rest(scope: Scope, walk: Walk, row: Any) -> Conditions:
    """Return what a walk's rows must still be, in columns of a window, but for text and amounts."""
    found: Conditions = [
        getattr(row, column).in_(values) for column, values in _unknown(scope, walk)
    ]
    if of_calls := _of_calls(scope, walk):
        found.append(exists().where(ChatCall.generation_id == row.id, *of_calls))
    if scope.wanted.review == "none":
        found.append(~exists().where(Review.generation_id == row.id, *_marks()))
    if (is_seen := in_sight(scope, walk, row)) is not None:
        found.append(is_seen)
    return found


def in_sight(scope: Scope, walk: Walk, row: Any) -> ColumnElement[bool] | None:
    """Return that a row of a walk's window is in sight; None if all of them are."""
    if "sight_but_judges" in walk.told:
        return case((row.purpose == "judge", _of_judges(row, scope)), else_=true())
    return visible(scope, row) if walk.is_of_all(scope) else None


def _unknown(scope: Scope, walk: Walk) -> list[tuple[str, Sequence[Any]]]:
    """Return the columns of generations that a walk does not know, and their values."""
    wanted = scope.wanted
    several: list[tuple[str, str, Sequence[Any] | None]] = [
        ("runs", "run_id", scope.runs),
        ("prompt_versions", "prompt_version_id", scope.prompt_versions),
        ("model_versions", "model_version_id", scope.model_versions),
        ("purposes", "purpose", wanted.purposes or None),
        ("statuses", "status", wanted.statuses or None),
        ("error_code", "error_code", _one(wanted.error_code)),
        ("finish_reason", "finish_reason", _one(wanted.finish_reason)),
    ]
    return [
        (column, values)
        for name, column, values in several
        if values is not None and name not in walk.told
    ]


def _one(value: Any) -> Sequence[Any] | None:
    return None if value is None else [value]


def _of_calls(scope: Scope, walk: Walk) -> Conditions:
    """Return what the chat calls of a walk's rows must still be."""
    wanted = scope.wanted
    several: list[tuple[str, InstrumentedAttribute[Any], Sequence[Any] | None]] = [
        ("aliases", ChatCall.alias_id, scope.aliases),
        ("endings", ChatCall.ending, wanted.endings or None),
        ("conversation_id", ChatCall.conversation_id, _one(wanted.conversation_id)),
    ]
    return [
        column.in_(values)
        for name, column, values in several
        if values is not None and name not in walk.told
    ]


def _word(text: str) -> ColumnElement[str]:
    """Return a word of ours as a part of the statement's text."""
    return literal(text, literal_execute=True)


def _marks() -> Conditions:
    return [Review.criterion == _word(MARKS), Review.source == _word("entered")]


def _marked(mark: str) -> Conditions:
    """Return that a generation was last marked so."""
    marked = select(Review.generation_id).where(Review.label == mark, *_marks())
    return [Generation.id.in_(marked), last_mark() == mark]


def visible(scope: Scope, row: Any) -> ColumnElement[bool]:
    """Return that a generation, or a row of a window, is in sight."""
    if scope.sees_all:
        return true()
    # No `or_`: PostgreSQL would take the index of purposes for it and read everything.
    return case(
        (row.purpose == "experiment", _of_experiments(row, scope)),
        (row.purpose == "chat", _of_chats(row, scope)),
        else_=_of_judges(row, scope),
    )


def _of_judges(row: Any, scope: Scope) -> ColumnElement[bool]:
    """Return that a judge's question is in sight: as the answer is that it was asked about."""
    judged = aliased(Generation)
    about = (
        select(1)
        .select_from(Judgement)
        .join(judged, judged.id == Judgement.judged_generation_id)
        .where(
            Judgement.generation_id == row.id,
            or_(_of_experiments(judged, scope), _of_chats(judged, scope)),
        )
        .exists()
    )
    if scope.seen_runs is not None:
        return about
    return or_(about, ~exists().where(Judgement.generation_id == row.id))


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


def amounts(wanted: GenerationFilter, row: Any) -> Conditions:
    """Return what no index knows, but for text, in columns of a window."""
    found: Conditions = []
    for name, columns in _AMOUNTS.items():
        if not columns:
            continue
        if (least := wanted.least.get(name)) is not None:
            found.append(_sum(row, columns) >= _amount(name, least))
        if (most := wanted.most.get(name)) is not None:
            found.append(_sum(row, columns) <= _amount(name, most))
    if wanted.scorer is not None:
        found.append(_scored(wanted, wanted.scorer, row))
    return found


def _sum(row: Any, columns: Sequence[str]) -> ColumnElement[Any]:
    first, *others = (getattr(row, column) for column in columns)
    return reduce(add, others, first)


def _amount(name: Amount, value: float) -> Decimal | float:
    return Decimal(str(value)) if name == "cost" else value


def _scored(wanted: GenerationFilter, scorer: str, row: Any) -> ColumnElement[bool]:
    scorers = select(Scorer.id).where(Scorer.name == scorer)
    conditions = [Score.generation_id == row.id, Score.scorer_id.in_(scorers)]
    if (least := wanted.least.get("score")) is not None:
        conditions.append(Score.value >= least)
    if (most := wanted.most.get("score")) is not None:
        conditions.append(Score.value <= most)
    return exists().where(*conditions)
