"""The audit chain: one entry for every governed change, in the change's own transaction.

Each entry's hash covers its canonical JSON, in which the previous entry's hash stands:
SHA-256 over the byte 0x00 and that JSON, as leaves are hashed in RFC 6962. Numbers are
gapless because they are taken under a lock and not from a sequence. No text of people or
models and no secret goes in, only ids, names and hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from app.core.clock import Clock
from app.core.hashing import JSON, canonical_json
from app.core.permissions import Actor
from app.database import AsyncSession
from app.repositories.audit import AuditRepository

__all__ = ["GENESIS", "entry_hash", "first_broken_entry", "record"]

GENESIS = "sha256:" + "0" * 64


async def record(
    session: AsyncSession,
    clock: Clock,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: str,
    object_name: str,
    detail: Mapping[str, JSON] | None = None,
) -> None:
    """Append one entry; it is committed or rolled back with the change it describes.

    `action` is `noun.verb`, as in `prompt_version.registered`.
    """
    audit = AuditRepository(session)
    await audit.lock()
    last = await audit.last()
    sequence, previous = (1, GENESIS) if last is None else (last[0] + 1, last[1])
    now = clock.now()
    body = canonical_json(
        {
            "version": 1,
            "sequence": sequence,
            "occurred_at": now.isoformat(),
            "actor": str(actor),
            "authenticated": actor.authenticated,
            "action": action,
            "object_type": object_type,
            "object_id": object_id,
            "object_name": object_name,
            "detail": dict(detail or {}),
            "previous_hash": previous,
        }
    )
    await audit.append(
        {
            "sequence": sequence,
            "occurred_at": now,
            "actor": str(actor),
            "action": action,
            "object_type": object_type,
            "object_id": object_id,
            "object_name": object_name,
            "body": body.decode(),
            "previous_hash": previous,
            "entry_hash": entry_hash(body),
        }
    )


def entry_hash(body: bytes) -> str:
    """Return the hash of one entry's canonical JSON."""
    return "sha256:" + hashlib.sha256(b"\x00" + body).hexdigest()


async def first_broken_entry(session: AsyncSession) -> int | None:
    """Return the sequence of the first entry that does not fit the chain; None if all do."""
    previous, expected = GENESIS, 1
    for sequence, body, previous_hash, stored in await AuditRepository(session).bodies():
        if (sequence, previous_hash, stored) != (expected, previous, entry_hash(body.encode())):
            return sequence
        previous, expected = stored, expected + 1
    return None
