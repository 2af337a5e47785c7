"""Statements on `budget` and `budget_lease`, and sums of what was spent without a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, insert, select, update

from app.database import AsyncSession
from app.models import Attempt, Budget, BudgetLease, Generation, Judgement, Run
from app.schemas.budgets import BudgetView, CallFacts, Lease

__all__ = ["BudgetRepository"]

_ZERO = Decimal(0)


class BudgetRepository:
    """A budget is its amount; what is gone of it is the sum over its leases."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_experiment(self, experiment_id: UUID, *, lock: bool = False) -> BudgetView | None:
        """Return the budget of an experiment; `lock` lets no one else lease until we commit."""
        statement = select(Budget.id, Budget.amount).where(Budget.experiment_id == experiment_id)
        if lock:
            statement = statement.with_for_update()
        row = (await self._session.execute(statement)).one_or_none()
        if row is None:
            return None
        live = BudgetLease.settled_at.is_(None)
        sums = select(
            func.sum(BudgetLease.spent),
            func.sum(case((live, BudgetLease.amount))),
        ).where(BudgetLease.budget_id == row.id)
        spent, leased = (await self._session.execute(sums)).one()
        return BudgetView(
            id=row.id, amount=row.amount, spent=spent or _ZERO, leased=leased or _ZERO
        )

    async def add(self, values: Mapping[str, Any]) -> None:
        await self._session.execute(insert(Budget), [dict(values)])

    async def set_amount(self, budget_id: UUID, amount: Decimal) -> None:
        await self._session.execute(
            update(Budget).where(Budget.id == budget_id).values(amount=amount)
        )

    async def add_lease(self, lease: Lease, budget_id: UUID, holder: str, at: datetime) -> None:
        row = {
            "id": lease.id,
            "budget_id": budget_id,
            "holder": holder,
            "amount": lease.amount,
            "spent": None,
            "created_at": at,
            "settled_at": None,
        }
        await self._session.execute(insert(BudgetLease), [row])

    async def settle_lease(
        self, lease_id: UUID, *, amount: Decimal, spent: Decimal, at: datetime
    ) -> None:
        """Account for a lease; one that somebody else has settled stays as it is."""
        await self._session.execute(
            update(BudgetLease)
            .where(BudgetLease.id == lease_id, BudgetLease.settled_at.is_(None))
            .values(amount=amount, spent=spent, settled_at=at)
        )

    async def unsettled(self, budget_id: UUID) -> list[Lease]:
        statement = select(BudgetLease.id, BudgetLease.amount).where(
            BudgetLease.budget_id == budget_id, BudgetLease.settled_at.is_(None)
        )
        return [Lease(*row) for row in await self._session.execute(statement)]

    async def ledger_cost(self, experiment_id: UUID) -> Decimal:
        """Return what all calls of an experiment have cost as far as it is known, with those of
        judges about its outputs."""
        of_experiment = select(Run.id).where(Run.experiment_id == experiment_id)
        own = select(func.sum(Attempt.cost)).where(Attempt.run_id.in_(of_experiment))
        judged = (
            select(Judgement.generation_id)
            .join(Generation, Generation.id == Judgement.judged_generation_id)
            .where(Generation.run_id.in_(of_experiment))
        )
        judges = select(func.sum(Attempt.cost)).where(
            Attempt.run_id.is_(None), Attempt.generation_id.in_(judged)
        )
        sums = [(await self._session.execute(it)).scalar_one() for it in (own, judges)]
        return sum((cost for cost in sums if cost is not None), _ZERO)

    async def earlier_calls(
        self, model_version_id: UUID, prompt_version_id: UUID | None, *, limit: int
    ) -> Sequence[CallFacts]:
        """Return what the newest answers of a model, to one prompt if it is given, have used."""
        statement = (
            select(Generation.input_tokens, Generation.output_tokens, Generation.latency_ms)
            .where(
                Generation.model_version_id == model_version_id,
                Generation.status == "completed",
                Generation.reused_from_id.is_(None),
            )
            .order_by(Generation.started_at.desc(), Generation.id)
            .limit(limit)
        )
        if prompt_version_id is not None:
            statement = statement.where(Generation.prompt_version_id == prompt_version_id)
        return [CallFacts(*row) for row in await self._session.execute(statement)]
