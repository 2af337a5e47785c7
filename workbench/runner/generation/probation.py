"""The first calls of a run, made few at a time, so that a wrong key costs five calls.

Until one call to a model has been answered, only `allowance` calls go out. Errors that
every further call would meet too stop the run and leave their cells open.
"""

from __future__ import annotations

import asyncio

from app.llm.errors import (
    AuthenticationFailed,
    BadRequest,
    EndpointUnreachable,
    LLMError,
    ParameterNotSupported,
    QuotaExhausted,
    UnknownModel,
)
from app.schemas.generations import Outcome

__all__ = ["MAX_FIRST_CALLS", "Probation", "is_fatal"]

MAX_FIRST_CALLS = 5

_FATAL = (
    AuthenticationFailed,
    EndpointUnreachable,
    ParameterNotSupported,
    QuotaExhausted,
    UnknownModel,
)


def is_fatal(error: LLMError) -> bool:
    """Whether every further call would fail alike: the run stops and the cell stays open."""
    return isinstance(error, _FATAL)


class Probation:
    """The state of one model's first calls.

    A `trusted` model has answered this experiment before: a refusal of a request then
    speaks for that request alone.
    """

    def __init__(self, allowance: int, *, trusted: bool = False) -> None:
        self._allowance = max(1, allowance)
        self._trusted = trusted
        self._permits = self._allowance
        self._over = asyncio.Event()
        self._held: list[tuple[Outcome, BadRequest]] = []

    @property
    def over(self) -> bool:
        return self._over.is_set()

    async def admit(self) -> bool:
        """Return whether this call is one of the first; waits while those are out."""
        if self._over.is_set():
            return False
        if self._permits > 0:
            self._permits -= 1
            return True
        await self._over.wait()
        return False

    def passed(self) -> list[Outcome]:
        """The model answered: open the gate, and return the outcomes that were held back."""
        self._over.set()
        held, self._held = self._held, []
        return [outcome for outcome, _ in held]

    @property
    def holds(self) -> bool:
        """Whether a refused request may be the sign of a wrong set-up."""
        return not self._trusted and not self._over.is_set()

    def hold(self, outcome: Outcome, error: BadRequest) -> BadRequest | None:
        """Keep a refused request undecided; return it if all first calls were refused."""
        self._held.append((outcome, error))
        return error if len(self._held) >= self._allowance else None

    def verdict(self) -> BadRequest | None:
        """At the end: the refusal, if no call was ever answered."""
        return self._held[0][1] if self._held and not self._over.is_set() else None

    def abandon(self) -> None:
        """Let the waiting go: the run is stopping."""
        self._over.set()
