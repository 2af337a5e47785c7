"""`workbench dashboard`: the dashboard alone, for a team.

Everybody signs in: by an API key, or through the identity provider of the settings.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from app.core.errors import ConfigurationError
from app.core.settings import load_settings
from workbench.cli.context import ExitCode, command, out
from workbench.cli.dashboard_process import INSTALL, Dashboard, is_installed
from workbench.cli.listening import listen
from workbench.cli.processes import KeptProcess, on_signals

__all__ = ["app"]

app = typer.Typer(
    help="Serve the dashboard alone, for people who sign in, over an API that runs elsewhere.",
    add_completion=False,
)


@app.command()
@command
async def dashboard(
    api: Annotated[
        str | None, typer.Option(help="The API's address (default: http://127.0.0.1:8800).")
    ] = None,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 8801; 0 takes a free one.")
    ] = None,
) -> int:
    """Serve the dashboard until it is stopped by Ctrl-C; it shows what the API lets people see.

    It speaks plain HTTP on this machine: put a proxy that speaks HTTPS before it, and tell its
    address by `dashboard.url` in workbench.yaml or WORKBENCH_DASHBOARD_URL.
    """
    if not is_installed():
        raise ConfigurationError("The dashboard's libraries are missing.", hint=f"Run {INSTALL}")
    settings = load_settings(Path.cwd())
    wanted = settings.dashboard.port if port is None else port
    with closing(listen(host, wanted)) as bound:
        address = api or f"http://127.0.0.1:{settings.port}"
        shown = Dashboard(bound, address.rstrip("/"), settings)
        out().print(Text(f"Dashboard: {shown.address}"))
        with on_signals(_Stop(shown.process)):
            await shown.process.keep()
    out().print("Stopped.")
    return ExitCode.DONE


class _Stop:
    """Asked once: let it end. Asked again: end it."""

    def __init__(self, process: KeptProcess) -> None:
        self._process = process
        self._is_asked = False

    def __call__(self) -> None:
        if self._is_asked:
            self._process.abort()
            return
        self._is_asked = True
        self._process.drain()
