"""API keys at the boundary, and what a key's scope leaves of its owner's permissions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_serializer,
    model_validator,
)

from app.core.permissions import Grant, Permission
from app.schemas.aliases import parse_alias
from app.schemas.examples import example
from app.schemas.users import Prefix, UserName

__all__ = [
    "DEFAULT_LIFETIME_DAYS",
    "DEFAULT_SERVICE_PERMISSIONS",
    "MAX_GRACE_HOURS",
    "MAX_LIFETIME_DAYS",
    "ApiKeyView",
    "KeyName",
    "KeyScope",
    "NewApiKey",
    "Rotation",
    "ShownApiKey",
    "StoredApiKey",
    "base_name",
]

DEFAULT_LIFETIME_DAYS: Final = 90
MAX_LIFETIME_DAYS: Final = 366
MAX_GRACE_HOURS: Final = 7 * 24
DEFAULT_SERVICE_PERMISSIONS: Final = frozenset({Permission.CHAT_WRITE, Permission.ALIAS_READ})
"""What a service may do whose key does not say."""

KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,89}$")]
"""How records call a key; a rotation adds `~2`, `~3` and so on."""

_Alias = Annotated[str, StringConstraints(max_length=300), AfterValidator(parse_alias)]


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyScope(_Input):
    """What a key may do at most. A service's key names its permissions here.

    A person's key may never do more than that person may at the moment; the scope takes away from
    it. Left out, a field takes nothing away.
    """

    permissions: frozenset[Permission] | None = Field(
        default=None, description="the only permissions it may use"
    )
    prefix: Prefix = Field(
        default="", description="the only team whose names it may use, as in payments/*"
    )
    aliases: frozenset[_Alias] | None = Field(
        default=None, max_length=100, description="the only aliases it may use"
    )

    @field_serializer("permissions", "aliases")
    def _in_order(self, names: frozenset[str] | None) -> list[str] | None:
        return None if names is None else sorted(names)

    @property
    def is_open(self) -> bool:
        """Whether it takes nothing away."""
        return self.permissions is None and not self.prefix and self.aliases is None

    def narrow(self, grants: Iterable[Grant]) -> tuple[Grant, ...]:
        """Return what the scope leaves of these grants, without those of which nothing is left."""
        narrowed = (self._narrow(grant) for grant in grants)
        return tuple(grant for grant in narrowed if grant is not None)

    def _narrow(self, grant: Grant) -> Grant | None:
        left = (
            grant.permissions if self.permissions is None else grant.permissions & self.permissions
        )
        # Names below both prefixes are those below the longer one, if it lies below the other.
        outer, inner = sorted((grant.prefix, self.prefix), key=len)
        return Grant(left, inner) if left and inner.startswith(outer) else None


class NewApiKey(_Input):
    """A key to be made, for a user or, with `is_service`, for a service.

    Without either it is for the person who asks.
    """

    model_config = example(
        name="support-bot", is_service=True, scope={"aliases": ["support-bot@production"]}
    )

    name: KeyName = Field(
        description="a name in lower case, as in support-bot", examples=["support-bot"]
    )
    user: UserName | None = Field(default=None, description="the user it belongs to")
    is_service: bool = Field(default=False, description="whether it belongs to a service")
    scope: KeyScope = KeyScope()
    lifetime_days: int = Field(default=DEFAULT_LIFETIME_DAYS, ge=1, le=MAX_LIFETIME_DAYS)

    @model_validator(mode="after")
    def _has_one_owner(self) -> Self:
        if self.user is not None and self.is_service:
            raise ValueError("a key belongs to a user or to a service: give one of the two")
        return self


class Rotation(_Input):
    """How a key is replaced by a new one with the same scope and lifetime."""

    model_config = example(grace_hours=24)

    grace_hours: int = Field(
        default=24, ge=0, le=MAX_GRACE_HOURS, description="for how long the old key still works"
    )


class ApiKeyView(_View):
    """A key without its secret, which is shown once when it is made and stored nowhere.

    `prefix` is the beginning of the key, by which one that was found can be told.
    `last_used_at` is exact to about a minute.
    """

    id: UUID
    name: str
    prefix: str
    user: str | None = Field(description="whose key it is; null for a service's")
    user_deactivated_at: datetime | None = Field(
        description="since when its user may not sign in, with any key"
    )
    scope: KeyScope
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaces: str | None = Field(description="the key that it replaced")
    created_at: datetime
    created_by: str

    @property
    def is_service(self) -> bool:
        """Whether it belongs to a service."""
        return self.user is None

    def works_at(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired at this time, nor its user deactivated."""
        held = self.revoked_at is None and self.user_deactivated_at is None
        return held and now < self.expires_at


class ShownApiKey(_View):
    """A key that has just been made, with the secret that is shown this once."""

    key: ApiKeyView
    secret: str = Field(description="the whole key; keep it, it is not shown again", repr=False)


@dataclass(frozen=True, slots=True)
class StoredApiKey:
    """What a given credential is compared with; it never leaves the services."""

    id: UUID
    name: str
    digest: bytes = field(repr=False)
    user_id: UUID | None
    scope: KeyScope
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


def base_name(name: str) -> str:
    """Return the name of a key without the number of its rotation: `bot` for `bot~2`."""
    return name.partition("~")[0]
