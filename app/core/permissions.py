"""Who acts, and what they may do. Every service method that writes takes an `Actor`.

A local actor is the person at the command line of an embedded workspace: trusted with
everything and recorded as unauthenticated, because an operating-system name is a claim.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from enum import StrEnum

from app.core.errors import Forbidden

__all__ = ["Actor", "ActorKind", "Permission", "local_actor", "require", "system_actor"]


class Permission(StrEnum):
    """What a service method may ask for; named `noun:verb`."""

    PROMPT_READ = "prompt:read"
    PROMPT_WRITE = "prompt:write"
    MODEL_READ = "model:read"
    MODEL_WRITE = "model:write"
    DATASET_READ = "dataset:read"
    DATASET_WRITE = "dataset:write"
    EXPERIMENT_READ = "experiment:read"
    EXPERIMENT_RUN = "experiment:run"
    SCORE_WRITE = "score:write"
    REVIEW_WRITE = "review:write"
    JUDGE_QUALIFY = "judge:qualify"
    BUDGET_WRITE = "budget:write"
    GATE_DECIDE = "gate:decide"
    ALIAS_READ = "alias:read"
    ALIAS_MOVE = "alias:move"


class ActorKind(StrEnum):
    LOCAL = "local"
    USER = "user"
    KEY = "key"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """The one who acts in a service call; `str(actor)` is what records store."""

    kind: ActorKind
    name: str
    permissions: frozenset[Permission] = field(default_factory=frozenset)

    @property
    def authenticated(self) -> bool:
        """Whether a credential, and not only a claim, says who this is."""
        return self.kind in (ActorKind.USER, ActorKind.KEY)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def local_actor() -> Actor:
    """Return the operating system's user as actor, with every permission."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a uid without a name
        name = "unknown"
    return Actor(ActorKind.LOCAL, name, frozenset(Permission))


def system_actor(name: str) -> Actor:
    """Return an actor for what the product does by itself, such as registering built-ins."""
    return Actor(ActorKind.SYSTEM, name, frozenset(Permission))


def require(actor: Actor, permission: Permission) -> None:
    """Raise `Forbidden` unless the actor holds the permission."""
    if permission not in actor.permissions:
        raise Forbidden(f"{actor} lacks the permission {permission}.")
