"""What the dashboard's process is given when it starts, as one line of JSON on its standard input.

There, and not among its arguments or in its environment, since those can be read by others.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Final
from urllib.parse import urlsplit

__all__ = ["NEXT_TOKEN", "Handover", "IdentityProvider", "sign_in_address"]

NEXT_TOKEN: Final = "next token "  # noqa: S105 - no token
"""How a line begins by which the process tells of the next one-time token on its output."""


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """Where people sign in by OpenID Connect; `metadata_url` is the provider's discovery page."""

    client_id: str
    metadata_url: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Handover:
    """All that the process has to know.

    It answers on the listening socket `descriptor`, that of `host` and `port`, and asks the API at
    `api`.
    `url` is how people reach it through a proxy. With `local_key` and `token` the browser that
    brings the token is signed in by that key.
    """

    api: str
    descriptor: int
    port: int
    seal_key: str = field(repr=False)
    url: str | None = None
    local_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    identity_provider: IdentityProvider | None = None
    host: str = "127.0.0.1"

    @property
    def is_https(self) -> bool:
        """Whether browsers reach it over HTTPS."""
        return self.url is not None and urlsplit(self.url).scheme == "https"

    @property
    def base_url(self) -> str:
        """Where people reach it, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.url.rstrip("/") if self.url else f"http://{host}:{self.port}"

    def line(self) -> bytes:
        """Return it as it is written to the process."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Handover:
        """Return what `line` wrote."""
        fields = json.loads(line)
        provider = fields.pop("identity_provider")
        return cls(**fields, identity_provider=IdentityProvider(**provider) if provider else None)


def sign_in_address(base_url: str, token: str) -> str:
    """Return the address that signs one browser in."""
    return f"{base_url}/sign-in?token={token}"
