"""The page of administration: users, roles, keys, limits, health.

The section stands in the address (`?tab=Keys`). Whoever may not see a section is not offered it;
roles, and one's own keys, are there for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import streamlit as st

from workbench.dashboard.session import Session
from workbench.dashboard.views.administration_actions import show_outcome
from workbench.dashboard.views.administration_health import show_health
from workbench.dashboard.views.administration_keys import show_keys
from workbench.dashboard.views.administration_limits import show_limits
from workbench.dashboard.views.administration_roles import show_roles
from workbench.dashboard.views.administration_users import show_users

__all__ = ["show"]

_SECTIONS: Final[Mapping[str, tuple[str | None, Callable[[Session], None]]]] = {
    "Users": ("user:read", show_users),
    "Roles": (None, show_roles),
    "Keys": (None, show_keys),
    "Limits": ("limit:read", show_limits),
    "Health": ("metrics:read", show_health),
}
"""Each section with the permission that it takes, and what draws it."""


def show(session: Session) -> None:
    """Draw the section that the address names, else the first that the person may see."""
    seen = [name for name, (need, _) in _SECTIONS.items() if need is None or session.may(need)]
    chosen = st.segmented_control(
        "Section",
        seen,
        default=seen[0],
        required=True,
        label_visibility="collapsed",
        key="tab",
        bind="query-params",
    )
    show_outcome()
    _SECTIONS[chosen or seen[0]][1](session)
