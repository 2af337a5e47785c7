"""What an experiment may spend: set it, lease it out to processes, account for it.

The database has the one account. A process takes a lease before it spends, in a transaction
under the budget's row lock, and settles it when it takes the next one or ends; an unsettled
lease counts in full. So at any moment: spent + leased <= amount, and what was really spent is
not more than spent + leased, whoever was killed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, NotFound
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import AsyncSession, Database
from app.llm.budget import Funds, LeasedBudget, slice_of
from app.repositories.budgets import BudgetRepository
from app.schemas.budgets import BudgetView, CallFacts, Lease, check_amount
from app.services import audit

__all__ = ["BudgetService"]

_ZERO = Decimal(0)
_HOLDER_LENGTH = 200
_BEFORE = "calls made before there was a budget"


class BudgetService:
    """Use cases of budgets."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def set(
        self, actor: Actor, experiment_id: UUID, number: int, amount: Decimal
    ) -> BudgetView:
        """Give an experiment a budget, or another one; return it.

        The first budget of an experiment that has spent already counts what the ledger knows of
        that. Raises `Invalid` for no amount and `Conflict` for less than is spent.
        """
        require(actor, Permission.BUDGET_WRITE)
        check_amount(amount)
        async with self._database.write_session() as session:
            budgets = BudgetRepository(session)
            budget = await budgets.of_experiment(experiment_id, lock=True)
            before = budget.amount if budget is not None else None
            if budget is None:
                budget = await self._begin(session, actor, experiment_id, amount)
            gone = budget.spent + budget.leased
            if amount < gone:
                raise Conflict(
                    f"Experiment {number} has spent ${gone:.4f} already, which is more than "
                    f"${amount:f}.",
                    hint="A budget is for the whole experiment: name a larger one.",
                )
            if before != amount:
                await budgets.set_amount(budget.id, amount)
                await audit.record(
                    session,
                    self._clock,
                    actor,
                    "budget.set" if before is None else "budget.changed",
                    "experiment",
                    str(experiment_id),
                    str(number),
                    {"amount": f"{amount:f}", "before": None if before is None else f"{before:f}"},
                )
            await session.commit()
        return budget.model_copy(update={"amount": amount})

    async def _begin(
        self, session: AsyncSession, actor: Actor, experiment_id: UUID, amount: Decimal
    ) -> BudgetView:
        budgets, now, budget_id = BudgetRepository(session), self._clock.now(), new_id()
        await budgets.add(
            {
                "id": budget_id,
                "experiment_id": experiment_id,
                "amount": amount,
                "created_at": now,
                "created_by": str(actor),
            }
        )
        spent = await budgets.ledger_cost(experiment_id)
        if spent:
            earlier = Lease(new_id(), spent)
            await budgets.add_lease(earlier, budget_id, _BEFORE, now)
            await budgets.settle_lease(earlier.id, amount=spent, spent=spent, at=now)
        return BudgetView(id=budget_id, amount=amount, spent=spent, leased=_ZERO)

    async def get(self, experiment_id: UUID) -> BudgetView | None:
        """Return an experiment's budget; None if it has none."""
        async with self._database.read_session() as session:
            return await BudgetRepository(session).of_experiment(experiment_id)

    async def settle_lost(self, actor: Actor, experiment_id: UUID) -> Decimal:
        """Count the leases of processes that were killed as spent, in full; return their sum.

        The caller holds the experiment's lock. In full, because calls that were in flight and
        outcomes that were not yet stored leave nothing from which a lower bound would follow.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        lost = _ZERO
        async with self._database.write_session() as session:
            budgets = BudgetRepository(session)
            budget = await budgets.of_experiment(experiment_id, lock=True)
            if budget is None or not budget.leased:
                return lost
            now = self._clock.now()
            for lease in await budgets.unsettled(budget.id):
                await budgets.settle_lease(
                    lease.id, amount=lease.amount, spent=lease.amount, at=now
                )
                lost += lease.amount
            await session.commit()
        return lost

    @asynccontextmanager
    async def open(
        self, actor: Actor, experiment_id: UUID, holder: str
    ) -> AsyncIterator[LeasedBudget | None]:
        """Yield this process's part of an experiment's budget; None if there is no budget.

        `holder` says who spends, for people to read. At the end the lease is settled.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        if await self.get(experiment_id) is None:
            yield None
            return
        budget = LeasedBudget(_Leases(self, actor, experiment_id, holder))
        try:
            yield budget
        finally:
            await budget.close()

    async def renew_lease(
        self,
        actor: Actor,
        experiment_id: UUID,
        holder: str,
        lease: Lease | None,
        *,
        spent: Decimal,
        reserved: Decimal,
        needed: Decimal,
    ) -> tuple[Funds, Lease | None]:
        """Settle a lease with `spent` and take the next one, as `LeaseStore.renew` says.

        Nothing is written if nothing would change.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        async with self._database.write_session() as session:
            budgets = BudgetRepository(session)
            budget = await budgets.of_experiment(experiment_id, lock=True)
            if budget is None:
                raise NotFound("The experiment has no budget any more.")
            live = {row.id: row.amount for row in await budgets.unsettled(budget.id)}
            # A lease that somebody took for lost is counted in full already.
            uncounted = spent if lease is None or lease.id in live else _ZERO
            others = sum((a for key, a in live.items() if not lease or key != lease.id), _ZERO)
            free = max(_ZERO, budget.amount - budget.spent - uncounted - others - reserved)
            taken = slice_of(needed, free)
            funds = Funds(reserved + taken, free - taken, others)
            if not spent and funds.leased == (lease.amount if lease else _ZERO):
                return funds, lease
            now = self._clock.now()
            renewed = await _replace(budgets, budget.id, holder, lease, spent, funds.leased, now)
            await session.commit()
        return funds, renewed

    async def earlier_calls(
        self, model_version_id: UUID, prompt_version_id: UUID | None, *, limit: int = 500
    ) -> Sequence[CallFacts]:
        """Return what the newest answers of a model, to one prompt if it is given, have used."""
        async with self._database.read_session() as session:
            return await BudgetRepository(session).earlier_calls(
                model_version_id, prompt_version_id, limit=limit
            )


class _Leases:
    """One holder's leases, one after the other."""

    def __init__(
        self, service: BudgetService, actor: Actor, experiment_id: UUID, holder: str
    ) -> None:
        self._service = service
        self._actor = actor
        self._experiment_id = experiment_id
        self._holder = holder[:_HOLDER_LENGTH]
        self._lease: Lease | None = None

    async def renew(self, *, spent: Decimal, reserved: Decimal, needed: Decimal) -> Funds:
        funds, self._lease = await self._service.renew_lease(
            self._actor,
            self._experiment_id,
            self._holder,
            self._lease,
            spent=spent,
            reserved=reserved,
            needed=needed,
        )
        return funds


async def _replace(
    budgets: BudgetRepository,
    budget_id: UUID,
    holder: str,
    lease: Lease | None,
    spent: Decimal,
    leased: Decimal,
    now: datetime,
) -> Lease | None:
    """Account for a lease and take another one of `leased`; none of nothing."""
    if lease is not None:
        # A provider that charges more than its own bound is counted with what it charged.
        amount = max(lease.amount, spent)
        await budgets.settle_lease(lease.id, amount=amount, spent=spent, at=now)
    if not leased:
        return None
    taken = Lease(new_id(), leased)
    await budgets.add_lease(taken, budget_id, holder, now)
    return taken
