"""Errors of the product, told as sentences that say what to do.

    WorkbenchError
    ├── NotFound            no such object, or not yours to see
    ├── Conflict            the state of the record forbids it (a number taken, a run unfinished)
    │   └── InFlight        the same request is being answered at this moment
    ├── Invalid             the input breaks a rule; `path` names the field
    │   └── KeyReused       an idempotency key that stands for another request
    ├── Forbidden           the actor lacks a permission
    ├── LimitReached        what the caller may use is used; `retry_after_s` says when to try again
    ├── Retired             the model is served no longer; `successor` may take its place
    ├── ConfigurationError  settings, files or flags that cannot work as given
    └── Unavailable         a database or file system that does not answer
        └── Abandoned       an answer was under way when its server stopped; it is lost

HTTP statuses and exit codes are chosen at the boundary (`app/api/errors.py`,
`workbench/cli`), never here. Errors of model calls are a tree of their own
(`app/llm/errors.py`), because they are stored with the generation.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "Abandoned",
    "ConfigurationError",
    "Conflict",
    "Forbidden",
    "InFlight",
    "Invalid",
    "KeyReused",
    "LimitReached",
    "NotFound",
    "Retired",
    "Unavailable",
    "WorkbenchError",
]


class WorkbenchError(Exception):
    """Base of all expected errors; `str(error)` is a sentence for the person who caused it."""

    code = "error"
    retry_after_s: float | None = None
    """In how many seconds the same request may succeed; None if waiting does not help."""

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint


class NotFound(WorkbenchError):
    """The object does not exist, or the actor may not know that it does."""

    code = "not_found"


class Conflict(WorkbenchError):
    """The request is well formed and contradicts what is already recorded."""

    code = "conflict"


class InFlight(Conflict):
    """Another request with the same idempotency key has not ended yet."""

    code = "in_flight"
    retry_after_s = 1.0


class Invalid(WorkbenchError):
    """The input breaks a rule; `path` is the field, as in `parameters.temperature`."""

    code = "invalid"


class KeyReused(Invalid):
    """The idempotency key was used for another request: every request needs a key of its own."""

    code = "idempotency_key_reused"


class LimitReached(WorkbenchError):
    """A limit of requests, tokens or money is reached.

    `headers` say what the limits are, `holder_kind` who has the one that is reached: a `key`, a
    `user` or an `alias`. With `budget_spent` money is gone, or the request can never fit: trying
    again before `retry_after_s` is in vain.
    """

    code = "limit_reached"

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float,
        budget_spent: bool = False,
        holder_kind: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.budget_spent = budget_spent
        self.holder_kind = holder_kind
        self.headers = headers or {}


class Forbidden(WorkbenchError):
    """The actor is known and lacks the permission."""

    code = "forbidden"


class Retired(WorkbenchError):
    """A model version has come to its end and is called no more; `successor` names what follows."""

    code = "retired"

    def __init__(self, message: str, *, successor: str | None = None) -> None:
        super().__init__(message, path="model")
        self.successor = successor


class ConfigurationError(WorkbenchError):
    """Settings, files or flags cannot work as given."""

    code = "configuration"


class Unavailable(WorkbenchError):
    """A database or file system does not answer; trying again later may help."""

    code = "unavailable"


class Abandoned(Unavailable):
    """The server stopped while the answer was under way: what the model said is lost."""

    code = "abandoned"
