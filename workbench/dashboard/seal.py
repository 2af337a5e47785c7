"""The cookie of a signed-in browser: a credential that only this server can read.

It is encrypted and authenticated (Fernet: AES-128-CBC and HMAC-SHA256) with a key that is made when
the server starts and is kept nowhere, so nobody's credential is stored: neither here nor, readable,
in a browser. It holds for 12 hours, or until its credential does not; a new start signs all out.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

__all__ = ["HOLDS_FOR", "Seal", "cookie_name", "make_seal_key"]

HOLDS_FOR: Final = timedelta(hours=12)

_LONGEST: Final = 4_096  # characters of a cookie


def make_seal_key() -> str:
    """Return a new random key for a `Seal`, in base64url."""
    return Fernet.generate_key().decode()


def cookie_name(port: int) -> str:
    """Return the cookie's name. Browsers tell ports of one host apart by nothing else."""
    return f"workbench_session_{port}"


class Seal:
    """Makes cookies of credentials, and credentials of its own cookies again."""

    def __init__(self, key: str) -> None:
        self._fernet = Fernet(key)

    def sealed(self, credential: str) -> str:
        """Return what a browser may keep."""
        return self._fernet.encrypt(credential.encode()).decode()

    def opened(self, cookie: str | None) -> str | None:
        """Return the credential; None if there is no cookie, or it is old or not of this server."""
        if cookie is None or len(cookie) > _LONGEST or not cookie.isascii():
            return None
        try:
            return self._fernet.decrypt(cookie, ttl=round(HOLDS_FOR.total_seconds())).decode()
        except InvalidToken:
            return None
