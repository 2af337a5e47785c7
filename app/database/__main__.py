"""`python -m app.database create MESSAGE`: write a new migration from the difference
between the tables and a database at the newest revision (a temporary SQLite file)."""

from __future__ import annotations

import asyncio
import sys
import tempfile

from app.database.engine import Database
from app.database.revisions import known_revisions
from app.database.schema import create, upgrade

__all__: list[str] = []


async def _create(message: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite+aiosqlite:///{folder}/empty.db")
        try:
            if known_revisions():
                await upgrade(database)
            return await create(database, message)
        finally:
            await database.close()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "create":
        sys.exit('Usage: python -m app.database create "what changes"')
    print(asyncio.run(_create(sys.argv[2])))  # noqa: T201 - a command's answer
