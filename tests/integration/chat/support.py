"""A chat service over a real database and a fake provider, an alias to call, and the record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import select

from app.core.clock import Clock, SystemClock
from app.core.ids import new_id
from app.core.observers import ChatObserver
from app.core.permissions import Actor
from app.core.settings import CallLimits, ChatSettings, EndpointSettings
from app.database import Database
from app.llm.breaker import BreakerPolicy
from app.llm.client import LLMClient
from app.llm.limits import AccountLimits
from app.llm.openai_provider import OpenAIProvider
from app.llm.types import Message
from app.models import Attempt, ChatCall, Content, Generation
from app.repositories.content import decode_body
from app.schemas.aliases import AliasView, read_deployment_request
from app.schemas.chat import ChatEvent, ChatRequest
from app.schemas.limits import LimitValues, WindowView
from app.schemas.models import ModelDeclaration
from app.schemas.prompts import PromptContent
from app.schemas.variants import VariantView
from app.services import chat as chats
from app.services.aliases import AliasService
from app.services.builtin_prompts import register_builtin_prompts
from app.services.limits import LimitService
from app.services.models import ModelService
from app.services.prompts import PromptService
from app.services.serving import ServingService
from app.services.variants import VariantService

NEVER_OPENS = BreakerPolicy(in_a_row=10**9, least=10**9)
ALIAS = "support-bot@production"

PATIENT = CallLimits(connect_s=5, first_byte_s=10, idle_s=10, total_s=30)
PRICE = [{"from": "2026-01-01", "input": "1", "output": "2"}]

BOT: Mapping[str, Any] = {
    "messages": [{"role": "system", "content": "Help politely."}, {"placeholder": "history"}],
    "parameters": {"temperature": 0, "max_tokens": 64},
}


def endpoint(url: str, limits: CallLimits = PATIENT) -> EndpointSettings:
    return EndpointSettings(
        provider="openai", base_url=url, api_key=SecretStr("sk-test"), limits=limits
    )


def ask(text: str = "Where is my parcel?", target: str = ALIAS, **changes: Any) -> ChatRequest:
    values: dict[str, Any] = {
        "target": target,
        "messages": (Message("user", text),),
        "request_id": str(new_id()),
        "request_hash": "sha256:" + "0" * 64,
        **changes,
    }
    return ChatRequest(**values)


@dataclass(frozen=True)
class Recorded:
    """What is on record of one call."""

    generation: Generation
    call: ChatCall
    attempts: Sequence[Attempt]
    request: Any
    output: Any
    error: Any


class World:
    """The services that a chat needs, over one database, and what is on record there."""

    def __init__(
        self,
        database: Database,
        actor: Actor,
        endpoints: Mapping[str, EndpointSettings],
        *,
        settings: ChatSettings | None = None,
        clock: Clock | None = None,
        breaker: BreakerPolicy | None = None,
        observer: ChatObserver | None = None,
    ) -> None:
        used = clock or SystemClock()
        self.database = database
        self.actor = actor
        self.aliases = AliasService(database, used)
        self.models = ModelService(database, used, endpoints)
        self.prompts = PromptService(database, used)
        self.variants = VariantService(database, used)
        self.limits = LimitService(database, used)
        self.serving = ServingService(database, used, self.variants)
        self.client = LLMClient(
            {name: partial(OpenAIProvider, name, it, clock=used) for name, it in endpoints.items()},
            limits={name: AccountLimits(concurrency=200) for name in endpoints},
            retry=chats.CHAT_RETRY,
            clock=used,
        )
        self.chat = chats.ChatService(
            database,
            used,
            self.serving,
            self.limits,
            self.client,
            endpoints,
            settings,
            breaker=breaker,
            observer=observer,
        )

    async def close(self) -> None:
        await self.chat.stop(drain_s=5)
        await self.client.close()
        await self.serving.close()

    async def variant(
        self, model: str = "openai/fake-model", content: Mapping[str, Any] = BOT, **facts: Any
    ) -> VariantView:
        """Return the variant of a prompt's next version and a model with these facts."""
        if facts:
            await self.models.declare(
                self.actor, ModelDeclaration.model_validate({"model": model, **facts})
            )
        await register_builtin_prompts(self.prompts)
        wanted = PromptContent.model_validate(content)
        known = await self.prompts.versions("support-bot") if self._has_prompt else []
        self._has_prompt = True
        same = [version for version in known if version.content_hash == wanted.hash]
        if same:
            prompt = same[0]
        else:
            registered = await self.prompts.register(
                self.actor, "support-bot", wanted, number=len(known) + 1
            )
            prompt = registered.version
        found, _ = await self.models.resolve(self.actor, model, add_missing=True)
        return await self.variants.ensure(self.actor, prompt, found, {})

    _has_prompt = False

    async def serve(
        self,
        variant: VariantView,
        *fallbacks: VariantView,
        name: str = ALIAS,
        **settings: Any,
    ) -> AliasView:
        """Let an alias mean a variant, with fallbacks and settings."""
        return await self.deploy(
            name,
            kind="move",
            variant=str(variant.id),
            fallbacks=[str(one.id) for one in fallbacks],
            settings=settings or None,
        )

    async def deploy(self, name: str = ALIAS, **request: Any) -> AliasView:
        return await self.aliases.deploy(
            self.actor, name, read_deployment_request({"reason": "a test", **request})
        )

    async def records(self) -> list[Recorded]:
        """Return all that is on record, oldest call first."""
        async with self.database.read_session() as session:
            statement = (
                select(Generation, ChatCall)
                .join(ChatCall, ChatCall.generation_id == Generation.id)
                .order_by(ChatCall.created_at, Generation.id)
            )
            rows = (await session.execute(statement)).all()
            attempts = list(
                (await session.execute(select(Attempt).order_by(Attempt.number))).scalars()
            )
            bodies = {
                row.id: decode_body(row.body)
                for row in await session.execute(select(Content.id, Content.body))
                if row.body is not None
            }

        def body(content_id: UUID | None) -> Any:
            return None if content_id is None else bodies.get(content_id)

        return [
            Recorded(
                generation,
                call,
                [it for it in attempts if it.generation_id == generation.id],
                body(generation.request_content_id),
                body(generation.output_content_id),
                body(generation.error_content_id),
            )
            for generation, call in rows
        ]

    async def texts(self) -> list[Any]:
        """Return every text that is not erased."""
        async with self.database.read_session() as session:
            bodies = (await session.execute(select(Content.body))).scalars()
            return [decode_body(body) for body in bodies if body is not None]

    async def used(self) -> WindowView:
        """Return what the alias used today, and what is reserved for it."""
        found = await self.limits.get(self.actor, "alias", ALIAS)
        return next(window for window in found.windows if window.span == "day")

    async def limit(self, **limits: Any) -> None:
        values = LimitValues.model_validate({"on_reach": "stop", **limits})
        await self.limits.set(self.actor, "alias", ALIAS, values)

    async def only_record(self) -> Recorded:
        (found,) = await self.records()
        return found


async def read(call: chats.ChatCall) -> tuple[str, list[ChatEvent]]:
    """Read a call to its end: the text that came in pieces, and the events."""
    events = [event async for event in call.events()]
    return "".join(event.text for event in events), events


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what cannot announce itself."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.005)
