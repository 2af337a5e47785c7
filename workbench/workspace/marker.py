"""Where a workspace is: the nearest folder, upwards, that holds `workbench.yaml`."""

from __future__ import annotations

from pathlib import Path

from app.core.errors import ConfigurationError
from app.core.settings import WORKSPACE_MARKER

__all__ = ["find_workspace"]


def find_workspace(start: Path) -> Path:
    """Return the workspace folder of `start` or of a folder above it.

    Raises `ConfigurationError` if there is none.
    """
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / WORKSPACE_MARKER).is_file():
            return folder
    raise ConfigurationError(
        f"No workspace here: {here} and the folders above it have no {WORKSPACE_MARKER}.",
        hint="Run `workbench init` to make this folder a workspace.",
    )
