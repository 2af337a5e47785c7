"""The application over a migrated database, and a client that speaks to it without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from app.core.settings import Settings, load_settings
from app.main import create_app


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load_settings(tmp_path, {"WORKBENCH_DATABASE_URL": database_url})


@pytest.fixture
async def application(settings: Settings) -> AsyncIterator[FastAPI]:
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def client(application: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=application)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
