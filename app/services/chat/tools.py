"""What all calls of a chat service share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.core.clock import Clock
from app.core.observers import ChatObserver
from app.llm.breaker import Breaker, BreakerPolicy
from app.llm.client import LLMClient
from app.services.chat.ledger import Ledger

if TYPE_CHECKING:  # the logging library costs every command a tenth of its start
    from app.core.logging import Logger

__all__ = ["Breakers", "ChatTools", "Drains"]


class Breakers:
    """One circuit breaker for each endpoint."""

    def __init__(self, policy: BreakerPolicy | None = None) -> None:
        self._policy = policy
        self._breakers: dict[str, Breaker] = {}

    def of(self, endpoint: str) -> Breaker:
        return self._breakers.setdefault(endpoint, Breaker(self._policy))


class Drains:
    """How many answers may be read on at once whose clients are gone."""

    def __init__(self, most: int) -> None:
        self._free = most

    def enter(self) -> bool:
        """Take a place; false if there is none."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def leave(self) -> None:
        self._free += 1


@dataclass(frozen=True, slots=True)
class ChatTools:
    """The collaborators of every call; `drain_s` as in `ChatSettings`."""

    clock: Clock
    client: LLMClient
    ledger: Ledger
    breakers: Breakers
    drains: Drains
    drain_s: float
    observer: ChatObserver | None = None
    logger: Logger | None = None
