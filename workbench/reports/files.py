"""Files of reports and decisions: checked before any work, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.errors import ConfigurationError

__all__ = ["check_report_path", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; `ConfigurationError` if it cannot be written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with _told_in_a_sentence(path):
        try:
            beside.write_text(text, encoding="utf-8", newline="\n")
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise


def check_report_path(path: Path) -> None:
    """Refuse a path, before any work, that no report could be written to."""
    if "\0" in str(path):
        raise ConfigurationError(f"{str(path)!r}: no file name can hold the character NUL.")
    with _told_in_a_sentence(path):
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    if is_folder:
        raise ConfigurationError(
            f"{path} is a folder: name a file.", hint=f"As in {path / 'report.html'}"
        )
    if not has_folder:
        raise ConfigurationError(
            f"The folder {path.parent} does not exist.", hint="Make it, or name another."
        )


@contextmanager
def _told_in_a_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error
