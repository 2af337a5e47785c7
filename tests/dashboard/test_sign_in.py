"""Signing in: the sealed cookie, the one-time address, the form, and who is turned away."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

import httpx2
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from tests.dashboard.conftest import Workspace
from workbench.dashboard.boundary import LOOPBACK, Boundary, content_security_policy
from workbench.dashboard.document import document
from workbench.dashboard.handover import Handover, IdentityProvider, sign_in_address
from workbench.dashboard.seal import HOLDS_FOR, Seal, cookie_name, make_seal_key
from workbench.dashboard.sign_in import Invitation, SignIn

HERE = "http://127.0.0.1:8801"
PORT = 8801
COOKIE = cookie_name(PORT)
LOCAL_KEY = "local_key_of_the_tests"
FORM = {"Origin": HERE, "Content-Type": "application/x-www-form-urlencoded"}


@dataclass
class Desk:
    """A sign-in whose first token is `first`; `told` are those that came after."""

    api: str
    told: list[str] = field(default_factory=list)
    seal: Seal = field(default_factory=lambda: Seal(make_seal_key()))
    https_host: str | None = None

    @cached_property
    def application(self) -> Starlette:
        sign_in = SignIn(
            self.api,
            PORT,
            self.seal,
            is_https=self.https_host is not None,
            local_key=LOCAL_KEY,
            invitation=Invitation("first", self.told.append),
        )

        async def echo(request: Request) -> PlainTextResponse:
            return PlainTextResponse(f"{len(await request.body())}")

        boundary = Middleware(
            Boundary,
            hosts=LOOPBACK | ({self.https_host} if self.https_host else set()),
            secure_host=self.https_host,
            policy=content_security_policy("<script>a</script>"),
            is_signed_in=sign_in.knows,
        )
        routes = [*sign_in.routes(), Route("/echo", echo, methods=["GET", "POST"])]
        routes.append(Route("/_stcore/upload_file/{rest:path}", echo, methods=["PUT"]))
        return Starlette(routes=routes, middleware=[boundary])

    @asynccontextmanager
    async def browser(self, base_url: str = HERE) -> AsyncIterator[httpx2.AsyncClient]:
        transport = httpx2.ASGITransport(self.application)
        async with httpx2.AsyncClient(transport=transport, base_url=base_url) as client:
            yield client


@pytest.fixture
def desk() -> Desk:
    return Desk("http://127.0.0.1:9")  # nobody listens there


# The cookie.


@given(st.text(alphabet=string.ascii_letters + string.digits + "_-.", min_size=1, max_size=500))
def test_a_seal_opens_what_it_has_sealed_and_shows_nothing_of_it(credential: str) -> None:
    seal = Seal(make_seal_key())
    cookie = seal.sealed(credential)
    assert seal.opened(cookie) == credential
    assert len(credential) < 8 or credential not in cookie


@given(place=st.integers(0, 99), replacement=st.characters(codec="ascii"))
def test_a_changed_cookie_is_none(place: int, replacement: str) -> None:
    seal = Seal(Fernet.generate_key().decode())
    cookie = seal.sealed("wb_secret")
    changed = cookie[:place] + replacement + cookie[place + 1 :]
    assert seal.opened(changed) in (None, *(["wb_secret"] if changed == cookie else []))


@pytest.mark.parametrize("cookie", [None, "", "gAAAA", "ü" * 20, "a" * 100_000])
def test_what_is_no_cookie_of_ours_opens_to_nothing(cookie: str | None) -> None:
    assert Seal(make_seal_key()).opened(cookie) is None


def test_a_cookie_of_another_start_opens_to_nothing() -> None:
    assert Seal(make_seal_key()).opened(Seal(make_seal_key()).sealed("wb_secret")) is None


def test_a_cookie_holds_for_twelve_hours() -> None:
    key = make_seal_key()
    now = int(time.time())
    life_s = int(HOLDS_FOR.total_seconds())
    fresh = Fernet(key).encrypt_at_time(b"wb_secret", now - life_s + 60).decode()
    old = Fernet(key).encrypt_at_time(b"wb_secret", now - life_s - 60).decode()
    assert (Seal(key).opened(fresh), Seal(key).opened(old)) == ("wb_secret", None)


# The address that `workbench serve` prints.


async def test_the_address_signs_a_browser_in_by_a_cookie_that_no_script_reads(desk: Desk) -> None:
    async with desk.browser() as browser:
        answer = await browser.get("/sign-in", params={"token": "first", "next": "/compare?id=7"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/compare?id=7")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert LOCAL_KEY not in cookie
    assert desk.seal.opened(answer.cookies[COOKIE].strip('"')) == LOCAL_KEY


async def test_an_address_works_once_and_another_takes_its_place(desk: Desk) -> None:
    async with desk.browser() as browser, desk.browser() as other:
        await browser.get("/sign-in?token=first")
        refused = await other.get("/sign-in?token=first")
    assert refused.status_code == 403
    assert "used before" in refused.text
    assert "set-cookie" not in refused.headers
    [following] = desk.told
    assert following != "first"


async def test_the_next_address_signs_another_browser_in(desk: Desk) -> None:
    async with desk.browser() as browser, desk.browser() as other:
        await browser.get("/sign-in?token=first")
        answer = await other.get(f"/sign-in?token={desk.told[0]}")
    assert answer.status_code == 303
    assert len(desk.told) == 2


async def test_a_browser_that_is_signed_in_may_open_the_old_address_again(desk: Desk) -> None:
    async with desk.browser() as browser:
        await browser.get("/sign-in?token=first")
        again = await browser.get("/sign-in?token=first&next=/models")
    assert (again.status_code, again.headers["location"]) == (303, "/models")
    assert len(desk.told) == 1


async def test_a_mere_look_at_the_address_does_not_use_it_up(desk: Desk) -> None:
    async with desk.browser() as browser:
        await browser.head("/sign-in?token=first")
    assert desk.told == []


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/a\r\nSet-Cookie: x=y",
        "/" + "a" * 3000,
        "models",
    ],
)
async def test_nobody_is_sent_elsewhere_by_signing_in(desk: Desk, target: str) -> None:
    async with desk.browser() as browser:
        answer = await browser.get("/sign-in", params={"token": "first", "next": target})
    assert answer.headers["location"] == "/"
    assert "x=y" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize("target", ["/", "/compare?id=7&worse=1", "/prompts?name=team%2Ftriage"])
async def test_a_page_that_was_wanted_is_what_one_comes_to(desk: Desk, target: str) -> None:
    async with desk.browser() as browser:
        answer = await browser.get("/sign-in", params={"token": "first", "next": target})
    assert answer.headers["location"] == target


# The form.


async def test_a_key_that_the_api_takes_signs_in(empty: Workspace) -> None:
    desk = Desk(empty.url)
    async with desk.browser() as browser:
        body = {"key": f" {empty.viewer} ", "next": "/models"}
        answer = await browser.post("/sign-in", data=body, headers=FORM)
    assert (answer.status_code, answer.headers["location"]) == (303, "/models")
    assert desk.seal.opened(answer.cookies[COOKIE].strip('"')) == empty.viewer


async def test_a_key_that_does_not_hold_is_told_in_a_sentence(empty: Workspace) -> None:
    async with Desk(empty.url).browser() as browser:
        answer = await browser.post("/sign-in", data={"key": "wb_unknown"}, headers=FORM)
    assert answer.status_code == 403
    assert "No such key holds" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("key", ["", "  ", "wb_ü", "wb_a\r\nX-Evil: 1"])
async def test_what_is_no_key_is_not_tried(desk: Desk, key: str) -> None:
    async with desk.browser() as browser:
        answer = await browser.post("/sign-in", data={"key": key}, headers=FORM)
    assert answer.status_code == 400
    assert "Give an API key" in answer.text


async def test_an_api_that_is_away_is_told(desk: Desk) -> None:
    async with desk.browser() as browser:
        answer = await browser.post("/sign-in", data={"key": "wb_any"}, headers=FORM)
    assert answer.status_code == 503
    assert "The API does not answer." in answer.text


async def test_a_form_that_is_too_large_is_not_read(desk: Desk) -> None:
    async with desk.browser() as browser:
        answer = await browser.post("/sign-in", data={"key": "a" * 20_000}, headers=FORM)
    assert answer.status_code == 413


async def test_where_to_go_is_written_into_the_form_harmlessly(desk: Desk) -> None:
    async with desk.browser() as browser:
        answer = await browser.get("/sign-in", params={"next": '/x"><script>alert(1)</script>'})
    assert answer.status_code == 200
    assert "<script>" not in answer.text


async def test_signing_out_takes_the_cookie_away(desk: Desk) -> None:
    async with desk.browser() as browser:
        await browser.get("/sign-in?token=first")
        answer = await browser.post("/sign-out", headers={"Origin": HERE})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert COOKIE not in browser.cookies


# Who is turned away.


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:3000"])
async def test_another_page_can_neither_sign_in_nor_out(desk: Desk, origin: str | None) -> None:
    headers = {**FORM, "Origin": origin} if origin else {"Content-Type": FORM["Content-Type"]}
    async with desk.browser() as browser:
        for path in ("/sign-in", "/sign-out"):
            answer = await browser.post(path, data={"key": "wb_any"}, headers=headers)
            assert answer.status_code == 403, path


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8801", "127.0.0.1.evil.example", "", "[bad", "a@b:1"]
)
async def test_an_unknown_host_name_is_not_answered(desk: Desk, host: str) -> None:
    async with desk.browser() as browser:
        answer = await browser.get("/sign-in?token=first", headers={"Host": host})
    assert answer.status_code == 400
    assert desk.told == []


@pytest.mark.parametrize("host", ["127.0.0.1:8801", "localhost:9999", "[::1]:8801", "LOCALHOST"])
async def test_this_machine_is_answered_by_each_of_its_names(desk: Desk, host: str) -> None:
    async with desk.browser() as browser:
        assert (await browser.get("/sign-in", headers={"Host": host})).status_code == 200


async def test_a_body_without_bounds_is_not_read(desk: Desk) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"a"

    async with desk.browser() as browser:
        for body, headers in (
            (endless(), {"Origin": HERE}),
            (b"", {"Origin": HERE, "Content-Length": str(10**9)}),
        ):
            answer = await browser.post("/echo", content=body, headers=headers)
            assert answer.status_code == 413


async def test_a_file_is_taken_of_whoever_has_signed_in_and_of_nobody_else(desk: Desk) -> None:
    async with desk.browser() as browser:
        refused = await browser.put(
            "/_stcore/upload_file/a", content=b"x", headers={"Origin": HERE}
        )
        await browser.get("/sign-in?token=first")
        taken = await browser.put("/_stcore/upload_file/a", content=b"x", headers={"Origin": HERE})
    assert (refused.status_code, taken.status_code) == (403, 200)


async def test_a_made_up_cookie_of_an_identity_provider_is_nobody_s() -> None:
    signed = SignIn("http://127.0.0.1:9", PORT, Seal(make_seal_key()), identity_secret="s" * 32)
    assert not signed.knows({"_streamlit_user": "1|made|up"})
    assert signed.knows({"_streamlit_user": create_signed_value("s" * 32, "_streamlit_user", "{}")})


async def test_behind_a_proxy_the_cookie_is_for_https_only() -> None:
    desk = Desk("http://127.0.0.1:9", https_host="workbench.example.com")
    async with desk.browser("https://workbench.example.com") as browser:
        answer = await browser.get("/sign-in?token=first")
        assert "Secure" in answer.headers["set-cookie"].split("; ")
        plain = {"Origin": "http://workbench.example.com"}
        secure = {"Origin": "https://workbench.example.com"}
        assert (await browser.post("/sign-out", headers=plain)).status_code == 403
        assert (await browser.post("/sign-out", headers=secure)).status_code == 303


async def test_a_response_lets_a_browser_load_nothing_from_elsewhere(desk: Desk) -> None:
    async with desk.browser() as browser:
        headers = (await browser.get("/sign-in")).headers
    policy = _policy(headers["content-security-policy"])
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    words = " ".join(policy.values()).split()
    assert not [word for word in words if "//" in word or word in ("*", "https:", "http:")]
    assert "'unsafe-eval'" not in words
    assert "'unsafe-inline'" not in policy["script-src"].split()
    assert headers["x-content-type-options"] == "nosniff"


def _policy(text: str) -> Mapping[str, str]:
    return dict(part.split(" ", 1) for part in text.split("; "))


def test_each_script_inside_the_page_is_named_by_its_hash() -> None:
    policy = content_security_policy("<script>one</script><script src=x></script>")
    # printf one | openssl dgst -sha256 -binary | base64
    assert "script-src 'self' 'sha256-dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0=';" in policy


def test_streamlit_s_page_gets_our_title_and_icon_and_the_server_s_address() -> None:
    theirs = (
        '<link rel="shortcut icon" href="./favicon.png" /><title>Streamlit</title>'
        '<script type="module" src="./x.js"></script>'
    )
    ours = document(theirs)
    assert "<title>Prompt Workbench</title>" in ours
    assert "favicon.png" not in ours
    assert ours.index("BACKEND_BASE_URL") < ours.index("./x.js")


def test_a_page_of_another_streamlit_is_refused_instead_of_shown_half_changed() -> None:
    with pytest.raises(ValueError, match="has changed"):
        document("<html></html>")


# What the process is given.


@pytest.mark.parametrize("provider", [None, IdentityProvider("client", "https://a.example", "s")])
def test_a_handover_is_read_as_it_was_written(provider: IdentityProvider | None) -> None:
    handover = Handover(
        "http://127.0.0.1:8800", 7, 8801, make_seal_key(), None, "key", "token", provider
    )
    assert Handover.read(handover.line()) == handover


def test_a_handover_shows_no_secret() -> None:
    parts = [secrets.token_urlsafe(8) for _ in range(4)]
    provider = IdentityProvider("client", "https://a.example", parts[3])
    handover = Handover("http://127.0.0.1:8800", 7, 8801, *parts[:1], None, *parts[1:3], provider)
    assert not [part for part in parts if part in repr(handover)]


def test_the_address_to_open_is_the_one_behind_the_proxy() -> None:
    local = Handover("http://127.0.0.1:8800", 7, 8801, "")
    proxied = Handover("http://127.0.0.1:8800", 7, 8801, "", url="https://workbench.example.com/")
    assert sign_in_address(local.base_url, "t") == "http://127.0.0.1:8801/sign-in?token=t"
    assert proxied.base_url == "https://workbench.example.com"
    assert replace(local, host="::1").base_url == "http://[::1]:8801"
    assert (local.is_https, proxied.is_https) == (False, True)
