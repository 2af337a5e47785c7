"""What callers on one account tell each other: a provider that asks for patience asks all of them.

The client tells of every 429 and, where it gives way to others, asks before it sends something new.
Who carries the word is the matter of the caller (`app.services.account_signals`).
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["PATIENCE_S", "AccountSignals"]

PATIENCE_S = 2.0
"""Seconds that a 429 counts for if the provider does not say."""


class AccountSignals(Protocol):
    """The word that goes round, by endpoint, which is one account; for one client."""

    def rate_limited(self, endpoint: str, seconds: float) -> None:
        """Tell everybody that the account wants to be left alone for so long; returns at once."""
        ...

    async def wait_s(self, endpoint: str) -> float:
        """Return for how many seconds the account wants to be left alone, by what others heard; 0.0
        if it does not."""
        ...
