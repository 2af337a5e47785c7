"""Who one is, users with their roles, and what each role is for."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from workbench.client.calls import Answer, Call, Listing, quoted

__all__ = [
    "Grant",
    "Me",
    "RoleMeaning",
    "User",
    "admit",
    "change_external_id",
    "deactivate",
    "grant",
    "listing",
    "me",
    "one",
    "reactivate",
    "roles",
    "take_back",
]


class Me(Answer):
    """Who a credential stands for, and what they may do.

    `prefixes` are the names below which permissions hold; empty for everywhere.
    """

    SCHEMA: ClassVar[str] = "ActorView"

    kind: str
    name: str
    permissions: tuple[str, ...]
    prefixes: tuple[str, ...]


class Grant(Answer):
    """A role that a user has; `prefix` is empty if it holds for all names."""

    SCHEMA: ClassVar[str] = "GrantView"

    role: str
    prefix: str


class User(Answer):
    """A person with the roles that they have now; who is deactivated cannot sign in."""

    SCHEMA: ClassVar[str] = "UserView"

    name: str
    external_id: str | None
    deactivated_at: datetime | None
    grants: tuple[Grant, ...]
    created_at: datetime
    created_by: str


class RoleMeaning(Answer):
    """What a role is for, and what whoever has it may do."""

    SCHEMA: ClassVar[str] = "RoleView"

    role: str
    meaning: str
    permissions: tuple[str, ...]


def me() -> Call[Me]:
    """Who the credential of this client stands for."""
    return Call("GET", "/api/users/me", Me)


def listing() -> Listing[User]:
    """Users by name, deactivated ones included."""
    return Listing("/api/users", User)


def one(name: str) -> Call[User]:
    """One user; oneself without any permission."""
    return Call("GET", f"/api/users/{quoted(name)}", User)


def admit(name: str, external_id: str | None = None) -> Call[User]:
    """Admit a person, who may do nothing until a role is granted."""
    return Call("POST", "/api/users", User, body={"name": name, "external_id": external_id})


def change_external_id(name: str, external_id: str | None) -> Call[User]:
    """Change what the identity provider calls a person; None for nothing."""
    path = f"/api/users/{quoted(name)}"
    return Call("PATCH", path, User, body={"external_id": external_id})


def deactivate(name: str) -> Call[User]:
    """Let a user sign in no longer."""
    return Call("POST", f"/api/users/{quoted(name)}/deactivate", User)


def reactivate(name: str) -> Call[User]:
    """Let a user sign in again."""
    return Call("POST", f"/api/users/{quoted(name)}/reactivate", User)


def grant(name: str, role: str, prefix: str = "") -> Call[User]:
    """Give a user a role, for all names or for those of one team, as in `payments/`."""
    body = {"role": role, "prefix": prefix}
    return Call("POST", f"/api/users/{quoted(name)}/grants", User, body=body)


def take_back(name: str, role: str, prefix: str = "") -> Call[User]:
    """Take a role from a user; `prefix` as it was granted."""
    path = f"/api/users/{quoted(name)}/grants/{quoted(role)}"
    return Call("DELETE", path, User, {"prefix": prefix})


def roles() -> Call[list[RoleMeaning]]:
    """Every role, the one that may least first."""
    return Call("GET", "/api/roles", list[RoleMeaning])
