"""API keys of people and of services, without their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from workbench.client.calls import Answer, Call, Listing, quoted

__all__ = ["Key", "KeyScope", "MadeKey", "listing", "make", "revoke", "rotate"]


class KeyScope(Answer):
    """What a key may do at most; None and an empty prefix take nothing away."""

    SCHEMA: ClassVar[str] = "KeyScope-Output"

    permissions: tuple[str, ...] | None = None
    prefix: str = ""
    aliases: tuple[str, ...] | None = None


class Key(Answer):
    """One key. `user` is None for a service's, `prefix` the beginning by which a found one can be
    told, `last_used_at` exact to about a minute."""

    SCHEMA: ClassVar[str] = "ApiKeyView"

    name: str
    prefix: str
    user: str | None
    user_deactivated_at: datetime | None
    scope: KeyScope
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaces: str | None
    created_at: datetime
    created_by: str

    def works_at(self, now: datetime) -> bool:
        """Whether it signs in at this time."""
        held = self.revoked_at is None and self.user_deactivated_at is None
        return held and now < self.expires_at


class MadeKey(Answer):
    """A key that has just been made, with the secret that is shown this once."""

    SCHEMA: ClassVar[str] = "ShownApiKey"

    key: Key
    secret: str


def listing() -> Listing[Key]:
    """Keys by name: everybody's for whoever may see them, else one's own."""
    return Listing("/api/keys", Key)


def make(
    name: str,
    *,
    user: str | None = None,
    is_service: bool = False,
    permissions: Sequence[str] | None = None,
    prefix: str = "",
    aliases: Sequence[str] | None = None,
    lifetime_days: int = 90,
) -> Call[MadeKey]:
    """Make a key: one's own, a user's or a service's. None leaves a part of the scope open."""
    scope: dict[str, Any] = {"prefix": prefix}
    if permissions is not None:
        scope["permissions"] = list(permissions)
    if aliases is not None:
        scope["aliases"] = list(aliases)
    body = {
        "name": name,
        "user": user,
        "is_service": is_service,
        "scope": scope,
        "lifetime_days": lifetime_days,
    }
    return Call("POST", "/api/keys", MadeKey, body=body)


def rotate(name: str, grace_hours: int = 24) -> Call[MadeKey]:
    """Replace a key by a new one; the old one works for some hours more."""
    body = {"grace_hours": grace_hours}
    return Call("POST", f"/api/keys/{quoted(name)}/rotate", MadeKey, body=body)


def revoke(name: str) -> Call[Key]:
    """Let a key work no longer."""
    return Call("POST", f"/api/keys/{quoted(name)}/revoke", Key)
