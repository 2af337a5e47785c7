"""Run a team's scorer: in a process of its own, with limits, and never in ours.

The process has the workspace on its path and next to nothing in its environment: no keys, no
settings. It is the team's own code and runs with the rights of whoever started the command; the
process keeps its faults away from the record, it is no prison. Only JSON passes between the two.

Whatever goes wrong with one output (an exception, a value of another type, a crash, too much
time or memory) is a `failed` score of that output, never 0, and the next output is scored by a
fresh process if need be. A function that cannot even be loaded, or that ends its process at ten
outputs in a row, is an error of the command, and these outputs stay open.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from app.core.errors import ConfigurationError
from workbench.scorers import ReasonCode, ScoreResult, ScoringInput
from workbench.scorers.interface import MAX_EXPLANATION
from workbench.scorers.team import TeamScorer
from workbench.team_scorers import check_source, function_file, team_function

__all__ = ["TeamLimits", "TeamProcess", "open_team_scorer"]

_WORKER: Final = Path(__file__).with_name("team_worker.py")
_MAX_LINE: Final = 65_536
_MAX_INPUT: Final = 20_000_000
_MOST_CRASHES: Final = 10
# Without these an interpreter does not start everywhere; none of them is a secret.
_KEPT_VARIABLES: Final = ("LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")
_ENVIRONMENT: Final = {
    "LANG": "C.UTF-8",
    "PATH": os.defpath,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",  # sets are walked in the same order every time
    "PYTHONUTF8": "1",
    # Libraries of linear algebra reserve memory for each thread, which the limit counts.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TeamLimits:
    """What a team's scorer may use."""

    seconds: float = 30.0
    """Longest time for one output."""
    start_seconds: float = 60.0
    """Longest time for starting, imports included; the CPU of a process is bounded by the longer
    of the two."""
    memory_bytes: int = 4 * 1024**3
    """Most memory, as address space."""


class _ProcessEnded(Exception):
    """The process is gone, or was ended because it took too long (`timed_out`)."""

    def __init__(self, *, timed_out: bool = False) -> None:
        self.timed_out = timed_out


@asynccontextmanager
async def open_team_scorer(
    root: Path, scorer: TeamScorer, limits: TeamLimits | None = None
) -> AsyncGenerator[TeamProcess]:
    """Start a team's scorer of the workspace `root`.

    Raises `ConfigurationError` if its source is no longer the one that the scorer names, or if
    it cannot be loaded.
    """
    file = await asyncio.to_thread(function_file, root, scorer.name)
    function = await asyncio.to_thread(team_function, root, scorer.name)
    process = TeamProcess(root, file, scorer, function.inputs, limits or TeamLimits())
    try:
        await process.start()
        yield process
    finally:
        await process.stop()


class TeamProcess:
    """One scorer and the process that it runs in now."""

    def __init__(
        self,
        root: Path,
        file: Path,
        scorer: TeamScorer,
        inputs: Sequence[str],
        limits: TeamLimits,
    ) -> None:
        self._root = root
        self._file = file
        self._scorer = scorer
        self._inputs = inputs
        self._limits = limits
        self._process: Process | None = None
        self._crashes = 0
        self._asked = 0  # outputs so far

    async def start(self) -> None:
        """Start the process and load the function.

        Raises `ConfigurationError` if it cannot be loaded or is not the one that the scorer
        names, also when a process is started anew: scores of other code are never stored.
        """
        await asyncio.to_thread(check_source, self._root, self._scorer)
        await self._load()
        # Once more, since the file may have been written between looking at it and loading it.
        await asyncio.to_thread(check_source, self._root, self._scorer)

    async def _load(self) -> None:
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-s",  # no packages of the user's home
            "-P",  # the folder of the script is not on the path
            str(_WORKER),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            cwd=self._root,
            env={**kept, **_ENVIRONMENT},
            limit=_MAX_LINE,
            start_new_session=True,
        )
        limits = self._limits
        told = [
            str(self._root),
            str(self._file),
            self._scorer.function,
            limits.memory_bytes,
            math.ceil(max(limits.seconds, limits.start_seconds)),
        ]
        try:
            answer = await self._exchange(told, limits.start_seconds)
        except _ProcessEnded as error:
            why = f"not loaded within {limits.start_seconds:g} s" if error.timed_out else "it ended"
            raise ConfigurationError(f"{self._scorer.name} cannot be started: {why}.") from error
        if answer.get("ready") is not True:
            await self.stop()
            raise ConfigurationError(
                f"{self._scorer.name} cannot be loaded: {answer.get('broken', 'it says nothing')}."
            )

    async def score(self, given: ScoringInput) -> ScoreResult:
        """Score one output.

        Raises `ConfigurationError` if the function ended its process at ten outputs in a row.
        """
        arguments = {name: _plain(getattr(given, name)) for name in self._inputs}
        arguments |= self._scorer.config.options or {}
        if self._process is None:
            await self.start()
        try:
            answer = await self._ask(arguments)
        except _ProcessEnded as error:
            return self._ended(timed_out=error.timed_out)
        except ValueError:
            return ScoreResult.failed(
                ReasonCode.SIZE_LIMIT, f"Output and example have more than {_MAX_INPUT:,} bytes."
            )
        self._crashes = 0
        return _result(self._scorer, answer)

    def _ended(self, *, timed_out: bool) -> ScoreResult:
        name, seconds = self._scorer.name, self._limits.seconds
        self._crashes += 1
        if self._crashes == _MOST_CRASHES:
            raise ConfigurationError(
                f"{name} ended its process or took too long at {_MOST_CRASHES} outputs in a row; "
                "it was stopped."
            )
        if timed_out:
            return ScoreResult.failed(
                ReasonCode.TIME_LIMIT, f"{name} took longer than {seconds:g} s on this output."
            )
        return ScoreResult.failed(ReasonCode.CRASHED, f"{name} ended its process on this output.")

    async def _ask(self, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        """Return the answer to one output; one to another output counts as no answer.

        Raises what `_exchange` raises.
        """
        self._asked += 1
        answer = await self._exchange([self._asked, arguments], self._limits.seconds)
        if answer.get("number") != self._asked:
            await self.stop()
            raise _ProcessEnded
        return answer

    async def _exchange(self, message: object, seconds: float) -> Mapping[str, Any]:
        """Send one line and return the answer.

        Raises `_ProcessEnded`, with the process gone, and `ValueError` for a message that is
        too long to be sent.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise _ProcessEnded
        line = json.dumps(message).encode() + b"\n"
        if len(line) > _MAX_INPUT:
            raise ValueError(len(line))
        try:
            async with asyncio.timeout(seconds):
                process.stdin.write(line)
                await process.stdin.drain()
                answer = json.loads(await process.stdout.readuntil(b"\n"))
        except TimeoutError:
            await self.stop()
            raise _ProcessEnded(timed_out=True) from None
        except (OSError, EOFError, asyncio.LimitOverrunError, ValueError):
            await self.stop()
            raise _ProcessEnded from None
        if not isinstance(answer, dict):
            await self.stop()
            raise _ProcessEnded
        return answer

    async def stop(self) -> None:
        """End the process and what it started."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        await process.wait()


def _plain(value: object) -> object:
    """Return a field of the input as JSON has it; a cost becomes a float."""
    if isinstance(value, Decimal):
        return float(value)
    return dict(value) if isinstance(value, Mapping) else value


def _result(scorer: TeamScorer, answer: Mapping[str, Any]) -> ScoreResult:
    """Return what an answer says, checked: the process is not believed."""
    value, explanation = answer.get("value"), str(answer.get("explanation", ""))[:MAX_EXPLANATION]
    if "error" in answer:
        return ScoreResult.failed(
            ReasonCode.EXCEPTION, f"{scorer.name} stopped with {str(answer['error'])[:100]}."
        )
    if "value" in answer and value is None:
        told = explanation or f"{scorer.name} says nothing of this example."
        return ScoreResult.unscored(ReasonCode.NOT_APPLICABLE, told)
    if scorer.binary and isinstance(value, bool):
        return ScoreResult.verdict(value, explanation or ("right" if value else "wrong"))
    if scorer.binary or not isinstance(value, (int, float)):
        found = answer.get("type", type(value).__name__)
        wanted = "bool" if scorer.binary else "float"
        return ScoreResult.failed(
            ReasonCode.WRONG_TYPE, f"{scorer.name} gave {str(found)[:100]} and no {wanted}."
        )
    if not 0 <= value <= 1:  # also NaN
        return ScoreResult.failed(
            ReasonCode.OUT_OF_RANGE,
            f"{scorer.name} gave {str(value)[:40]}, outside its range 0 to 1.",
        )
    return ScoreResult.graded(float(value), explanation or f"{value:g}")
