"""Texts that attack whoever reads them, in a real browser: they are shown, and do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.hostile_world import HostileWorld, hostile_world
from tests.browser.window import Window, window
from tests.dashboard.hostile import HOST, MARKER

_PAGES = (
    "home",
    "experiments",
    "comparisons",
    "comparison",
    "prompts",
    "prompt",
    "datasets",
    "dataset",
    "generations",
    "chat",
    "answer of all",
    "huge answer",
    "production",
    "users",
    "limits",
)
_AT_EVERY_CHANGE = ("comparison", "chat", "answer of all")
"""Where answers of models are shown; the other pages are looked at every night."""
_ADDRESSES = """
() => [...document.querySelectorAll('a, img, iframe, object, embed, form, link, use, image')]
  .flatMap(it => ['href', 'src', 'data', 'action', 'srcset'].map(name => it.getAttribute(name)))
  .filter(Boolean)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileWorld]:
    with hostile_world(tmp_path_factory.mktemp("hostile") / "workspace") as made:
        yield made


@pytest.fixture(scope="module")
def state(world: HostileWorld, browser: Browser) -> Any:
    with window(browser, world.served.dashboard) as first:
        first.page.goto(world.served.sign_in_address)
        first.settle()
        return first.context.storage_state()


@pytest.fixture
def watched(world: HostileWorld, state: Any, browser: Browser) -> Iterator[Window]:
    with window(browser, world.served.dashboard, state=state) as opened:
        yield opened


@pytest.mark.parametrize(
    "name",
    [
        it if it in _AT_EVERY_CHANGE else pytest.param(it, marks=pytest.mark.nightly)
        for it in _PAGES
    ],
)
def test_nothing_runs_and_nobody_is_called(world: HostileWorld, watched: Window, name: str) -> None:
    page = watched.open_page(world.pages[name])

    assert page.locator('[data-testid="stException"]').count() == 0
    assert page.evaluate(f"window.{MARKER}") is None
    assert [it for it in page.evaluate(_ADDRESSES) if HOST in it or "javascript:" in it] == []
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Home").click()
    page.get_by_role("heading", name="Home").wait_for()
    assert watched.problems == []


def test_every_page_that_shows_payloads_is_looked_at(world: HostileWorld) -> None:
    assert set(world.pages) == set(_PAGES)
