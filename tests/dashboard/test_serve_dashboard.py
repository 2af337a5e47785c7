"""`workbench serve` with its dashboard, and `workbench dashboard` alone: the real processes."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from tests.command_line import CommandLine
from tests.dashboard.conftest import Workspace

_READY_S = 60.0


@dataclass
class Server:
    """A running command: its process, and what it has printed so far."""

    process: subprocess.Popen[str]
    printed: list[str]

    @property
    def dashboard(self) -> str:
        """The newest address of the dashboard."""
        found = re.findall(r"http://\S+?/sign-in\?token=\S+", "\n".join(self.printed))
        return str(found[-1])

    @property
    def base(self) -> str:
        parts = urlsplit(self.dashboard)
        return f"{parts.scheme}://{parts.netloc}"

    def read_line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"it has ended with {self.process.wait()}"
        self.printed.append(line.rstrip())
        return self.printed[-1]

    def child(self, word: str, *, besides: int | None = None) -> psutil.Process:
        """Return a process that the command has started, once there is one."""
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            for child in psutil.Process(self.process.pid).children():
                if child.pid != besides and word in " ".join(child.cmdline()):
                    return child
            time.sleep(0.05)
        raise AssertionError(f"there is no {word}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    folder = tmp_path_factory.mktemp("served")
    (folder / "workbench.yaml").write_text("workspace_version: 1\n")
    (folder / "workbench.db").write_bytes(sqlite_template.read_bytes())
    return folder


@contextmanager
def started(folder: Path, *arguments: str, lines: int) -> Iterator[Server]:
    """Run a command that serves, until it has printed some lines; it is stopped at the end."""
    process = CommandLine(folder).start(*arguments, stderr=subprocess.STDOUT)
    server = Server(process, [])
    try:
        for _ in range(lines):
            server.read_line()
        yield server
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    ports = ("--port", "0", "--dashboard-port", "0")
    with started(folder, "serve", *ports, "--no-worker", lines=2) as server:
        yield server


def open_page(address: str, cookies: httpx2.Cookies | None = None) -> httpx2.Response:
    return httpx2.get(address, cookies=cookies, timeout=_READY_S)


def test_the_dashboard_s_address_is_printed_before_the_api_s(server: Server) -> None:
    first, second = server.printed[:2]
    assert re.fullmatch(r"Dashboard: http://127\.0\.0\.1:\d+/sign-in\?token=\S{43}", first)
    assert re.fullmatch(r"API: http://127\.0\.0\.1:\d+/v1 \(documentation: /docs\)", second)


def test_the_address_works_as_soon_as_it_is_printed_and_once(server: Server) -> None:
    address = server.dashboard
    answer = open_page(address)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = open_page(f"{server.base}/", answer.cookies)
    assert (page.status_code, "<title>Prompt Workbench</title>" in page.text) == (200, True)
    assert open_page(address).status_code == 403
    assert server.read_line().startswith("Another browser signs in at http://127.0.0.1:")
    assert server.dashboard != address


@pytest.mark.parametrize("path", ["/home", "/home?number=7"])
def test_the_address_of_home_is_the_root(server: Server, path: str) -> None:
    answer = open_page(f"{server.base}{path}")
    assert (answer.status_code, answer.headers["location"]) == (303, path.replace("home", ""))


def test_a_page_lets_a_browser_load_nothing_from_elsewhere(server: Server) -> None:
    page = open_page(f"{server.base}/models")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert re.findall(r"(?:src|href)=.https?:", page.text) == []


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1", "http://127.0.0.1", 101),
        ("127.0.0.1", "http://127.0.0.1:1", 403),
        ("127.0.0.1", "http://evil.example", 403),
        ("127.0.0.1", None, 403),
        ("evil.example", "http://evil.example", 403),
    ],
)
def test_only_a_page_of_the_dashboard_opens_a_websocket(
    server: Server, host: str, origin: str | None, status: int
) -> None:
    own = urlsplit(server.base).port
    headers = {
        "Host": f"{host}:{own}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    if origin is not None:
        headers["Origin"] = origin if origin.count(":") == 2 else f"{origin}:{own}"
    connection = http.client.HTTPConnection("127.0.0.1", own, timeout=_READY_S)
    connection.request("GET", "/_stcore/stream", headers=headers)
    assert connection.getresponse().status == status
    connection.close()


def test_no_secret_is_seen_among_the_processes(server: Server) -> None:
    dashboard = server.child("workbench.dashboard")
    seen = json.dumps([dashboard.cmdline(), dashboard.environ()])
    token = server.dashboard.partition("token=")[2]
    assert token not in seen
    assert "seal" not in seen
    assert "local_" not in seen


@pytest.mark.nightly
def test_a_dashboard_that_dies_is_replaced_and_nobody_is_signed_out(folder: Path) -> None:
    ports = ("--port", "0", "--dashboard-port", "0")
    with started(folder, "serve", *ports, "--no-worker", lines=2) as server:
        address = server.dashboard
        cookies = open_page(address).cookies
        server.read_line()
        first = server.child("workbench.dashboard")
        first.kill()
        assert server.read_line() == "The dashboard ended with code -9; starting another one."
        server.child("workbench.dashboard", besides=first.pid)
        again = open_page(address, cookies)  # used before: the cookie is what lets it pass
        assert (again.status_code, again.headers["location"]) == (303, "/")
        assert open_page(server.dashboard).status_code == 303  # the newest still signs in


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_processes_end_together(folder: Path, number: signal.Signals) -> None:
    with started(folder, "serve", "--port", "0", "--dashboard-port", "0", lines=2) as server:
        open_page(server.dashboard)
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert len(children) == 2
        server.process.send_signal(number)
        told, _ = server.process.communicate(timeout=60)
    assert server.process.returncode == 0
    assert told.splitlines()[-1] == "Stopped."
    assert "Traceback" not in told
    assert [child for child in children if child.is_running()] == []


@pytest.mark.nightly
def test_the_dashboard_does_not_outlive_a_server_that_is_killed(folder: Path) -> None:
    with started(folder, "serve", "--port", "0", "--dashboard-port", "0", lines=2) as server:
        dashboard = server.child("workbench.dashboard")
        server.process.kill()
        dashboard.wait(60)


def test_without_its_libraries_the_api_is_served_and_what_is_missing_is_told(
    folder: Path,
) -> None:
    (folder / "without_libraries.py").write_text(
        "import sys\n"
        "sys.modules['streamlit'] = None\n"
        "from workbench.cli.main import main\n"
        "sys.argv = ['workbench', 'serve', '--port', '0', '--no-worker']\n"
        "main()\n"
    )
    command, environment = ["without_libraries.py"], {"PYTHONPATH": str(Path.cwd())}
    with started_by_script(folder, command, environment) as server:
        assert "pip install 'prompt-workbench[ui]'" in server.read_line()
        assert server.read_line().startswith("API: http://127.0.0.1:")


@contextmanager
def started_by_script(
    folder: Path, command: list[str], environment: dict[str, str]
) -> Iterator[Server]:
    import sys

    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Server(process, [])
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_a_dashboard_alone_signs_in_by_key_and_by_no_token(
    tmp_path: Path, empty: Workspace
) -> None:
    arguments = ("dashboard", "--api", empty.url, "--port", "0")
    with started(tmp_path, *arguments, lines=1) as server:
        base = re.fullmatch(r"Dashboard: (http://127\.0\.0\.1:\d+)", server.printed[0])
        assert base is not None
        form = {"key": empty.viewer, "next": "/models"}
        headers = {"Origin": base[1]}
        answer = httpx2.post(f"{base[1]}/sign-in", data=form, headers=headers, timeout=_READY_S)
        assert (answer.status_code, answer.headers["location"]) == (303, "/models")
        assert open_page(f"{base[1]}/sign-in?token=").status_code == 403
