"""A served workspace: the real command over a real socket, an alias in production, a key for it."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.command_line import CommandLine
from tests.fake_provider import FakeProviderProcess

__all__ = ["ALIAS", "CHAT_PROMPT", "Served", "chat_environment", "chat_workspace", "served"]

ALIAS = "support-bot@production"
CHAT_PROMPT = """\
name: support-bot
version: v1
description: Answer a customer.
message: first version
messages:
  - {role: system, content: "You help customers of a shop."}
  - {placeholder: history}
parameters: {temperature: 0.2, max_tokens: 64}
"""
_READY_S = 30.0


@dataclass(frozen=True)
class Served:
    """A running server: its address, a service's key bound to the alias, and an admin's key."""

    line: CommandLine
    process: subprocess.Popen[str]
    url: str
    key: str
    admin_key: str


def chat_environment(database_url: str, provider: FakeProviderProcess) -> dict[str, str]:
    """Return the environment of a workspace over a database, its models at a fake provider."""
    return {
        "WORKBENCH_DATABASE_URL": database_url.replace("+aiosqlite", "").replace("+asyncpg", ""),
        "WORKBENCH_KEY_SECRET": "a secret of the tests, long enough to be one",
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": provider.base_url,
    }


def chat_workspace(folder: Path, environment: Mapping[str, str], model: str) -> CommandLine:
    """Make a workspace whose alias `support-bot@production` is served by `model`."""
    (folder / "workbench.yaml").write_text("workspace_version: 1\n")
    (folder / "prompts" / "support-bot").mkdir(parents=True)
    (folder / "prompts" / "support-bot" / "v1.yaml").write_text(CHAT_PROMPT)
    line = CommandLine(folder, environment)
    line.run("prompts", "sync")
    line.run("models", "add", model)
    made = line.json("variants", "make", "support-bot@1", model)
    line.run("aliases", "set", ALIAS, made["content_hash"], "--reason", "first deployment")
    return line


@contextmanager
def served(line: CommandLine, *arguments: str) -> Iterator[Served]:
    """Serve a workspace by the real command until the end of the block."""
    admin = line.json("users", "bootstrap", "--name", "ada")["secret"]
    service = line.json("keys", "create", "shop", "--service", "--alias", ALIAS)["secret"]
    dashboard = () if "--dashboard" in arguments else ("--no-dashboard",)
    process = line.start(
        *("serve", "--port", "0", *dashboard, *arguments), stderr=subprocess.DEVNULL
    )
    try:
        yield Served(line, process, _address(process), service, admin)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _address(process: subprocess.Popen[str]) -> str:
    """Read where the server says that it is, and wait until it answers."""
    assert process.stdout is not None
    for text in process.stdout:
        if found := re.match(r"API: (http://[\w.:\[\]]+)", text):
            _wait_until_ready(found[1])
            return found[1]
    raise AssertionError(f"the server ended with {process.wait()} before it served")


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=5) as reply:
                assert json.load(reply)["status"] == "ok"
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
