"""A real browser on the dashboard, which notes what should never happen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

__all__ = ["DESKTOP", "PHONE", "Size", "Window", "chromium", "window"]

Size = tuple[int, int]
"""Width and height of the page, in CSS pixels."""

DESKTOP: Final[Size] = (1280, 800)
PHONE: Final[Size] = (390, 844)

_READY_MS: Final = 60_000
_IS_SETTLED: Final = """
() => {
  const app = document.querySelector('[data-testid="stApp"]')
  const main = document.querySelector('[data-testid="stMain"]')
  if (app === null || main === null) return false
  const seen = selector => [...main.querySelectorAll(selector)].filter(it => it.checkVisibility())
  return app.dataset.testConnectionState === "CONNECTED"
    && app.dataset.testScriptState === "notRunning"
    && seen("h1").length > 0
    && seen('[data-testid="stSkeleton"], [data-stale="true"]').length === 0
    && seen('[data-testid="stVegaLiteChart"]')
      .every(chart => chart.querySelector("canvas, svg") !== null)
    && document.getAnimations().every(it => it.playState !== "running"
      || it.effect.getComputedTiming().iterations === Infinity)
}
"""
_WATCH_RUNS: Final = """
() => {
  const app = document.querySelector('[data-testid="stApp"]')
  window.__hasRun = false
  const watch = new MutationObserver(() => { window.__hasRun = true; watch.disconnect() })
  watch.observe(app, {attributeFilter: ["data-test-script-state"]})
}
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield Debian's Chromium; fail with what to install if it is missing."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("There is no Chromium for these tests: run `apt-get install chromium`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Window:
    """One browser window on the dashboard at `base_url`.

    `problems` are errors on the console, exceptions of scripts, and requests to other hosts.
    """

    base_url: str
    context: BrowserContext
    page: Page
    problems: list[str] = field(default_factory=list)

    def open_page(self, path: str) -> Page:
        """Open a page, as `/compare?id=...`, and wait until it is drawn."""
        self.page.goto(f"{self.base_url}{path}")
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until Streamlit has finished running, everything is drawn, and nothing moves."""
        self.page.wait_for_function(_IS_SETTLED, timeout=_READY_MS)

    @contextmanager
    def rerun(self) -> Iterator[None]:
        """Wait until the script has run for what is done to a widget in the block."""
        self.settle()
        self.page.evaluate(_WATCH_RUNS)
        yield
        self.page.wait_for_function("() => window.__hasRun", timeout=_READY_MS)
        self.settle()

    def note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console, at {self.page.url}: {message.text}")

    def note_request(self, request: Request) -> None:
        own = (self.base_url, self.base_url.replace("http:", "ws:"), "data:", "blob:")
        if not request.url.startswith(own):
            self.problems.append(f"request, at {self.page.url}: {request.url}")


@contextmanager
def window(
    browser: Browser,
    base_url: str,
    *,
    size: Size = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    state: Any = None,
) -> Iterator[Window]:
    """Yield a new window with the cookies of `state`, as `BrowserContext.storage_state` gives."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        storage_state=state,
        timezone_id="UTC",
        locale="en-GB",
    )
    context.set_default_timeout(_READY_MS / 2)
    try:
        opened = Window(base_url, context, context.new_page())
        context.on("console", opened.note_console)
        context.on("request", opened.note_request)
        context.on("weberror", lambda error: opened.problems.append(f"script: {error.error}"))
        yield opened
    finally:
        context.close()
