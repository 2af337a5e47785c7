"""The process in which a team's scorer runs. Started as a script, never imported.

It knows nothing of the workbench and imports the standard library only. What it is told and what
it answers are lines of JSON on the pipes that it was started with; the function sees neither of
them: its standard input, output and error lead nowhere. It ends when its parent is gone.

Told: `[workspace, file, function, bytes of memory, seconds of CPU]`, then for each output its
number and an object with the function's arguments. Answered: `{"ready": true}` or `{"broken":
text}`, then for each output its `number` with `{"value": ..., "explanation": ...}`, `{"type":
name}` for a value of another type, or `{"error": name of the exception's class}`, which says
nothing of its text, because that may hold parts of the output.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

try:
    import resource
except ImportError:  # not on Windows, where only the time limits hold
    resource = None  # type: ignore[assignment] # there is no such module

__all__: list[str] = []

_MAX_EXPLANATION = 300
_MAX_TEXT = 500
_MAX_WHOLE = 2**53


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes to the parent, and lead the standard streams nowhere."""
    told, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return told, answers


def _send(answers: BinaryIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()


def _limit_memory(size: int) -> None:
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_cpu(seconds: int) -> None:
    """Let the process use so much more; beyond it the system ends it, also an orphan."""
    if resource is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        soft = math.ceil(used.ru_utime + used.ru_stime) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _load(root: str, file: str, name: str) -> Callable[..., object]:
    sys.path.insert(0, root)
    module_name = f"team_scorer_{name}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None and spec.loader is not None  # noqa: S101 - it is a .py file
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    function: Callable[..., object] = getattr(module, name)
    return function


def _answer(result: object) -> dict[str, Any]:
    """Return the message for what the function returned."""
    value, explanation = result, ""
    if isinstance(result, tuple) and len(result) == 2:
        value, explanation = result
    if not isinstance(explanation, str):
        return {"type": f"tuple with {_type_name(explanation)}"}
    if value is None or isinstance(value, (bool, int, float)):
        return {"value": _plain(value), "explanation": explanation[:_MAX_EXPLANATION]}
    return {"type": _type_name(value)}


def _plain(value: float | None) -> float | None:
    """Return a number that JSON can hold; a whole number that is far too large is infinite."""
    if value is None or isinstance(value, bool):
        return value
    try:
        return float(value) if isinstance(value, float) or abs(value) > _MAX_WHOLE else value
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _type_name(value: object) -> str:
    """`str`, `numpy.bool`: without its module the second looks like what was asked for."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _serve(told: BinaryIO, answers: BinaryIO) -> None:
    root, file, name, memory, cpu = json.loads(told.readline())
    try:
        _limit_memory(memory)
        _limit_cpu(cpu)
        function = _load(root, file, name)
    except BaseException as error:
        text = f"{type(error).__name__}: {error}"
        _send(answers, {"broken": text[:_MAX_TEXT]})
        return
    _send(answers, {"ready": True})
    process = os.getpid()
    for line in told:
        _limit_cpu(cpu)
        number, arguments = json.loads(line)
        try:
            message = _answer(function(**arguments))
        except BaseException as error:
            message = {"error": type(error).__name__}
        if os.getpid() != process:
            os._exit(0)  # a fork that the function left behind: one output has one answer
        _send(answers, {**message, "number": number})


if __name__ == "__main__":
    _serve(*_private_pipes())
    os._exit(0)  # threads that the function left behind do not keep it
