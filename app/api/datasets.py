"""Datasets: immutable versions, their examples, what differs between two, imports.

A name may be `name` or `team/name`; a version is a number or the beginning of a content hash.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.paging import Cursor, Limit
from app.api.parameters import CREATES, READS, READS_LIST, Search
from app.core.permissions import Permission
from app.schemas.datasets import (
    DatasetChanges,
    DatasetImport,
    DatasetSummary,
    DatasetVersionView,
    ExampleItem,
    NewDatasetVersion,
)
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page

__all__ = ["router"]

router = APIRouter(prefix="/api/datasets", tags=["datasets"], route_class=OnceRoute)

Name = Annotated[str, Path(description="`tickets` or `team/tickets`", examples=["desk/tickets"])]
Version = Annotated[
    str, Path(max_length=80, description="a number or the beginning of a hash", examples=["1"])
]

_READ: Final = [Depends(needs(Permission.DATASET_READ))]
_CREATE: Final = [Depends(needs(Permission.DATASET_WRITE)), Depends(once)]

_OBJECTS: Final = {
    "name": "desk/tickets",
    "examples": [{"input": {"ticket": "Charged twice"}, "expected_output": "billing"}],
}
_TEXT: Final = {
    "name": "desk/tickets",
    "format": "csv",
    "text": "ticket,queue\nCharged twice,billing\n",
    "columns": {"inputs": ["ticket"], "expected_output": "queue"},
}


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_datasets(
    actor: CurrentActor,
    services: ServicesDependency,
    search: Search = "",
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[DatasetSummary]:
    """Datasets by name, each with its newest version."""
    return await services.datasets.page(actor, search=search, cursor=cursor, limit=limit)


@router.post("", status_code=201, dependencies=_CREATE, responses=CREATES)
async def import_dataset(
    new: Annotated[NewDatasetVersion, Body(examples=[_OBJECTS, _TEXT])],
    actor: CurrentActor,
    services: ServicesDependency,
    response: Response,
) -> DatasetImport:
    """Store examples as the dataset's next version: all of them, or nothing.

    Exactly the same examples again are the version that is there (200).
    """
    imported = await services.datasets.import_text(actor, new)
    version = imported.version
    if imported.created:
        response.headers["location"] = f"/api/datasets/{version.name}/versions/{version.number}"
    else:
        response.status_code = 200
    return DatasetImport.model_validate(imported, from_attributes=True)


@router.get("/{name:path}/versions", dependencies=_READ, responses=READS)
async def list_dataset_versions(
    name: Name,
    actor: CurrentActor,
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[DatasetVersionView]:
    """The versions of one dataset, oldest first."""
    return await services.datasets.versions_page(actor, name, cursor=cursor, limit=limit)


@router.get("/{name:path}/versions/{version}", dependencies=_READ, responses=READS)
async def get_dataset_version(
    name: Name, version: Version, actor: CurrentActor, services: ServicesDependency
) -> DatasetVersionView:
    """One version, without its examples."""
    return await services.datasets.read(actor, f"{name}@{version}")


@router.get("/{name:path}/versions/{version}/examples", dependencies=_READ, responses=READS)
async def list_examples(
    name: Name,
    version: Version,
    actor: CurrentActor,
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[ExampleItem]:
    """The examples of one version in order, texts included."""
    return await services.datasets.examples_page(
        actor, f"{name}@{version}", cursor=cursor, limit=limit
    )


@router.get("/{name:path}/versions/{version}/diff", dependencies=_READ, responses=READS)
async def diff_dataset_versions(
    name: Name,
    version: Version,
    before: Annotated[str, Query(max_length=300, description="reference, as `tickets@1`")],
    actor: CurrentActor,
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> DatasetChanges:
    """What differs between another version and this one, by key."""
    return await services.datasets.changes_page(
        actor, before, f"{name}@{version}", cursor=cursor, limit=limit
    )
