"""`workbench serve`: the HTTP application, a worker and the dashboard, on this machine only.

The API runs in this process, the other two in processes of their own, so that neither computing a
comparison nor drawing a page holds up a chat. One that ends by itself is started again, and both
end with this process.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Annotated, Final

import typer
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from rich.text import Text

from app.core.logging import standard_logs
from app.core.settings import Settings, load_settings
from app.main import create_app
from workbench.cli.context import ExitCode, command, err, open_workspace, out
from workbench.cli.dashboard_process import INSTALL, Dashboard, is_installed
from workbench.cli.listening import address_of, listen
from workbench.cli.processes import KeptProcess, Work, on_signals
from workbench.cli.worker import FOLLOW_STDIN
from workbench.workspace.key_secret import ensure_key_secret

__all__ = ["app"]

app = typer.Typer(
    help="Serve the dashboard and the HTTP API on this machine, with a worker for jobs.",
    add_completion=False,
)

_DRAIN_S: Final = 30
"""How long requests under way may take when the server stops."""


@app.command()
@command
async def serve(
    host: Annotated[
        str | None, typer.Option(help="A loopback address (default: 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 8800; 0 takes a free one.")
    ] = None,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Also start a worker for jobs.")
    ] = True,
    dashboard: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="Also start the dashboard.")
    ] = True,
    dashboard_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The dashboard's; default: 8801; 0 takes a free one."),
    ] = None,
) -> int:
    """Serve the dashboard and the HTTP API until stopped by Ctrl-C, and do the jobs that come in.

    The dashboard's address signs in the browser that opens it first. Only loopback addresses are
    served: they speak plain HTTP, which shows keys to everybody in between. Ctrl-C lets requests
    and calls in flight finish, Ctrl-C again ends at once.
    """
    async with open_workspace() as workspace:  # prepares the database, and tells what is wrong
        settings, root = workspace.services.settings, workspace.root
    if settings.sqlite_path is not None and ensure_key_secret(settings):
        settings = load_settings(root)
    host = host or settings.host
    with ExitStack() as sockets:
        bound = sockets.enter_context(
            closing(listen(host, settings.port if port is None else port))
        )
        kept = [_worker(settings)] if worker else []
        local_key = SecretStr(f"local_{secrets.token_urlsafe(32)}")
        shown = None
        if dashboard and _has_dashboard():
            wanted = settings.dashboard.port if dashboard_port is None else dashboard_port
            for_pages = sockets.enter_context(closing(listen(host, wanted, "--dashboard-port")))
            shown = Dashboard(
                for_pages, address_of(bound), settings, local_key=local_key.get_secret_value()
            )
            kept.append(shown.process)
            out().print(Text(f"Dashboard: {shown.address}"))
        out().print(Text(f"API: {address_of(bound)}/v1 (documentation: /docs)"))
        return await _serve(settings, bound, kept, None if shown is None else local_key)


def _worker(settings: Settings) -> KeptProcess:
    return KeptProcess(
        Work(
            name="worker",
            arguments=("workbench", "worker", FOLLOW_STDIN),
            folder=settings.workspace,
            give_up=partial(
                err().print, "No worker was started: the jobs wait for one (`workbench worker`)."
            ),
        )
    )


def _has_dashboard() -> bool:
    """Whether its libraries are here; if not, say how to get them."""
    if is_installed():
        return True
    err().print(Text(f"There is no dashboard: its libraries are missing. Install: {INSTALL}"))
    return False


async def _serve(
    settings: Settings,
    bound: socket.socket,
    kept: Sequence[KeptProcess],
    local_key: SecretStr | None,
) -> int:
    """Run all until the server has stopped, then let the processes finish."""
    application = create_app(settings, local_key=local_key)
    config = uvicorn.Config(
        application,
        log_config=None,  # its lines are written as ours are
        log_level="warning",
        access_log=False,  # every request has a line of ours
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    server = _Server(config)
    with standard_logs(application.state.logger), on_signals(_Stop(server, application, kept)):
        keeping = [asyncio.create_task(process.keep()) for process in kept]
        try:
            await server.serve(sockets=[bound])
        finally:
            for process in kept:
                process.drain()
            await asyncio.gather(*keeping)
    if not server.started:
        return ExitCode.UNEXPECTED  # what kept it from starting has been told
    out().print("Stopped.")
    return ExitCode.DONE


class _Server(uvicorn.Server):
    """The HTTP server; signals are the business of this command, which stops the others too."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there now stays: looking through it again and again costs chats up to 100 ms.
        gc.collect()
        gc.freeze()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Stop:
    """Asked once: finish what is under way. Asked again: end at once."""

    def __init__(self, server: _Server, application: FastAPI, kept: Sequence[KeptProcess]) -> None:
        self._server = server
        self._application = application
        self._kept = kept

    def __call__(self) -> None:
        if self._server.should_exit:
            self._server.force_exit = True
            for process in self._kept:
                process.abort()
            return
        self._server.should_exit = True
        if self._server.started:
            self._application.state.services.jobs.stop_following()
        for process in self._kept:
            process.drain()
