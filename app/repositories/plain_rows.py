"""Reading very many rows of plain columns: texts, numbers and truth values as the driver has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select

from app.database import AsyncSession

__all__ = ["plain_rows"]


async def plain_rows(session: AsyncSession, statement: Select[*tuple[Any, ...]]) -> list[Any]:
    """Return the rows of a statement as the driver made them, each a sequence of its columns.

    Past the session and past SQLAlchemy's own rows, which cost more than the reading itself from
    some ten thousand on. Nothing converts the values, so the columns must be of types that both
    drivers know: no identifiers, times, sums of money or JSON.
    """

    def read(connection: Connection) -> list[Any]:
        with connection.execute(statement) as result:
            return list(result.cursor.fetchall())

    return await (await session.connection()).run_sync(read)
