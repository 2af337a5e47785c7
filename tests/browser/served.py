"""`workbench serve` over a copy of the demo workspace, as people start it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.command_line import CommandLine
from workbench.client import Client, aliases, variants

__all__ = ["ALIAS", "Served", "fill", "make_demo", "serve"]

ALIAS = "support-triage@production"
_CHATS = 5


@dataclass
class Served:
    """A running workspace: the API's address, an admin's key, and the dashboard's address.

    `sign_in_address` signs one browser in; afterwards `next_address` returns another one.
    """

    line: CommandLine
    process: subprocess.Popen[str]
    url: str
    dashboard: str
    sign_in_address: str
    key: str = field(repr=False)

    def next_address(self) -> str:
        """Return the address that is printed once the one before was used."""
        return _read(self.process, r"Another browser signs in at (\S+)")


def make_demo(folder: Path) -> str:
    """Make the demo workspace in a folder; return the key of an admin who may read chats too."""
    CommandLine(folder.parent).run("demo", "--folder", str(folder))
    line = CommandLine(folder)
    key: str = line.json("users", "bootstrap", "--name", "ada")["secret"]
    line.run("users", "grant", "ada", "auditor")
    return key


@contextmanager
def serve(folder: Path, key: str, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Serve a workspace on free ports until the end of the block."""
    line = CommandLine(folder, environment or {})
    process = line.start(
        *("serve", "--port", "0", "--dashboard-port", "0"), stderr=subprocess.DEVNULL
    )
    try:
        address = _read(process, r"Dashboard: (\S+)")
        url = _read(process, r"API: (\S+)/v1")
        yield Served(line, process, url, address.partition("/sign-in")[0], address, key)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _read(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stdout is not None
    for text in process.stdout:
        if found := re.match(pattern, text):
            return found[1]
    raise AssertionError(f"the server ended with {process.wait()}")


def fill(served: Served) -> None:
    """Put a variant into production and let a few people chat with it."""
    with Client(served.url, served.key) as client:
        variant = next(iter(client.all(variants.listing("support-triage"))))
        move = {"kind": "move", "variant": str(variant.id), "reason": "first deployment"}
        client.send(aliases.deploy(ALIAS, {**move, "allow_simulated": True}))
        for number in range(_CHATS):
            said = [{"role": "user", "content": "Please answer."}]
            ticket = f"The invoice of May is wrong: number {number}."
            client.chat(ALIAS, said, variables={"ticket": ticket})
