"""The HTTP application: `create_app(settings)`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from fastapi import APIRouter, FastAPI
from opentelemetry.trace import TracerProvider
from pydantic import SecretStr

from app.api import (
    aliases,
    api_keys,
    comparisons,
    conversations,
    datasets,
    experiments,
    gates,
    generations,
    health,
    jobs,
    judges,
    limits,
    models,
    playground,
    prompts,
    published_aliases,
    reported_generations,
    reviews,
    roles,
    runs,
    scores,
    spending,
    status,
    traffic,
    users,
    variants,
)
from app.api import metrics as metrics_api
from app.api.authorisation import check_routes
from app.api.boundary import add_boundary
from app.api.chat_errors import add_chat_error_handlers
from app.api.errors import add_error_handlers
from app.api.openai import routes as openai
from app.api.openai.errors import write_error
from app.api.openapi import complete_openapi
from app.bootstrap import import_providers, open_services, redactor
from app.core.errors import ConfigurationError
from app.core.logging import Logger, create_logger
from app.core.metrics import Metrics
from app.core.security import required_secret
from app.core.settings import Settings
from app.database import Database
from app.database.revisions import schema_status
from app.services.builtin_prompts import register_builtin_prompts

__all__ = ["create_app"]


class _Routed(Protocol):
    """A module with routes."""

    router: APIRouter


# In the order in which routes are tried: chats first.
_ROUTED: Final[tuple[_Routed, ...]] = (
    openai,
    conversations,
    health,
    metrics_api,
    limits,
    aliases,
    published_aliases,
    playground,
    prompts,
    models,
    variants,
    datasets,
    experiments,
    jobs,
    runs,
    scores,
    reported_generations,
    generations,
    traffic,
    reviews,
    comparisons,
    gates,
    judges,
    spending,
    status,
    roles,
    users,
    api_keys,
)


def create_app(
    settings: Settings,
    logger: Logger | None = None,
    *,
    tracer_provider: TracerProvider | None = None,
    local_key: SecretStr | None = None,
) -> FastAPI:
    """Build the application.

    Without a logger it writes to standard error; spans go to `tracer_provider`, else to the
    collector that the environment names, if any. `local_key` signs in as the operating system's
    user: only a server that nobody else can reach has one. The application's start refuses a
    database that does not answer or has another schema, and registers the built-in prompts.
    """
    log = logger or create_logger(settings.log_level, redact=redactor(settings))
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        check_routes(app)
        async with open_services(
            settings,
            tracer_provider=tracer_provider,
            logger=log,
            chat_observer=metrics,
            local_key=local_key,
        ) as services:
            await _check_schema(services.database)
            required_secret(settings.key_secret)
            await register_builtin_prompts(services.prompts)
            await asyncio.to_thread(import_providers, settings)
            app.state.services = services
            app.state.tracer = services.tracer
            _watch(metrics, services.database)
            await services.chat.start()
            services.traffic_keeper.start()
            try:
                yield
            finally:
                await services.traffic_keeper.stop()
                await services.chat.stop()

    app = FastAPI(
        title="Prompt Workbench",
        description="Evaluate and govern prompts and model versions.",
        lifespan=lifespan,
        telemetry={"tracing": False},
    )
    add_error_handlers(app, log, {openai.PREFIX: write_error})
    add_chat_error_handlers(app)
    add_boundary(app, settings, log, metrics)
    complete_openapi(app)
    app.state.metrics = metrics
    app.state.logger = log
    for module in _ROUTED:
        # Not `include_router`, which builds every route of every application anew: half a second.
        app.router.routes.extend(module.router.routes)
    return app


def _watch(metrics: Metrics, database: Database) -> None:
    metrics.watch(
        "workbench_database_connections",
        "Connections to the database that are in use, by the pool they are of.",
        "pool",
        lambda: database.connections().items(),
    )


async def _check_schema(database: Database) -> None:
    await database.ping()
    status = await schema_status(database)
    if not status.up_to_date:
        raise ConfigurationError(
            f"The database's schema is at {status.current or 'none'}; this version "
            f"needs {status.head}. Run `workbench db upgrade`."
        )
