"""What an actor may name as the model of a chat."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.clock import Clock
from app.core.errors import NotFound
from app.core.permissions import Actor, Permission
from app.database import Database
from app.repositories.served_models import ServedModelRepository
from app.schemas.served_models import ServedModel

__all__ = ["ServedModelService"]


class ServedModelService:
    """Reads of what is served."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list(self, actor: Actor) -> Sequence[ServedModel]:
        """Return the aliases that the actor may chat through, then the model versions if they may
        call models directly; each by name."""
        async with self._database.read_session() as session:
            served = ServedModelRepository(session)
            found = await served.aliases(actor.prefixes(Permission.CHAT_WRITE), actor.aliases)
            # Models are shared by everybody; a key that is bound to aliases may use these alone.
            if actor.aliases is None and actor.may(Permission.MODEL_DIRECT):
                found += await served.models(self._clock.now())
        return found

    async def get(self, actor: Actor, name: str) -> ServedModel:
        """Return one of those that are listed; `NotFound` for any other name."""
        for served in await self.list(actor):
            if served.name == name:
                return served
        raise NotFound(f"There is no model {name}.")
