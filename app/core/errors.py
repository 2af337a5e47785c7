"""Errors of the product, told as sentences that say what to do.

    WorkbenchError
    ├── NotFound            no such object, or not yours to see
    ├── Conflict            the state of the record forbids it (a number taken, a run unfinished)
    ├── Invalid             the input breaks a rule; `path` names the field
    ├── Forbidden           the actor lacks a permission
    ├── ConfigurationError  settings, files or flags that cannot work as given
    └── Unavailable         a database or file system that does not answer

HTTP statuses and exit codes are chosen at the boundary (`app/api/errors.py`,
`workbench/cli`), never here. Errors of model calls are a tree of their own
(`app/llm/errors.py`), because they are stored with the generation.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "Conflict",
    "Forbidden",
    "Invalid",
    "NotFound",
    "Unavailable",
    "WorkbenchError",
]


class WorkbenchError(Exception):
    """Base of all expected errors; `str(error)` is a sentence for the person who caused it."""

    code = "error"

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


class Invalid(WorkbenchError):
    """The input breaks a rule; `path` is the field, as in `parameters.temperature`."""

    code = "invalid"


class Forbidden(WorkbenchError):
    """The actor is known and lacks the permission."""

    code = "forbidden"


class ConfigurationError(WorkbenchError):
    """Settings, files or flags cannot work as given."""

    code = "configuration"


class Unavailable(WorkbenchError):
    """A database or file system does not answer; trying again later may help."""

    code = "unavailable"
