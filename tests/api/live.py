"""The application behind a real socket on loopback, in a thread with an event loop of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from app.bootstrap import Services
from app.core.permissions import Role
from tests.api.conftest import key_of

__all__ = ["Live", "live"]

_READY_S = 60.0


@dataclass(frozen=True)
class Live:
    """A running server, and the key of a user who may do everything."""

    url: str
    key: str


@contextmanager
def live(app: FastAPI, prepare: Callable[[Services], Awaitable[None]]) -> Iterator[Live]:
    """Serve an application after `prepare` has put into its registry what is needed."""
    server = _Server(app, prepare)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    try:
        assert server.ready.wait(_READY_S)
        yield Live(server.url, server.key)
    finally:
        server.should_exit = True
        thread.join(_READY_S)


class _Server(uvicorn.Server):
    def __init__(self, app: FastAPI, prepare: Callable[[Services], Awaitable[None]]) -> None:
        super().__init__(uvicorn.Config(app, port=0, log_level="warning", lifespan="on"))
        self._app = app
        self._prepare = prepare
        self.ready = threading.Event()
        self.key = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell that it is ready, or failed to be."""
        try:
            await super().startup(sockets)
            services: Services = self._app.state.services
            self.key = await key_of(services, "everything", Role.ADMIN, Role.AUDITOR)
            await self._prepare(services)
        finally:
            self.ready.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"
