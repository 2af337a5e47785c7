"""What an alias stands for, for services that call a provider themselves.

The reply may be kept: it is asked for again after five seconds with its `ETag`, and while this
server cannot be reached the last good copy serves for a day (`stale-if-error`, RFC 5861).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Path, Response

from app.api.authorisation import CurrentActor, needs
from app.api.dependencies import ServicesDependency
from app.api.errors import problems
from app.core.hashing import content_hash
from app.core.permissions import Permission
from app.schemas.names import Name
from app.schemas.published_aliases import PublishedAlias

__all__ = ["router"]

router = APIRouter(prefix="/api/prompts", tags=["aliases"])

_CACHE: Final = "private, max-age=5, stale-if-error=86400"
_TAG: Final = re.compile(r'(?:W/)?("[^"]*")')
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "It is what the caller has."},
    **problems(401, 403, 404, 410, 422, 429, 503),
}


@router.get(
    "/{name:path}/aliases/{label}",
    response_model=PublishedAlias,
    dependencies=[Depends(needs(Permission.ALIAS_READ))],
    responses=_RESPONSES,
)
async def get_published_alias(
    name: Annotated[Name, Path(examples=["support-bot"])],
    label: Annotated[str, Path(max_length=100, examples=["production"])],
    actor: CurrentActor,
    services: ServicesDependency,
    response: Response,
    if_none_match: Annotated[str | None, Header(max_length=2_000)] = None,
) -> PublishedAlias | Response:
    """Prompt, model and parameters that an alias stands for, to be called by oneself."""
    published = await services.published_aliases.get(actor, f"{name}@{label}")
    headers = {"etag": _etag(published), "cache-control": _CACHE}
    if _has(if_none_match, headers["etag"]):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return published


def _etag(published: PublishedAlias) -> str:
    """Return a strong tag: it covers every byte that means something."""
    return f'"{content_hash(published.model_dump(mode="json")).removeprefix("sha256:")[:32]}"'


def _has(if_none_match: str | None, etag: str) -> bool:
    """Whether a caller has what the tag stands for (RFC 9110, section 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)
