"""Who looks: from the browser's cookie, or the identity provider's token, to a session.

Asked at every run of the script, so that a key that was revoked shows nothing more. The client of
a browser session is kept as long as the session, and closed with it.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Final

import streamlit as st

from workbench.client import Client
from workbench.client.users import me
from workbench.dashboard.seal import Seal, cookie_name
from workbench.dashboard.session import Session

__all__ = ["SECRETS", "signed_in"]

SECRETS: Final = "dashboard"
"""The section of `st.secrets` that the server hands to the script."""

_KEPT: Final = "signed_in_client"


def signed_in() -> Session | None:
    """Return the session of whoever looks; None if nobody has signed in.

    Raises the client's errors if the API does not take the credential or does not answer.
    """
    credential = _by_cookie() or _by_identity_provider()
    if credential is None:
        st.session_state.pop(_KEPT, None)
        return None
    client = _client(credential)
    return Session(client, client.send(me()))


def _by_cookie() -> str | None:
    given = st.secrets[SECRETS]
    return Seal(given["seal_key"]).opened(st.context.cookies.get(cookie_name(given["port"])))


def _by_identity_provider() -> str | None:
    """Return the token of whoever came from the identity provider: the API verifies it."""
    if "auth" not in st.secrets or not st.user.is_logged_in:
        return None
    token = st.user.tokens.get("id")
    return token if isinstance(token, str) else None


@dataclass(eq=False)
class _Kept:
    """A client that is closed when nothing refers to this any more: when the session has ended."""

    credential: str
    client: Client

    def __post_init__(self) -> None:
        weakref.finalize(self, self.client.close)


def _client(credential: str) -> Client:
    kept = st.session_state.get(_KEPT)
    if not isinstance(kept, _Kept) or kept.credential != credential:
        kept = _Kept(credential, Client(st.secrets[SECRETS]["api"], credential))
        st.session_state[_KEPT] = kept
    return kept.client
