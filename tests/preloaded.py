"""A process that has imported the workbench, from which commands are forked.

A test of the command line starts many commands, and an interpreter of its own for each spends
most of its time on importing. Here the imports are paid once: for each command the process
forks a child that takes on the command's folder, environment, output and arguments and then does
what `python -m workbench` does. Every command is a process with a memory of its own, as for a
person who types it. What depends on how an interpreter starts is tested with real ones.

`python -m tests.preloaded FD` serves on the socket FD: a request is one JSON object and the file
descriptors of standard output and error; the answers are the child's process id and, once it has
ended, its exit code. One command at a time; it ends when the other end of the socket is closed.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

__all__ = ["FORKS", "run_forked"]

# Libraries of other systems start threads that a fork would lose.
FORKS = sys.platform == "linux"

_REPOSITORY = Path(__file__).resolve().parents[1]
_MAX_REQUEST = 1 << 16
# Imported by what commands do rather than by their modules.
_LIBRARIES = ("app.llm.openai_provider", "app.llm.ollama_provider", "aiosqlite", "asyncpg")


class _Request(TypedDict):
    """What to run: arguments, folder and the whole environment."""

    argv: list[str]
    cwd: str
    env: dict[str, str]


def run_forked(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `workbench` with `arguments` in `folder`, and with no environment but the given.

    Raise `subprocess.TimeoutExpired` if it takes more than `timeout` seconds; it is ended then.
    """
    server = _server()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        request = _Request(argv=list(arguments), cwd=str(folder), env=dict(environment))
        socket.send_fds(server, [json.dumps(request).encode()], [out.fileno(), err.fileno()])
        child = _number(server)
        server.settimeout(timeout)
        try:
            code = _number(server)
        except TimeoutError:
            os.kill(child, signal.SIGKILL)
            server.settimeout(None)
            _number(server)
            raise subprocess.TimeoutExpired(list(arguments), timeout) from None
        finally:
            server.settimeout(None)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(arguments), code, out.read(), err.read())


@functools.cache
def _server() -> socket.socket:
    """Start the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR", "LANG")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.preloaded", str(theirs.fileno())],
        cwd=_REPOSITORY,
        # A library that starts threads cannot be forked from.
        env={**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _number(server: socket.socket) -> int:
    answer = server.recv(32)
    if not answer:
        raise RuntimeError("The process that forks commands has ended: see its error above.")
    return int(answer)


def _import_everything() -> None:
    from workbench.cli.main import COMMANDS  # here, since tests import this module as well

    for module in (*(module for module, _ in COMMANDS.values()), *_LIBRARIES):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # children share this memory as long as nobody writes to it


def _serve(server: socket.socket) -> None:
    """Answer requests; return in each child, once it has become the command's process."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(server, _MAX_REQUEST, 2)
        if not request:
            raise SystemExit(0)
        child = os.fork()
        if not child:
            server.close()
            _become(json.loads(request), *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        server.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        server.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: _Request, out: int, err: int) -> None:
    """Take on folder, environment, output and arguments."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False, errors="backslashreplace")
    sys.stderr.reconfigure(line_buffering=True)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0] = request["cwd"]
    sys.argv[1:] = request["argv"]


if __name__ == "__main__":
    _import_everything()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("workbench", run_name="__main__", alter_sys=True)
