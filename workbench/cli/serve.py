"""`workbench serve`: the HTTP application, on this machine only."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from contextlib import closing, suppress
from typing import Annotated

import typer
import uvicorn
from rich.text import Text

from app.core.errors import ConfigurationError
from app.main import create_app
from workbench.cli.context import command, open_workspace, out

__all__ = ["app"]

app = typer.Typer(help="Serve the HTTP API on this machine.", add_completion=False)


@app.command()
@command
async def serve(
    host: Annotated[
        str | None, typer.Option(help="A loopback address (default: 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 8800; 0 takes a free one.")
    ] = None,
) -> None:
    """Serve the HTTP API until it is stopped by Ctrl-C.

    Only loopback addresses are served: the API has no sign-in yet, so whoever reaches it may
    read everything.
    """
    async with open_workspace() as workspace:  # prepares the database, and tells what is wrong
        settings = workspace.services.settings
    with closing(_listen(host or settings.host, settings.port if port is None else port)) as bound:
        address, bound_port = bound.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        out().print(Text(f"Serving on http://{shown}:{bound_port} (documentation: /docs)"))
        config = uvicorn.Config(create_app(settings), log_level="warning", server_header=False)
        with suppress(asyncio.CancelledError):  # Ctrl-C is how a server ends
            await uvicorn.Server(config).serve(sockets=[bound])
            await asyncio.sleep(0)  # uvicorn passes the signal on, and here it arrives
        out().print("Stopped.")


def _listen(host: str, port: int) -> socket.socket:
    """Bind a loopback address; refuse any other, and tell if the port is in use."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ConfigurationError(f"{host!r} is no address; use 127.0.0.1.", path="host") from None
    if not address.is_loopback:
        raise ConfigurationError(
            f"{host} would be reachable from other machines, and there is no sign-in yet.",
            path="host",
            hint="Serve on 127.0.0.1, and reach it through an SSH tunnel.",
        )
    bound = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((str(address), port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"{address}, port {port} cannot be used: {error.strerror}.",
            path="port",
            hint="Choose another with --port.",
        ) from error
    return bound
