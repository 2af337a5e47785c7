"""How many rows a list has, as far as anybody needs to know."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, func, select

from app.database import AsyncSession
from app.schemas.pages import MAX_COUNTED

__all__ = ["count_up_to"]


async def count_up_to(
    session: AsyncSession, statement: Select[*tuple[Any, ...]], most: int = MAX_COUNTED
) -> int:
    """Return the number of the statement's rows, or `most` if there are more."""
    some = statement.order_by(None).limit(most).subquery()
    return (await session.execute(select(func.count()).select_from(some))).scalar_one()
