"""The prompt registry: lists, versions, drafts, what differs, and what a model would get.

A name may be `name` or `team/name`. A version is a number, the beginning of a content hash, or a
draft as it is shown (`draft-1a2b3c4d`).
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import JsonValue

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.idempotency import OnceRoute, once
from app.api.paging import Cursor, Limit
from app.api.parameters import CREATES, READS, READS_LIST, WRITES, Search
from app.core.permissions import Permission
from app.schemas.datasets import Storable
from app.schemas.pages import DEFAULT_PAGE_SIZE, Page
from app.schemas.prompts import (
    NewPromptVersion,
    PromptDeployment,
    PromptDiff,
    PromptSummary,
    PromptVersionFacts,
    PromptVersionView,
    Publication,
    RenderedMessage,
)
from app.services.prompts import Registered

__all__ = ["router"]

router = APIRouter(prefix="/api/prompts", tags=["prompts"], route_class=OnceRoute)

Name = Annotated[str, Path(description="`triage` or `team/triage`", examples=["desk/triage"])]
Version = Annotated[
    str,
    Path(
        max_length=80,
        description="a number, the beginning of a hash, or `draft-1a2b3c4d`",
        examples=["3"],
    ),
]
Before = Annotated[
    str, Query(max_length=300, description="reference of the text to compare with, as `triage@1`")
]

_READ: Final = [Depends(needs(Permission.PROMPT_READ))]
_WRITE: Final = [Depends(needs(Permission.PROMPT_WRITE))]
_CREATE: Final = [*_WRITE, Depends(once)]

_INSTRUCTION: Final = "Route support tickets."
_TICKET: Final = "{{ ticket }}"
_NEW_VERSION: Final = {
    "content": {
        "messages": [
            {"role": "system", "content": _INSTRUCTION},
            {"role": "user", "content": _TICKET},
        ],
        "variables": {"ticket": {"type": "string"}},
        "parameters": {"temperature": 0},
    },
    "description": "Routes a support ticket to its queue.",
    "message": "First version.",
}
_PUBLICATION: Final = {"message": "Better on the short tickets."}
_VALUES: Final = {"ticket": "My card was charged twice."}


@router.get("", dependencies=_READ, responses=READS_LIST)
async def list_prompts(
    actor: CurrentActor,
    services: ServicesDependency,
    search: Search = "",
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[PromptSummary]:
    """Prompts by name, each with its newest version; those with drafts only are left out."""
    return await services.prompts.page(actor, search=search, cursor=cursor, limit=limit)


@router.get("/{name:path}/versions", dependencies=_READ, responses=READS)
async def list_versions(
    name: Name,
    actor: CurrentActor,
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[PromptVersionView]:
    """The numbered versions of one prompt, oldest first."""
    return await services.prompts.versions_page(actor, name, cursor=cursor, limit=limit)


@router.post("/{name:path}/versions", status_code=201, dependencies=_CREATE, responses=CREATES)
async def add_version(
    name: Name,
    new: Annotated[NewPromptVersion, Body(examples=[_NEW_VERSION])],
    actor: CurrentActor,
    services: ServicesDependency,
    response: Response,
) -> PromptVersionView:
    """Store content as the next version, under a number of one's own, or as a draft.

    Content that is there already is answered with 200 and keeps its number; other content under a
    taken number is 409.
    """
    return _registered(await services.prompts.add(actor, name, new), response)


@router.get("/{name:path}/versions/{version}", dependencies=_READ, responses=READS)
async def get_version(
    name: Name, version: Version, actor: CurrentActor, services: ServicesDependency
) -> PromptVersionView:
    """One version or draft, whole."""
    return await services.prompts.read(actor, f"{name}@{version}")


@router.get("/{name:path}/versions/{version}/diff", dependencies=_READ, responses=READS)
async def diff_versions(
    name: Name,
    version: Version,
    before: Before,
    actor: CurrentActor,
    services: ServicesDependency,
) -> PromptDiff:
    """How the text of this version differs from that of another, of any prompt."""
    return await services.prompts.diff(actor, before, f"{name}@{version}")


@router.post("/{name:path}/versions/{version}/render", dependencies=_READ, responses=WRITES)
async def render_version(
    name: Name,
    version: Version,
    values: Annotated[dict[str, JsonValue], Storable, Body(examples=[_VALUES])],
    actor: CurrentActor,
    services: ServicesDependency,
) -> list[RenderedMessage]:
    """The messages that a model would get with these values; nothing is sent or stored."""
    return list(await services.prompts.render(actor, f"{name}@{version}", values))


@router.post(
    "/{name:path}/versions/{version}/publish",
    status_code=201,
    dependencies=_CREATE,
    responses=CREATES,
)
async def publish_draft(
    name: Name,
    version: Version,
    publication: Annotated[Publication, Body(examples=[_PUBLICATION])],
    actor: CurrentActor,
    services: ServicesDependency,
    response: Response,
) -> PromptVersionView:
    """Give a stored draft the next number; runs made on the draft stay its evidence."""
    published = await services.prompts.publish_draft(
        actor, f"{name}@{version}", message=publication.message
    )
    return _registered(published, response)


@router.get("/{name:path}/timeline", dependencies=_READ, responses=READS)
async def list_timeline(
    name: Name,
    actor: CurrentActor,
    services: ServicesDependency,
    drafts: Annotated[bool, Query(description="of the drafts instead of the versions")] = False,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[PromptVersionFacts]:
    """What is said of the versions of one prompt, without their content, newest first."""
    return await services.prompts.timeline(actor, name, drafts=drafts, cursor=cursor, limit=limit)


@router.get(
    "/{name:path}/deployments",
    dependencies=[*_READ, Depends(needs(Permission.ALIAS_READ))],
    responses=READS,
)
async def list_deployments_of_prompt(
    name: Name,
    actor: CurrentActor,
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[PromptDeployment]:
    """Which aliases served versions of one prompt, and from when until when, newest first.

    Those of aliases that you may see.
    """
    return await services.aliases.of_prompt(actor, name, cursor=cursor, limit=limit)


@router.get("/{name:path}/drafts", dependencies=_READ, responses=READS)
async def list_drafts(
    name: Name,
    actor: CurrentActor,
    services: ServicesDependency,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_PAGE_SIZE,
) -> Page[PromptVersionView]:
    """The drafts of one prompt, newest first."""
    return await services.prompts.drafts_page(actor, name, cursor=cursor, limit=limit)


def _registered(registered: Registered, response: Response) -> PromptVersionView:
    """Tell what became of content: 201 and where it is, or 200 if it was there."""
    version = registered.version
    if registered.created:
        part = version.reference.removeprefix(f"{version.name}@")
        response.headers["location"] = f"/api/prompts/{version.name}/versions/{part}"
    else:
        response.status_code = 200
    return version
