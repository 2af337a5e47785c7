"""Three people do their work in a real browser, from the first click to the last.

The researcher and the prompt author share the demo workspace; the auditor's holds thousands of
generations, among them the chats of one customer.
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
_SAID = ("When does my lamp come?", _COMPLAINT, "The lamp is here: thank you.")


def go_to(opened: Window, title: str) -> Page:
    """Follow the menu to a page."""
    page = opened.page
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
    expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
    opened.settle()
    return page


def choose(opened: Window, label: str, *options: str) -> None:
    """Choose in a box. Its list closes when the page moves, also to bring the box into sight, and
    is opened again by the arrow.
    """
    box = opened.page.get_by_role("combobox", name=label)
    for option in options:
        with opened.rerun():
            box.click()
            box.fill(option)
            box.press("ArrowDown")
            opened.page.get_by_role("option", name=option, exact=True).click()
    box.press("Tab")


def write(opened: Window, label: str, text: str) -> None:
    """Write into a field and leave it, as Streamlit waits for."""
    field = opened.page.get_by_label(label, exact=True)
    with opened.rerun():
        field.fill(text)
        field.blur()


def follow(page: Page, name: str | re.Pattern[str]) -> None:
    """Follow a link within a page's content."""
    page.get_by_test_id("stMain").get_by_role("link", name=name).first.click()


def metric(page: Page, label: str) -> Locator:
    """Return the value of a metric."""
    shown = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True))
    return shown.get_by_test_id("stMetricValue")


def badge(page: Page, word: str) -> Locator:
    """Return the first badge that says a word."""
    return page.locator(".stMarkdownBadge").filter(has_text=word).first


def test_a_researcher_starts_an_experiment_and_reads_what_changed(open_window: OpenWindow) -> None:
    opened = open_window()
    opened.open_page("/home")
    page = go_to(opened, "Experiments")
    follow(page, "New experiment")

    choose(opened, "Dataset version", "support-triage@1")
    choose(opened, "Prompt versions", "support-triage@1", "support-triage@2")
    choose(opened, "Model versions", "simulated/small@1")
    choose(opened, "Scorers", "exact_match – equals the expected output")
    choose(opened, "Baseline", "support-triage@1")
    expect(page.get_by_text("Estimate")).to_be_visible()
    expect(metric(page, "Calls")).to_have_text("400")
    page.get_by_role("button", name="Start experiment").click()

    expect(page.get_by_role("heading", name=re.compile(r"^Experiment \d+"))).to_be_visible()
    expect(badge(page, "completed")).to_be_visible(timeout=_FINISHED_MS)
    follow(page, re.compile("^Compare support-triage@2"))

    expect(page.get_by_role("heading", name="Compare", level=1)).to_be_visible()
    expect(badge(page, "superior")).to_be_visible()
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


def test_a_prompt_author_tries_a_change_and_registers_it(open_window: OpenWindow) -> None:
    opened = open_window()
    opened.open_page("/home")
    page = go_to(opened, "Prompts")
    follow(page, "word-problem")
    follow(page, "Edit in the playground")

    write(opened, "Text of message 1", "Work out the answer. Say the number alone.")
    page.get_by_text("Take the values of an example").click()
    choose(opened, "Dataset", "word-problems@1")
    with opened.rerun():
        page.get_by_role("button", name="Fill in").click()
    expect(page.get_by_label("Value of question", exact=True)).not_to_be_empty()
    choose(opened, "Model", "simulated/small@1")
    expect(page.get_by_text("It costs at most")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("heading", name="Answer")).to_be_visible()
    expect(page.get_by_role("link", name="The generation on record")).to_be_visible()

    write(opened, "What this version changes", "Asks for the number alone.")
    page.get_by_role("button", name="Register version 4").click()
    expect(page.get_by_text("word-problem@4 is registered.")).to_be_visible()
    expect(page).to_have_url(re.compile("view=Changes"))
    expect(page.locator("del, s").first).to_be_visible()
    expect(page.get_by_text("Say the number alone.")).to_be_visible()

    page.reload()
    expect(page.get_by_text("Say the number alone.")).to_be_visible()
    page.get_by_role("radio", name="Versions").click()
    expect(page.get_by_role("heading", name="Version 4")).to_be_visible()
    expect(page.get_by_text("Asks for the number alone.")).to_be_visible()


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Served]:
    """A workspace with thousands of generations, among them the chats of one customer."""
    database = f"sqlite:///{tmp_path / 'workbench.db'}"
    filling = (sys.executable, "-m", "tests.benchmarks.dashboard_data", "--database", database)
    subprocess.run([*filling, "--generations", "5000", "--experiments", "2"], check=True)
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n", encoding="utf-8")
    line = CommandLine(tmp_path)
    key = line.json("users", "bootstrap", "--name", "ada")["secret"]
    line.run("users", "grant", "ada", "auditor")
    line.run("models", "add", "simulated/small")
    with serve(tmp_path, key) as served:
        _chat_about_lamps(served)
        yield served


def _chat_about_lamps(served: Served) -> None:
    message = {"role": "user", "content": "A customer writes: {{ text }}"}
    content = {"messages": [message], "variables": {"text": {"type": "string"}}}
    with Client(served.url, served.key) as client:
        client.send(prompts.add("lamps/reply", content, message="first"))
        variant = client.send(variants.make("lamps/reply@1", "simulated/small", {}))
        move = {"kind": "move", "variant": str(variant.id), "reason": "first deployment"}
        client.send(aliases.deploy("lamps/reply@production", {**move, "allow_simulated": True}))
        for said in _SAID:
            client.chat(
                "lamps/reply@production",
                [{"role": "user", "content": "Please answer."}],
                variables={"text": said},
                user=_CUSTOMER,
            )


def test_an_auditor_finds_one_chat_among_thousands_and_checks_it(
    busy: Served, browser: Browser
) -> None:
    with window(browser, busy.dashboard) as opened:
        page = opened.page
        page.goto(busy.sign_in_address)
        page = go_to(opened, "Generations")
        expect(page.get_by_text(re.compile(r"5,\d{3} generations"))).to_be_visible()

        page.get_by_text("More filters").click()
        write(opened, "End user", _CUSTOMER)
        expect(page.get_by_text(re.compile(r"^\d\d? generations, newest first"))).to_be_visible()
        write(opened, "Search in texts", "blue lamp")
        expect(page.get_by_text("1 found in")).to_be_visible()
        follow(page, re.compile("lamp"))

        expect(page.get_by_role("heading", name="Request as sent")).to_be_visible()
        expect(page.get_by_text(f"A customer writes: {_COMPLAINT}")).to_be_visible()
        expect(page.get_by_role("link", name="Prompt lamps/reply@1")).to_be_visible()
        story = page.url
        assert "id=" in story
        page.get_by_role("button", name="Check the replay").click()
        expect(page.get_by_text("identical")).to_be_visible()
        page.get_by_text("flagged", exact=True).click()
        page.get_by_label("Reason", exact=True).fill("Nobody offered a new lamp.")
        page.get_by_role("button", name="Save review").click()
        expect(page.get_by_text("The review is saved.")).to_be_visible()

        assert page.url == story
        page.reload()
        expect(page.get_by_text("Nobody offered a new lamp.")).to_be_visible()
        assert opened.problems == []
