"""Liveness, readiness, and a start that refuses what cannot work."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.core.errors import ConfigurationError, Unavailable
from app.core.settings import Settings, load_settings
from app.database import Database
from app.main import create_app
from app.prompts import BUILTIN_PROMPTS


async def _set_revision(settings: Settings, revision: str) -> None:
    database = Database(settings.database_url)
    async with database.write_session() as session:
        await session.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
        await session.commit()
    await database.close()


async def _start(settings: Settings) -> None:
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        pass


async def test_the_process_is_alive(client: httpx2.AsyncClient) -> None:
    response = await client.get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


async def test_a_migrated_database_is_ready(client: httpx2.AsyncClient) -> None:
    response = await client.get("/health/ready")
    assert response.status_code == 200
    assert response.json()["schema_revision"] >= "0002"


@pytest.mark.parametrize("revision", ["0001", "9999"])
async def test_another_schema_is_not_ready(
    client: httpx2.AsyncClient, settings: Settings, revision: str
) -> None:
    await _set_revision(settings, revision)
    response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["type"] == "urn:workbench:problem:unavailable"


async def test_the_start_refuses_an_older_schema_and_says_what_to_do(settings: Settings) -> None:
    await _set_revision(settings, "0001")
    with pytest.raises(ConfigurationError, match=r"is at 0001.*Run `workbench db upgrade`"):
        await _start(settings)


async def test_the_start_refuses_a_newer_schema(settings: Settings) -> None:
    await _set_revision(settings, "9999")
    with pytest.raises(ConfigurationError, match="9999"):
        await _start(settings)


async def test_the_start_refuses_an_empty_database(empty_database_url: str, tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {"WORKBENCH_DATABASE_URL": empty_database_url})
    with pytest.raises(ConfigurationError, match="is at none"):
        await _start(settings)


async def test_the_start_refuses_a_database_that_does_not_answer(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    with pytest.raises(Unavailable, match="does not answer"):
        await _start(load_settings(tmp_path, {"WORKBENCH_DATABASE_URL": url}))


async def test_the_start_registers_the_built_in_prompts(
    application: FastAPI, client: httpx2.AsyncClient
) -> None:
    names = [prompt["name"] for prompt in (await client.get("/api/prompts")).json()["items"]]
    assert names == sorted(prompt.name for prompt in BUILTIN_PROMPTS)


async def test_a_database_that_fails_makes_a_route_unavailable(
    application: FastAPI, client: httpx2.AsyncClient
) -> None:
    database: Database = application.state.services.database
    async with database.write_session() as session:
        await session.execute(text("ALTER TABLE prompt RENAME TO gone"))
        await session.commit()
    response = await client.get("/api/prompts")
    assert response.status_code == 503
    assert "prompt" not in response.json()["detail"]
