"""The routes by which a browser signs in and out.

`workbench serve` prints an address with a token; the first browser that opens it is signed in, and
the terminal then shows another one. Anybody else gives an API key in a form, or goes to the
identity provider. What a browser keeps is a sealed cookie that no script can read.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.user_info import generate_login_redirect_url
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

from workbench.client import APIError, AsyncClient, ClientError, LimitReached, Unauthenticated
from workbench.client.users import me
from workbench.dashboard.seal import HOLDS_FOR, Seal, cookie_name

__all__ = ["Invitation", "Onward", "SignIn"]

_LONGEST_FORM: Final = 16_384  # bytes
_LONGEST_NEXT: Final = 2_000  # characters
_SEE_OTHER: Final = 303
_IDENTITY_COOKIE: Final = "_streamlit_user"
_CALLBACK: Final = "/oauth2callback"
_ONWARD: Final = "workbench_onward"
_AT_PROVIDER_S: Final = 600  # how long signing in at the identity provider may take
_USED: Final = (
    "This address was used before, or is of an earlier start. The terminal in which "
    "<code>workbench serve</code> runs shows the newest one."
)


class Invitation:
    """A token that signs in one browser; `tell` hears of each next one."""

    def __init__(self, token: str, tell: Callable[[str], None]) -> None:
        self._token = token
        self._tell = tell

    def is_taken_by(self, token: str) -> bool:
        """Whether the token is right; it is used up by that, and another takes its place."""
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return False
        self._token = secrets.token_urlsafe(32)
        self._tell(self._token)
        return True


@dataclass(frozen=True)
class SignIn:
    """Signs browsers in: by `invitation` with the key `local_key`, by a key that the API at `api`
    takes, or through the identity provider, whose cookies `identity_secret` signs."""

    api: str
    port: int
    seal: Seal
    is_https: bool = False
    local_key: str | None = field(default=None, repr=False)
    invitation: Invitation | None = None
    identity_secret: str | None = field(default=None, repr=False)

    def knows(self, cookies: Mapping[str, str]) -> bool:
        """Whether a browser with these cookies has signed in; what it may do the API decides."""
        identity = cookies.get(_IDENTITY_COOKIE)
        if self.identity_secret is not None and identity is not None:
            return decode_signed_value(self.identity_secret, _IDENTITY_COOKIE, identity) is not None
        return self.seal.opened(cookies.get(cookie_name(self.port))) is not None

    def routes(self) -> list[Route]:
        """Return the routes, to stand before those of the pages."""
        return [
            Route("/sign-in", self._show, methods=["GET"]),
            Route("/sign-in", self._take_key, methods=["POST"]),
            Route("/sign-in/identity-provider", self._go_to_provider, methods=["GET"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
            Route("/home", _go_home, methods=["GET"]),
        ]

    async def _show(self, request: Request) -> Response:
        onward = _local(request.query_params.get("next"))
        token = request.query_params.get("token")
        if token is None:
            return self._form(onward)
        if self._takes(request, token) and self.local_key is not None:
            return self._signed_in(self.local_key, onward)
        if self.knows(request.cookies):
            return RedirectResponse(onward, _SEE_OTHER)
        return self._form(onward, _USED, status=403)

    def _takes(self, request: Request, token: str) -> bool:
        """Whether the token signs in. A mere look at the address (HEAD) does not use it up."""
        invitation = self.invitation
        return request.method == "GET" and invitation is not None and invitation.is_taken_by(token)

    async def _take_key(self, request: Request) -> Response:
        if not _is_short_form(request.headers):
            return self._form("/", "That is no form of this page.", status=413)
        fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
        key = fields.get("key", [""])[0].strip()
        onward = _local(fields.get("next", ["/"])[0])
        if not key or not key.isascii() or not key.isprintable():
            return self._form(onward, "Give an API key; it begins with <code>wb_</code>.", 400)
        try:
            async with AsyncClient(self.api, key, retries=0) as client:
                await client.send(me())
        except Unauthenticated:
            sentence = "No such key holds: it may be mistyped, expired or revoked."
            return self._form(onward, sentence, 403)
        except LimitReached:
            return self._form(onward, "Too many wrong keys were given. Wait a minute.", 429)
        except ClientError as error:
            sentence = error.detail if isinstance(error, APIError) else "The API does not answer."
            return self._form(onward, escape(sentence), 503)
        return self._signed_in(key, onward)

    async def _go_to_provider(self, request: Request) -> Response:
        if self.identity_secret is None:
            return RedirectResponse("/sign-in", _SEE_OTHER)
        response = RedirectResponse(generate_login_redirect_url("default"), _SEE_OTHER)
        onward = _local(request.query_params.get("next"))
        response.set_cookie(
            _ONWARD,
            quote(onward, safe=""),
            max_age=_AT_PROVIDER_S,
            path=_CALLBACK,
            httponly=True,
            secure=self.is_https,
            samesite="lax",
        )
        return response

    async def _sign_out(self, request: Request) -> Response:
        by_provider = self.identity_secret is not None and _IDENTITY_COOKIE in request.cookies
        response = RedirectResponse("/auth/logout" if by_provider else "/sign-in", _SEE_OTHER)
        response.delete_cookie(cookie_name(self.port), path="/", httponly=True, samesite="lax")
        return response

    def _signed_in(self, credential: str, onward: str) -> Response:
        response = RedirectResponse(onward, _SEE_OTHER)
        response.set_cookie(
            cookie_name(self.port),
            self.seal.sealed(credential),
            max_age=round(HOLDS_FOR.total_seconds()),
            path="/",
            httponly=True,
            secure=self.is_https,
            samesite="lax",
        )
        return response

    def _form(self, onward: str, problem: str = "", status: int = 200) -> Response:
        there = f"/sign-in/identity-provider?next={quote(onward, safe='')}"
        provider = _PROVIDER.format(there=there) if self.identity_secret is not None else ""
        hint = _HINT if self.invitation is not None and not problem else ""
        told = f'<p role="alert">{problem}</p>' if problem else ""
        page = _PAGE.format(told=told, hint=hint, provider=provider, onward=escape(onward))
        return HTMLResponse(page, status, headers={"Cache-Control": "no-store"})


class Onward:
    """ASGI middleware that brings whoever comes from the identity provider to the page that they
    had wanted; Streamlit itself brings everybody to the first one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = None
        if scope["type"] == "http" and scope["path"] == _CALLBACK:
            wanted = Request(scope).cookies.get(_ONWARD)
        if wanted is None:
            await self._app(scope, receive, send)
            return
        onward = _local(unquote(wanted))

        async def send_onward(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("location") == "/":
                    headers["location"] = onward
            await send(message)

        await self._app(scope, receive, send_onward)


async def _go_home(request: Request) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"/{query}", _SEE_OTHER)


def _local(target: str | None) -> str:
    """Return where to go after signing in: a path of the dashboard, and nowhere else."""
    if target is None or len(target) > _LONGEST_NEXT or not target.isprintable():
        return "/"
    if not target.startswith("/") or target[1:2] in ("/", "\\") or urlsplit(target).netloc:
        return "/"
    return quote(target, safe="/?&=%#:@!$'()*+,;~[]")


def _is_short_form(headers: Headers) -> bool:
    length = headers.get("content-length", "")
    kind = headers.get("content-type", "").partition(";")[0]
    is_short = length.isdecimal() and int(length) <= _LONGEST_FORM
    return is_short and kind == "application/x-www-form-urlencoded"


_HINT: Final = """
<p>The address that <code>workbench serve</code> shows in its terminal signs you in without a
key.</p>
"""

_PROVIDER: Final = """
<p><a class="button" href="{there}">Sign in with your organisation</a></p>
<p class="or">or with an API key</p>
"""

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · Prompt Workbench</title>
<style>
:root {{ color-scheme: light dark; --accent: light-dark(#0072b2, #56b4e9); }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto;
  padding: 0 1rem }}
h1 {{ font-size: 1.5rem }}
label {{ display: block; margin-bottom: 0.25rem }}
input, button, .button {{ font: inherit; width: 100%; box-sizing: border-box; padding: 0.5rem;
  border: 1px solid GrayText; border-radius: 0.25rem }}
button, .button {{ margin-top: 0.75rem; background: var(--accent); border-color: var(--accent);
  color: light-dark(#fff, #000); display: block; text-align: center; text-decoration: none;
  cursor: pointer }}
.or {{ text-align: center }}
[role=alert] {{ border-left: 4px solid #d55e00; padding: 0.25rem 0.75rem }}
</style>
</head>
<body>
<main>
<h1>Sign in to the Prompt Workbench</h1>
{told}{hint}{provider}
<form method="post" action="/sign-in">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="off" required placeholder="wb_…">
<input type="hidden" name="next" value="{onward}">
<button type="submit">Sign in</button>
</form>
</main>
</body>
</html>
"""
