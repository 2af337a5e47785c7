"""Statements that add up what calls cost in a month.

What experiments and judges cost is the sum over their calls (`attempt`), what production costs the
sum over its generations. A month of a run or of a model version is a range of an index that holds
what is added up, so that no row is read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Select, Subquery, and_, case, func, or_, select
from sqlalchemy.orm import aliased

from app.database import AsyncSession
from app.models import (
    Alias,
    Attempt,
    Budget,
    BudgetLease,
    ChatCall,
    Dataset,
    DatasetVersion,
    Experiment,
    Generation,
    Judgement,
    LanguageModel,
    ModelVersion,
    Run,
    Variant,
)
from app.repositories.prefixes import below
from app.schemas.spending import BudgetStanding, ModelSpending, Month

__all__ = ["SpendingRepository"]

_ZERO: Final = Decimal(0)
_LONGEST: Final = timedelta(days=1)
"""By how much the row of a call may be written after the call began."""

_SUMS: Final = (
    func.sum(Attempt.cost).label("cost"),
    func.count().label("calls"),
    func.count(
        case(
            (
                and_(
                    Attempt.cost.is_(None),
                    or_(Attempt.outcome == "ok", Attempt.output_tokens.is_not(None)),
                ),
                1,
            )
        )
    ).label("unpriced"),
)
"""Of calls: what they cost, how many there are, and of how many that is unknown."""

_MODEL: Final = (LanguageModel.provider, LanguageModel.name, ModelVersion.number)


class SpendingRepository:
    """Money that is gone."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_experiments(
        self, month: Month, prefixes: Sequence[str] | None
    ) -> list[ModelSpending]:
        """Return what the runs over datasets below the prefixes cost, judges not included."""
        calls = (
            select(Run.id.label("run_id"), *_SUMS)
            .join(Attempt, Attempt.run_id == Run.id)
            .where(Attempt.started_at >= month.starts_at, Attempt.started_at < month.ends_at)
            .group_by(Run.id)
            .subquery()
        )
        statement = (
            _added(calls)
            .join(Run, Run.id == calls.c.run_id)
            .join(Variant, Variant.id == Run.variant_id)
            .join(ModelVersion, ModelVersion.id == Variant.model_version_id)
            .join(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
            .join(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
            .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
            .where(below(Dataset.name, prefixes))
        )
        return await self._by_model(statement)

    async def of_judges(self, month: Month, prefixes: Sequence[str] | None) -> list[ModelSpending]:
        """Return what judges cost who were asked about answers below the prefixes."""
        judged = aliased(Generation)
        calls = (
            select(Generation.model_version_id, *_SUMS)
            .select_from(Judgement)
            .join(Attempt, Attempt.generation_id == Judgement.generation_id)
            .join(Generation, Generation.id == Judgement.generation_id)
            .join(judged, judged.id == Judgement.judged_generation_id)
            .join(Run, Run.id == judged.run_id)
            .join(DatasetVersion, DatasetVersion.id == Run.dataset_version_id)
            .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
            .where(
                Judgement.created_at >= month.starts_at,
                Judgement.created_at < month.ends_at + _LONGEST,
                Attempt.started_at >= month.starts_at,
                Attempt.started_at < month.ends_at,
                below(Dataset.name, prefixes),
            )
            .group_by(Generation.model_version_id)
            .subquery()
        )
        return await self._by_model(_of_versions(calls))

    async def of_production(
        self, month: Month, prefixes: Sequence[str] | None, only: Collection[str] | None
    ) -> list[ModelSpending]:
        """Return what chats cost through aliases below the prefixes and among `only`.

        Chats past every alias belong to no name: only None, for both, counts them.
        """
        wanted = select(
            Generation.model_version_id,
            func.sum(Generation.cost).label("cost"),
            func.count().label("calls"),
            func.count(
                case((and_(Generation.cost.is_(None), Generation.output_tokens.is_not(None)), 1))
            ).label("unpriced"),
        ).where(
            Generation.model_version_id.in_(select(ModelVersion.id)),  # leads to their index
            Generation.purpose == "chat",
            Generation.started_at >= month.starts_at,
            Generation.started_at < month.ends_at,
        )
        if prefixes is not None or only is not None:
            wanted = (
                wanted.join(ChatCall, ChatCall.generation_id == Generation.id)
                .join(Alias, Alias.id == ChatCall.alias_id)
                .where(below(Alias.name, prefixes))
            )
        if only is not None:
            wanted = wanted.where(Alias.name.in_(list(only)))
        chats = wanted.group_by(Generation.model_version_id).subquery()
        return await self._by_model(_of_versions(chats))

    async def budgets(self, prefixes: Sequence[str] | None, *, limit: int) -> list[BudgetStanding]:
        """Return the budgets of open experiments over datasets below the prefixes, newest first."""
        leased = case((BudgetLease.settled_at.is_(None), BudgetLease.amount))
        statement = (
            select(
                Experiment.number,
                Experiment.name,
                Budget.amount,
                func.sum(BudgetLease.spent),
                func.sum(leased),
            )
            .join(Budget, Budget.experiment_id == Experiment.id)
            .outerjoin(BudgetLease, BudgetLease.budget_id == Budget.id)
            .join(DatasetVersion, DatasetVersion.id == Experiment.dataset_version_id)
            .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
            .where(Experiment.status == "open", below(Dataset.name, prefixes))
            .group_by(Experiment.number, Experiment.name, Budget.amount)
            .order_by(Experiment.number.desc())
            .limit(limit)
        )
        return [
            BudgetStanding(
                experiment=number,
                name=name,
                amount=amount,
                spent=spent or _ZERO,
                leased=taken or _ZERO,
            )
            for number, name, amount, spent, taken in await self._session.execute(statement)
        ]

    async def _by_model(self, statement: Select[*tuple[Any, ...]]) -> list[ModelSpending]:
        rows = await self._session.execute(statement.group_by(*_MODEL).order_by(*_MODEL))
        return [
            ModelSpending(
                model=f"{provider}/{name}@{number}", calls=calls, dollars=cost, unpriced=unpriced
            )
            for provider, name, number, cost, calls, unpriced in rows
        ]


def _added(source: Subquery) -> Select[*tuple[Any, ...]]:
    columns = source.c
    return select(
        *_MODEL, func.sum(columns.cost), func.sum(columns.calls), func.sum(columns.unpriced)
    ).select_from(source)


def _of_versions(source: Subquery) -> Select[*tuple[Any, ...]]:
    return (
        _added(source)
        .join(ModelVersion, ModelVersion.id == source.c.model_version_id)
        .join(LanguageModel, LanguageModel.id == ModelVersion.language_model_id)
    )
