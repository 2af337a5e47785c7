"""Who looks at the dashboard, and the client that speaks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workbench.client import Client
from workbench.client.users import Me

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

__all__ = ["Session"]


@dataclass(frozen=True)
class Session:
    """One person's sight of the workspace, for one run of the script.

    What `may` denies is not offered on a page; the API refuses it anyway. `pages` are the pages
    of the navigation by their path.
    """

    client: Client
    me: Me
    pages: Mapping[str, StreamlitPage] = field(default_factory=dict)

    def may(self, permission: str) -> bool:
        """Whether the person holds a permission, such as `experiment:run`, for some names."""
        return permission in self.me.permissions
