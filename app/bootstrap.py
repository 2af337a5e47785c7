"""Composition root: settings in, collaborating services out. Nothing else builds them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.clock import Clock, SystemClock
from app.core.settings import Settings
from app.database import Database
from app.services.prompts import PromptService

__all__ = ["Services", "open_services"]


@dataclass(frozen=True)
class Services:
    """Every use case of the product over one database."""

    settings: Settings
    clock: Clock
    database: Database
    prompts: PromptService


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Services]:
    """Yield the services over the settings' database; connections close at the end."""
    used_clock = clock or SystemClock()
    database = Database(settings.database_url)
    try:
        yield Services(
            settings=settings,
            clock=used_clock,
            database=database,
            prompts=PromptService(database, used_clock),
        )
    finally:
        await database.close()
