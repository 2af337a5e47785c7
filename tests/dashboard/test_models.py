"""The page of models: the catalog, one version, and changes of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from tests.dashboard.conftest import ALIAS, Workspace
from tests.dashboard.pages import open_page, texts
from workbench.client import Client, models
from workbench.client.models import Facts, Model, Parameter, Price, Usage, UsageRow
from workbench.dashboard.charts.models import price_chart, usage_chart
from workbench.dashboard.frames.models import (
    bounds_text,
    catalog_frame,
    parameter_frame,
    price_at,
    price_frame,
    price_table,
    status_text,
    usage_days,
    usage_table,
    usage_totals,
)

SMALL = "simulated/small@1"
NOBODY = UUID(int=0)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def day(month: int, number: int = 1) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


# The page


def test_an_empty_catalog_says_how_to_add_a_model(empty: Workspace) -> None:
    page = open_page("models", empty.url, empty.key)
    assert "There is no model in the catalog yet" in texts(page)


def test_the_catalog_lists_every_version(filled: Workspace) -> None:
    page = open_page("models", filled.url, filled.key)
    frame = page.dataframe[0].value
    assert {SMALL, "simulated/large@1"} <= set(frame["model"])
    row = frame[frame["model"] == SMALL].iloc[0]
    assert (row["status"], row["name is"]) == ("active", "pinned, simulated")
    assert row["input price"] == 0


def test_filters_stand_in_the_address(filled: Workspace) -> None:
    page = open_page("models", filled.url, filled.key, {"search": "lar"})
    assert list(page.dataframe[0].value["model"]) == ["simulated/large@1"]
    page = open_page("models", filled.url, filled.key, {"status": "retired", "search": "small"})
    assert "No model version is like that" in texts(page)


@pytest.mark.parametrize(
    ("view", "told"),
    [
        ("Parameters", "A value out of bounds is refused"),
        ("Prices", SMALL),
        ("Usage", "Input tokens"),
        ("In use by", ALIAS.partition("@")[0]),
        ("Change", "Record a price"),
    ],
)
def test_a_version_is_shown_from_every_side(filled: Workspace, view: str, told: str) -> None:
    shown = open_page("models", filled.url, filled.key, {"model": _served(filled), "view": view})
    said = texts(shown).replace("\\", "")
    assert told.replace(SMALL, _served(filled)) in said


def _served(workspace: Workspace) -> str:
    """Return the version that the alias of the workspace calls."""
    with Client(workspace.url, workspace.key) as client:
        for model in client.all(models.listing(provider="simulated")):
            if client.send(models.bindings(model.reference)).aliases:
                return model.reference
    raise AssertionError("the alias calls no model")


def test_an_unknown_model_is_told_in_a_sentence(filled: Workspace) -> None:
    page = open_page("models", filled.url, filled.key, {"model": "simulated/nothing"})
    assert "the link may be old" in page.warning[0].value


def test_a_viewer_sees_no_way_to_change_anything(filled: Workspace) -> None:
    page = open_page("models", filled.url, filled.viewer, {"model": SMALL, "view": "Change"})
    assert not page.button
    assert "Change" not in page.segmented_control[0].options
    usage = open_page("models", filled.url, filled.viewer, {"model": SMALL, "view": "Usage"})
    assert "experiment and judge" in texts(usage)


def test_nobody_is_told_that_their_roles_do_not_allow_it(filled: Workspace) -> None:
    page = open_page("models", filled.url, filled.nobody)
    assert "Your roles do not allow this" in page.warning[0].value


def test_an_api_that_fails_is_told_with_a_way_to_try_again(failing: str) -> None:
    page = open_page("models", failing, "wb_x")
    assert "The database does not answer" in page.error[0].value
    assert page.button[-1].label == "Try again"


def test_a_model_is_declared_priced_and_retired_on_the_page(filled: Workspace) -> None:
    page = open_page("models", filled.url, filled.key)
    page.text_input(key="declare-model").set_value("openai/gpt-4.1-page")
    _button(page, "Declare").click().run()
    assert "Declared openai/gpt-4.1-page@1" in texts(page).replace("\\", "")
    page.segmented_control[0].set_value("Change").run()
    page.text_input(key="price-input").set_value("1.5")
    page.text_input(key="price-output").set_value("much")
    _button(page, "Record price").click().run()
    assert "output" in page.error[0].value
    page.text_input(key="price-output").set_value("6")
    _button(page, "Record price").click().run()
    assert "Price recorded" in texts(page)
    assert {metric.label: metric.value for metric in page.metric}["Input now"].endswith("1\\.50")
    page.segmented_control[0].set_value("Change").run()
    page.text_input(key="end-successor").set_value("openai/gpt-5")
    page.button(key="end-now").click().run()
    assert not page.exception
    assert "This version is retired" in texts(page)
    with Client(filled.url, filled.key) as client:
        assert client.send(models.version("openai/gpt-4.1-page@1")).successor == "openai/gpt-5"


def _button(page: AppTest, label: str) -> Button:
    return next(button for button in page.button if button.label == label)


# Frames and charts


def a_model(**changes: object) -> Model:
    values: dict[str, object] = {
        "id": NOBODY,
        "provider": "openai",
        "name": "gpt",
        "number": 2,
        "provider_model": "gpt",
        "endpoint": "openai",
        "digest": None,
        "floating": True,
        "facts": Facts(),
        "status": "active",
        "sunset_at": None,
        "successor": None,
        "created_at": NOW,
        "created_by": "user:ada",
    }
    return Model.model_validate({**values, **changes})


def a_price(source: str, since: datetime, until: datetime | None, dollars: str) -> Price:
    return Price(
        id=NOBODY,
        input=Decimal(dollars),
        cached_input=None,
        output=Decimal(dollars) * 4,
        source=source,
        valid_from=since,
        valid_to=until,
    )


def test_what_is_unknown_in_the_catalog_is_missing_and_not_zero() -> None:
    frame = catalog_frame([a_model()])
    assert frame.loc[0, "model"] == "openai/gpt@2"
    assert frame[["context window", "input price", "ends"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "active"),
        (
            {"status": "deprecated", "sunset_at": day(7), "successor": "openai/new"},
            "deprecated, ends 2026-07-01, then openai/new",
        ),
        ({"status": "retired", "sunset_at": day(1)}, "retired, ended 2026-01-01"),
    ],
)
def test_a_status_tells_the_end_and_the_successor(changes: dict[str, object], text: str) -> None:
    assert status_text(a_model(**changes), NOW) == text


def test_one_s_own_price_counts_before_the_list_s_and_gaps_stay_gaps() -> None:
    prices = [
        a_price("genai-prices", day(1), day(3), "2"),
        a_price("own", day(2), day(3), "1"),
        a_price("own", day(4), None, "3"),
    ]
    assert price_at(prices, day(2)) is prices[1]
    assert price_at(prices, day(3)) is None
    frame = price_frame(prices, NOW)
    inputs = frame[frame["price"] == "input"]
    assert list(inputs["from"]) == [day(1), day(2), day(3), day(4), NOW]
    assert [None if pd.isna(value) else value for value in inputs["dollars"]] == [2, 1, None, 3, 3]
    assert "cached input" not in set(frame["price"])  # never known
    assert list(price_table(prices, NOW)["counts now"]) == [True, False, False]


def test_without_prices_there_is_nothing_to_draw() -> None:
    assert price_frame([], NOW).empty


def a_parameter(**changes: object) -> Parameter:
    values: dict[str, object] = {
        "name": "temperature",
        "minimum": 0.0,
        "maximum": 2.0,
        "default": 0.2,
        "default_from": "house",
        "fixed": None,
        "unsupported": False,
        "exclusive": ("top_p",),
        "sent_as": "temperature",
        "left_out": None,
    }
    return Parameter.model_validate({**values, **changes})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "0 to 2"),
        ({"maximum": 0.75}, "0 to 0.75"),
        ({"fixed": 1}, "only 1"),
        ({"unsupported": True}, "not supported"),
        ({"minimum": None, "maximum": None}, "any"),
        ({"minimum": -(2.0**63), "maximum": 2.0**63}, "any whole number"),
    ],
)
def test_bounds_are_words(changes: dict[str, object], text: str) -> None:
    assert bounds_text(a_parameter(**changes)) == text


def test_a_parameter_tells_what_is_sent_and_what_is_left_out() -> None:
    frame = parameter_frame(
        [
            a_parameter(),
            a_parameter(left_out="not supported by the model", unsupported=True),
            a_parameter(default=None, default_from=None),
        ]
    )
    assert list(frame["when nobody asks"]) == [
        "0.2 (house default)",
        "nothing: not supported by the model",
        "left to the provider",
    ]
    assert list(frame["sent as"]) == ["temperature", "never", "temperature"]


def a_row(**changes: object) -> UsageRow:
    values: dict[str, object] = {
        "day": date(2026, 5, 31),
        "purpose": "chat",
        "status": "completed",
        "generations": 3,
        "input_tokens": 30,
        "output_tokens": None,
        "cost": Decimal("0.01"),
        "without_cost": 1,
    }
    return UsageRow.model_validate({**values, **changes})


def test_usage_is_summed_and_days_without_any_are_shown_as_zero() -> None:
    rows = (
        a_row(),
        a_row(status="failed", generations=1, input_tokens=None, cost=None),
        a_row(day=date(2026, 6, 1), purpose="judge"),
    )
    usage = Usage(
        model="openai/gpt@2",
        since=day(5, 30),
        until=NOW,
        purposes=("judge", "chat"),
        rows=rows,
        last_used_at=NOW,
    )
    totals = usage_totals(rows)
    assert (totals.generations, totals.failed, totals.cost) == (7, 1, Decimal("0.02"))
    assert (totals.input_tokens, totals.output_tokens, totals.without_cost) == (60, None, 3)
    days = usage_days(usage)
    assert list(days["generations"]) == [0, 0, 0, 4, 3, 0]
    table = usage_table(usage)
    assert list(table["status"]) == ["completed", "failed", "completed"]
    assert list(table["cost"]) == ["$0.01", "unknown", "$0.01"]
    assert "n = 7 in 3 days" in str(usage_chart(days).to_dict()["title"])


def test_the_price_chart_has_title_units_and_steps() -> None:
    frame = price_frame([a_price("own", day(1), None, "2")], NOW)
    drawn = price_chart(frame).to_dict()
    assert drawn["title"] == "Prices in effect (n = 1 price)"
    lines = drawn["layer"][0]
    assert lines["mark"]["interpolate"] == "step-after"
    assert lines["encoding"]["y"]["title"] == "US dollars per million tokens"
