"""One process at a time works on an experiment of a workspace.

The lock is the operating system's, so that it is gone with its process, however that
ended.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.errors import Conflict

__all__ = ["experiment_lock"]


@contextmanager
def experiment_lock(workspace: Path, number: int) -> Iterator[None]:
    """Hold the lock of an experiment; `Conflict` if another process works on it."""
    folder = workspace / ".workbench"
    folder.mkdir(exist_ok=True)
    with (folder / f"experiment-{number}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"Another process is working on experiment {number}.",
                hint=f"Follow it with `workbench experiments show {number}`, "
                f"or stop it with `workbench experiments cancel {number}`.",
            ) from None
        yield
