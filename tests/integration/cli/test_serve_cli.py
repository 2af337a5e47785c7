"""`workbench serve`: the API on loopback, and nowhere else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from workbench.cli.serve import app

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def workspace(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    shutil.copy(sqlite_template, tmp_path / "workbench.db")
    return tmp_path


@pytest.fixture
def port_in_use() -> Iterator[str]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield str(other.getsockname()[1])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7"])
def test_another_address_than_loopback_is_refused(
    workspace: Path, port_in_use: str, host: str
) -> None:
    result = CliRunner().invoke(app, ["--host", host, "--port", port_in_use])
    assert result.exit_code == 2
    assert "there is no sign-in yet" in result.stderr


def test_a_name_is_no_address(workspace: Path, port_in_use: str) -> None:
    result = CliRunner().invoke(app, ["--host", "example.com", "--port", port_in_use])
    assert result.exit_code == 2
    assert "'example.com' is no address" in result.stderr


def test_an_address_of_the_settings_is_refused_too(workspace: Path, port_in_use: str) -> None:
    (workspace / "workbench.yaml").write_text(f"host: 0.0.0.0\nport: {port_in_use}\n")
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "there is no sign-in yet" in result.stderr


def test_a_port_in_use_is_told(workspace: Path, port_in_use: str) -> None:
    result = CliRunner().invoke(app, ["--port", port_in_use])
    assert result.exit_code == 2
    assert "Address already in use" in result.stderr
    assert "--port" in result.stderr


def test_it_serves_until_it_is_interrupted(workspace: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from workbench.cli.serve import app; app(['--port', '0'])"],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
            assert url is not None
            assert httpx2.get(f"{url[0]}/health/ready").json()["status"] == "ok"
        finally:
            server.send_signal(signal.SIGINT)
        told, errors = server.communicate(timeout=60)
    assert (server.returncode, told.strip(), errors) == (0, "Stopped.", "")


def _environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}
