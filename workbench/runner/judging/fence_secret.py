"""The workspace's secret behind the fences of its judges: one file, made once, never shown.

It lives in the workspace's hidden folder, which stays out of version control, readable by its
owner only. It is in no database, log or export. Losing it costs the sameness of requests:
questions that are asked from then on have other codes.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.core.errors import ConfigurationError

__all__ = ["fence_secret"]

_NAME: Final = "fence.key"
_BYTES: Final = 32


def fence_secret(workspace: Path) -> bytes:
    """Return the secret, making it if there is none.

    Raises `ConfigurationError` for a file that holds none, `OSError` if it cannot be read or made.
    """
    path = workspace / ".workbench" / _NAME
    if not path.exists():
        _make(path)
    try:
        secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) != _BYTES:
        raise ConfigurationError(
            f"{path} holds no key: restore it from a copy, or delete it and a new one is made."
        )
    return secret


def _make(path: Path) -> None:
    """Write a new secret whole before it gets its name, so that no process reads half of one."""
    path.parent.mkdir(exist_ok=True)
    draft = path.with_name(f"{_NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_BYTES))
        with suppress(FileExistsError):  # another process was first
            os.link(draft, path)
    finally:
        draft.unlink()
