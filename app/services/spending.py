"""What was spent in a month: by experiments, their judges and production, and by which models."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from app.core.clock import Clock
from app.core.errors import Forbidden
from app.core.permissions import Actor, Permission
from app.database import Database
from app.repositories.spending import SpendingRepository
from app.schemas.spending import ModelSpending, Month, PurposeSpending, Spending, parse_month

__all__ = ["SpendingService"]

_BUDGETS: Final = 20
_ZERO: Final = Decimal(0)


class SpendingService:
    """Use cases of looking at money; reads only."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of_month(self, actor: Actor, month: str | None = None) -> Spending:
        """Return what was spent in a month, written `2026-03`; without one, in this month.

        It counts what the actor may see: experiments over their datasets, chats through their
        aliases. `Forbidden` for whoever may see neither.
        """
        period = Month.of(self._clock.now()) if month is None else parse_month(month)
        sees_experiments = actor.may(Permission.EXPERIMENT_READ)
        sees_chats = actor.may(Permission.CHAT_READ)
        if not (sees_experiments or sees_chats):
            needed = f"{Permission.EXPERIMENT_READ} or {Permission.CHAT_READ}"
            raise Forbidden(f"{actor} lacks the permission {needed}.")
        datasets = actor.prefixes(Permission.EXPERIMENT_READ)
        aliases = actor.prefixes(Permission.CHAT_READ)
        async with self._database.report_session() as session:
            money = SpendingRepository(session)
            experiments = await money.of_experiments(period, datasets) if sees_experiments else None
            judges = await money.of_judges(period, datasets) if sees_experiments else None
            chats = (
                await money.of_production(period, aliases, actor.aliases) if sees_chats else None
            )
            budgets = await money.budgets(datasets, limit=_BUDGETS) if sees_experiments else []
        return Spending(
            starts_at=period.starts_at,
            ends_at=period.ends_at,
            experiments=_added(experiments),
            judges=_added(judges),
            production=_added(chats),
            budgets=tuple(budgets),
        )


def _added(models: Sequence[ModelSpending] | None) -> PurposeSpending | None:
    """Return the sum over models, the dearest first; what is unknown in all of them is unknown."""
    if models is None:
        return None
    known = [it.dollars for it in models if it.dollars is not None]
    unpriced = sum(it.unpriced for it in models)
    return PurposeSpending(
        calls=sum(it.calls for it in models),
        dollars=sum(known, _ZERO) if known or not unpriced else None,
        unpriced=unpriced,
        models=tuple(sorted(models, key=lambda it: (-(it.dollars or _ZERO), it.model))),
    )
