"""The secret of this server under which API keys are stored: made once, beside the marker."""

from __future__ import annotations

import os
from contextlib import suppress

from app.core.security import make_key_secret
from app.core.settings import HMAC_KEY_FILE, Settings

__all__ = ["ensure_key_secret"]

_OWNER_ONLY = 0o600


def ensure_key_secret(settings: Settings) -> bool:
    """Make the file with the secret unless there is a secret; return whether one was made.

    Only its owner may read the file. Without it every API key is unknown, so it belongs into the
    backup of the server, and on more than one server into `WORKBENCH_KEY_SECRET` of each.
    """
    if settings.key_secret is not None:
        return False
    with suppress(FileExistsError):  # another command made it in this moment
        file = os.open(
            settings.workspace / HMAC_KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY
        )
        with os.fdopen(file, "w", encoding="ascii") as opened:
            opened.write(make_key_secret() + "\n")
        return True
    return False
