"""What a caller may name as the model of a chat: aliases, and models called directly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["ServedModel"]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One name. `owner` is a model's provider, None of an alias.

    `sunset_at` is when the model, or that of the alias' primary variant, is served no longer; None
    if no end is known.
    """

    name: str
    owner: str | None
    created_at: datetime
    sunset_at: datetime | None
