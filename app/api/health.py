"""Liveness and readiness."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from app.api.authorisation import PUBLIC
from app.api.dependencies import ServicesDependency
from app.api.errors import problems
from app.core.errors import ConfigurationError, Unavailable
from app.database.revisions import schema_status

__all__ = ["Health", "Readiness", "router"]

router = APIRouter(tags=["health"], dependencies=[Depends(PUBLIC)])


class Health(BaseModel):
    """`status` is always `ok`; anything else is an error response."""

    status: str = "ok"


class Readiness(Health):
    """The schema revision that the database has."""

    schema_revision: str


@router.get("/health")
async def live() -> Health:
    """The process answers."""
    return Health()


@router.get("/health/ready", responses=problems(503))
async def ready(services: ServicesDependency) -> Readiness:
    """The database answers and has the schema that this version needs; else 503."""
    await services.database.ping()
    try:
        status = await schema_status(services.database)
    except ConfigurationError as error:  # a newer version has upgraded the database
        raise Unavailable(error.message) from error
    if not status.up_to_date or status.current is None:
        raise Unavailable(
            f"The database's schema is at {status.current or 'none'}; {status.head} is needed."
        )
    return Readiness(schema_revision=status.current)
