"""The dashboard's server: Streamlit's application, sign-in before it, a boundary round it."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from workbench.dashboard.boundary import LOOPBACK, Boundary, content_security_policy
from workbench.dashboard.document import document
from workbench.dashboard.handover import NEXT_TOKEN, Handover
from workbench.dashboard.pages import PAGES
from workbench.dashboard.seal import Seal
from workbench.dashboard.sign_in import Invitation, Onward, SignIn
from workbench.dashboard.signed_in import SECRETS

__all__ = ["create_dashboard", "serve"]

_SCRIPT: Final = Path(__file__).with_name("main.py")
_DRAIN_S: Final = 3
_LARGEST_MESSAGE: Final = 16 * 1024 * 1024  # bytes that a browser sends at once


def create_dashboard(handover: Handover) -> st.App:
    """Build the application; each one-time token but the first is told on standard output."""
    theirs = files("streamlit") / "static" / "index.html"
    page = document(theirs.read_text(encoding="utf-8"))
    sign_in = SignIn(
        api=handover.api,
        port=handover.port,
        seal=Seal(handover.seal_key),
        is_https=handover.is_https,
        local_key=handover.local_key,
        invitation=Invitation(handover.token, _tell) if handover.token else None,
        identity_secret=_identity_secret(handover) if handover.identity_provider else None,
    )
    own = urlsplit(handover.url or "").hostname
    boundary = Middleware(
        Boundary,
        hosts=LOOPBACK | {handover.host} | ({own} if own else set()),
        secure_host=own if handover.is_https else None,
        policy=content_security_policy(page),
        is_signed_in=sign_in.knows,
    )
    return st.App(
        _SCRIPT,
        routes=[*sign_in.routes(), *_page_routes(page)],
        middleware=[boundary, Middleware(Onward)],
        secrets=_secrets(handover),
    )


def _page_routes(page: str) -> list[Route]:
    async def show(_request: Request) -> HTMLResponse:
        return HTMLResponse(page, headers={"Cache-Control": "no-cache"})

    return [Route(f"/{path}", show) for path in ("", *(page.path for page in PAGES))]


def _secrets(handover: Handover) -> Mapping[str, Any]:
    """Return what the script may know: where the API is, and what opens the cookies."""
    given: dict[str, Any] = {
        SECRETS: {
            "api": handover.api,
            "port": handover.port,
            "seal_key": handover.seal_key,
        }
    }
    provider = handover.identity_provider
    if provider is not None:
        given["auth"] = {
            "redirect_uri": f"{handover.base_url}/oauth2callback",
            "cookie_secret": _identity_secret(handover),
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "server_metadata_url": provider.metadata_url,
            "expose_tokens": ["id"],
        }
    return given


def _identity_secret(handover: Handover) -> str:
    """Return what signs the cookies of people of the identity provider.

    It is made of the key that outlives this process, so that one started anew knows them.
    """
    return sha256(f"identity {handover.seal_key}".encode()).hexdigest()


def _tell(token: str) -> None:
    sys.stdout.write(f"{NEXT_TOKEN}{token}\n")
    sys.stdout.flush()


async def serve(dashboard: st.App, descriptor: int, ended: asyncio.Event) -> bool:
    """Serve on a listening socket until `ended` is set; return whether it could start.

    Connections of browsers are cut three seconds after that.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            dashboard,
            ws="websockets-sansio",
            ws_max_size=_LARGEST_MESSAGE,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
    )
    serving = asyncio.create_task(server.serve([socket.socket(fileno=descriptor)]))
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    server.should_exit = True
    await serving
    return server.started
