"""The server process from which worker processes are forked.

It imports once what every worker needs, and is started as early as possible, so that it
imports while the command itself does.
"""

from __future__ import annotations

from multiprocessing import forkserver

__all__ = ["prepare_processes"]

_PRELOADED = ("workbench.runner.generation.processes", "app.llm.openai_provider", "uvloop")


def prepare_processes() -> None:
    """Start the server if it does not run yet; returns at once."""
    forkserver.set_forkserver_preload(list(_PRELOADED))
    forkserver.ensure_running()
