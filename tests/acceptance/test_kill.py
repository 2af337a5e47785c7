"""`kill -9` at random points: nothing counted is lost, nothing is done twice."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.command_line import CommandLine, arithmetic_workspace
from tests.fake_provider import FakeProviderProcess

CONCURRENCY = 50
RUN = (
    "run", "--yes", "--dataset", "sums@1", "--prompt", "ask@1", "--model", "openai/fake-model",
    "--scorer", "numeric_answer", "--concurrency", str(CONCURRENCY), "--progress", "plain",
)  # fmt: skip


@pytest.mark.timeout(300)
def test_a_run_killed_five_times_loses_and_doubles_nothing(
    tmp_path: Path, environment: Mapping[str, str], provider: FakeProviderProcess
) -> None:
    seed = int(os.environ.get("WORKBENCH_TEST_SEED", "20261122"))
    print(f"seed {seed}")
    examples = 2000
    draw = random.Random(seed)
    line = arithmetic_workspace(tmp_path, examples, environment)
    points = sorted(draw.randrange(50, examples - 100) for _ in range(5))
    command: tuple[str, ...] = RUN
    for point in points:
        counted = _kill_after(line.start(*command), point)
        stored = sum(line.json("experiments", "show", "1")["runs"][0]["counts"].values())
        assert stored >= counted
        command = ("resume", "--concurrency", str(CONCURRENCY), "--progress", "plain")
    finished = line.json("resume", "--concurrency", str(CONCURRENCY))
    run = finished["runs"][0]
    summary = provider.summary()
    uninterrupted = _uninterrupted(line)
    assert run["counts"] == {"completed": examples}
    assert run["input_tokens"] == uninterrupted["input_tokens"]
    assert run["output_tokens"] == uninterrupted["output_tokens"]
    print(f"points {points}, calls {summary['received']} for {examples} examples")
    # In flight at each kill, and answered within the commit window.
    assert summary["received"] <= examples + 5 * 60


def _kill_after(process: subprocess.Popen[str], point: int) -> int:
    """Kill the process as soon as it has told of `point` outcomes; return what it told."""
    assert process.stderr is not None
    counted = 0
    for text in process.stderr:
        if match := re.match(r"progress (\d+)/", text):
            counted = int(match[1])
            if counted >= point:
                break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert process.stdout is not None
    process.stdout.close()
    return counted


def _uninterrupted(line: CommandLine) -> Mapping[str, int]:
    """The same run without a kill."""
    done = line.json(*RUN, "--new")
    totals: Mapping[str, int] = done["runs"][0]
    return totals
