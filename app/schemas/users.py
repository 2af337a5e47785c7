"""Users and what they may do, at the boundary."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.core.permissions import ROLE_PERMISSIONS, ActorKind, Grant, Permission, Role
from app.schemas.examples import example

__all__ = [
    "ActorView",
    "ExternalId",
    "GrantView",
    "NewGrant",
    "NewUser",
    "Prefix",
    "RoleView",
    "UserChanges",
    "UserName",
    "UserView",
    "prefix_text",
]

UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._@+-]{0,99}$")]
"""How records call a person: a short name or an address, in lower case."""

ExternalId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,300}$")]
"""What the identity provider calls a person (`sub`): printable ASCII without spaces."""

Prefix = Annotated[
    str,
    StringConstraints(pattern=r"^(\*|[a-z0-9][a-z0-9._-]{0,98}/\*?)?$"),
    AfterValidator(lambda prefix: prefix.removesuffix("*")),
]
"""A team whose names are meant, written `payments/*` or `payments/`; empty or `*` for all names."""


def prefix_text(prefix: str) -> str:
    """Return a prefix as people write it: `payments/*`, or `*` for all names."""
    return f"{prefix}*"


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewUser(_Input):
    """A person to be admitted; without a grant they may do nothing."""

    model_config = example(name="ana", external_id="auth0|5f7c8ec7")

    name: UserName = Field(
        description="a short name or an address in lower case, as in ana or ana@example.com",
        examples=["ana"],
    )
    external_id: ExternalId | None = Field(
        default=None,
        description="the `sub` of their tokens from the identity provider, without spaces",
        examples=["auth0|5f7c8ec7"],
    )


class UserChanges(_Input):
    """What to change of a user; a field that is left out stays, `external_id: null` removes it."""

    model_config = example(name="ana@example.com")

    name: UserName | None = Field(
        default=None, description="possible until something is on record under the name they have"
    )
    external_id: ExternalId | None = None


class NewGrant(_Input):
    """A role, for all names or for those of one team."""

    model_config = example(role="researcher", prefix="payments/*")

    role: Role = Field(examples=["researcher"])
    prefix: Prefix = Field(
        default="",
        description="a team as in payments/*, or nothing for all names",
        examples=["payments/*"],
    )


class GrantView(_View):
    """A role that a user has. `prefix` is empty if it holds for all names."""

    id: UUID
    role: Role
    prefix: str
    created_at: datetime
    created_by: str

    def grant(self) -> Grant:
        """Return what the role permits, where it holds."""
        return Grant(ROLE_PERMISSIONS[self.role], self.prefix)


class RoleView(_View):
    """What a role is for, and what whoever has it may do."""

    role: Role
    meaning: str
    permissions: tuple[Permission, ...]


class UserView(_View):
    """A person and the grants that hold now."""

    id: UUID
    name: str
    external_id: str | None
    deactivated_at: datetime | None
    grants: tuple[GrantView, ...]
    created_at: datetime
    created_by: str

    @property
    def is_active(self) -> bool:
        """Whether the person may sign in."""
        return self.deactivated_at is None


class ActorView(_View):
    """Who the credential of a request stands for, and what they may do."""

    kind: ActorKind
    name: str
    permissions: tuple[Permission, ...]
    prefixes: tuple[str, ...] = Field(
        description="the teams outside which there is nothing for this actor; empty for all names"
    )
    aliases: tuple[str, ...] | None = Field(
        description="the only aliases that the key may use; null for no such bound"
    )
