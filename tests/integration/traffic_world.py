"""Chats as rows with chosen facts: begun, ended, late; and counted one by one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from app.core.ids import new_id
from app.core.permissions import Actor
from app.database import AsyncSession, Database
from app.models import Alias, ChatCall, Deployment, Generation
from app.schemas.traffic import ENDINGS, ERRORS, TrafficMeasures
from tests.integration.alias_world import AliasWorld

__all__ = ["ALIASES", "Chat", "TrafficWorld", "expected", "hours_ago", "measured"]

ALIASES = ("shop@production", "payments/refunds@production")
_STATUS = {
    "completed": "completed",
    "client_gone": "cancelled",
    "upstream_cut": "incomplete",
    "refused": "refused",
    "abandoned": "abandoned",
}


@dataclass
class Chat:
    """One chat as it is on record; `ending` is None while it is under way."""

    id: UUID
    alias: str | None
    variant: Any
    started_at: datetime
    ending: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class TrafficWorld:
    """Two aliases of two variants, and the chats that go through them."""

    def __init__(self, database: Database, actor: Actor, rng: random.Random) -> None:
        self._database = database
        self._world = AliasWorld(database, actor)
        self._actor = actor
        self._rng = rng
        self._aliases: dict[str, tuple[UUID, UUID]] = {}
        self._variants: list[Any] = []
        self.chats: list[Chat] = []

    async def prepare(self) -> None:
        """Make what chats rest on."""
        self._variants = [await self._world.variant(number) for number in (1, 2)]
        for name in ALIASES:
            await self._world.aliases.move(self._actor, name, self._variants[0].id, reason="first")
            async with self._database.read_session() as session:
                statement = (
                    select(Alias.id, Deployment.id)
                    .join(Deployment, Deployment.alias_id == Alias.id)
                    .where(Alias.name == name)
                )
                row = (await session.execute(statement)).one()
                self._aliases[name] = (row[0], row[1])

    async def begin(self, at: datetime, alias: str | None = ALIASES[0]) -> Chat:
        """Begin a chat at a time, through no alias if None."""
        chat = Chat(new_id(), alias, self._rng.choice(self._variants), at)
        async with self._database.write_session() as session:
            await self._insert(session, chat)
            await session.commit()
        self.chats.append(chat)
        return chat

    async def end(self, chat: Chat, ending: str | None = None) -> None:
        """End a chat, somehow if it does not matter, as one transaction."""
        async with self._database.write_session() as session:
            await self.end_in(session, chat, ending)
            await session.commit()

    async def end_in(self, session: AsyncSession, chat: Chat, ending: str | None = None) -> None:
        """Write the end of a chat; the caller commits."""
        rng = self._rng
        chosen = ending or rng.choices(ENDINGS, [12, 1, 1, 1, 1, 2, 1])[0]
        known = rng.random() < 0.9
        chat.facts = {
            "status": _STATUS.get(chosen, "failed"),
            "latency_ms": rng.lognormvariate(6, 1),
            "time_to_first_token_ms": rng.uniform(50, 900) if rng.random() < 0.5 else None,
            "usage_source": "provider" if known else "unreported",
            "input_tokens": rng.randint(1, 500) if known else None,
            "output_tokens": rng.randint(1, 500) if known else None,
            "cost": Decimal(rng.randint(1, 10**7)).scaleb(-10) if rng.random() < 0.8 else None,
        }
        chat.ending = chosen
        await session.execute(
            update(ChatCall).where(ChatCall.generation_id == chat.id).values(ending=chosen)
        )
        await session.execute(
            update(Generation).where(Generation.id == chat.id).values(**chat.facts)
        )

    async def _insert(self, session: AsyncSession, chat: Chat) -> None:
        alias = None if chat.alias is None else self._aliases[chat.alias]
        await session.execute(
            insert(Generation).values(
                id=chat.id,
                purpose="chat",
                origin="executed",
                repetition=0,
                variant_id=chat.variant.id,
                prompt_version_id=chat.variant.prompt_version_id,
                model_version_id=chat.variant.model_version_id,
                provider="openai",
                status="started",
                usage_source="unreported",
                attempt_count=0,
                reopened=0,
                started_at=chat.started_at,
            )
        )
        await session.execute(
            insert(ChatCall).values(
                generation_id=chat.id,
                alias_id=None if alias is None else alias[0],
                deployment_id=None if alias is None else alias[1],
                role=None if alias is None else self._rng.choice(["primary", "canary"]),
                actor="key:shop",
                is_stream=False,
                is_exact=True,
                asked={},
                ignored=[],
                flags=[],
                server="test:1:0",
                created_at=chat.started_at,
            )
        )


def expected(chats: Sequence[Chat], since: datetime, until: datetime) -> dict[str, Any]:
    """Count the chats of a window one by one, as the exact part of `measured`."""
    ended = [
        chat.facts | {"ending": chat.ending}
        for chat in chats
        if chat.alias is not None and chat.ending and since <= chat.started_at < until
    ]
    endings = Counter(str(facts["ending"]) for facts in ended)
    costs = [facts["cost"] for facts in ended if facts["cost"] is not None]
    counted = [facts for facts in ended if facts["input_tokens"] is not None]
    return {
        "calls": len(ended),
        "endings": {ending: endings[ending] for ending in ENDINGS},
        "errors": sum(endings[ending] for ending in ERRORS),
        "input_tokens": sum(it["input_tokens"] for it in counted) if counted or not ended else None,
        "uncounted": len(ended) - len(counted),
        "cost": sum(costs, Decimal(0)) if costs or not ended else None,
        "unpriced": len(ended) - len(costs),
        "timed": endings["completed"],
        "first_tokens": sum(it["time_to_first_token_ms"] is not None for it in ended),
    }


def measured(found: TrafficMeasures) -> dict[str, Any]:
    """Return what of the measures `expected` counts."""
    return {
        "calls": found.calls,
        "endings": dict(found.endings),
        "errors": found.errors,
        "input_tokens": found.input_tokens,
        "uncounted": found.uncounted,
        "cost": found.cost,
        "unpriced": found.unpriced,
        "timed": 0 if found.latency is None else found.latency.n,
        "first_tokens": 0 if found.time_to_first_token is None else found.time_to_first_token.n,
    }


def hours_ago(now: datetime, hours: float) -> datetime:
    """Return a time in whole microseconds, as both databases keep it."""
    return now - timedelta(seconds=round(hours * 3600))
