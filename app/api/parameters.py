"""What many routes share: parameters, and the errors that each kind of route declares."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query

from app.api.errors import problems
from app.api.paging import Cursor, Limit

__all__ = ["CREATES", "READS", "READS_LIST", "WRITES", "Cursor", "Limit", "Search"]

Search = Annotated[str, Query(max_length=200, description="part of it, in any case of letters")]

Responses = dict[int | str, dict[str, Any]]

READS_LIST: Final[Responses] = problems(401, 403, 422, 429, 503)
READS: Final[Responses] = problems(401, 403, 404, 422, 429, 503)
WRITES: Final[Responses] = problems(401, 403, 404, 408, 409, 413, 415, 422, 429, 503)
CREATES: Final[Responses] = {
    200: {"description": "It was there already, exactly so; nothing has changed."},
    **WRITES,
}
