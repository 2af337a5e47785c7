"""What services tell whoever counts; plain facts, and nothing is imported that counts them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

__all__ = ["ChatObserver", "EndedChat"]


@dataclass(frozen=True, slots=True)
class EndedChat:
    """One answer in production that was settled; `alias` None for a model called directly.

    Tokens and dollars are None if they are not known; they are then counted nowhere.
    """

    alias: str | None
    role: str | None
    provider: str
    model: str
    ending: str
    error_code: str | None
    seconds: float
    time_to_first_token_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    dollars: Decimal | None


class ChatObserver(Protocol):
    """Is told of answers in production as they begin and end, and of requests turned away."""

    def chat_began(self) -> None: ...

    def chat_ended(self, chat: EndedChat) -> None: ...

    def limit_refused(self, holder_kind: str, *, budget_spent: bool) -> None: ...
