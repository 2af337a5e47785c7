"""What a model version was used for, and what stands on it now.

The catalog belongs to all teams, what is measured and served with it does not: usage is told by
purpose, of those purposes that the actor may read everywhere, since its sums could not be shared
out by names. Bindings are listed by name, so that each name is asked for on its own.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from app.core.clock import Clock
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.model_usage import ModelUsageRepository
from app.schemas.model_usage import MAX_BINDINGS, ModelBindings, ModelUsage, Purpose
from app.services.models import ModelService

__all__ = ["ModelUsageService"]

_MEASURED: Final[tuple[Purpose, ...]] = ("experiment", "judge")
_SERVED: Final[tuple[Purpose, ...]] = ("chat",)


class ModelUsageService:
    """Use cases of what is known of a model version's work."""

    def __init__(self, database: Database, clock: Clock, models: ModelService) -> None:
        self._database = database
        self._clock = clock
        self._models = models

    async def usage(self, actor: Actor, reference: str, *, days: int) -> ModelUsage:
        """Return what a version was called for in the last days, today included.

        Raises as `ModelService.read` does.
        """
        version = await self._models.read(actor, reference)
        now = self._clock.now()
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        since = today - timedelta(days=days - 1)
        purposes = _purposes(actor)
        async with self._database.report_session() as session:
            repository = ModelUsageRepository(session)
            rows = await repository.usage(version.id, purposes, since=since, until=now)
            last_used_at = await repository.last_used(version.id, purposes)
        return ModelUsage(
            model=version.reference,
            since=since,
            until=now,
            purposes=purposes,
            rows=rows,
            last_used_at=last_used_at,
        )

    async def bindings(self, actor: Actor, reference: str) -> ModelBindings:
        """Return the aliases and open experiments that use a version, of those the actor may see.

        Raises as `ModelService.read` does.
        """
        require(actor, Permission.MODEL_READ)
        version = await self._models.read(actor, reference)
        async with self._database.read_session() as session:
            repository = ModelUsageRepository(session)
            aliases = await repository.aliases(
                version.id,
                actor.prefixes(Permission.ALIAS_READ),
                actor.aliases,
                limit=MAX_BINDINGS + 1,
            )
            experiments = await repository.experiments(
                version.id, actor.prefixes(Permission.EXPERIMENT_READ), limit=MAX_BINDINGS + 1
            )
        return ModelBindings(
            model=version.reference,
            aliases=aliases[:MAX_BINDINGS],
            more_aliases=len(aliases) > MAX_BINDINGS,
            experiments=experiments[:MAX_BINDINGS],
            more_experiments=len(experiments) > MAX_BINDINGS,
        )


def _purposes(actor: Actor) -> tuple[Purpose, ...]:
    """Return the purposes whose generations the actor may read everywhere."""
    measured = _MEASURED if actor.prefixes(Permission.EXPERIMENT_READ) is None else ()
    sees_chats = actor.prefixes(Permission.CHAT_READ) is None and actor.aliases is None
    return (*measured, *(_SERVED if sees_chats else ()))
