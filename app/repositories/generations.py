"""Statements on `generation` and `attempt`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Insert, Select, Table, and_, case, func, insert, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from app.core.ids import new_id
from app.database import AsyncSession
from app.models import (
    Attempt,
    Content,
    Example,
    Generation,
    LanguageModel,
    ModelVersion,
    Prompt,
    PromptVersion,
    Variant,
)
from app.repositories.content import ContentRepository, content_row
from app.schemas.generations import (
    AttemptOutcome,
    AttemptView,
    GenerationView,
    Outcome,
    RunTotals,
)

__all__ = ["GenerationRepository", "provider_label"]

_LABEL_LENGTH = 200
_ANSWERED = ("completed", "refused")
_CONTENT: Table = Content.__table__  # type: ignore[assignment] # declarative tables are tables
_GENERATION: Table = Generation.__table__  # type: ignore[assignment] # as above
_ATTEMPT: Table = Attempt.__table__  # type: ignore[assignment] # as above
_ADD_CONTENT = insert(_CONTENT)
_ADD_ATTEMPT = insert(_ATTEMPT)


class GenerationRepository:
    """Outcomes in batches; stories one by one."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add_outcomes(
        self, outcomes: Sequence[Outcome], attempts: Sequence[AttemptOutcome], now: datetime
    ) -> None:
        """Insert a batch. A cell that a model answered before stays as it is; a failed one is
        replaced and counts one more in `reopened`."""
        contents: list[dict[str, Any]] = []
        generations = [_generation_row(outcome, contents, now) for outcome in outcomes]
        attempt_rows = [_attempt_row(attempt, contents, now) for attempt in attempts]
        if contents:
            await self._session.execute(_ADD_CONTENT, contents)
        if generations:
            await self._session.execute(self._upsert(), generations)
        if attempt_rows:
            await self._session.execute(_ADD_ATTEMPT, attempt_rows)

    def _upsert(self) -> Insert:
        dialect = self._session.get_bind().dialect.name
        return _UPSERTS[dialect]

    async def statuses(self, ids: Sequence[UUID]) -> dict[UUID, tuple[str, str | None]]:
        """Return (status, error code) of those generations that have a row."""
        found: dict[UUID, tuple[str, str | None]] = {}
        for start in range(0, len(ids), 500):
            statement = select(Generation.id, Generation.status, Generation.error_code).where(
                Generation.id.in_(ids[start : start + 500])
            )
            for row in await self._session.execute(statement):
                found[row.id] = (row.status, row.error_code)
        return found

    async def totals(self, run_ids: Sequence[UUID]) -> dict[UUID, RunTotals]:
        """Return the sums of each run; a run without outcomes has empty ones."""
        called = Generation.reused_from_id.is_(None)
        statement = (
            select(
                Generation.run_id,
                Generation.status,
                Generation.error_code,
                func.count(),
                func.sum(case((called, Generation.input_tokens))),
                func.sum(case((called, Generation.output_tokens))),
                func.sum(case((called, Generation.cost))),
                func.sum(case((and_(called, Generation.cost.is_(None)), 1), else_=0)),
                func.sum(case((Generation.reopened > 0, 1), else_=0)),
                func.sum(case((called, 0), else_=1)),
            )
            .where(Generation.run_id.in_(run_ids))
            .group_by(Generation.run_id, Generation.status, Generation.error_code)
        )
        rows = (await self._session.execute(statement)).all()
        return {run_id: _totals([r for r in rows if r[0] == run_id]) for run_id in run_ids}

    async def attempt_count(self, run_ids: Sequence[UUID]) -> int:
        """Return how many ended calls the ledger has for these runs."""
        statement = select(func.count()).select_from(Attempt).where(Attempt.run_id.in_(run_ids))
        return (await self._session.execute(statement)).scalar_one()

    async def reported(self, run_id: UUID) -> list[tuple[str | None, str | None, int]]:
        """Return the (model, fingerprint) pairs that the provider reported, with their counts."""
        statement = (
            select(Generation.reported_model, Generation.reported_fingerprint, func.count())
            .where(Generation.run_id == run_id, Generation.status == "completed")
            .group_by(Generation.reported_model, Generation.reported_fingerprint)
            .order_by(func.count().desc())
        )
        return [(r[0], r[1], r[2]) for r in await self._session.execute(statement)]

    async def stories(
        self,
        run_id: UUID,
        *,
        key: str | None = None,
        statuses: Sequence[str] = (),
        after: tuple[str, int] | None = None,
        limit: int,
    ) -> list[GenerationView]:
        """Return whole generations of a run, by example key and repetition."""
        statement = _stories().where(Generation.run_id == run_id)
        if key is not None:
            statement = statement.where(Example.key == key)
        if statuses:
            statement = statement.where(Generation.status.in_(statuses))
        if after is not None:
            statement = statement.where(tuple_(Example.key, Generation.repetition) > after)
        return await self._told(statement.order_by(Example.key, Generation.repetition).limit(limit))

    async def story(self, generation_id: UUID) -> GenerationView | None:
        """Return one whole generation."""
        told = await self._told(_stories().where(Generation.id == generation_id))
        return told[0] if told else None

    async def _told(self, statement: Select[*tuple[Any, ...]]) -> list[GenerationView]:
        rows = (await self._session.execute(statement)).all()
        bodies = await ContentRepository(self._session).bodies(
            {content_id for row in rows for content_id in _content_ids(row) if content_id}
        )
        return [_story(row, bodies) for row in rows]

    async def attempts(self, generation_ids: Sequence[UUID]) -> dict[UUID, list[AttemptView]]:
        """Return every ended call made for each generation, oldest first."""
        statement = (
            select(Attempt)
            .where(Attempt.generation_id.in_(generation_ids))
            .order_by(Attempt.started_at, Attempt.number)
        )
        rows = list((await self._session.execute(statement)).scalars())
        bodies = await ContentRepository(self._session).bodies(
            [row.error_content_id for row in rows if row.error_content_id]
        )
        found: dict[UUID, list[AttemptView]] = {generation: [] for generation in generation_ids}
        for row in rows:
            found[row.generation_id].append(_attempt(row, bodies))
        return found


def _attempt(row: Attempt, bodies: dict[UUID, Any]) -> AttemptView:
    return AttemptView(
        number=row.number,
        started_at=row.started_at,
        latency_ms=row.latency_ms,
        outcome=row.outcome,
        http_status=row.http_status,
        provider_request_id=row.provider_request_id,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost=row.cost,
        retry_after_s=row.retry_after_s,
        error=None if row.error_content_id is None else bodies.get(row.error_content_id),
    )


def _upsert_for(dialect: Any) -> Insert:
    """Insert, or replace an outcome that no model gave."""
    statement = dialect.insert(_GENERATION)
    kept = {"id", "purpose", "origin", "run_id", "example_id", "repetition", "reopened"}
    replaced: dict[str, Any] = {
        column.name: statement.excluded[column.name]
        for column in _GENERATION.columns
        if column.name not in kept
    }
    replaced["reopened"] = _GENERATION.c.reopened + 1
    upsert: Insert = statement.on_conflict_do_update(
        index_elements=["id"],
        set_=replaced,
        # Not `not_in`: a list parameter cannot be part of a batch.
        where=and_(*(_GENERATION.c.status != status for status in _ANSWERED)),
    )
    return upsert


_UPSERTS = {"sqlite": _upsert_for(sqlite), "postgresql": _upsert_for(postgresql)}


def _generation_row(
    outcome: Outcome, contents: list[dict[str, Any]], now: datetime
) -> dict[str, Any]:
    shared, usage = outcome.provenance, outcome.usage
    return {
        "id": outcome.id,
        "purpose": outcome.purpose,
        "origin": "imported" if shared.variant_id is None else "executed",
        "run_id": shared.run_id,
        "example_id": outcome.example_id,
        "repetition": outcome.repetition,
        "variant_id": shared.variant_id,
        "prompt_version_id": shared.prompt_version_id,
        "model_version_id": shared.model_version_id,
        "provider": shared.provider,
        "status": outcome.status,
        "finish_reason": outcome.finish_reason,
        "error_code": outcome.error_code,
        "request_content_id": _content(outcome.request, contents, now),
        "output_content_id": _content(outcome.output, contents, now),
        "error_content_id": _content(outcome.error, contents, now),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_source": usage.source.value,
        "cost": outcome.cost,
        "model_price_id": shared.model_price_id,
        "latency_ms": outcome.latency_ms,
        "time_to_first_token_ms": outcome.time_to_first_token_ms,
        "applied_parameters": shared.applied_parameters,
        "left_out_parameters": shared.left_out_parameters,
        "reported_model": provider_label(outcome.reported_model),
        "reported_fingerprint": provider_label(outcome.reported_fingerprint),
        "attempt_count": outcome.attempt_count,
        "reopened": 0,
        "request_hash": outcome.request_hash,
        "reused_from_id": outcome.reused_from_id,
        "subject": None,
        "request_id": outcome.request_id,
        "trace_id": outcome.trace_id,
        "started_at": outcome.started_at,
        "finished_at": outcome.finished_at,
    }


def _attempt_row(
    attempt: AttemptOutcome, contents: list[dict[str, Any]], now: datetime
) -> dict[str, Any]:
    record = attempt.record
    error = None
    if record.error_message is not None or record.error_body is not None:
        error = {"message": record.error_message, "body": record.error_body}
    return {
        "id": new_id(),
        "generation_id": attempt.generation_id,
        "run_id": attempt.run_id,
        "number": record.number,
        "started_at": record.started_at,
        "latency_ms": record.latency_ms,
        "outcome": record.outcome,
        "http_status": record.http_status,
        "provider_request_id": provider_label(record.provider_request_id),
        "input_tokens": record.usage.input_tokens,
        "output_tokens": record.usage.output_tokens,
        "usage_source": record.usage.source.value,
        "cost": record.cost,
        "retry_after_s": record.retry_after_s,
        "error_content_id": _content(error, contents, now),
    }


def provider_label(text: str | None) -> str | None:
    """Return a provider's name for something as both databases take it: no NUL, not too long."""
    return None if text is None else text.replace("\0", "")[:_LABEL_LENGTH]


def _content(value: Any, contents: list[dict[str, Any]], now: datetime) -> UUID | None:
    if value is None:
        return None
    row = content_row(value, now)
    contents.append(row)
    content_id: UUID = row["id"]
    return content_id


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _totals(rows: Sequence[Any]) -> RunTotals:
    by_status: dict[str, int] = {}
    by_error: dict[str, int] = {}
    for row in rows:
        by_status[row[1]] = by_status.get(row[1], 0) + row[3]
        if row[2] is not None:
            by_error[row[2]] = by_error.get(row[2], 0) + row[3]
    costs: list[Decimal] = [row[6] for row in rows if row[6] is not None]
    return RunTotals(
        by_status=by_status,
        by_error=by_error,
        input_tokens=_sum(row[4] for row in rows),
        output_tokens=_sum(row[5] for row in rows),
        cost=sum(costs, Decimal(0)) if costs else None,
        unpriced=sum(row[7] for row in rows),
        reopened=sum(row[8] for row in rows),
        reused=sum(row[9] for row in rows),
    )


def _stories() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Generation,
            Example.key,
            Example.content_id,
            Prompt.name,
            PromptVersion.number,
            PromptVersion.content_hash,
            LanguageModel.provider,
            LanguageModel.name,
            ModelVersion.number,
            Variant.parameters,
        )
        .outerjoin(Example, Example.id == Generation.example_id)
        .outerjoin(Variant, Variant.id == Generation.variant_id)
        .outerjoin(PromptVersion, PromptVersion.id == Generation.prompt_version_id)
        .outerjoin(Prompt, Prompt.id == PromptVersion.prompt_id)
        .outerjoin(ModelVersion, ModelVersion.id == Generation.model_version_id)
        .outerjoin(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
    )


def _content_ids(row: Any) -> tuple[UUID | None, ...]:
    generation: Generation = row[0]
    return (
        generation.request_content_id,
        generation.output_content_id,
        generation.error_content_id,
        row[2],
    )


def _story(row: Any, bodies: dict[UUID, Any]) -> GenerationView:
    generation: Generation = row[0]
    example = bodies.get(row[2]) or {}
    prompt = None
    if row[3] is not None:
        version = row[4] if row[4] is not None else f"draft-{row[5].removeprefix('sha256:')[:8]}"
        prompt = f"{row[3]}@{version}"

    def body(content_id: UUID | None) -> Any:
        return None if content_id is None else bodies.get(content_id)

    facts = {
        name: getattr(generation, name)
        for name in GenerationView.model_fields
        if name in _GENERATION.columns
    }
    return GenerationView(
        **facts,
        key=row[1],
        prompt=prompt,
        prompt_hash=row[5],
        model=None if row[7] is None else f"{row[6]}/{row[7]}@{row[8]}",
        asked_parameters=row[9],
        request=body(generation.request_content_id),
        output=body(generation.output_content_id),
        error=body(generation.error_content_id),
        expected_output=example.get("expected_output"),
        input=example.get("input"),
    )
