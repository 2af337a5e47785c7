"""The parameters of every paged list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from app.schemas.pages import MAX_PAGE_SIZE

__all__ = ["Cursor", "Limit"]

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE, description="the most items on a page")]
Cursor = Annotated[
    str | None, Query(max_length=2_000, description="`next_cursor` of the page before")
]
