"""What stands between a browser and the dashboard: plain ASGI, so that nothing is buffered.

Only known host names are answered, so that no page whose name was bound to this machine can read
along (DNS rebinding). A websocket must come from a page of this very dashboard, and so must
whatever changes something: cookies alone prove nothing, since a browser sends them for other pages
too. Responses carry a policy that lets a browser load nothing from anywhere else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

__all__ = ["LOOPBACK", "Boundary", "content_security_policy"]

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})

_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_CHANGES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LONGEST_MESSAGE: Final = 4 * 1024 * 1024  # bytes of a body that is no upload
_UPLOADS: Final = "/_stcore/upload_file/"


def content_security_policy(page: str) -> str:
    """Return what a browser may load for the page that Streamlit serves, given as its HTML.

    Everything comes from here. Styles are written by the page's scripts, charts are drawn by Vega's
    interpreter, which needs no `eval`, and the one script inside the HTML is named by its hash.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _INLINE_SCRIPT.findall(page)
    )
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {hashes}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' blob:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


class Boundary:
    """ASGI middleware round the dashboard.

    `hosts` are the names it answers to; `secure_host` the one that is reached over HTTPS, by a
    proxy. `is_signed_in` says by its cookies whether a browser is: Streamlit itself takes files of
    anybody and keeps them in memory.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        secure_host: str | None,
        policy: str,
        is_signed_in: Callable[[Mapping[str, str]], bool],
    ) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._secure_host = secure_host
        self._is_signed_in = is_signed_in
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await WebSocketClose(1008)(scope, receive, send)
        else:
            status, sentence = refusal
            response = PlainTextResponse(sentence, status)
            await response(scope, receive, self._with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            return 400, "The dashboard does not answer to that host name."
        must_be_ours = scope["type"] == "websocket" or scope["method"] in _CHANGES
        if must_be_ours and headers.get("origin") != self._origin(host):
            return 403, "That was sent by another site's page."
        if scope["type"] != "http":
            return None
        if scope["path"].startswith(_UPLOADS):
            # Bounded by Streamlit itself.
            signed_in = self._is_signed_in(HTTPConnection(scope).cookies)
            return None if signed_in else (403, "Sign in before you send files.")
        return None if _is_small(headers) else (413, "That is too large.")

    def _origin(self, host: str) -> str:
        scheme = "https" if _name(host) == self._secure_host else "http"
        return f"{scheme}://{host}"

    def _with_headers(self, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        return send_with_headers


def _name(host: str) -> str | None:
    """Return the name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_small(headers: Headers) -> bool:
    """Whether a body that is no upload may be read."""
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers:
        return False
    return length.isdecimal() and int(length) <= _LONGEST_MESSAGE
