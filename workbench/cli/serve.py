"""`workbench serve`: the HTTP application and a worker, on this machine only.

The API runs in this process, the worker in one of its own, so that computing a comparison never
holds up a chat. A worker that ends by itself is started again; it ends with this process, however
that ended, because its standard input is a pipe from here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import typer
import uvicorn
from fastapi import FastAPI
from rich.text import Text

from app.core.errors import ConfigurationError
from app.core.logging import standard_logs
from app.core.settings import load_settings
from app.main import create_app
from workbench.cli.context import ExitCode, command, err, open_workspace, out
from workbench.cli.worker import FOLLOW_STDIN
from workbench.workspace.key_secret import ensure_key_secret

__all__ = ["app"]

app = typer.Typer(
    help="Serve the HTTP API on this machine, with a worker for its jobs.", add_completion=False
)

_DRAIN_S: Final = 30
"""How long requests under way may take when the server stops."""
_LONGEST_PAUSE_S: Final = 30.0


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
) -> int:
    """Serve the HTTP API until it is stopped by Ctrl-C, and do the jobs that come in.

    Only loopback addresses are served: it speaks plain HTTP, which shows keys to everybody in
    between. Ctrl-C lets requests and calls in flight finish, Ctrl-C again ends at once.
    """
    async with open_workspace() as workspace:  # prepares the database, and tells what is wrong
        settings, root = workspace.services.settings, workspace.root
    if settings.sqlite_path is not None and ensure_key_secret(settings):
        settings = load_settings(root)
    with closing(_listen(host or settings.host, settings.port if port is None else port)) as bound:
        address, bound_port = bound.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        out().print(Text(f"Serving on http://{shown}:{bound_port} (documentation: /docs)"))
        application = create_app(settings)
        config = uvicorn.Config(
            application,
            log_config=None,  # its lines are written as ours are
            log_level="warning",
            access_log=False,  # every request has a line of ours
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        server = _Server(config)
        jobs = _WorkerProcess(root) if worker else None
        logs = standard_logs(application.state.logger)
        with logs, _signals(_Stop(server, application, jobs)):
            await _serve(server, bound, jobs)
        if not server.started:
            return ExitCode.UNEXPECTED  # what kept it from starting has been told
        out().print("Stopped.")
        return ExitCode.DONE


async def _serve(server: _Server, bound: socket.socket, worker: _WorkerProcess | None) -> None:
    """Run both until the server has stopped, then let the worker finish."""
    keeping = asyncio.create_task(worker.keep()) if worker is not None else None
    try:
        await server.serve(sockets=[bound])
    finally:
        if worker is not None and keeping is not None:
            worker.drain()
            await keeping


class _Server(uvicorn.Server):
    """The HTTP server; signals are the business of this command, which stops the worker too."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _WorkerProcess:
    """A worker in a process of its own, started again when it ends without being asked to."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._drain = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Keep a worker at work until told to drain; return when it has ended."""
        pause_s = 1.0
        while not self._drain.is_set():
            code = await self._run()
            if self._drain.is_set():
                return
            if code == ExitCode.USAGE:  # its settings cannot work: trying again is in vain
                err().print("No worker was started: the jobs wait for one (`workbench worker`).")
                return
            err().print(f"The worker ended with code {code}; starting another one.")
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._drain.wait()
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _run(self) -> int:
        # In a session of its own: Ctrl-C at the terminal is for us, and we pass it on.
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "workbench", "worker", FOLLOW_STDIN),
            cwd=self._root,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        if self._drain.is_set():
            self.drain()
        return await self._process.wait()

    def drain(self) -> None:
        """Let the worker finish its calls in flight and end; no other one is started."""
        self._drain.set()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def abort(self) -> None:
        """End the worker without waiting for calls in flight."""
        self._drain.set()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()


class _Stop:
    """Asked once: finish what is under way. Asked again: end at once."""

    def __init__(
        self, server: _Server, application: FastAPI, worker: _WorkerProcess | None
    ) -> None:
        self._server = server
        self._application = application
        self._worker = worker

    def __call__(self) -> None:
        if self._server.should_exit:
            self._server.force_exit = True
            if self._worker is not None:
                self._worker.abort()
            return
        self._server.should_exit = True
        if self._server.started:
            self._application.state.services.jobs.stop_following()
        if self._worker is not None:
            self._worker.drain()


@contextmanager
def _signals(stop: _Stop) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _listen(host: str, port: int) -> socket.socket:
    """Bind a loopback address; refuse any other, and tell if the port is in use."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ConfigurationError(f"{host!r} is no address; use 127.0.0.1.", path="host") from None
    if not address.is_loopback:
        raise ConfigurationError(
            f"{host} would be reachable from other machines, and this server speaks plain HTTP.",
            path="host",
            hint="Serve on 127.0.0.1 behind a proxy that speaks HTTPS, or use an SSH tunnel.",
        )
    bound = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((str(address), port))
        bound.listen()  # whoever reads the address may connect, and waits for the server's start
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"{address}, port {port} cannot be used: {error.strerror}.",
            path="port",
            hint="Choose another with --port.",
        ) from error
    return bound
