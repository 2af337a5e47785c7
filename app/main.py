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
from app.bootstrap import open_services
from app.core.errors import ConfigurationError
from app.core.settings import Settings
from app.database.schema import schema_status

__all__ = ["create_app"]


def create_app(settings: Settings) -> FastAPI:
    """Build the application; its start compares the schema and refuses a wrong one."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            status = await schema_status(services.database)
            if not status.up_to_date:
                raise ConfigurationError(
                    f"The database's schema is at {status.current or 'none'}; this version "
                    f"needs {status.head}. Run `workbench db upgrade`."
                )
            app.state.services = services
            yield

    app = FastAPI(
        title="Prompt Workbench",
        description="Evaluate and govern prompts and model versions.",
        lifespan=lifespan,
        telemetry={"tracing": False},
    )
    add_error_handlers(app)
    app.include_router(health.router)
    app.include_router(prompts.router)
    app.include_router(models.router)
    return app
