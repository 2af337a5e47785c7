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
from app.api.parameters import CREATES, READS, READS_LIST, WRITES, Search
from app.core.permissions import Permission
from app.schemas.dataset_previews import DatasetPreview, DatasetPreviewRequest
from app.schemas.dataset_profiles import DatasetProfile, ExampleFilter, ExamplePage
from app.schemas.datasets import (
    DatasetChanges,
    DatasetImport,
    DatasetSummary,
    DatasetVersionView,
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
_WRITE: Final = [Depends(needs(Permission.DATASET_WRITE))]
_CREATE: Final = [*_WRITE, Depends(once)]

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


def _filter(
    search: Annotated[
        str, Query(max_length=200, description="part of the key or of any text, in any case")
    ] = "",
    key: Annotated[str | None, Query(max_length=300, description="of exactly this key")] = None,
    column: Annotated[
        str | None, Query(max_length=300, description="a metadata column; with `value`")
    ] = None,
    value: Annotated[
        str | None, Query(max_length=1000, description="what stands in it, as text")
    ] = None,
    expected_output: Annotated[
        str | None, Query(max_length=1000, description="of exactly this one, as text")
    ] = None,
) -> ExampleFilter:
    return ExampleFilter(search, key, column, value, expected_output)


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


@router.post("/preview", dependencies=_WRITE, responses=WRITES)
async def preview_dataset(
    request: DatasetPreviewRequest, actor: CurrentActor, services: ServicesDependency
) -> DatasetPreview:
    """What a text would become: its first rows, and what is wrong with which. Stores nothing."""
    return await services.datasets.preview(actor, request)


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
    wanted: Annotated[ExampleFilter, Depends(_filter)],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> ExamplePage:
    """The examples of one version in order, texts included; with a filter those that it names.

    A page of filtered examples goes through at most 10,000: it may be short, or empty, with a
    `next_cursor` to go on. `total_estimate` is then the number on this page.
    """
    return await services.dataset_contents.examples_page(
        actor, f"{name}@{version}", wanted, cursor=cursor, limit=limit
    )


@router.get("/{name:path}/versions/{version}/profile", dependencies=_READ, responses=READS)
async def profile_dataset_version(
    name: Name, version: Version, actor: CurrentActor, services: ServicesDependency
) -> DatasetProfile:
    """What one version is made of: lengths of inputs, repeated inputs, expected outputs.

    It is counted when it is first asked for, and kept: the first answer of a large version takes
    seconds.
    """
    return await services.dataset_contents.profile(actor, f"{name}@{version}")


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
