"""A database and a fake provider for whole commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.fake_provider import FakeProviderProcess, ProviderOptions


@pytest.fixture(scope="session")
def sqlite_template(used_sqlite: Path) -> Path:
    """Every test starts on a database with the built-in prompts, as commands leave it."""
    return used_sqlite


@pytest.fixture
def provider() -> Iterator[FakeProviderProcess]:
    """A fake provider in a process of its own: 100 ms latency, right in 80.8 % of the sums."""
    with FakeProviderProcess(ProviderOptions(latency_ms=100, answer="arithmetic")) as server:
        yield server


@pytest.fixture
def environment(database_url: str, provider: FakeProviderProcess) -> Mapping[str, str]:
    """What the command's environment says: this database, this provider."""
    return {
        "WORKBENCH_DATABASE_URL": database_url.replace("+aiosqlite", "").replace("+asyncpg", ""),
        "OPENAI_API_KEY": "sk-test-canary-0123456789",
        "OPENAI_BASE_URL": provider.base_url,
        "OLLAMA_HOST": provider.ollama_url,
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole commands run on SQLite at every change and on PostgreSQL every night.

    The services, the runner and the repositories below them run on both at every change; whole
    commands on PostgreSQL took a third of the time that a change may take.
    """
    here = Path(__file__).parent
    for item in items:
        kind = getattr(item, "callspec", None)
        if item.path.parent == here and kind and kind.params.get("database_kind") == "postgresql":
            item.add_marker(pytest.mark.nightly)
