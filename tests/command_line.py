"""The real command in a folder of its own, as a person would use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.preloaded import FORKS, run_forked

__all__ = ["CommandLine", "arithmetic_workspace"]


@dataclass
class CommandLine:
    """`workbench` run as a process in `folder`, with only the environment given here.

    `fresh` starts an interpreter for each command, as a person does; else commands are forked from
    one that has imported the workbench already, and take a fraction of the time.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = not FORKS

    def _process(self, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR", "LANG")}
        command = [sys.executable, "-m", "workbench", *arguments]
        return command, {**kept, "COLUMNS": "160", **self.environment}

    def run(self, *arguments: str, code: int | None = 0, timeout: float = 100) -> str:
        """Return what was printed on standard output; the exit code must be `code`."""
        command, environment = self._process(arguments)
        if self.fresh:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        else:
            done = run_forked(arguments, self.folder, environment, timeout)
        told = f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert code is None or done.returncode == code, told
        self.last_error = done.stderr
        return done.stdout

    def json(self, *arguments: str, code: int | None = 0, timeout: float = 100) -> Any:
        """Return the parsed answer of a command with `--format json`."""
        return json.loads(self.run(*arguments, "--format", "json", code=code, timeout=timeout))

    def start(
        self,
        *arguments: str,
        stdin: IO[bytes] | None = None,
        stderr: IO[bytes] | int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start a command and return at once; `stdin` and `stderr` may be a terminal."""
        command, environment = self._process(arguments)
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )


PROMPT = """\
name: ask
version: v1
description: Add two numbers.
message: first version
messages:
  - {role: user, content: "{{ question }}"}
variables: {question: {type: string, required: true}}
parameters: {temperature: 0, max_tokens: 16}
"""

POLITE_PROMPT = """\
name: ask
version: v2
description: Add two numbers.
message: ask for the number only
messages:
  - {role: system, content: "Answer with the number only."}
  - {role: user, content: "{{ question }}"}
variables: {question: {type: string, required: true}}
parameters: {temperature: 0, max_tokens: 16}
"""


def arithmetic_workspace(
    folder: Path, examples: int, environment: Mapping[str, str]
) -> CommandLine:
    """Make a workspace with a prompt in two versions and a dataset of additions."""
    (folder / "workbench.yaml").write_text("workspace_version: 1\n")
    (folder / "prompts" / "ask").mkdir(parents=True)
    (folder / "prompts" / "ask" / "v1.yaml").write_text(PROMPT)
    (folder / "prompts" / "ask" / "v2.yaml").write_text(POLITE_PROMPT)
    with (folder / "sums.csv").open("w") as file:
        file.write("id,question,answer\n")
        for i in range(examples):
            file.write(f"sum-{i:05d},What is {i} + {i + 1}?,{2 * i + 1}\n")
    line = CommandLine(folder, environment)
    line.run("prompts", "sync")
    line.run(
        "datasets", "import", "sums.csv", "--name", "sums", "--key", "id", "--input", "question",
        "--expected", "answer",
    )  # fmt: skip
    return line
