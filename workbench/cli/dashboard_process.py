"""The dashboard as a process that a command keeps running.

The socket is bound here: a port that is taken is told at once, and whoever opens the address before
the dashboard is up waits for it. A dashboard that is started again answers on the same socket and
reads the same cookies.
"""

from __future__ import annotations

import secrets
import socket
from dataclasses import replace
from importlib.util import find_spec
from typing import Final

from rich.text import Text

from app.core.errors import ConfigurationError
from app.core.settings import DashboardSettings, Settings
from workbench.cli.context import err, out
from workbench.cli.processes import KeptProcess, Work
from workbench.dashboard.handover import (
    NEXT_TOKEN,
    Handover,
    IdentityProvider,
    sign_in_address,
)
from workbench.dashboard.seal import make_seal_key

__all__ = ["INSTALL", "Dashboard", "is_installed"]

INSTALL: Final = "pip install 'prompt-workbench[ui]'"


def is_installed() -> bool:
    """Whether the extra with the dashboard's libraries is there."""
    return find_spec("streamlit") is not None and find_spec("altair") is not None


class Dashboard:
    """A dashboard on a bound socket; with `local_key` it signs in whoever brings a token."""

    def __init__(
        self,
        bound: socket.socket,
        api: str,
        settings: Settings,
        *,
        local_key: str | None = None,
    ) -> None:
        self.bound = bound
        self._handover = Handover(
            api=api,
            descriptor=bound.fileno(),
            host=bound.getsockname()[0],
            port=bound.getsockname()[1],
            seal_key=make_seal_key(),
            url=settings.dashboard.url,
            local_key=local_key,
            token=None if local_key is None else secrets.token_urlsafe(32),
            identity_provider=_identity_provider(settings.dashboard),
        )
        self.process = KeptProcess(
            Work(
                name="dashboard",
                arguments=("workbench.dashboard",),
                folder=settings.workspace,
                give_up=self._give_up,
                given=lambda: self._handover.line(),
                heard=self._hear,
                descriptors=[bound.fileno()],
            )
        )

    @property
    def address(self) -> str:
        """Where to open it; with a token that signs one browser in, if it has one."""
        base, token = self._handover.base_url, self._handover.token
        return base if token is None else sign_in_address(base, token)

    def _give_up(self) -> None:
        err().print("There is no dashboard: see above what keeps it from starting.")
        self.bound.close()  # nobody waits for an answer that does not come

    def _hear(self, line: str) -> None:
        if line.startswith(NEXT_TOKEN):
            self._handover = replace(self._handover, token=line.removeprefix(NEXT_TOKEN))
            out().print(Text(f"Another browser signs in at {self.address}"))


def _identity_provider(settings: DashboardSettings) -> IdentityProvider | None:
    """Return where people sign in, None if nothing is said of it; refuse the half of it."""
    client, metadata, secret = settings.client_id, settings.metadata_url, settings.client_secret
    if client is None and metadata is None:
        return None
    if client is None or metadata is None or secret is None:
        raise ConfigurationError(
            "OpenID Connect needs client_id, metadata_url and a secret, and one is missing.",
            path="dashboard",
            hint="Write the first two under `dashboard` in workbench.yaml, and set "
            "WORKBENCH_DASHBOARD_CLIENT_SECRET in the environment or in .env.",
        )
    return IdentityProvider(client, metadata, secret.get_secret_value())
