"""Statements on the sums of production's answers, and on the answers that are not summed.

An answer counts when it has ended and came through an alias. Time is when it began, and ranges are
half-open. Who sums an hour holds its lock, so that no answer of it is being ended meanwhile: on
PostgreSQL an advisory lock that the trigger of migration 0007 shares, on SQLite the one writer's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, delete, false, func, insert, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from app.core.ids import lowest_id
from app.database import AsyncSession
from app.models import (
    Alias,
    ChatCall,
    Deployment,
    DeploymentTarget,
    Generation,
    LanguageModel,
    ModelVersion,
    Prompt,
    PromptVersion,
    Score,
    Scorer,
    TrafficLate,
    TrafficSpan,
    TrafficSum,
    Variant,
)
from app.repositories.prefixes import below
from app.schemas.models import ModelReference
from app.schemas.names import Reference
from app.schemas.traffic import (
    ENDINGS,
    TrafficCall,
    TrafficDeployment,
    TrafficKey,
    TrafficScope,
    TrafficSumRow,
)

__all__ = ["Range", "ScoreSums", "Span", "TrafficRepository"]

Span = Literal["hour", "day"]
Range = tuple[datetime, datetime]
ScoreSums = tuple[str, int, int, float, float, int]

_LOCK: Final = 7_007  # as in migration 0007
_KEEPER: Final = -1  # the lock of whoever sums; hours have numbers from 0
_READ_AT_ONCE: Final = 1_000
_LATEST_REPORT: Final = timedelta(days=32)
"""How long after an answer began its id may have been made: reports come within 31 days."""
_REACH: Final = timedelta(minutes=1)


class TrafficRepository:
    """Sums and calls of windows of time, and what surrounds them."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def aliases(
        self, prefixes: Sequence[str] | None, only: Collection[str] | None, name: str | None
    ) -> dict[UUID, str]:
        """Return the aliases below the prefixes and among `only`: all, or the one of a name."""
        statement = select(Alias.id, Alias.name).where(below(Alias.name, prefixes))
        if only is not None:
            statement = statement.where(Alias.name.in_(list(only)))
        if name is not None:
            statement = statement.where(Alias.name == name)
        return {row[0]: row[1] for row in await self._session.execute(statement)}

    async def prompt_version_ids(self, wanted: Reference) -> tuple[UUID, ...]:
        """Return the versions that a reference means: one, or all of a name."""
        statement = select(PromptVersion.id).join(Prompt, Prompt.id == PromptVersion.prompt_id)
        statement = statement.where(Prompt.name == wanted.name)
        if wanted.number is not None:
            statement = statement.where(PromptVersion.number == wanted.number)
        return tuple((await self._session.execute(statement)).scalars())

    async def model_version_ids(self, wanted: ModelReference) -> tuple[UUID, ...]:
        """Return the versions that a reference means: one, or all of a model."""
        statement = (
            select(ModelVersion.id)
            .join(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
            .where(LanguageModel.provider == wanted.provider, LanguageModel.name == wanted.name)
        )
        if wanted.number is not None:
            statement = statement.where(ModelVersion.number == wanted.number)
        return tuple((await self._session.execute(statement)).scalars())

    async def prompt_names(self, ids: Collection[UUID]) -> dict[UUID, str]:
        """Return `name@number` of prompt versions; only numbered ones are served."""
        statement = (
            select(PromptVersion.id, Prompt.name, PromptVersion.number)
            .join(Prompt, Prompt.id == PromptVersion.prompt_id)
            .where(PromptVersion.id.in_(ids))
        )
        return {row[0]: f"{row[1]}@{row[2]}" for row in await self._session.execute(statement)}

    async def model_names(self, ids: Collection[UUID]) -> dict[UUID, str]:
        """Return `provider/name@number` of model versions."""
        statement = (
            select(ModelVersion.id, LanguageModel.provider, LanguageModel.name, ModelVersion.number)
            .join(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
            .where(ModelVersion.id.in_(ids))
        )
        rows = await self._session.execute(statement)
        return {row[0]: f"{row[1]}/{row[2]}@{row[3]}" for row in rows}

    async def summed(self, span: Span, ranges: Sequence[Range]) -> set[datetime]:
        """Return the beginnings of the spans in some ranges that were summed."""
        statement = select(TrafficSpan.starts_at).where(
            TrafficSpan.span == span, _within(TrafficSpan.starts_at, ranges)
        )
        return set((await self._session.execute(statement)).scalars())

    async def summed_count(self, span: Span, within: Range) -> int:
        """Return how many spans of a range were summed."""
        statement = select(func.count()).where(
            TrafficSpan.span == span, _within(TrafficSpan.starts_at, [within])
        )
        return (await self._session.execute(statement)).scalar_one()

    async def late(self) -> set[datetime]:
        """Return the hours in which an answer has ended since they were summed."""
        statement = select(TrafficLate.starts_at).distinct()
        return set((await self._session.execute(statement)).scalars())

    async def sums(
        self, span: Span, ranges: Sequence[Range], scope: TrafficScope | None = None
    ) -> list[TrafficSumRow]:
        """Return the sums of the spans in some ranges; without a scope of everything."""
        table = TrafficSum
        statement = select(
            table.alias_id,
            table.prompt_version_id,
            table.model_version_id,
            table.role,
            table.starts_at,
            *(getattr(table, ending) for ending in ENDINGS),
            table.unpriced,
            table.uncounted,
            table.input_tokens,
            table.output_tokens,
            table.cost,
            table.latency,
            table.first_token,
        ).where(table.span == span, _within(table.starts_at, ranges))
        if scope is not None:
            versions = (table.prompt_version_id, table.model_version_id)
            statement = statement.where(*_in_scope(scope, table.alias_id, *versions))
        found = await self._session.execute(statement)
        last = 5 + len(ENDINGS)
        return [
            TrafficSumRow(TrafficKey(*row[:4]), row[4], tuple(row[5:last]), *row[last:])
            for row in found
        ]

    async def calls(
        self, ranges: Sequence[Range], scope: TrafficScope, *, most: int | None = None
    ) -> list[TrafficCall]:
        """Return the answers that began in some ranges and have ended, at most so many."""
        found: list[TrafficCall] = []
        for one in ranges:
            statement = (
                select(
                    ChatCall.alias_id,
                    Generation.prompt_version_id,
                    Generation.model_version_id,
                    func.coalesce(ChatCall.role, "primary"),
                    ChatCall.created_at,
                    ChatCall.ending,
                    Generation.input_tokens,
                    Generation.output_tokens,
                    Generation.cost,
                    Generation.latency_ms,
                    Generation.time_to_first_token_ms,
                )
                .join(Generation, Generation.id == ChatCall.generation_id)
                .where(
                    _within(ChatCall.created_at, [one]),
                    ChatCall.ending.is_not(None),
                    *_of_calls(scope),
                )
                .limit(None if most is None else most - len(found))
            )
            rows: Any = await self._session.stream(statement)
            async for part in rows.partitions(_READ_AT_ONCE):
                found += [TrafficCall(TrafficKey(*row[:4]), *row[4:]) for row in part]
        return found

    async def under_way(self, within: Range, scope: TrafficScope) -> int:
        """Return how many answers began in a range and have not ended."""
        statement = (
            select(func.count())
            .select_from(ChatCall)
            .join(Generation, Generation.id == ChatCall.generation_id)
            .where(
                ChatCall.ending.is_(None),
                _within(ChatCall.created_at, [within]),
                *_of_calls(scope),
            )
        )
        return (await self._session.execute(statement)).scalar_one()

    async def scores(self, within: Range, scope: TrafficScope) -> list[ScoreSums]:
        """Return for each scorer that scored answers of a range: its name, version and number of
        values, their sum, the sum of their squares, and how many are neither 0 nor 1.

        Found by the ids of answers, which begin with their time (see `repositories.provenance`).
        """
        since, until = within
        calls = (
            select(ChatCall.generation_id)
            .where(
                ChatCall.generation_id == Score.generation_id,
                _within(ChatCall.created_at, [within]),
                *_of_calls(scope),
            )
            .correlate(Score)
        )
        if scope.is_of_versions:
            calls = calls.join(Generation, Generation.id == ChatCall.generation_id)
        sums = (
            select(
                Score.scorer_id,
                func.count().label("n"),
                func.sum(Score.value).label("total"),
                func.sum(Score.value * Score.value).label("squares"),
                func.sum(case((Score.value.in_((0.0, 1.0)), 0), else_=1)).label("others"),
            )
            .where(
                Score.generation_id >= lowest_id(since - _REACH),
                Score.generation_id <= lowest_id(until + _LATEST_REPORT),
                Score.status == "scored",
                calls.exists(),
            )
            .group_by(Score.scorer_id)
            .subquery()
        )
        statement = (
            select(
                Scorer.name,
                Scorer.version,
                *(sums.c[it] for it in ("n", "total", "squares", "others")),
            )
            .join(sums, sums.c.scorer_id == Scorer.id)
            .order_by(Scorer.name, Scorer.version, Scorer.id)
        )
        return [tuple(row) for row in await self._session.execute(statement)]

    async def deployments(
        self, within: Range, scope: TrafficScope, *, most: int
    ) -> list[TrafficDeployment]:
        """Return the moves of the scope's aliases in a range by time, the newest so many."""
        shares = (
            select(DeploymentTarget.deployment_id, func.sum(DeploymentTarget.weight).label("share"))
            .where(DeploymentTarget.role == "canary")
            .group_by(DeploymentTarget.deployment_id)
            .subquery()
        )
        primary = and_(
            DeploymentTarget.deployment_id == Deployment.id, DeploymentTarget.role == "primary"
        )
        statement = (
            select(Deployment, Prompt.name, PromptVersion.number, LanguageModel.provider)
            .add_columns(LanguageModel.name, ModelVersion.number, func.coalesce(shares.c.share, 0))
            .outerjoin(shares, shares.c.deployment_id == Deployment.id)
            .outerjoin(DeploymentTarget, primary)
            .outerjoin(Variant, Variant.id == DeploymentTarget.variant_id)
            .outerjoin(PromptVersion, PromptVersion.id == Variant.prompt_version_id)
            .outerjoin(Prompt, Prompt.id == PromptVersion.prompt_id)
            .outerjoin(ModelVersion, ModelVersion.id == Variant.model_version_id)
            .outerjoin(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
            .where(Deployment.alias_id.in_(scope.aliases), _within(Deployment.created_at, [within]))
            .order_by(Deployment.created_at.desc(), Deployment.id.desc())
            .limit(most)
        )
        rows = (await self._session.execute(statement)).all()
        return [_deployment(row, scope) for row in reversed(rows)]

    async def first_call_at(self) -> datetime | None:
        """Return when the first answer through any alias began; one look into the index each."""
        first = (
            select(func.min(ChatCall.created_at))
            .where(ChatCall.alias_id == Alias.id)
            .scalar_subquery()
        )
        found = (await self._session.execute(select(first).select_from(Alias))).scalars()
        return min((at for at in found if at is not None), default=None)

    async def lock_keeping(self) -> bool:
        """Be the only one who sums until the transaction ends; false if somebody else is."""
        return await self._try_lock(_KEEPER)

    async def lock_hour(self, hour: datetime) -> bool:
        """Keep everybody from ending an answer of an hour until the transaction ends; false if an
        answer of it is being ended right now."""
        return await self._try_lock(int(hour.timestamp()) // 3600)

    async def replace(
        self, span: Span, sums: Mapping[datetime, Sequence[TrafficSumRow]], now: datetime
    ) -> None:
        """Put sums in the place of those that there are, by the beginnings of their spans."""
        if not sums:
            return
        await self.forget(span, sums)
        spans = [{"span": span, "starts_at": at, "summed_at": now} for at in sums]
        await self._session.execute(insert(TrafficSpan), spans)
        rows = [
            {"span": span, "starts_at": at, **_values(row)}
            for at, of_span in sums.items()
            for row in of_span
        ]
        if rows:
            await self._session.execute(insert(TrafficSum), rows)

    async def forget(self, span: Span, starts: Collection[datetime]) -> None:
        """Delete the sums of some spans, where there are any."""
        for table in (TrafficSum, TrafficSpan):
            await self._session.execute(
                delete(table).where(table.span == span, table.starts_at.in_(starts))
            )

    async def forget_late(self, hours: Collection[datetime]) -> None:
        """Delete the notes that some hours have to be summed again."""
        await self._session.execute(delete(TrafficLate).where(TrafficLate.starts_at.in_(hours)))

    async def _try_lock(self, number: int) -> bool:
        if self._session.get_bind().dialect.name == "sqlite":
            return True  # whoever writes is alone
        statement = select(func.pg_try_advisory_xact_lock(_LOCK, number))
        return bool((await self._session.execute(statement)).scalar_one())


def _within(
    column: InstrumentedAttribute[datetime], ranges: Sequence[Range]
) -> ColumnElement[bool]:
    return or_(false(), *(and_(column >= since, column < until) for since, until in ranges))


def _in_scope(
    scope: TrafficScope,
    alias: InstrumentedAttribute[Any],
    prompt: InstrumentedAttribute[Any],
    model: InstrumentedAttribute[Any],
) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [alias.in_(scope.aliases)]
    if scope.prompt_version_ids is not None:
        found.append(prompt.in_(scope.prompt_version_ids))
    if scope.model_version_ids is not None:
        found.append(model.in_(scope.model_version_ids))
    return found


def _of_calls(scope: TrafficScope) -> list[ColumnElement[bool]]:
    versions = (Generation.prompt_version_id, Generation.model_version_id)
    return _in_scope(scope, ChatCall.alias_id, *versions)


def _values(row: TrafficSumRow) -> dict[str, Any]:
    return {
        **row.key._asdict(),
        **dict(zip(ENDINGS, row.endings, strict=True)),
        "unpriced": row.unpriced,
        "uncounted": row.uncounted,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost": row.cost,
        "latency": list(row.latency),
        "first_token": list(row.first_token),
    }


def _deployment(row: Any, scope: TrafficScope) -> TrafficDeployment:
    made: Deployment = row[0]
    return TrafficDeployment(
        alias=scope.aliases[made.alias_id],
        number=made.number,
        kind=made.kind,
        at=made.created_at,
        by=made.created_by,
        reason=made.reason,
        prompt=None if row[1] is None else f"{row[1]}@{row[2]}",
        model=None if row[3] is None else f"{row[3]}/{row[4]}@{row[5]}",
        canary_share=float(row[6]),
        is_disabled=made.message is not None,
    )
