"""Every page opens in a real browser, on a desktop and on a phone, without an error."""

from __future__ import annotations

import pytest

from tests.browser.conftest import OpenWindow
from tests.browser.window import DESKTOP, PHONE, Size
from workbench.dashboard.pages import PAGES

_FAULT = '[data-testid="stException"], [data-testid="stAlertContentError"]'


@pytest.mark.parametrize(
    "size", [DESKTOP, pytest.param(PHONE, marks=pytest.mark.nightly)], ids=["desktop", "phone"]
)
@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_a_page_opens_without_an_error(open_window: OpenWindow, path: str, size: Size) -> None:
    window = open_window(size=size)
    page = window.open_page(f"/{path}")
    assert page.locator(_FAULT).count() == 0
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0], "the page is wider than the window"
    [spec] = [each for each in PAGES if each.path == path]
    assert page.title() == f"{spec.title} · Prompt Workbench"
