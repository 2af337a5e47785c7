"""Requests described: `Call` for one object, `Listing` for pages of them.

Each noun's module makes these without sending anything; `Client.send` and `AsyncClient.send` send
them, so that a request is written once for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel, ConfigDict

__all__ = ["Answer", "Call", "Listing", "Page", "Parameter", "quoted", "versioned"]

AnswerT = TypeVar("AnswerT")
ItemT = TypeVar("ItemT")

Parameter = str | int | float | bool | UUID | datetime | Sequence[str] | None
"""A query parameter; None and an empty sequence are left out."""


class Answer(BaseModel):
    """One object of the API; `SCHEMA` is what the OpenAPI document calls it.

    It holds the fields that callers need and ignores all others, so that a newer server's answers
    still read.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    SCHEMA: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Call(Generic[AnswerT]):
    """One request, and what its answer is read as: a model, `dict`, or `type(None)` for none.

    A POST happens once, however often it has to be sent: it carries `key`, or one made when it is
    sent.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    answer: type[AnswerT]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Listing(Generic[ItemT]):
    """A list that comes in pages, each found by the cursor that the one before it gave."""

    path: str
    item: type[ItemT]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page(Generic[ItemT]):
    """Some items of a list; `next_cursor` is None behind the last.

    `total_estimate` is how many there are in all, counted to 10,000.
    """

    items: Sequence[ItemT]
    next_cursor: str | None
    total_estimate: int


def quoted(name: str) -> str:
    """Return a name as part of a path; the slash of `team/name` stays."""
    return quote(name, safe="/@:")


def versioned(reference: str) -> str:
    """Return `name/versions/3` of `name@3`; `ValueError` without a version."""
    name, _, version = reference.partition("@")
    if not version:
        raise ValueError(f"{reference!r}: name a version, as in {name}@1.")
    return f"{quoted(name)}/versions/{quoted(version)}"
