"""How many answers in production there were, for whom, and what gave them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ChatCount", "ChatCounts"]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class ChatCount(_View):
    """Answers that one target of one deployment gave."""

    alias: str | None
    deployment: int | None
    role: str | None
    prompt: str
    model: str
    answers: int
    endings: dict[str, int] = Field(description="how many ended how; `under way` have not ended")


class ChatCounts(_View):
    """All answers that a filter finds; `subjects` counts the end users that callers named."""

    answers: int
    actors: int
    subjects: int
    conversations: int
    cost: Decimal | None = Field(description="None if no price is known")
    first_at: datetime | None
    last_at: datetime | None
    targets: tuple[ChatCount, ...]
