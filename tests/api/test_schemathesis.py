"""Requests made from the OpenAPI document: no error of ours, no answer that it does not declare.

Every operation is tried with valid and invalid values over a socket, signed in with every
permission. CI tries a few on SQLite; `--hypothesis-profile=nightly` tries many, on both databases.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
import schemathesis
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.bootstrap import Services
from app.core.permissions import local_actor
from app.core.settings import Settings, load_settings
from app.main import create_app
from app.schemas.datasets import ExampleInput
from app.schemas.models import ModelDeclaration
from app.schemas.prompts import PromptContent
from tests.api.conftest import KEY_SECRET
from tests.api.live import Live, live
from tests.postgres import MigratedDatabases

_CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_EXAMPLES: Final = 5 if hypothesis.settings().max_examples < 100 else 300


def _settings(folder: Path, database_url: str) -> Settings:
    return load_settings(
        folder, {"WORKBENCH_DATABASE_URL": database_url, "WORKBENCH_KEY_SECRET": KEY_SECRET}
    )


_DOCUMENT: Final = create_app(_settings(Path(), "sqlite:///unused.db")).openapi()
_SCHEMA: Final = schemathesis.openapi.from_dict(_DOCUMENT)


async def _fill(services: Services) -> None:
    """Make what the examples of the document name."""
    actor = local_actor()
    content = PromptContent.model_validate(
        {
            "messages": [{"role": "user", "content": "{{ ticket }}"}],
            "variables": {"ticket": {"type": "string"}},
        }
    )
    prompt = await services.prompts.publish(actor, "desk/triage", content, message="First.")
    await services.models.declare(actor, ModelDeclaration(model="simulated/small"))
    model = await services.models.get("simulated/small")
    await services.variants.ensure(actor, prompt.version, model, {})
    rows = [ExampleInput(input={"ticket": text}) for text in "ab"]
    await services.datasets.import_version(actor, "desk/tickets", rows, source="test")


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.nightly)],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("schemathesis")
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "workbench.db")
        url = f"sqlite:///{folder / 'workbench.db'}"
    else:
        databases: MigratedDatabases = request.getfixturevalue("postgres_databases")
        url = databases.url(asyncio.run(databases.take()))
    with live(create_app(_settings(folder, url)), _fill) as server:
        yield server


@_SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=_EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_every_answer_is_declared_and_none_is_an_error_of_ours(
    case: Case[Any], server: Live
) -> None:
    headers = {"Authorization": f"Bearer {server.key}"}
    case.call_and_validate(base_url=server.url, headers=headers, checks=_CHECKS, timeout=30)
