"""Reading the audit chain in tests."""

from __future__ import annotations

import orjson

from app.database import AsyncSession
from app.repositories.audit import AuditRepository

__all__ = ["recorded"]


async def recorded(session: AsyncSession, object_name: str) -> list[tuple[str, str]]:
    """Return action and actor of every entry on an object of this name, in order."""
    bodies = [orjson.loads(body) for _, body, _, _ in await AuditRepository(session).bodies()]
    return [(b["action"], b["actor"]) for b in bodies if b["object_name"] == object_name]
