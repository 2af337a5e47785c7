"""The worker: does the jobs that were asked for, here or on many machines.

    handlers      what each kind of job is; they call what the command line calls
    desk          one job from taking it up to its end, whoever delivered it
    embedded      SQLite: the workspace's one worker, which reads the jobs themselves
    distributed   PostgreSQL: any number of workers, to which PGQueuer delivers

A worker that is stopped lets calls in flight finish and puts its jobs back; one that is killed
leaves them, and the next one goes on. Either way what is left is derived from stored outcomes.
"""

from __future__ import annotations

from workbench.worker.desk import Desk, JobFailed, WorkerOptions
from workbench.worker.embedded import run_embedded

__all__ = ["Desk", "JobFailed", "WorkerOptions", "run_worker"]


async def run_worker(desk: Desk) -> None:
    """Do jobs until the desk is told to drain, by the engine of its database.

    Raises `Conflict` if the workspace's one worker is at work already, `ConfigurationError` if
    PostgreSQL's queue is not installed.
    """
    if desk.services.database.is_sqlite:
        await run_embedded(desk)
        return
    await desk.services.jobs.prepare()
    # Imported here: PGQueuer is an extra, and slow to import.
    from workbench.worker.distributed import run_distributed

    await run_distributed(desk)
