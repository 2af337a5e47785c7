"""The application on a real socket before a fake provider, with aliases to call.

One server serves all tests of this folder: they only read what was set up, and each makes calls of
its own.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from openai import AsyncOpenAI, OpenAI

from app.bootstrap import Services, open_services
from app.core.permissions import Permission, local_actor
from app.core.settings import Settings, load_settings
from app.main import create_app
from app.schemas.aliases import read_deployment_request
from app.schemas.api_keys import KeyScope, NewApiKey
from app.schemas.limits import LimitValues
from app.schemas.models import ModelDeclaration
from app.schemas.prompts import PromptContent
from app.services.builtin_prompts import register_builtin_prompts
from tests.fake_provider import FakeProviderProcess, ProviderOptions

MODEL = "openai/fake-model"
FAULTS = ("400-context-length", "400-content-filter", "401", "404-model", "429-quota", "500",
          "stream-cut-before-finish", "stream-error-event", "refusal", "absent-usage")  # fmt: skip
HISTORY = {"placeholder": "history"}
SYSTEM = {"role": "system", "content": "Help politely."}
GREETING = {"role": "system", "content": "You work for {{ shop }}."}
FREE = ["stream", "user", "stop", "max_tokens", "temperature", "top_p", "n", "seed", "logprobs"]

# Each alias: its prompt, its settings.
ALIASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "support-bot@production": ({"messages": [SYSTEM, HISTORY]}, {}),
    "free@production": ({"messages": [SYSTEM, HISTORY]}, {"overrides": FREE, "allow_system": True}),
    "strict@production": ({"messages": [SYSTEM, HISTORY]}, {"strict": True}),
    "greeter@production": (
        {"messages": [GREETING, HISTORY], "variables": {"shop": {"type": "string"}}},
        {},
    ),
    "limited@production": ({"messages": [SYSTEM, HISTORY]}, {}),
    "poor@production": ({"messages": [SYSTEM, HISTORY]}, {}),
    "closed@production": ({"messages": [SYSTEM, HISTORY]}, {}),
    "ending@production": ({"messages": [SYSTEM, HISTORY]}, {}),
    "ended@production": ({"messages": [SYSTEM, HISTORY]}, {}),
}
LIMITS = {
    "limited@production": LimitValues(requests_per_minute=1, on_reach="stop"),
    "poor@production": LimitValues(dollars_per_day=Decimal(0), on_reach="stop"),
}
MODELS_OF = {"ending@production": "openai/ending", "ended@production": "openai/ended"}


@dataclass(frozen=True)
class Server:
    """A running server and how to speak to it."""

    url: str
    key: str
    bound_key: str
    provider: FakeProviderProcess
    process: _Server

    @property
    def services(self) -> Services:
        """What the server works with, to be looked at only: it runs in another thread."""
        services: Services = self.process.app.state.services
        return services

    def sdk(self, key: str | None = None, **options: Any) -> OpenAI:
        return OpenAI(base_url=self.url, api_key=key or self.key, max_retries=0, **options)

    def async_sdk(self, **options: Any) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=self.url, api_key=self.key, max_retries=0, **options)


@pytest.fixture(scope="session")
def server(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose provider answers at once."""
    with _running(sqlite_template, tmp_path_factory.mktemp("v1"), ProviderOptions()) as running:
        yield running


@pytest.fixture
def slow_server(sqlite_template: Path, tmp_path: Path) -> Iterator[Server]:
    """A server of its own whose provider writes about 200 pieces a second."""
    options = ProviderOptions(stream_interval_ms=5)
    with _running(sqlite_template, tmp_path, options) as running:
        yield running


@contextmanager
def _running(template: Path, folder: Path, options: ProviderOptions) -> Iterator[Server]:
    shutil.copy(template, folder / "workbench.db")
    with FakeProviderProcess(options) as provider:
        settings = load_settings(
            folder,
            {
                "WORKBENCH_DATABASE_URL": f"sqlite:///{folder / 'workbench.db'}",
                "WORKBENCH_KEY_SECRET": "a secret of the tests, long enough to be one",
                "OPENAI_BASE_URL": provider.base_url,
                "OPENAI_API_KEY": "sk-of-the-provider",
            },
        )
        key, bound_key = asyncio.run(_set_up(settings))
        with _serving(settings) as process:
            yield Server(process.url, key, bound_key, provider, process)


@pytest.fixture
def sdk(server: Server) -> Iterator[OpenAI]:
    """The official client, without retries of its own."""
    with server.sdk() as client:
        yield client


async def _set_up(settings: Settings) -> tuple[str, str]:
    """Make the aliases; return a service's key for everything, and one bound to one alias."""
    actor = local_actor()
    async with open_services(settings) as services:
        await register_builtin_prompts(services.prompts)
        for fault in FAULTS:
            await services.models.resolve(actor, f"openai/fault-{fault}", add_missing=True)
        for alias, (content, alias_settings) in ALIASES.items():
            await _make_alias(services, alias, content, alias_settings)
        disable = {"kind": "disable", "reason": "a test", "message": "We are closed."}
        await services.aliases.deploy(actor, "closed@production", read_deployment_request(disable))
        for alias, limit in LIMITS.items():
            await services.limits.set(actor, "alias", alias, limit)
        await services.models.declare_all(actor, [_lifecycle("ending"), _lifecycle("ended")])
        everything = frozenset({Permission.CHAT_WRITE, Permission.MODEL_DIRECT})
        free = KeyScope(permissions=everything)
        bound = KeyScope(permissions=everything, aliases=frozenset({"greeter@production"}))
        keys = [
            await services.api_keys.create(
                actor, NewApiKey(name=name, is_service=True, scope=scope)
            )
            for name, scope in (("free", free), ("bound", bound))
        ]
    return keys[0].secret, keys[1].secret


def _lifecycle(name: str) -> ModelDeclaration:
    status = "deprecated" if name == "ending" else "retired"
    return ModelDeclaration.model_validate(
        {"model": f"openai/{name}", "status": status, "successor": "openai/fake-model@1",
         "sunset": "2099-01-31" if name == "ending" else "2020-01-31"}
    )  # fmt: skip


async def _make_alias(
    services: Services, alias: str, content: dict[str, Any], settings: dict[str, Any]
) -> None:
    actor = local_actor()
    prompt = await services.prompts.register(
        actor, alias.partition("@")[0], PromptContent.model_validate(content), number=1
    )
    name = MODELS_OF.get(alias, MODEL)
    model, _ = await services.models.resolve(actor, name, add_missing=True)
    variant = await services.variants.ensure(actor, prompt.version, model, {})
    request = {
        "kind": "move",
        "reason": "a test",
        "variant": str(variant.id),
        "settings": settings or None,
    }
    await services.aliases.deploy(actor, alias, read_deployment_request(request))


@contextmanager
def _serving(settings: Settings) -> Iterator[_Server]:
    """Serve on loopback from a thread with an event loop of its own."""
    server = _Server(create_app(settings))
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    try:
        assert server.ready.wait(30)
        yield server
    finally:
        server.should_exit = True
        thread.join(30)


class _Server(uvicorn.Server):
    """Tells when it is ready, or failed to be."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(uvicorn.Config(app, port=0, log_level="warning", lifespan="on"))
        self.app = app
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
            self.loop = asyncio.get_running_loop()
        finally:
            self.ready.set()

    @property
    def url(self) -> str:
        port = self.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"

    @property
    def tasks(self) -> int:
        """How many tasks run on the server's loop."""
        return len(asyncio.all_tasks(self.loop))
