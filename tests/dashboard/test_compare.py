"""The Compare page: choosing a comparison, its verdict, and the examples behind it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.conftest import Workspace
from tests.dashboard.pages import open_page, texts
from workbench.client import Client, comparisons, jobs
from workbench.client.comparisons import ComparedExample, Comparison
from workbench.dashboard.frames.compare import side_titles


@pytest.fixture
def client(filled: Workspace) -> Iterator[Client]:
    with Client(filled.url, filled.key) as opened:
        yield opened


@pytest.fixture
def comparison(client: Client) -> Comparison:
    """The demo's comparison that was made first, which has gains and losses."""
    *_, first = client.all(comparisons.listing())
    return first


@pytest.fixture
def worst(client: Client, comparison: Comparison) -> list[ComparedExample]:
    return list(client.page(comparisons.examples(comparison.id, "worse")).items)


def page(workspace: Workspace, **query: str) -> AppTest:
    return open_page("compare", workspace.url, workspace.key, dict(query))


def test_an_empty_workspace_says_how_to_get_a_comparison(empty: Workspace) -> None:
    told = texts(page(empty))
    assert "No comparison yet" in told
    assert "workbench run" in told


def test_without_an_id_recent_comparisons_are_listed_with_their_verdicts(
    filled: Workspace, comparison: Comparison
) -> None:
    shown = page(filled)
    [table] = shown.dataframe
    assert side_titles(comparison.result)[0] in list(table.value["candidate"])
    assert "▲ superior" in list(table.value["verdict"])


def test_an_experiment_in_the_address_keeps_the_list_to_it(filled: Workspace) -> None:
    assert len(page(filled, experiment="1").dataframe) == 1
    assert "No comparison yet" in texts(page(filled, experiment="4711"))
    assert len(page(filled, experiment="no number").dataframe) == 1


def test_the_verdict_sentence_comes_first_with_what_speaks_against_it(
    filled: Workspace, comparison: Comparison
) -> None:
    shown = page(filled, id=str(comparison.id))
    sentence = comparison.result["sentence"].split("(")[0]
    assert sentence in plainly(shown.subheader[0].value)
    told = plainly(texts(shown))
    assert told.index(sentence) < told.index("Before you rely on this")
    assert "A simulated model answered" in told
    assert ":material/theater_comedy: simulated" in told
    assert "No gate has decided" in told
    assert "Score interval" in told or "score interval" in told


def plainly(text: str) -> str:
    return text.replace("\\", "")


def test_the_plots_show_all_candidates_and_can_be_taken_away(
    filled: Workspace, comparison: Comparison
) -> None:
    shown = page(filled, id=str(comparison.id))
    buttons = {button.key for button in shown.get("download_button")}
    assert {"csv-candidates-1", "csv-slices", "csv-score-p95"} <= buttons
    sides = next(table.value for table in shown.dataframe if "cells" in table.value.columns)
    assert list(sides["scored"]) == [200] * 6


def test_the_worst_example_stands_side_by_side_with_its_words_marked(
    filled: Workspace, comparison: Comparison, worst: list[ComparedExample]
) -> None:
    shown = page(filled, id=str(comparison.id), direction="Worse")
    told = plainly(texts(shown))
    assert worst[0].key in told
    assert "Score 1 → 0: **worse**" in told
    assert "exact_match v1: **0**" in told
    before, after = _bodies(shown)
    assert "<del " in before
    assert "<ins " in after
    assert "/generations?id=" in texts(shown)


def _bodies(shown: AppTest) -> list[str]:
    return [element.proto.body for element in shown.get("html")]


def test_next_and_previous_go_through_the_examples_and_stand_in_the_address(
    filled: Workspace, comparison: Comparison, worst: list[ComparedExample]
) -> None:
    shown = page(filled, id=str(comparison.id), direction="Worse")
    assert shown.button(key="step-previous").disabled
    shown.button(key="step-next").click().run()
    assert str(worst[1].example_id) in shown.query_params["example"]
    assert worst[1].key in plainly(texts(shown))
    shown.button(key="step-previous").click().run()
    assert worst[0].key in plainly(texts(shown))
    shortcuts = {b.proto.shortcut for b in shown.button if b.key and b.key.startswith("step-")}
    assert shortcuts == {"k", "j"}


def test_an_example_of_the_address_is_shown_though_the_filter_leaves_it_out(
    filled: Workspace, comparison: Comparison, worst: list[ComparedExample]
) -> None:
    one = worst[0]
    link = {"id": str(comparison.id), "direction": "Better", "example": str(one.example_id)}
    assert one.key in plainly(texts(page(filled, **link)))


def test_another_direction_forgets_the_example(
    filled: Workspace, comparison: Comparison, worst: list[ComparedExample]
) -> None:
    shown = page(filled, id=str(comparison.id), direction="Worse", example=str(worst[1].example_id))
    shown.text_input(key="search").set_value("no such key").run()
    assert "example" not in shown.query_params
    assert "No example is like this" in texts(shown)


def test_an_id_that_is_none_and_one_of_nothing_are_told(filled: Workspace) -> None:
    assert "names no comparison" in texts(page(filled, id="x"))
    assert "out of your sight" in texts(page(filled, id=str(uuid4())))


def test_an_example_that_is_gone_is_told(filled: Workspace, comparison: Comparison) -> None:
    shown = page(filled, id=str(comparison.id), example=str(uuid4()))
    assert "choose another one" in texts(shown)


def test_two_runs_are_compared_on_demand_and_the_work_is_followed(
    filled: Workspace, client: Client
) -> None:
    shown = page(filled)
    shown.text_input(key="other_scorer").set_value("contains").run()
    next(button for button in shown.button if button.label == "Compare").click().run()
    assert "waits for a worker" in texts(shown)
    client.send(jobs.stop(shown.query_params["job"]))
    assert "ended as stopped" in texts(shown.run())


def test_who_may_only_look_is_not_offered_to_compare(filled: Workspace) -> None:
    shown = open_page("compare", filled.url, filled.viewer)
    assert len(shown.dataframe) == 1
    assert [button.label for button in shown.button] == []


def test_without_permission_the_reason_is_told(filled: Workspace) -> None:
    assert "roles do not allow this" in texts(open_page("compare", filled.url, filled.nobody))


def test_an_api_that_fails_is_told(failing: str) -> None:
    told = texts(open_page("compare", failing, "wb_x"))
    assert "database does not answer" in told
