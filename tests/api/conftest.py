"""The application over a migrated database, and clients that speak to it without a socket.

Every client but `anonymous` signs in with an API key of a user of its own, made by the services.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import httpx2
import pytest
from fastapi import FastAPI

from app.bootstrap import Services
from app.core.permissions import Actor, Role, local_actor
from app.core.settings import Settings, load_settings
from app.main import create_app
from app.schemas.api_keys import KeyScope, NewApiKey
from app.schemas.users import NewGrant, NewUser

KEY_SECRET = "a secret of the tests, long enough to be one"


class ClientOf(Protocol):
    """Makes clients: `await client_of(Role.VIEWER, prefix="payments/")`."""

    def __call__(
        self, *roles: Role, prefix: str = "", name: str | None = None
    ) -> Awaitable[httpx2.AsyncClient]:
        """Return a client of a new user with these roles, all for this prefix."""
        ...


# Where the two databases may answer differently: keys and their races, order, content.
_ON_BOTH = frozenset({"test_idempotency", "test_generations"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Routes run on SQLite at every change, on PostgreSQL every night, but for some.

    The services and repositories below them run on both at every change.
    """
    here = Path(__file__).parent
    for item in items:
        kind = getattr(item, "callspec", None)
        if (
            here in item.path.parents
            and item.path.stem not in _ON_BOTH
            and kind
            and kind.params.get("database_kind") == "postgresql"
        ):
            item.add_marker(pytest.mark.nightly)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    environment = {"WORKBENCH_DATABASE_URL": database_url, "WORKBENCH_KEY_SECRET": KEY_SECRET}
    return load_settings(tmp_path, environment)


@pytest.fixture
async def application(settings: Settings) -> AsyncIterator[FastAPI]:
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
def services(application: FastAPI) -> Services:
    """The services behind the application's routes."""
    services: Services = application.state.services
    return services


@pytest.fixture
async def anonymous(application: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a credential."""
    async with _client(application) as client:
        yield client


@pytest.fixture
async def client_of(application: FastAPI, services: Services) -> AsyncIterator[ClientOf]:
    """Makes users with roles, and returns a signed-in client of each."""
    async with AsyncExitStack() as clients:
        made = 0

        async def client_of(
            *roles: Role, prefix: str = "", name: str | None = None
        ) -> httpx2.AsyncClient:
            nonlocal made
            made += 1
            user = name or f"user-{made}"
            key = await key_of(services, user, *roles, prefix=prefix)
            return await clients.enter_async_context(_client(application, key))

        yield client_of


@pytest.fixture
async def client(client_of: ClientOf) -> httpx2.AsyncClient:
    """A client that may do everything: admin and auditor."""
    return await client_of(Role.ADMIN, Role.AUDITOR, name="everything")


@pytest.fixture
async def service_client(application: FastAPI, services: Services) -> AsyncIterator[ServiceClient]:
    """Makes clients of services, which sign in with keys that belong to nobody."""
    async with AsyncExitStack() as clients:

        async def service_client(name: str, scope: KeyScope) -> httpx2.AsyncClient:
            new = NewApiKey(name=name, is_service=True, scope=scope)
            made = await services.api_keys.create(local_actor(), new)
            return await clients.enter_async_context(_client(application, made.secret))

        yield service_client


@pytest.fixture
async def scoped_client(application: FastAPI, services: Services) -> AsyncIterator[ScopedClient]:
    """Makes clients of users who are there, with keys that may do less than they."""
    async with AsyncExitStack() as clients:

        async def scoped_client(user: str, **scope: object) -> httpx2.AsyncClient:
            new = NewApiKey(name=f"{user}-scoped", user=user, scope=KeyScope.model_validate(scope))
            made = await services.api_keys.create(local_actor(), new)
            return await clients.enter_async_context(_client(application, made.secret))

        yield scoped_client


class ScopedClient(Protocol):
    """Makes clients of scoped keys: `await scoped_client("ana", prefix="payments/*")`."""

    def __call__(self, user: str, **scope: object) -> Awaitable[httpx2.AsyncClient]:
        """Return a client that signs in with a new key of the user with this scope."""
        ...


class ServiceClient(Protocol):
    """Makes clients of services: `await service_client("bot", KeyScope(...))`."""

    def __call__(self, name: str, scope: KeyScope) -> Awaitable[httpx2.AsyncClient]:
        """Return a client that signs in with a new service's key of this scope."""
        ...


async def key_of(services: Services, name: str, *roles: Role, prefix: str = "") -> str:
    """Make a user with these roles and return an API key of theirs."""
    actor: Actor = local_actor()
    await services.users.create(actor, NewUser(name=name))
    for role in roles:
        await services.users.grant(actor, name, NewGrant(role=role, prefix=prefix))
    made = await services.api_keys.create(actor, NewApiKey(name=f"{name}-key", user=name))
    return made.secret


def _client(application: FastAPI, credential: str | None = None) -> httpx2.AsyncClient:
    headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    transport = httpx2.ASGITransport(app=application)
    return httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers)
