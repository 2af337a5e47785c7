"""What the limits hold for a call, as it is kept with it until the call is settled (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.core.hashing import JSON
from app.core.usage_limits import Claim, Settlement, WindowKey

__all__ = ["reservation_json", "worst_case_of"]


def reservation_json(claim: Claim, reserved: Sequence[WindowKey]) -> JSON:
    """Return a claim and the windows in which it is reserved; None if no window counts it."""
    if not reserved:
        return None
    return {
        "windows": [[*key[:3], key.starts_at.isoformat()] for key in reserved],
        "tokens": claim.tokens,
        "dollars": None if claim.dollars is None else str(claim.dollars),
    }


def worst_case_of(reservation: Any) -> Settlement | None:
    """Return the settlement of a call of which nobody knows what it used: all that was reserved."""
    if reservation is None:
        return None
    tokens, dollars = reservation["tokens"], Decimal(reservation["dollars"] or 0)
    windows = tuple(
        WindowKey(kind, name, span, datetime.fromisoformat(starts_at))
        for kind, name, span, starts_at in reservation["windows"]
    )
    return Settlement(windows, tokens, dollars, tokens, dollars)
