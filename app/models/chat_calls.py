"""What is known of an answer in production besides the generation itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["ChatCall"]

_ENDINGS = "'completed', 'client_gone', 'upstream_cut', 'timeout', 'refused', 'failed', 'abandoned'"


class ChatCall(Base):
    """One answer that was wanted in production: who asked, what served it, how it ended.

    Written with its generation before the model is called. `ending` is set once; while it is NULL
    the call is under way. `role` is the deployment's target that served it, `bucket` (0 to 9,999)
    where the caller stood in the canary's split. `is_exact` is false if a caller overrode anything.
    `reservation` is what the limits hold for it until it is settled, `server` the process it is in.
    """

    __tablename__ = "chat_call"
    __table_args__ = (
        CheckConstraint(f"ending IN ({_ENDINGS})", name="ending_known"),
        CheckConstraint("role IN ('primary', 'canary', 'fallback')", name="role_known"),
        Index("ix_chat_call_alias_id", "alias_id", "created_at"),
        Index("ix_chat_call_open", "ending", "created_at"),
        # Whose an answer is and when it began, without its row: for each of thousands of scores.
        Index("ix_chat_call_generation_id", "generation_id", "alias_id", "created_at"),
    )

    generation_id: Mapped[UUID] = mapped_column(ForeignKey("generation.id"), primary_key=True)
    alias_id: Mapped[UUID | None] = mapped_column(ForeignKey("alias.id"))
    deployment_id: Mapped[UUID | None] = mapped_column(ForeignKey("deployment.id"), index=True)
    role: Mapped[str | None] = mapped_column(String(20))
    bucket: Mapped[int | None]
    actor: Mapped[str] = mapped_column(String(200), index=True)
    conversation_id: Mapped[UUID | None] = mapped_column(ForeignKey("conversation.id"), index=True)
    is_stream: Mapped[bool]
    is_exact: Mapped[bool]
    asked: Mapped[dict[str, Any]] = mapped_column(JSON)
    ignored: Mapped[list[str]] = mapped_column(JSON)
    flags: Mapped[list[str]] = mapped_column(JSON)
    tags_content_id: Mapped[UUID | None] = mapped_column(ForeignKey("content.id"))
    reservation: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    server: Mapped[str] = mapped_column(String(100))
    ending: Mapped[str | None] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
