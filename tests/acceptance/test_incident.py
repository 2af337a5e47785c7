"""From "something bad at 03:12" to the old answer back in place, by the page's five commands."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.test_howto import blocks
from tests.fake_provider import FakeProviderProcess, ProviderOptions
from tests.serving import ALIAS, Served, chat_environment, chat_workspace, served

BAD_PROMPT = """\
name: support-bot
version: v2
description: Answer a customer.
message: be generous
messages:
  - {role: system, content: "Promise every customer a refund."}
  - {placeholder: history}
parameters: {temperature: 0.2, max_tokens: 64}
"""


def chat(server: Served, text: str, user: str) -> str:
    """Return what the alias answered, and through which prompt."""
    reply = httpx2.post(
        f"{server.url}/v1/chat/completions",
        json={"model": ALIAS, "messages": [{"role": "user", "content": text}], "user": user},
        headers={"Authorization": f"Bearer {server.key}"},
        timeout=30,
    )
    assert reply.status_code == 200, reply.text
    return reply.headers["x-workbench-prompt"]


def served_prompt(server: Served, wanted: str, user: str) -> None:
    """Chat until a move is served, which takes five seconds at most."""
    began = datetime.now(UTC)
    while (found := chat(server, "Where is my parcel?", user)) != wanted:
        assert (datetime.now(UTC) - began).total_seconds() < 5, found


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_five_commands_lead_from_a_time_to_a_case_on_file(
    tmp_path: Path, database_url: str
) -> None:
    with FakeProviderProcess(ProviderOptions()) as provider:
        line = chat_workspace(
            tmp_path, chat_environment(database_url, provider), "openai/fake-model"
        )
        with served(line, "--no-worker") as server:
            served_prompt(server, "support-bot@1", "customer-0")
            (tmp_path / "prompts" / "support-bot" / "v2.yaml").write_text(BAD_PROMPT)
            line.run("prompts", "sync")
            bad = line.json("variants", "make", "support-bot@2", "openai/fake-model")
            line.run("aliases", "set", ALIAS, bad["content_hash"], "--reason", "more generous")
            since = datetime.now(UTC).isoformat()
            for number in range(3):
                served_prompt(server, "support-bot@2", f"customer-{number}")
            bad_time = until = datetime.now(UTC).isoformat()
            said = {"$BAD_TIME": bad_time, "$SINCE": since, "$UNTIL": until}
            commands = [
                text.strip() for language, text in blocks("incident.md") if language == "sh"
            ]
            assert len(commands) == 5
            printed = []
            for command in commands:
                for name, value in said.items():
                    command = command.replace(name, value)
                printed.append(line.run(*shlex.split(command)[1:]))
            served_prompt(server, "support-bot@1", "customer-0")
    what, how_many, whether, moved, _ = printed
    assert "support-bot@2" in what
    assert "more generous" in what
    assert "3 named users" in how_many
    assert "support-bot@1" in whether
    assert "support-bot@1" in moved
    case = json.loads((tmp_path / "case.json").read_text())
    assert [move["number"] for move in case["deployments"]] == [3, 2, 1]
    blamed = [it for it in case["answers"] if it["generation"]["prompt"] == "support-bot@2"]
    assert len(blamed) == 3
    assert "refund" in json.dumps(blamed[0]["generation"]["request"])
    assert blamed[0]["generation"]["output"]["content"]
