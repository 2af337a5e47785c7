"""API keys: how one is made, what is stored of it, and how a given one is compared.

A key is `wb_`, 12 characters that name it and may be shown, `_`, and 32 random bytes in base64url.
What is stored is the name and an HMAC-SHA256 of the whole key under a secret of the server: whoever
reads the database can neither use a key nor try out guesses. No slow hash is needed, because 256
random bits cannot be guessed however fast each guess is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from pydantic import SecretStr

from app.core.errors import ConfigurationError

__all__ = [
    "SHORTEST_KEY_SECRET",
    "NewKey",
    "credential_digest",
    "is_same_credential",
    "key_prefix",
    "make_key",
    "make_key_secret",
    "required_secret",
]

SHORTEST_KEY_SECRET: Final = 32
"""Characters that the server's secret has at least."""

_SECRET_BYTES = 32
# Base32 without padding: 60 random bits that nobody mistakes when reading them aloud.
_PREFIX_LENGTH = 12
_KEY = re.compile(rf"(wb_[a-z2-7]{{{_PREFIX_LENGTH}}})_[A-Za-z0-9_-]{{43}}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment when it is known whole; `repr` shows its public part alone."""

    prefix: str
    text: str = field(repr=False)
    digest: bytes = field(repr=False)


def make_key(secret: bytes) -> NewKey:
    """Return a new random key with its digest under the server's secret."""
    name = base64.b32encode(secrets.token_bytes(_PREFIX_LENGTH)).decode().lower()[:_PREFIX_LENGTH]
    prefix = f"wb_{name}"
    text = f"{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return NewKey(prefix, text, credential_digest(text, secret))


def key_prefix(credential: str) -> str | None:
    """Return the public part of a credential that is shaped as an API key, else None."""
    match = _KEY.fullmatch(credential)
    return match[1] if match else None


def credential_digest(credential: str, secret: bytes) -> bytes:
    """Return the HMAC-SHA256 of a credential: 32 bytes that may be stored."""
    return hmac.new(secret, credential.encode(), hashlib.sha256).digest()


def is_same_credential(digest: bytes, stored: bytes) -> bool:
    """Whether two digests are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(digest, stored)


def make_key_secret() -> str:
    """Return a new secret for the server: 32 random bytes in base64url."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def required_secret(secret: SecretStr | None) -> bytes:
    """Return the server's secret; `ConfigurationError` says how to set one if there is none."""
    if secret is None:
        raise ConfigurationError(
            "API keys need a secret of this server, and none is set.",
            path="key_secret",
            hint="Run workbench users bootstrap --name NAME, or set WORKBENCH_KEY_SECRET to at "
            f"least {SHORTEST_KEY_SECRET} random characters.",
        )
    return secret.get_secret_value().encode()
