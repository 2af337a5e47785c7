"""What surrounds the pages: who sees which, who is signed in, and what goes wrong."""

from __future__ import annotations

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.dashboard.conftest import Workspace
from tests.dashboard.pages import texts
from workbench.client import Client
from workbench.client.users import Me, me
from workbench.dashboard.pages import PAGES
from workbench.dashboard.session import Session
from workbench.dashboard.shell import visible_pages

_SCRIPT = Path(__file__).with_name("shell_script.py")


def shown(api: str, key: str | None) -> AppTest:
    test = AppTest.from_file(str(_SCRIPT), default_timeout=30)
    test.session_state["test_api"] = api
    test.session_state["test_key"] = key
    test.run()
    assert not test.exception, test.exception
    return test


def paths(*permissions: str) -> list[str]:
    """Return the pages that somebody with these permissions sees."""
    ada = Me(kind="user", name="ada", permissions=permissions, prefixes=())
    with Client("http://127.0.0.1:9") as client:
        return [page.path for page in visible_pages(Session(client, ada))]


def test_without_a_permission_there_are_only_the_pages_that_need_none() -> None:
    assert paths() == [page.path for page in PAGES if not page.needs]


def test_one_of_the_permissions_of_a_page_is_enough_to_see_it() -> None:
    assert {"generations", "production"} <= set(paths("chat:read"))
    assert "production" not in paths("experiment:read")
    assert {"experiments", "compare", "generations"} <= set(paths("experiment:read"))


def test_every_permission_that_a_page_needs_is_one_that_the_api_knows(empty: Workspace) -> None:
    with Client(empty.url, empty.key) as client:
        everything = set(client.send(me()).permissions)
    assert {need for page in PAGES for need in page.needs} <= everything


def test_the_sidebar_says_who_is_signed_in(empty: Workspace) -> None:
    assert "Signed in as" in texts(shown(empty.url, empty.key))


def test_whoever_has_no_role_is_told_what_to_ask_for(empty: Workspace) -> None:
    assert "You have no role yet. An admin can grant one." in texts(shown(empty.url, empty.nobody))


def test_whoever_has_not_signed_in_is_told_how(empty: Workspace) -> None:
    test = shown(empty.url, None)
    assert [title.value for title in test.title] == ["You are not signed in"]
    assert "workbench serve" in texts(test)


def test_a_key_that_no_longer_holds_asks_to_sign_in_again(empty: Workspace) -> None:
    assert "You are signed out. Sign in again." in texts(shown(empty.url, "wb_gone"))


def test_an_api_that_is_away_is_told_in_a_sentence() -> None:
    told = texts(shown("http://127.0.0.1:9", "wb_any"))
    assert "Is the API running?" in told
