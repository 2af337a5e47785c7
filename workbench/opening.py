"""Open a workspace or a database from Python, in a script or in a notebook.

A notebook's cells run inside an event loop that is already running, where `asyncio.run` is
refused. `run_apart` therefore runs a coroutine to its end in a thread and a loop of its own, so
that an ordinary function can be called from anywhere.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from app.bootstrap import Services, open_services
from app.core.errors import ConfigurationError, NotFound
from app.core.settings import Settings, load_settings
from app.database.revisions import read_status
from workbench.workspace.marker import find_workspace

__all__ = ["open_record", "run_apart", "settings_of"]

T = TypeVar("T")


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end and return its result, whether or not a loop is running here."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, work).result()


def settings_of(source: str | Path) -> Settings:
    """Return the settings of a workspace folder (or one inside it), or of a database's address.

    An address begins with `sqlite:///` or `postgresql://`. Raises `ConfigurationError` for
    anything else.
    """
    if "://" in str(source):
        here = Path.cwd()
        return load_settings(here, {**os.environ, "WORKBENCH_DATABASE_URL": str(source)})
    return load_settings(find_workspace(Path(source)))


@asynccontextmanager
async def open_record(source: str | Path) -> AsyncIterator[Services]:
    """Yield the services over a record that is there, to be read and not to be changed.

    Raises `NotFound` for a file that does not exist, and `ConfigurationError` for a database of
    another version: it is neither made nor upgraded here.
    """
    settings = settings_of(source)
    path = settings.sqlite_path
    if path is not None and not path.is_file():
        raise NotFound(
            f"There is no database {path} yet.", hint="Run an experiment first: `workbench run`."
        )
    async with open_services(settings) as services:
        await _check_schema(services)
        yield services


async def _check_schema(services: Services) -> None:
    """Refuse another schema, looked at through a connection that only reads."""
    async with services.database.read_session() as session:
        status = await (await session.connection()).run_sync(read_status)
    if not status.up_to_date:
        raise ConfigurationError(
            f"The database's schema is at revision {status.current or 'none'} and this version "
            f"needs {status.head}.",
            hint="Run `workbench db upgrade` (make a backup first).",
        )
