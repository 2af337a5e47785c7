"""Signing in and out in a real browser: by the printed address, a key, an identity provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import OpenWindow
from tests.browser.identity_provider import CLIENT, CLIENT_SECRET, identity_provider
from tests.browser.served import Served, serve
from tests.browser.window import window
from tests.command_line import CommandLine

SETTINGS = """\
workspace_version: 1
auth: {{jwks_url: "{url}/keys", issuer: "{url}", audience: {client}}}
dashboard: {{client_id: {client}, metadata_url: "{url}/.well-known/openid-configuration"}}
"""


@pytest.fixture
def team(tmp_path: Path, sqlite_template: Path) -> Iterator[Served]:
    """A workspace whose people sign in at an identity provider; `dora` may look at experiments."""
    with identity_provider("subject-of-dora") as provider:
        (tmp_path / "workbench.yaml").write_text(
            SETTINGS.format(url=provider.url, client=CLIENT), encoding="utf-8"
        )
        (tmp_path / "workbench.db").write_bytes(sqlite_template.read_bytes())
        line = CommandLine(tmp_path)
        key = line.json("users", "bootstrap", "--name", "ada")["secret"]
        line.run("users", "create", "dora", "--role", "viewer", "--external-id", provider.subject)
        environment = {"WORKBENCH_DASHBOARD_CLIENT_SECRET": CLIENT_SECRET}
        with serve(tmp_path, key, environment) as served:
            yield served


def test_a_person_of_the_identity_provider_comes_to_the_page_that_they_wanted(
    team: Served, browser: Browser
) -> None:
    with window(browser, team.dashboard) as opened:
        page = opened.page
        page.goto(f"{team.dashboard}/models?provider=openai")
        expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
        page.get_by_role("link", name="Sign in").click()
        page.get_by_role("link", name="Sign in with your organisation").click()
        expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
        assert page.url == f"{team.dashboard}/models?provider=openai"
        expect(page.get_by_text("Signed in as dora")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
        opened.open_page("/models")
        expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()


def test_a_key_signs_in_and_out(served_demo: Served, browser: Browser) -> None:
    with window(browser, served_demo.dashboard) as opened:
        page = opened.page
        page.goto(f"{served_demo.dashboard}/sign-in?next=/datasets")
        page.get_by_label("API key").fill(served_demo.key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Datasets", level=1)).to_be_visible()
        expect(page.get_by_text("Signed in as ada")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
        assert opened.problems == []


def test_a_second_tab_and_a_reload_stay_signed_in(open_window: OpenWindow) -> None:
    first = open_window()
    first.open_page("/datasets")
    first.page.reload()
    first.settle()
    expect(first.page.get_by_text("Signed in as")).to_be_visible()
    second = first.context.new_page()
    second.goto(f"{first.base_url}/models")
    expect(second.get_by_role("heading", name="Models", level=1)).to_be_visible()


def test_a_page_that_a_role_does_not_allow_is_not_offered_and_its_link_says_why(
    served_demo: Served, browser: Browser
) -> None:
    served_demo.line.run("users", "create", "noor")
    key = served_demo.line.json("keys", "create", "noor-key", "--user", "noor")["secret"]
    with window(browser, served_demo.dashboard) as opened:
        page = opened.page
        page.goto(f"{served_demo.dashboard}/sign-in?next=/production")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Your roles do not allow this page")).to_be_visible()
        expect(page.get_by_role("link", name="Home")).to_be_visible()
        expect(page.get_by_role("link", name="Production")).to_have_count(0)


def test_no_script_can_read_the_cookie(open_window: OpenWindow) -> None:
    page = open_window().open_page("/home")
    assert "workbench_session" not in page.evaluate("document.cookie")
