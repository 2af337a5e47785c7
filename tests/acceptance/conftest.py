"""A database and a fake provider for whole commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.fake_provider import FakeProviderProcess, ProviderOptions


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
