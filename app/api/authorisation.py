"""Who a request comes from and what it may do: the one place where the API decides it.

Everything is denied unless its route declares otherwise. A route declares either a permission
(`dependencies=[Depends(needs(Permission.X))]`), or that any signed-in actor may call it
(`needs(None)`, or by taking the `CurrentActor`) and its service decides, or `PUBLIC`. The start of
the application is refused if a route declares nothing (`check_routes`).

The permission here is the coarse question: may this actor do such a thing at all? Whether they may
do it to this object is asked by the service, by the object's name. The decision hangs on the
matched route and never on the text of the address, which a proxy, an encoding or a `Host` header
can make look like another one. Credentials are read from `Authorization: Bearer` and from nowhere
else: a cookie would be sent by a foreign page too, an address ends up in logs.

A body is read for those only who have signed in (`SignInFirst`): whoever has not could otherwise
have large ones held and parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.bodies import announces_body, replayed
from app.bootstrap import Services
from app.core.errors import ConfigurationError
from app.core.logging import Logger
from app.core.permissions import Actor, Permission, require
from app.services.sign_in import TooManyRefusals, Unauthenticated

__all__ = [
    "PUBLIC",
    "SIGNED_IN",
    "CurrentActor",
    "Needs",
    "SignInFirst",
    "check_routes",
    "declared_permissions",
    "needs",
    "sign_in",
]

SIGNED_IN: Final = "signed in"
"""What `declared_permissions` says of a route that every actor may call."""

_REFUSED: Final = "sign_in_refused"  # why, in a request's state

_BEARER: Final = HTTPBearer(
    auto_error=False, description="An API key (`wb_...`), or a JWT of the identity provider."
)


async def sign_in(request: Request) -> Actor:
    """Return who sends the request, as of now: what they may do can change while it is answered.

    Raises the 401 or 429 of a request without a credential that holds.
    """
    services: Services = request.app.state.services
    client = request.client.host if request.client is not None else "unknown"
    bearer = await _BEARER(request)
    credential = bearer.credentials if bearer is not None else None
    try:
        return await services.sign_in.actor(credential, client=client)
    except Unauthenticated as refusal:
        logger: Logger = request.app.state.logger
        tell = logger.info if credential is None else logger.warning
        tell("sign_in_refused", reason=refusal.reason, client=client)
        raise _answer(refusal) from None


async def _current_actor(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Actor:
    """Return who sent the request; 401 without a credential that holds, 503 without database."""
    refused: Exception | None = getattr(request.state, _REFUSED, None)
    if refused is not None:
        raise refused
    return await sign_in(request)


class SignInFirst:
    """ASGI middleware that asks who sends a body before anybody reads it.

    Of whoever is not known the body stays unread: their route sees an empty one, and says why as
    it would without a body. Whoever is known is asked again behind the body, out of memory, as it
    may take long to arrive.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and announces_body(Headers(scope=scope)):
            request = Request(scope)
            try:
                await sign_in(request)
            except Exception as error:  # the route raises it, if it asks who sent the request
                setattr(request.state, _REFUSED, error)
                receive = replayed(b"", receive)
        await self._app(scope, receive, send)


def _answer(refusal: Unauthenticated) -> HTTPException:
    if isinstance(refusal, TooManyRefusals):
        retry_after = {"Retry-After": str(refusal.wait_s)}
        return HTTPException(429, refusal.message, headers=retry_after)
    return HTTPException(401, refusal.message, headers={"WWW-Authenticate": "Bearer"})


CurrentActor = Annotated[Actor, Depends(_current_actor)]
"""The actor of the request, for routes whose service decides what they may do."""


@dataclass(frozen=True)
class Needs:
    """A dependency that lets only actors with a permission pass; None lets all signed-in pass."""

    permission: Permission | None

    async def __call__(self, actor: CurrentActor) -> None:
        """Raise `Forbidden` unless the actor holds the permission, for whichever names."""
        if self.permission is not None:
            require(actor, self.permission)


def needs(permission: Permission | None) -> Needs:
    """Return what a route depends on: `dependencies=[Depends(needs(Permission.X))]`."""
    return Needs(permission)


async def _let_everybody_pass() -> None:
    """Ask for no credential."""


PUBLIC: Final = _let_everybody_pass
"""What a route that everybody may call depends on, by `Depends(PUBLIC)`: health only."""


def check_routes(app: FastAPI) -> None:
    """Raise `ConfigurationError` if a route says nothing of who may call it.

    Mounted applications and websockets are routes too; a mounted application can say nothing and
    is refused.
    """
    silent = [
        f"{', '.join(sorted(route.methods or ())) or 'ANY'} {route.path or '(mounted)'}"
        for route in _routes(app)
        if _declared(route) is None
    ]
    if silent:
        raise ConfigurationError(
            f"These routes declare no permission: {'; '.join(silent)}. Give each "
            "`dependencies=[Depends(needs(Permission.X))]`."
        )


def declared_permissions(app: FastAPI) -> Mapping[str, str]:
    """Return what each route of the API needs, as in {"GET /api/prompts": "prompt:read"}.

    A route that any actor may call needs `signed in`, one for everybody `public`.
    """
    return {
        f"{method} {route.path}": declared
        for route in _routes(app)
        for method in sorted(route.methods or ())
        if (declared := _declared(route)) is not None
    }


def _routes(app: FastAPI) -> Iterator[RouteContext]:
    """Yield every route but those of the documentation, which the framework adds itself."""
    documentation = {
        app.openapi_url,
        app.docs_url,
        app.redoc_url,
        app.swagger_ui_oauth2_redirect_url,
    }
    for route in iter_route_contexts(app.routes):
        if getattr(route, "dependant", None) is not None or route.path not in documentation:
            yield route


def _declared(route: RouteContext) -> str | None:
    calls = list(_calls(getattr(route, "dependant", None)))
    asked = [call.permission for call in calls if isinstance(call, Needs)]
    if named := sorted({permission.value for permission in asked if permission is not None}):
        return " and ".join(named)
    if asked or _current_actor in calls:
        return SIGNED_IN
    return "public" if PUBLIC in calls else None


def _calls(dependant: Dependant | None) -> Iterator[Any]:
    for dependency in () if dependant is None else dependant.dependencies:
        yield dependency.call
        yield from _calls(dependency)
