"""Three people do their work in a real browser, from the first click to the last.

The researcher and the prompt author share the demo workspace; the auditor's holds thousands of
generations, and one real chat among them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import OpenWindow
from tests.browser.served import Served, serve
from tests.browser.window import Window, window
from tests.command_line import CommandLine
from workbench.client import Client, aliases, prompts, variants

_FINISHED_MS = 60_000
_CUSTOMER = "customer-00007"
_COMPLAINT = "The blue lamp arrived broken, twice."


def go_to(opened: Window, title: str) -> Page:
    """Follow the menu to a page."""
    page = opened.page
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    opened.settle()
    return page


def choose(page: Page, label: str, *options: str) -> None:
    """Choose in a box, which stays open while several can be chosen."""
    box = page.get_by_role("combobox", name=label)
    for option in options:
        box.fill(option)
        page.get_by_role("option", name=option, exact=True).click()
    box.press("Tab")


def write(page: Page, label: str, text: str) -> None:
    """Write into a field and leave it, as Streamlit waits for."""
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.blur()


def follow(page: Page, name: str | re.Pattern[str]) -> None:
    """Follow a link within a page's content."""
    page.get_by_test_id("stMain").get_by_role("link", name=name).first.click()


def test_a_researcher_starts_an_experiment_and_reads_what_changed(open_window: OpenWindow) -> None:
    opened = open_window()
    opened.open_page("/home")
    page = go_to(opened, "Experiments")
    follow(page, "New experiment")

    choose(page, "Dataset version", "support-triage@1")
    choose(page, "Prompt versions", "support-triage@1", "support-triage@2")
    choose(page, "Model versions", "simulated/small@1")
    choose(page, "Scorers", "exact_match – equals the expected output")
    choose(page, "Baseline", "support-triage@1")
    expect(page.get_by_text("Estimate")).to_be_visible()
    expect(metric(page, "Calls")).to_have_text("400")
    page.get_by_role("button", name="Start experiment").click()

    expect(page.get_by_role("heading", name=re.compile(r"^Experiment \d+"))).to_be_visible()
    expect(page.get_by_text("completed", exact=True)).to_be_visible(timeout=_FINISHED_MS)
    follow(page, re.compile("^Compare support-triage@2"))

    expect(page.get_by_role("heading", name="Compare", level=1)).to_be_visible()
    expect(page.get_by_test_id("stMain").get_by_text("superior", exact=True)).to_be_visible()
    page.get_by_role("radio", name="Better").click()
    expect(page).to_have_url(re.compile("direction=Better"))
    expect(page.get_by_text("Example 1 of")).to_be_visible()
    expect(page.get_by_text("Score 0 → 1")).to_be_visible()

    page.keyboard.press("j")
    expect(page.get_by_text("Example 2 of")).to_be_visible()
    expect(page.get_by_text("Score 0 → 1")).to_be_visible()
    second = page.url
    assert "example=" in second
    page.keyboard.press("k")
    expect(page.get_by_text("Example 1 of")).to_be_visible()
    assert page.url != second

    follow(page, "Whole generation")
    expect(page.get_by_role("heading", name="Request as sent")).to_be_visible()


def metric(page: Page, label: str) -> Locator:
    """Return the value of a metric."""
    shown = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    return shown.get_by_test_id("stMetricValue")
