"""What the commands of `workbench import` share: how they show paths and other tools' texts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from workbench.reports.visible import visible

__all__ = ["MODEL_TO_TRY", "one_line", "path_from_here"]

MODEL_TO_TRY: Final = "simulated/small"
"""The model of an experiment whose file names none that can be reached."""


def path_from_here(path: Path) -> str:
    """Return a path as the user would write it in the current folder."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def one_line(text: str) -> str:
    """Return a text on one line, with nothing in it that could steer a terminal."""
    return " ".join(visible(text).split())
