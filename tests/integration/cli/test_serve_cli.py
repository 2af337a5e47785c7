"""`workbench serve`: the API on loopback and nowhere else, and a worker that does its jobs."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest
from typer.testing import CliRunner

from app.bootstrap import Services, open_services
from app.core.permissions import local_actor
from app.core.settings import load_settings
from app.schemas.jobs import JobView, RunRequest
from tests.api.measured import asked as an_experiment
from tests.api.measured import stock
from workbench.cli.serve import app
from workbench.runner.generation.lock import lock_file

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
    assert "this server speaks plain HTTP" in result.stderr


def test_a_name_is_no_address(workspace: Path, port_in_use: str) -> None:
    result = CliRunner().invoke(app, ["--host", "example.com", "--port", port_in_use])
    assert result.exit_code == 2
    assert "'example.com' is no address" in result.stderr


def test_an_address_of_the_settings_is_refused_too(workspace: Path, port_in_use: str) -> None:
    (workspace / "workbench.yaml").write_text(f"host: 0.0.0.0\nport: {port_in_use}\n")
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "this server speaks plain HTTP" in result.stderr


def test_a_port_in_use_is_told_for_the_dashboard_too(workspace: Path, port_in_use: str) -> None:
    result = CliRunner().invoke(app, ["--port", "0", "--dashboard-port", port_in_use])
    assert result.exit_code == 2
    assert "Address already in use" in result.stderr
    assert "--dashboard-port" in result.stderr


def test_half_an_identity_provider_is_told(workspace: Path) -> None:
    (workspace / "workbench.yaml").write_text("dashboard: {client_id: one}\n")
    result = CliRunner().invoke(app, ["--port", "0", "--dashboard-port", "0"])
    assert result.exit_code == 2
    assert "WORKBENCH_DASHBOARD_CLIENT_SECRET" in result.stderr


def test_a_port_in_use_is_told(workspace: Path, port_in_use: str) -> None:
    result = CliRunner().invoke(app, ["--port", port_in_use])
    assert result.exit_code == 2
    assert "Address already in use" in result.stderr
    assert "--port" in result.stderr


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the server's process and address; it is stopped at the end, if it still runs."""
    code = "import sys; from workbench.cli.serve import app; app(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", code, "--port", "0", "--no-dashboard", *options],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            url = re.match(r"API: (http://127\.0\.0\.1:\d+)/v1 ", server.stdout.readline())
            assert url is not None
            yield server, url[1]
        finally:
            server.terminate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(workspace: Path, number: signal.Signals) -> None:
    with serving() as (server, url):
        assert httpx2.get(f"{url}/health/ready").json()["status"] == "ok"
        server.send_signal(number)
        told, errors = server.communicate(timeout=60)
    assert (server.returncode, told.strip(), errors) == (0, "Stopped.", "")


@asynccontextmanager
async def asked(workspace: Path) -> AsyncIterator[tuple[Services, JobView]]:
    """A job that waits for a worker."""
    async with open_services(load_settings(workspace)) as services:
        await stock(services)
        request = RunRequest.model_validate(an_experiment())
        yield services, await services.jobs.start_experiment(local_actor(), request)


async def ended(services: Services, job: JobView) -> JobView:
    async with asyncio.timeout(60):
        *_, last = [item async for item in services.jobs.follow(local_actor(), job.id)]
    return last.job


def worker_of(server: subprocess.Popen[str], *, besides: int | None = None) -> psutil.Process:
    """Return the process of the server's worker, once there is one."""
    for _ in range(600):
        for child in psutil.Process(server.pid).children():
            if child.pid != besides and "worker" in child.cmdline():
                return child
        assert server.poll() is None
        time.sleep(0.1)
    raise AssertionError("there is no worker")


async def test_its_worker_does_the_jobs(workspace: Path) -> None:
    async with asked(workspace) as (services, job):
        with serving():
            assert (await ended(services, job)).status == "done"


async def test_a_worker_that_dies_is_replaced(workspace: Path) -> None:
    with serving() as (server, _):
        first = await asyncio.to_thread(worker_of, server)
        first.kill()
        await asyncio.to_thread(worker_of, server, besides=first.pid)
        async with asked(workspace) as (services, job):
            assert (await ended(services, job)).status == "done"
        server.terminate()
        _, errors = await asyncio.to_thread(server.communicate, timeout=60)
    assert "The worker ended with code -9; starting another one." in errors


async def test_jobs_are_done_once_the_other_worker_of_the_workspace_has_gone(
    workspace: Path,
) -> None:
    other = lock_file(workspace / ".workbench" / "worker.lock")
    assert other is not None
    with other, serving() as (server, _):
        assert server.stderr is not None
        told = ""
        while "starting another one" not in told:
            told = await asyncio.to_thread(server.stderr.readline)
            assert told, "the server has ended"
        other.close()
        async with asked(workspace) as (services, job):
            assert (await ended(services, job)).status == "done"


@pytest.mark.nightly
async def test_a_worker_does_not_outlive_a_server_that_is_killed(workspace: Path) -> None:
    with serving() as (server, _):
        worker = await asyncio.to_thread(worker_of, server)
        server.kill()
        await asyncio.to_thread(worker.wait, 60)


@pytest.mark.nightly
async def test_without_a_worker_jobs_wait(workspace: Path) -> None:
    with serving("--no-worker") as (server, url):
        assert httpx2.get(f"{url}/health").status_code == 200
        assert psutil.Process(server.pid).children() == []
    async with asked(workspace) as (services, job):
        assert (await services.jobs.get(local_actor(), job.id)).status == "queued"
