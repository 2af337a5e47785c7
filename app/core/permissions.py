"""Who acts, and what they may do. Every service method that writes takes an `Actor`.

Roles are data: each is a set of permissions. What a person may do is the union over their grants,
and a grant holds for every name or for those below a prefix, as in `payments/`. Outside it an
object does not exist for them: `require` with the object's name raises `NotFound`, not `Forbidden`.
Prompts, datasets and aliases have names of their own; a variant has its prompt's, an experiment
with all that belongs to it its dataset's. Models, scorers and accounts are shared by everybody.

A local actor is the person at the command line of an embedded workspace: trusted with
everything and recorded as unauthenticated, because an operating-system name is a claim.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from app.core.errors import Forbidden, NotFound

__all__ = [
    "ROLE_MEANINGS",
    "ROLE_PERMISSIONS",
    "SERVICE_PERMISSIONS",
    "Actor",
    "ActorKind",
    "Credential",
    "Grant",
    "Permission",
    "Role",
    "local_actor",
    "require",
    "system_actor",
]


class Permission(StrEnum):
    """What a service method may ask for; named `noun:verb`."""

    PROMPT_READ = "prompt:read"
    PROMPT_WRITE = "prompt:write"
    MODEL_READ = "model:read"
    MODEL_WRITE = "model:write"
    MODEL_DIRECT = "model:direct"
    """Chat with a model by its name, past every alias."""
    DATASET_READ = "dataset:read"
    DATASET_WRITE = "dataset:write"
    EXPERIMENT_READ = "experiment:read"
    """Experiments with their runs, generations, scores, comparisons, gates and jobs."""
    EXPERIMENT_RUN = "experiment:run"
    SCORE_WRITE = "score:write"
    REVIEW_WRITE = "review:write"
    JUDGE_QUALIFY = "judge:qualify"
    BUDGET_WRITE = "budget:write"
    GATE_DECIDE = "gate:decide"
    ALIAS_READ = "alias:read"
    ALIAS_MOVE = "alias:move"
    CHAT_WRITE = "chat:write"
    """Chat through aliases, and keep conversations of one's own."""
    CHAT_READ = "chat:read"
    """Facts of everybody's answers in production, without their content."""
    CHAT_REPORT = "chat:report"
    """Report an answer that a service got from a provider itself."""
    PRODUCTION_CONTENT_READ = "production_content:read"
    LIMIT_READ = "limit:read"
    LIMIT_WRITE = "limit:write"
    USER_READ = "user:read"
    USER_WRITE = "user:write"
    KEY_READ = "key:read"
    KEY_WRITE = "key:write"
    """Make, rotate and revoke keys of others and of services; one's own need nothing."""
    AUDIT_READ = "audit:read"
    METRICS_READ = "metrics:read"


class Role(StrEnum):
    """What people are here; a person may have several."""

    VIEWER = "viewer"
    RESEARCHER = "researcher"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


_P = Permission
_VIEW: Final = frozenset(
    {_P.PROMPT_READ, _P.MODEL_READ, _P.DATASET_READ, _P.EXPERIMENT_READ, _P.ALIAS_READ}
)

ROLE_PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.VIEWER: _VIEW,
        Role.RESEARCHER: _VIEW
        | {
            _P.PROMPT_WRITE,
            _P.DATASET_WRITE,
            _P.EXPERIMENT_RUN,
            _P.SCORE_WRITE,
            _P.BUDGET_WRITE,
            _P.GATE_DECIDE,
            _P.CHAT_WRITE,
            _P.MODEL_DIRECT,
        },
        Role.REVIEWER: _VIEW
        | {_P.SCORE_WRITE, _P.REVIEW_WRITE, _P.JUDGE_QUALIFY, _P.CHAT_WRITE, _P.CHAT_READ},
        Role.OPERATOR: _VIEW
        | {
            _P.MODEL_WRITE,
            _P.ALIAS_MOVE,
            _P.CHAT_WRITE,
            _P.CHAT_READ,
            _P.LIMIT_READ,
            _P.LIMIT_WRITE,
            _P.METRICS_READ,
        },
        Role.AUDITOR: _VIEW
        | {
            _P.CHAT_READ,
            _P.PRODUCTION_CONTENT_READ,
            _P.REVIEW_WRITE,
            _P.LIMIT_READ,
            _P.USER_READ,
            _P.KEY_READ,
            _P.AUDIT_READ,
            _P.METRICS_READ,
        },
        # Whoever gives out permissions reads no customer's chat by that: it would take a grant,
        # and a grant is on record.
        Role.ADMIN: frozenset(Permission) - {_P.PRODUCTION_CONTENT_READ},
    }
)
"""What each role may do."""

ROLE_MEANINGS: Final[Mapping[Role, str]] = MappingProxyType(
    {
        Role.VIEWER: "Looks at prompts, models, datasets, experiments, aliases; changes nothing.",
        Role.RESEARCHER: "Writes prompts and datasets, runs experiments within budgets, decides "
        "gates, and chats with models.",
        Role.REVIEWER: "Judges answers, scores runs, qualifies judges, and sees the facts of "
        "production without its texts.",
        Role.OPERATOR: "Keeps production going: models and prices, aliases, limits, metrics.",
        Role.AUDITOR: "Reads everything, customers' chats included, with each opening on record; "
        "marks answers and changes nothing else.",
        Role.ADMIN: "Does everything, users and keys included, except reading customers' chats.",
    }
)
"""What each role is for, in a sentence."""

SERVICE_PERMISSIONS: Final = frozenset(
    {
        _P.CHAT_WRITE,
        _P.CHAT_REPORT,
        _P.ALIAS_READ,
        _P.MODEL_READ,
        _P.MODEL_DIRECT,
        _P.METRICS_READ,
    }
)
"""What a service's key may be given; no service authors, decides or moves anything."""


class ActorKind(StrEnum):
    LOCAL = "local"
    USER = "user"
    KEY = "key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Grant:
    """Permissions for all names, or for those that begin with `prefix`, as in `payments/`."""

    permissions: frozenset[Permission]
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """The API key by which an actor signed in.

    `key` is its name without the number that a rotation adds: limits are held by it. A scoped key
    may do less than whom it belongs to.
    """

    key_id: UUID
    key: str
    is_scoped: bool


@dataclass(frozen=True)
class Actor:
    """The one who acts in a service call; `str(actor)` is what records store.

    Without `grants` its permissions hold everywhere. `aliases` are the only aliases that a
    key may use; None is no such bound. `credential` is None for whoever signed in without a key.
    """

    kind: ActorKind
    name: str
    permissions: frozenset[Permission] = field(default_factory=frozenset)
    grants: tuple[Grant, ...] = ()
    aliases: frozenset[str] | None = None
    credential: Credential | None = None

    @classmethod
    def of(
        cls,
        kind: ActorKind,
        name: str,
        grants: Iterable[Grant],
        *,
        aliases: frozenset[str] | None = None,
        credential: Credential | None = None,
    ) -> Actor:
        """Return an actor with exactly these grants."""
        held = tuple(grants)
        together = frozenset().union(*(grant.permissions for grant in held))
        return cls(kind, name, together, held, aliases, credential)

    @property
    def authenticated(self) -> bool:
        """Whether a credential, and not only a claim, says who this is."""
        return self.kind in (ActorKind.USER, ActorKind.KEY)

    def prefixes(self, permission: Permission) -> tuple[str, ...] | None:
        """Return below which prefixes the permission holds; None for everywhere, () for nowhere."""
        if permission not in self.permissions:
            return ()
        if not self.grants:
            return None
        found = {grant.prefix for grant in self.grants if permission in grant.permissions}
        return None if "" in found else tuple(sorted(found))

    def may(self, permission: Permission, name: str | None = None) -> bool:
        """Whether the permission is held, for this name if one is given."""
        prefixes = self.prefixes(permission)
        if prefixes is None:
            return True
        if name is None:
            return bool(prefixes)
        return any(name.startswith(prefix) for prefix in prefixes)

    def may_use_alias(self, alias: str) -> bool:
        """Whether a key's own list of aliases, if it has one, names this one."""
        return self.aliases is None or alias in self.aliases

    @property
    def is_scoped(self) -> bool:
        """Whether it signed in with a key that may do less than whom it belongs to."""
        return self.credential is not None and self.credential.is_scoped

    @property
    def requester(self) -> str:
        """Whose requests happen once by their idempotency keys.

        A person's scoped key has its own: it may not be told what another key of theirs did.
        """
        if self.credential is None or not self.is_scoped or self.kind is not ActorKind.USER:
            return str(self)
        return f"{self} by {self.credential.key}"

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


def require(actor: Actor, permission: Permission, name: str | None = None) -> None:
    """Raise `Forbidden` unless the actor holds the permission, `NotFound` if not for this name."""
    if permission not in actor.permissions:
        raise Forbidden(f"{actor} lacks the permission {permission}.")
    if name is not None and not actor.may(permission, name):
        raise NotFound(f"There is no {name}.")
