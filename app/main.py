"""The HTTP application: `create_app(settings)`.

Until the serving part with its users and keys exists, the application has no
authentication and is therefore for loopback only: `serve` binds it there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.api import health, models, prompts
from app.api.errors import add_error_handlers
from app.api.request_id import RequestIds
from app.bootstrap import open_services
from app.core.errors import ConfigurationError
from app.core.logging import Logger, create_logger
from app.core.settings import Settings
from app.database import Database
from app.database.revisions import schema_status
from app.services.builtin_prompts import register_builtin_prompts

__all__ = ["create_app"]


def create_app(settings: Settings, logger: Logger | None = None) -> FastAPI:
    """Build the application; without a logger it writes to standard error.

    Its start refuses a database that does not answer or has another schema, and registers
    the built-in prompts.
    """
    log = logger or create_logger(settings.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            await _check_schema(services.database)
            await register_builtin_prompts(services.prompts)
            app.state.services = services
            yield

    app = FastAPI(
        title="Prompt Workbench",
        description="Evaluate and govern prompts and model versions.",
        lifespan=lifespan,
        telemetry={"tracing": False},
    )
    add_error_handlers(app, log)
    app.add_middleware(RequestIds, logger=log)
    app.include_router(health.router)
    app.include_router(prompts.router)
    app.include_router(models.router)
    return app


async def _check_schema(database: Database) -> None:
    await database.ping()
    status = await schema_status(database)
    if not status.up_to_date:
        raise ConfigurationError(
            f"The database's schema is at {status.current or 'none'}; this version "
            f"needs {status.head}. Run `workbench db upgrade`."
        )
