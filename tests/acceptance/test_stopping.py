"""What stops a run, what it costs by then, and what is kept."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.command_line import CommandLine, arithmetic_workspace
from tests.fake_provider import FakeProviderProcess, FaultScript, ProviderOptions

RUN = (
    "run", "--yes", "--dataset", "sums@1", "--prompt", "ask@1", "--model", "openai/fake-model",
    "--scorer", "numeric_answer", "--concurrency", "50", "--progress", "plain",
)  # fmt: skip


def options(fault: str | None = None, **more: object) -> ProviderOptions:
    script = FaultScript.from_spec(f"{fault}=1.0") if fault else FaultScript()
    return ProviderOptions(latency_ms=20, answer="arithmetic", script=script, **more)  # type: ignore[arg-type] # options of the fake


def environment(url: str, server: FakeProviderProcess) -> Mapping[str, str]:
    return {
        "WORKBENCH_DATABASE_URL": url.replace("+aiosqlite", "").replace("+asyncpg", ""),
        "OPENAI_API_KEY": "sk-test-canary-0123456789",
        "OPENAI_BASE_URL": server.base_url,
    }


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    path = shutil.copy(sqlite_template, tmp_path / "workbench.db")
    return f"sqlite:///{path}"


def counts(line: CommandLine, number: str = "1") -> Mapping[str, int]:
    found: Mapping[str, int] = line.json("experiments", "show", number)["runs"][0]["counts"]
    return found


def test_a_wrong_key_stops_2000_calls_after_at_most_five(tmp_path: Path, database_url: str) -> None:
    with FakeProviderProcess(options("401")) as server:
        line = arithmetic_workspace(tmp_path, 2000, environment(database_url, server))
        line.run(*RUN, code=2)
        assert server.summary()["received"] <= 5
        assert "OPENAI_API_KEY" in line.last_error
        assert "workbench resume 1" in line.last_error
        assert counts(line) == {}
        server.set_script(FaultScript())
        line.run("resume", "--progress", "none", "--concurrency", "50")
        assert counts(line) == {"completed": 2000}


@pytest.mark.parametrize(
    ("fault", "told"),
    [("404-model", "models probe openai/fake-model"), ("400", "was refused")],
)
def test_errors_that_every_call_would_meet_stop_the_run(
    fault: str, told: str, tmp_path: Path, sqlite_url: str
) -> None:
    with FakeProviderProcess(options(fault)) as server:
        line = arithmetic_workspace(tmp_path, 300, environment(sqlite_url, server))
        line.run(*RUN, code=2)
        assert server.summary()["received"] <= 5
        assert told in line.last_error
        assert counts(line) == {}


def test_a_server_that_is_not_there_stops_the_run_with_its_address(
    tmp_path: Path, sqlite_url: str
) -> None:
    with FakeProviderProcess(options()) as server:
        environment_ = dict(environment(sqlite_url, server))
    line = arithmetic_workspace(tmp_path, 300, environment_)  # its server has ended
    line.run(*RUN, code=2)
    assert "OPENAI_BASE_URL" in line.last_error
    assert counts(line) == {}


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("refused", "remedy"),
    [
        ("temperature", "temperature=unsupported"),
        ("max_tokens", "max_tokens=wire:max_completion_tokens"),
    ],
)
def test_a_strict_server_is_served_after_the_catalog_says_so(
    refused: str, remedy: str, tmp_path: Path, sqlite_url: str
) -> None:
    with FakeProviderProcess(options(strict=frozenset({refused}))) as server:
        line = arithmetic_workspace(tmp_path, 40, environment(sqlite_url, server))
        line.run(*RUN, code=2)
        told = re.search(r"workbench (models set \S+ --parameter \S+)", line.last_error)
        assert told is not None
        assert told[1].endswith(remedy)
        line.run(*told[1].split())
        line.run("resume", "--progress", "none")
        assert counts(line) == {"completed": 40}


@pytest.mark.nightly
def test_temperature_with_top_p_is_served_after_the_catalog_says_they_exclude_each_other(
    tmp_path: Path, sqlite_url: str
) -> None:
    strict = options(strict=frozenset({"top_p_with_temperature"}))
    with FakeProviderProcess(strict) as server:
        line = arithmetic_workspace(tmp_path, 40, environment(sqlite_url, server))
        line.run(*RUN, code=2)
        line.run("models", "set", "openai/fake-model", "--parameter", "temperature=exclusive:top_p")
        line.run("resume", "--progress", "none")
        story = line.json("show", "latest", "--limit", "1")[0]
        assert counts(line) == {"completed": 40}
        assert "top_p" in story["left_out_parameters"]


def test_ctrl_c_finishes_what_is_in_flight_and_resume_does_the_rest(
    tmp_path: Path, database_url: str
) -> None:
    with FakeProviderProcess(ProviderOptions(latency_ms=100, answer="arithmetic")) as server:
        line = arithmetic_workspace(tmp_path, 1500, environment(database_url, server))
        process = line.start(*RUN)
        assert process.stderr is not None
        for text in process.stderr:
            if text.startswith("progress ") and not text.startswith("progress 0/"):
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 4, errors
        stored = counts(line)["completed"]
        assert 0 < stored < 1500
        assert server.summary()["received"] == stored
        line.run("resume", "--progress", "none", "--concurrency", "50")
        assert counts(line) == {"completed": 1500}
        assert server.summary()["received"] == 1500


def test_the_same_unfinished_question_is_refused_with_both_ways_on(
    tmp_path: Path, sqlite_url: str
) -> None:
    with FakeProviderProcess(options("401")) as server:
        line = arithmetic_workspace(tmp_path, 20, environment(sqlite_url, server))
        line.run(*RUN, code=2)
        server.set_script(FaultScript())
        line.run(*RUN, code=2)
        assert "workbench resume 1" in line.last_error
        assert "--new" in line.last_error
        line.run(*RUN, "--new")
        assert counts(line, "2") == {"completed": 20}


def test_failed_cells_are_reopened_by_class_and_the_comparison_says_so(
    tmp_path: Path, sqlite_url: str
) -> None:
    script = FaultScript.from_spec("malformed-json=0.2", seed=3)
    with FakeProviderProcess(
        ProviderOptions(latency_ms=5, answer="arithmetic", script=script)
    ) as server:
        line = arithmetic_workspace(tmp_path, 60, environment(sqlite_url, server))
        both = [*RUN, "--prompt", "ask@2"]
        line.run(*both, code=3)
        failed = sum(
            run["errors"].get("malformed_response", 0)
            for run in line.json("experiments", "show", "1")["runs"]
        )
        assert failed > 0
        server.set_script(FaultScript())
        calls = server.summary()["received"]
        line.run("resume", "1", "--retry-failed", "--error", "timeout", code=3)
        assert server.summary()["received"] == calls
        line.run("resume", "1", "--retry-failed", "--error", "malformed_response")
        assert server.summary()["received"] == calls + failed
        codes = [w["code"] for w in line.json("compare")["warnings"]]
        assert "retried" in codes


def test_two_processes_share_the_work_out(tmp_path: Path, database_url: str) -> None:
    with FakeProviderProcess(options()) as server:
        line = arithmetic_workspace(tmp_path, 400, environment(database_url, server))
        done = line.json(*RUN, "--processes", "2")
        assert done["runs"][0]["counts"] == {"completed": 400}
        assert server.summary()["received"] == 400
        assert server.summary()["max_in_flight"] <= 50


def test_a_cancelled_experiment_ends_in_the_process_that_works_on_it(
    tmp_path: Path, sqlite_url: str
) -> None:
    with FakeProviderProcess(ProviderOptions(latency_ms=100, answer="arithmetic")) as server:
        line = arithmetic_workspace(tmp_path, 1500, environment(sqlite_url, server))
        process = line.start(*RUN[:-4], "--concurrency", "5", "--progress", "plain")
        assert process.stderr is not None
        for text in process.stderr:
            if text.startswith("progress "):
                break
        line.run("experiments", "cancel", "1")
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 4, errors
        assert line.json("experiments", "show", "1")["status"] == "cancelled"


@pytest.mark.nightly
@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_twice_ends_at_once_and_every_call_stays_on_the_ledger(
    processes: int, tmp_path: Path, sqlite_url: str
) -> None:
    with FakeProviderProcess(ProviderOptions(latency_ms=1000, answer="arithmetic")) as server:
        line = arithmetic_workspace(tmp_path, 300, environment(sqlite_url, server))
        process = line.start(*RUN[:-4], "--concurrency", "10", "--processes", str(processes))
        while server.summary()["received"] < 20:  # the ledger says when two rounds are out
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        for text in process.stderr:
            if text.startswith("Stopping"):
                break
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 4, errors
        with sqlite3.connect(tmp_path / "workbench.db") as database:
            attempts = database.execute("SELECT count(*) FROM attempt").fetchone()[0]
        database.close()
        assert attempts == server.summary()["received"]
        line.run("resume", "--progress", "none", "--concurrency", "100")
        assert counts(line) == {"completed": 300}
