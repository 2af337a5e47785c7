"""A world to chat in, on each of the two databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app.core.permissions import Actor
from app.database import Database
from tests.fake_provider import FakeProvider
from tests.integration.chat.support import World, endpoint

MakeWorld = Callable[..., World]


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as server:
        yield server


@pytest.fixture
async def make_world(database: Database, actor: Actor) -> AsyncIterator[MakeWorld]:
    """Make worlds over this test's database; each is closed at the end."""
    async with AsyncExitStack() as stack:

        def make(server: FakeProvider, **options: Any) -> World:
            options.setdefault("endpoints", {"openai": endpoint(server.base_url)})
            world = World(options.pop("database", database), actor, **options)
            stack.push_async_callback(world.close)
            return world

        yield make


@pytest.fixture
def world(make_world: MakeWorld, provider: FakeProvider) -> World:
    return make_world(provider)
