"""The demo workspace served, and windows of a real browser on it: signed in, and watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser

from tests.browser.served import Served, fill, make_demo, serve
from tests.browser.window import DESKTOP, Size, Window, chromium, window

__all__ = ["OpenWindow"]

OpenWindow = Callable[..., Window]
"""Opens a signed-in window: `open_window(size=PHONE, scheme="dark")`."""


@pytest.fixture(scope="session")
def browser(sqlite_template: Path) -> Iterator[Browser]:
    """One Chromium for all. The empty database is made before it: Playwright runs an event loop in
    this thread, and making one runs another."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def served_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo workspace, with an alias in production and a few chats. What a test changes it
    calls by a name of its own."""
    folder: Path = tmp_path_factory.mktemp("browser") / "workspace"
    with serve(folder, make_demo(folder)) as served:
        fill(served)
        yield served


@pytest.fixture(scope="session")
def signed_in_state(served_demo: Served, browser: Browser) -> Any:
    """The cookies of a browser that opened the printed address."""
    with window(browser, served_demo.dashboard) as first:
        first.page.goto(served_demo.sign_in_address)
        first.settle()
        return first.context.storage_state()


@pytest.fixture
def open_window(
    served_demo: Served, signed_in_state: Any, browser: Browser
) -> Iterator[OpenWindow]:
    """Open signed-in windows; the test fails if any of them noted a problem."""
    opened: list[Window] = []
    with ExitStack() as windows:

        def open_one(size: Size = DESKTOP, scheme: Literal["light", "dark"] = "light") -> Window:
            opened.append(
                windows.enter_context(
                    window(
                        browser,
                        served_demo.dashboard,
                        size=size,
                        scheme=scheme,
                        state=signed_in_state,
                    )
                )
            )
            return opened[-1]

        yield open_one
    assert [problem for each in opened for problem in each.problems] == []
