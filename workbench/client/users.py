"""Who one is, users with their roles."""

from __future__ import annotations

from typing import ClassVar

from workbench.client.calls import Answer, Call

__all__ = ["Me", "me"]


class Me(Answer):
    """Who a credential stands for, and what they may do.

    `prefixes` are the names below which permissions hold; empty for everywhere.
    """

    SCHEMA: ClassVar[str] = "ActorView"

    kind: str
    name: str
    permissions: tuple[str, ...]
    prefixes: tuple[str, ...]


def me() -> Call[Me]:
    """Who the credential of this client stands for."""
    return Call("GET", "/api/users/me", Me)
