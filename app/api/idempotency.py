"""The header `Idempotency-Key`: a POST that creates happens once, however often it is sent.

A router whose POSTs create uses `route_class=OnceRoute`, and each such POST `dependencies=[...,
Depends(once)]`. The dependency begins the effect after the caller was authorised and before the
route's own code; the route class keeps the effect together with the response. A response with a
secret is never to be kept: such a route goes without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

import orjson
from fastapi import Header, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from app.api.authorisation import CurrentActor
from app.api.bodies import PatientRequest
from app.api.dependencies import ServicesDependency
from app.core.hashing import content_hash
from app.services.idempotency import Effect, Reply

__all__ = ["REPLAYED", "OnceRoute", "once"]

REPLAYED: Final = "idempotent-replayed"
"""The header of a reply that is given again."""

_KEPT_HEADERS: Final = ("location",)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="Chosen by the caller, as a UUID: the request happens once, and sent again "
        "within a day it gets the same reply. Another request needs another key.",
    ),
]


class _Replay(Exception):
    """Leaves a route early with the reply that is given again."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


async def once(
    request: Request, services: ServicesDependency, actor: CurrentActor, key: IdempotencyKey = None
) -> None:
    """Begin the effect of a request that brings a key; see `OnceRoute`."""
    if key is None:
        return
    begun = await services.idempotency.begin(actor, key, await _request_hash(request))
    if isinstance(begun, Reply):
        raise _Replay(begun)
    request.state.effect = begun


class OnceRoute(APIRoute):
    """A route that ends the effect which `once` began: kept with its response, else undone.

    What is created may be large: see `PatientRequest`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            request = PatientRequest(request.scope, request.receive)
            try:
                response = await handle(request)
                if (effect := _effect(request)) is not None and response.status_code < 400:
                    await effect.keep(_reply(response))
            except _Replay as replay:
                return _again(replay.reply)
            finally:
                if (effect := _effect(request)) is not None:
                    await effect.undo()
            return response

        return handle_once


def _effect(request: Request) -> Effect | None:
    return getattr(request.state, "effect", None)


def _reply(response: Response) -> Reply:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    body = orjson.loads(response.body) if response.body else None
    return Reply(response.status_code, headers, body)


def _again(reply: Reply) -> Response:
    headers = {**reply.headers, REPLAYED: "true"}
    if reply.body is None:
        return Response(status_code=reply.status, headers=headers)
    return JSONResponse(reply.body, status_code=reply.status, headers=headers)


async def _request_hash(request: Request) -> str:
    """Return what tells one request from another: method, address and body, byte by byte."""
    body = hashlib.sha256(await request.body()).hexdigest()
    return content_hash([request.method, request.url.path, request.url.query, body])
