"""What an alias needs to point to something: prompts, models and variants, made by the services."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from app.core.clock import Clock, SystemClock
from app.core.permissions import Actor
from app.core.settings import EndpointSettings
from app.database import Database
from app.schemas.prompts import PromptContent
from app.schemas.variants import VariantView
from app.services.aliases import AliasService
from app.services.models import ModelService
from app.services.prompts import PromptService
from app.services.variants import VariantService

__all__ = ["NAME", "AliasWorld", "SteppingClock"]

NAME = "hello@production"
_ENDPOINTS = {
    "openai": EndpointSettings(provider="openai"),
    "simulated": EndpointSettings(provider="simulated"),
}
_JSON_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "greeting", "schema": {"type": "object"}},
}


class SteppingClock(SystemClock):
    """The machine's clocks, ahead by as many seconds as a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class AliasWorld:
    """The services that make what an alias stands for, and that of aliases itself."""

    def __init__(self, database: Database, actor: Actor, clock: Clock | None = None) -> None:
        used = clock or SystemClock()
        self.actor = actor
        self.database = database
        self.aliases = AliasService(database, used)
        self.models = ModelService(database, used, _ENDPOINTS)
        self.prompts = PromptService(database, used)
        self.variants = VariantService(database, used)

    async def variant(
        self,
        number: int | None = 1,
        model: str = "openai/some-model",
        *,
        has_schema: bool = False,
    ) -> VariantView:
        """Return the variant of version `number` of one prompt (None: a draft) on a model."""
        content: dict[str, Any] = {
            "messages": [{"role": "user", "content": f"Say hello {number} times."}]
        }
        if has_schema:
            content["response_format"] = _JSON_SCHEMA
        prompt = await self.prompts.register(
            self.actor, "hello", PromptContent.model_validate(content), number=number
        )
        found, _ = await self.models.resolve(self.actor, model, add_missing=True)
        return await self.variants.ensure(self.actor, prompt.version, found, {})
