"""APIs that the pages are shown against: one of the demo workspace, one empty, one that fails."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.bootstrap import Services
from app.core.permissions import Permission, Role
from app.core.settings import load_settings
from app.main import create_app
from tests.api.conftest import KEY_SECRET, key_of
from tests.api.live import live
from tests.command_line import CommandLine
from workbench.client import Client, aliases, variants

__all__ = ["ALIAS", "Workspace"]

ALIAS = "support-triage@production"
_CHATS = 5
_SAID = [{"role": "user", "content": "Please answer."}]


@dataclass(frozen=True)
class Workspace:
    """A running API: its address, and keys of people. `key` may do everything, customers' texts
    included; `viewer` may only look, `nobody` has no role at all."""

    url: str
    key: str
    viewer: str
    nobody: str


@contextmanager
def _served(folder: Path) -> Iterator[Workspace]:
    environment = {
        "WORKBENCH_DATABASE_URL": "sqlite:///workbench.db",
        "WORKBENCH_KEY_SECRET": KEY_SECRET,
    }
    keys: dict[str, str] = {}

    async def people(services: Services) -> None:
        keys["viewer"] = await key_of(services, "vera", Role.VIEWER)
        keys["nobody"] = await key_of(services, "noor")

    with live(create_app(load_settings(folder, environment)), people) as running:
        yield Workspace(running.url, running.key, keys["viewer"], keys["nobody"])


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Give the tests' own main module back: AppTest puts its script in that place, and a process
    that is started later would run it."""
    kept = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = kept


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of `workbench demo`: one experiment of six runs, scored and compared. Copy it
    to change it."""
    folder = tmp_path_factory.mktemp("demo") / "workspace"
    CommandLine(folder.parent).run("demo", "--folder", str(folder))
    return folder


@pytest.fixture(scope="session")
def filled(demo_folder: Path) -> Iterator[Workspace]:
    """The demo workspace served, with an alias and a few chats. Tests that change what others
    count take names of their own."""
    with _served(demo_folder) as workspace:
        with Client(workspace.url, workspace.key) as client:
            variant = next(iter(client.all(variants.listing("support-triage"))))
            move = {"kind": "move", "variant": str(variant.id), "reason": "first deployment"}
            client.send(aliases.deploy(ALIAS, {**move, "allow_simulated": True}))
            for number in range(_CHATS):
                client.chat(
                    ALIAS, _SAID, variables={"ticket": f"The invoice of May is wrong {number}."}
                )
        yield workspace


@pytest.fixture(scope="session")
def empty(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace in which nothing was done yet."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "workbench.db").write_bytes(sqlite_template.read_bytes())
    with _served(folder) as workspace:
        yield workspace


@pytest.fixture(scope="session")
def failing() -> Iterator[str]:
    """The address of an API that knows who one is, and fails at everything else."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Failing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Failing(BaseHTTPRequestHandler):
    """Answers as an API does whose database is away."""

    def do_GET(self) -> None:
        if self.path == "/api/users/me":
            everything = [str(permission) for permission in Permission]
            me = {
                "kind": "user",
                "name": "ada",
                "permissions": everything,
                "prefixes": [],
                "aliases": None,
            }
            self._answer(200, me)
            return
        self._answer(
            503,
            {
                "detail": "The database does not answer; try again.",
                "code": "unavailable",
                "status": 503,
            },
        )

    def do_POST(self) -> None:
        self.do_GET()

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""
