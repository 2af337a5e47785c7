"""Every path that calls a model leaves the same five facts, and the database insists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import text

from app.database import Database, IntegrityError
from tests.command_line import CommandLine, arithmetic_workspace
from tests.fake_provider import FakeProviderProcess, FaultScript

FACTS = ("latency_ms", "input_tokens", "output_tokens", "model", "provider", "prompt")

# path -> the command that takes it (each calls a model)
PATHS: Mapping[str, tuple[str, ...]] = {
    "openai": ("--model", "openai/fake-model"),
    "ollama": ("--model", "ollama/fake-model"),
    "simulated": ("--model", "simulated/small"),
    "draft": ("--prompt", "prompts/ask/draft.yaml", "--model", "openai/fake-model"),
    "two processes": ("--model", "openai/fake-model", "--processes", "2"),
}

DRAFT = """\
name: ask
messages:
  - {role: user, content: "Add: {{ question }}"}
variables: {question: {type: string}}
"""


@pytest.fixture
def line(
    tmp_path: Path, environment: Mapping[str, str], provider: FakeProviderProcess
) -> CommandLine:
    line = arithmetic_workspace(tmp_path, 12, environment)
    (tmp_path / "prompts" / "ask" / "draft.yaml").write_text(DRAFT)
    return line


def asked(path: tuple[str, ...]) -> tuple[str, ...]:
    prompt = () if "--prompt" in path else ("--prompt", "ask@1")
    return ("run", "--dataset", "sums@1", *prompt, *path, "--progress", "none", "--new")


@pytest.mark.parametrize("path", PATHS)
def test_a_generation_carries_its_provenance_on_every_path(path: str, line: CommandLine) -> None:
    line.run(*asked(PATHS[path]))
    stories = line.json("show", "latest", "--limit", "50")
    assert len(stories) == 12
    for story in stories:
        assert all(story[fact] is not None for fact in FACTS), story
        assert story["usage_source"] == "provider"


def test_retried_and_resumed_generations_carry_it_too(
    line: CommandLine, provider: FakeProviderProcess
) -> None:
    provider.set_script(FaultScript.from_spec("500=0.3,malformed-json=0.3", seed=5))
    line.run(*asked(PATHS["openai"]), code=None)
    provider.set_script(FaultScript())
    line.run("resume", "1", "--retry-failed", "--progress", "none")
    for story in line.json("show", "latest", "--limit", "50"):
        assert all(story[fact] is not None for fact in FACTS), story


async def test_the_database_refuses_an_executed_generation_without_provenance(
    database: Database,
) -> None:
    with pytest.raises(IntegrityError):
        async with database.write_session() as session:
            await session.execute(
                text(
                    "INSERT INTO generation (id, purpose, origin, repetition, status,"
                    " usage_source, attempt_count, reopened, started_at) VALUES"
                    " ('0190a000000070008000000000000001', 'chat', 'executed', 0, 'completed',"
                    " 'unreported', 1, 0, '2026-01-01')"
                )
            )
