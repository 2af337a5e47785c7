"""What of a conversation is sent when not all of it fits the model's window (pure).

The last message is always sent, for it is the question. Of those before, whole turns are left out
from the oldest on: a turn begins with a user's message, so that no answer stands without its
question and no tool's result without its call. Tokens are counted as a quarter of the bytes of a
message's JSON, which for English comes close and for other languages leaves room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.llm.types import Message
from app.schemas.aliases import HistorySettings

__all__ = ["FittedHistory", "estimated_tokens", "fit_history"]

_BYTES_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class FittedHistory:
    """The messages that are sent, and the record of what is not; None if all of them are."""

    messages: tuple[Message, ...]
    left_out: JSON = None


def estimated_tokens(size_bytes: int) -> int:
    """Return about how many tokens so many bytes are."""
    return math.ceil(size_bytes / _BYTES_PER_TOKEN)


def fit_history(
    messages: Sequence[Message], *, tokens: int | None, settings: HistorySettings
) -> FittedHistory:
    """Return what is sent of a conversation, oldest first, in at most `tokens` (None: no bound).

    Raises `Invalid` where the policy is to refuse, and for a last turn that does not fit alone.
    """
    sizes = [_tokens(message) for message in messages]
    starts = [n for n, message in enumerate(messages) if message.role == "user"]
    fitting = [start for start in (0, *starts) if _fits(sizes[start:], tokens, settings.messages)]
    if not fitting:
        raise Invalid(
            "The last message is too long for the model: it does not fit what its window leaves.",
            path="content",
        )
    start = min(fitting)
    if start == 0:
        return FittedHistory(tuple(messages))
    if settings.policy == "refuse":
        raise Invalid(
            f"The conversation is too long for the model by {start:,} messages: begin another one.",
            path="conversation",
        )
    left_out: JSON = {
        "policy": settings.policy,
        "left_out_messages": start,
        "left_out_tokens": sum(sizes[:start]),
        "sent_messages": len(messages) - start,
    }
    return FittedHistory(tuple(messages[start:]), left_out)


def _fits(sizes: Sequence[int], tokens: int | None, most: int | None) -> bool:
    return (most is None or len(sizes) <= most) and (tokens is None or sum(sizes) <= tokens)


def _tokens(message: Message) -> int:
    return estimated_tokens(len(orjson.dumps(message.to_json())))
