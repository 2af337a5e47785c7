"""One process at a time works on an experiment of a workspace.

The lock is the operating system's, so that it is gone with its process, however that
ended.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from app.core.errors import Conflict

__all__ = ["ExperimentBusy", "experiment_lock", "lock_file"]


class ExperimentBusy(Conflict):
    """Another process works on the experiment."""

    code = "experiment_busy"


@contextmanager
def experiment_lock(workspace: Path, number: int) -> Iterator[None]:
    """Hold the lock of an experiment; `ExperimentBusy` if another process does."""
    held = lock_file(workspace / ".workbench" / f"experiment-{number}.lock")
    if held is None:
        raise ExperimentBusy(
            f"Another process is working on experiment {number}.",
            hint=f"Follow it with `workbench experiments show {number}`, "
            f"or stop it with `workbench experiments cancel {number}`.",
        )
    with held:
        yield


def lock_file(path: Path) -> IO[str] | None:
    """Return a file that this process alone has locked, to be closed; None if another has it."""
    path.parent.mkdir(exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
