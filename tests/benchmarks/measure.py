"""Measuring whole commands: wall, CPU, memory, and what the provider's ledger says."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.command_line import CommandLine

__all__ = ["Measured", "compile_bytecode", "median", "report", "run_experiment", "timed"]

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Measured:
    """One command: seconds of wall and CPU, MiB of peak memory (of its largest process)."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    started_at: float
    answer: Any
    window_s: float | None = None
    workers_cpu_s: float | None = None
    first_call_s: float | None = None


def compile_bytecode() -> None:
    """Have bytecode for everything, as an installed program has."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    packages = Path(sys.prefix) / "lib"
    for folder in (REPOSITORY / "app", REPOSITORY / "workbench", packages):
        subprocess.run(
            [sys.executable, "-m", "compileall", "-q", "-j", "2", str(folder)],
            env=environment,
            check=False,
            capture_output=True,
        )


def timed(line: CommandLine, *arguments: str, parse: bool = True) -> Measured:
    """Run a command and measure its process tree by what the kernel counted."""
    command, environment = line._process(arguments)
    read, write = os.pipe()
    started = time.monotonic()
    process = subprocess.Popen(
        command, cwd=line.folder, env=environment, stdout=write, stderr=subprocess.DEVNULL
    )
    os.close(write)
    with os.fdopen(read) as output:
        text = output.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    assert process.returncode in (0, 3), f"{arguments}: exit {process.returncode}\n{text}"
    return Measured(
        wall_s=wall,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024,
        started_at=started,
        answer=json.loads(text) if parse else text,
    )


def run_experiment(line: CommandLine, server: Any, *arguments: str) -> Measured:
    """Run an experiment; `window_s` is from the first request to the last committed outcome."""
    server.reset()
    measured = timed(line, *arguments, "--format", "json", "--progress", "none")
    shown = line.json("experiments", "show", str(measured.answer["experiment"]))
    detail = shown["jobs"][-1]["detail"]
    window = _time(detail["last_commit_at"]) - _time(detail["first_call_at"])
    first = min(call["time_in"] for call in server.calls()[:50])
    return Measured(
        **{
            **measured.__dict__,
            "window_s": window.total_seconds(),
            "workers_cpu_s": detail["cpu_s"],
            "peak_mib": max(measured.peak_mib, detail["peak_mib"]),
            "first_call_s": first - measured.started_at,
        }
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def median(runs: Sequence[Measured], value: Callable[[Measured], float | None]) -> float:
    """Return the median of one figure over several runs."""
    return statistics.median(v for run in runs if (v := value(run)) is not None)


def report(title: str, figures: Mapping[str, str | float]) -> None:
    """Print one line of the bench's table."""
    told = "  ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
    )
    print(f"\nBENCH {title}: {told}")
