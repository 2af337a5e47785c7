"""How the service is: its version, its database, and whether somebody does the queued work."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version
from typing import Final

from app.core.clock import Clock
from app.core.errors import Forbidden
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.database.revisions import schema_status
from app.repositories.status import StatusRepository
from app.schemas.status import ServiceStatus

__all__ = ["StatusService"]

_PACKAGE: Final = "prompt-workbench"
_PATIENCE: Final = timedelta(seconds=30)
"""A worker takes up a job within seconds; one that waits for longer has none."""


class StatusService:
    """Use cases of looking after the service; reads only."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, actor: Actor) -> ServiceStatus:
        """Return how the service is.

        A worker is not asked: that one is missing is concluded from work that nobody takes up.
        """
        require(actor, Permission.METRICS_READ)
        if actor.prefixes(Permission.METRICS_READ) is not None:
            raise Forbidden("The queue is of all teams: it takes a role for all names.")
        schema = await schema_status(self._database)
        async with self._database.read_session() as session:
            queue = await StatusRepository(session).queue()
        waits_since = queue.oldest_queued_at
        waits_long = waits_since is not None and self._clock.now() - waits_since > _PATIENCE
        return ServiceStatus(
            version=version(_PACKAGE),
            database="sqlite" if self._database.is_sqlite else "postgresql",
            schema_revision=schema.current or "none",
            schema_needed=schema.head,
            queue=queue,
            is_waiting_for_worker=waits_long and not queue.running,
        )
