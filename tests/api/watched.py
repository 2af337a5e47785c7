"""An application that is watched: its spans, its lines and its metrics; and an alias to call."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import orjson
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import Message, Scope

from app.bootstrap import Services, redactor
from app.core.logging import create_logger, standard_logs
from app.core.metrics import Metrics
from app.core.permissions import Role, local_actor
from app.core.settings import CallLimits, Settings, load_settings
from app.main import create_app
from app.schemas.aliases import read_deployment_request
from app.schemas.models import ModelDeclaration
from app.schemas.prompts import PromptContent
from tests.api.conftest import KEY_SECRET, key_of

__all__ = ["ALIAS", "MODEL", "Watched", "chat_body", "until", "watch", "watched_settings"]

ALIAS = "support-bot@production"
MODEL = "openai/fake-model"
PRICE = [{"from": "2026-01-01", "input": "1", "output": "2"}]
_PROMPT = {"messages": [{"role": "system", "content": "Help."}, {"placeholder": "history"}]}


@dataclass
class Watched:
    """The application and what is seen of it; `key` is an admin's."""

    application: FastAPI
    services: Services
    client: httpx2.AsyncClient
    key: str
    exporter: InMemorySpanExporter
    log: io.StringIO

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, oldest first."""
        return list(self.exporter.get_finished_spans())

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.log.getvalue().splitlines()]

    @property
    def metrics(self) -> Metrics:
        metrics: Metrics = self.application.state.metrics
        return metrics

    def forget(self) -> None:
        """Begin to watch anew."""
        self.exporter.clear()
        self.log.seek(0)
        self.log.truncate()

    async def serve(self, *models: str, name: str = ALIAS, priced: bool = False) -> None:
        """Let an alias mean the first model, with the others as its fallbacks."""
        actor, content = local_actor(), PromptContent.model_validate(_PROMPT)
        prompt_name = name.partition("@")[0]
        prompt = await self.services.prompts.register(actor, prompt_name, content, number=1)
        variants = []
        for model in models or (MODEL,):
            if priced:
                declared = {"model": model, "prices": PRICE}
                await self.services.models.declare(actor, ModelDeclaration.model_validate(declared))
            found, _ = await self.services.models.resolve(actor, model, add_missing=True)
            made = await self.services.variants.ensure(actor, prompt.version, found, {})
            variants.append(str(made.id))
        wanted = {"kind": "move", "variant": variants[0], "fallbacks": variants[1:]}
        request = read_deployment_request({**wanted, "reason": "a test"})
        await self.services.aliases.deploy(actor, name, request)

    async def chat(self, target: str = ALIAS, **more: Any) -> httpx2.Response:
        """Post a chat and return its whole reply."""
        return await self.client.post("/v1/chat/completions", json=chat_body(target, **more))

    async def leave_during_a_chat(self, *, headers: Mapping[str, str], **more: Any) -> None:
        """Post a chat whose client goes as soon as the request has been read."""
        body = orjson.dumps(chat_body(**more))
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(_message: Message) -> None:
            """Nobody reads."""

        await self.application(self._scope(headers), receive, send)

    def _scope(self, headers: Mapping[str, str]) -> Scope:
        given = {
            "host": "test",
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
            **headers,
        }
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/chat/completions",
            "raw_path": b"/v1/chat/completions",
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("192.0.2.1", 1),
            "server": ("test", 80),
            "state": {},
        }


def chat_body(target: str = ALIAS, text: str = "Where is it?", **more: Any) -> dict[str, Any]:
    return {"model": target, "messages": [{"role": "user", "content": text}], **more}


def watched_settings(
    folder: Path,
    database_url: str,
    provider_url: str,
    *,
    limits: CallLimits | None = None,
    **environment: str,
) -> Settings:
    """Return settings whose endpoint `openai` is at this address."""
    settings = load_settings(
        folder,
        {
            "WORKBENCH_DATABASE_URL": database_url,
            "WORKBENCH_KEY_SECRET": KEY_SECRET,
            "OPENAI_BASE_URL": provider_url,
            "OPENAI_API_KEY": "sk-test",
            **environment,
        },
    )
    if limits is None:
        return settings
    endpoint = settings.endpoints["openai"].model_copy(update={"limits": limits})
    endpoints = {**settings.endpoints, "openai": endpoint}
    return settings.model_copy(update={"endpoints": endpoints})


@asynccontextmanager
async def watch(
    settings: Settings, *, level: str = "INFO", routes: Callable[[FastAPI], None] | None = None
) -> AsyncIterator[Watched]:
    """Run the application with everybody listening; `routes` may add some to it."""
    log, exporter, tracing = io.StringIO(), InMemorySpanExporter(), TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    logger = create_logger(level, stream=log, redact=redactor(settings))
    application = create_app(settings, logger, tracer_provider=tracing)
    if routes is not None:
        routes(application)
    async with AsyncExitStack() as stack:
        stack.enter_context(standard_logs(logger))
        await stack.enter_async_context(application.router.lifespan_context(application))
        services: Services = application.state.services
        key = await key_of(services, "everything", Role.ADMIN, Role.AUDITOR)
        transport = httpx2.ASGITransport(app=application)
        client = await stack.enter_async_context(
            httpx2.AsyncClient(
                transport=transport,
                base_url="http://test",
                headers={"Authorization": f"Bearer {key}"},
            )
        )
        watched = Watched(application, services, client, key, exporter, log)
        watched.forget()
        yield watched


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what cannot announce itself."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)
