"""Idempotency keys as the services see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

__all__ = ["KeyClaim", "StoredKey"]


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """A key that a request brings: whose it is, and which request it stands for until `expires_at`.

    `generation_id` is the chat that is its effect; other effects have none.
    """

    id: UUID
    actor: str
    key: str
    request_hash: str
    created_at: datetime
    expires_at: datetime
    generation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key that was claimed. `status` is the reply's HTTP status, None while it is under way."""

    id: UUID
    request_hash: str
    status: int | None
    reply_content_id: UUID | None
    generation_id: UUID | None
