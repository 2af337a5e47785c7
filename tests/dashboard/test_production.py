"""The page of production under test, without a browser."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from streamlit.testing.v1 import AppTest

from tests.dashboard.conftest import ALIAS, Workspace
from tests.dashboard.pages import open_page, texts
from workbench.client import Client
from workbench.client.traffic import view

QUIET = {"since": "2020-01-01T00:00", "until": "2020-01-02T00:00", "zone": "UTC"}


def page(workspace: Workspace, **query: str | list[str]) -> AppTest:
    return open_page("production", workspace.url, workspace.key, query)


def charts(test: AppTest) -> list[str]:
    """Return the titles of the plots."""
    specs = [json.loads(it.proto.spec) for it in test.get("vega_lite_chart")]
    return [str(spec["title"]["text"]) for spec in specs]


def test_an_empty_workspace_says_how_to_bring_something_into_production(empty: Workspace) -> None:
    said = texts(page(empty))
    assert "Nothing was answered" in said
    assert "workbench aliases set" in said
    assert "`/v1`" in said


def test_a_filled_one_shows_figures_plots_and_what_was_moved(filled: Workspace) -> None:
    test = page(filled, alias=ALIAS)
    metrics = {metric.label: metric.value for metric in test.metric}
    assert int(metrics["Answers"]) >= 5
    assert metrics["Error rate"] == "0.00%"
    assert metrics["Latency p50"] != "unknown"
    assert charts(test)[:3] == [
        "Answers by how they ended",
        "Error rate",
        "Latency of completed answers",
    ]
    moves = test.dataframe[-1].value
    assert set(moves["alias"]) == {ALIAS}
    assert "move" in set(moves["kind"])


def test_a_quiet_window_says_what_to_choose(filled: Workspace) -> None:
    said = texts(page(filled, window="own", **QUIET))
    assert "Nothing was answered from 2020" in said
    assert "Choose a longer window" in said
    assert not page(filled, window="own", **QUIET).metric


def test_filters_that_let_nothing_through_are_told_apart_from_no_traffic(
    filled: Workspace,
) -> None:
    said = texts(page(filled, prompt="nobody"))
    assert "that these filters let through" in said
    assert "workbench aliases set" not in said


def test_an_own_window_without_ends_asks_for_them(filled: Workspace) -> None:
    assert "Choose when the window begins and ends" in texts(page(filled, window="own"))


def test_an_own_window_that_ends_before_it_begins_is_told(filled: Workspace) -> None:
    turned = {"since": QUIET["until"], "until": QUIET["since"], "zone": "UTC"}
    assert "ends before it begins" in texts(page(filled, window="own", **turned))


def test_side_by_side_follows_the_address_and_links_to_the_generations(
    filled: Workspace,
) -> None:
    test = page(filled, by="alias", window="1h")
    table = next(it.value for it in test.dataframe if "all" in it.value)
    row = table[table["name"] == ALIAS].iloc[0]
    address = urlsplit(row["bad"])
    asked = parse_qs(address.query)
    assert address.path == "/generations"
    assert asked["alias"] == [ALIAS]
    assert asked["ending"] == ["failed", "timeout", "upstream_cut", "abandoned"]
    assert asked["zone"] == ["UTC"]
    assert datetime.fromisoformat(asked["since"][0]) < datetime.fromisoformat(asked["until"][0])
    assert "ending" not in parse_qs(urlsplit(row["all"]).query)


def test_the_figures_are_those_of_the_api(filled: Workspace) -> None:
    now = datetime.now(UTC)
    with Client(filled.url, filled.key) as client:
        found = client.send(view(now - timedelta(hours=24), now, alias=ALIAS, step="whole"))
    metrics = {metric.label: metric.value for metric in page(filled, alias=ALIAS).metric}
    assert metrics["Answers"] == f"{found.groups[0].total.calls:,}"


def test_a_page_that_looks_again_by_itself_shows_the_same(filled: Workspace) -> None:
    test = page(filled, alias=ALIAS, refresh="60 s")
    assert "Answers" in {metric.label for metric in test.metric}


def test_an_error_while_it_looks_again_is_told_and_nothing_breaks(failing: str) -> None:
    said = texts(open_page("production", failing, "wb_any", {"refresh": "10 s"}))
    assert "It is tried again" in said


def test_who_may_not_read_chats_is_told_which_roles_do(filled: Workspace) -> None:
    said = texts(open_page("production", filled.url, filled.viewer))
    assert "chat:read" in said
    assert "An admin can grant" in said


def test_a_failing_api_is_told_in_a_sentence(failing: str) -> None:
    said = texts(open_page("production", failing, "wb_any"))
    assert "The database does not answer" in said
