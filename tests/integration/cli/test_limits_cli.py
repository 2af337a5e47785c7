"""`workbench limits`: set, shown with what is used, listed, taken away."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workbench.cli.main import app

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    shutil.copy(sqlite_template, tmp_path / "workbench.db")
    Path("workbench.yaml").write_text("workspace_version: 1\n")

    def invoke(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["limits", *arguments], prog_name="workbench")
        assert result.exit_code == code, result.output
        return result.output

    return invoke


def test_without_a_limit_the_list_says_how_to_set_one(run: Run) -> None:
    assert "workbench limits set key" in run("list")


def test_a_limit_is_set_shown_listed_and_taken_away(run: Run) -> None:
    told = run("set", "key", "shop", "--requests-per-minute", "60", "--dollars-per-day", "5")
    assert "refuses what is beyond its limits" in told
    shown = json.loads(run("show", "key", "shop", "--format", "json"))
    assert (shown["requests_per_minute"], shown["on_reach"]) == (60, "stop")
    assert "shop" in run("list")
    assert "has no limits now" in run("remove", "key", "shop")
    assert "workbench limits set" in run("show", "key", "shop", code=2)


def test_an_alias_in_production_is_served_beyond_its_limits(run: Run) -> None:
    told = run("set", "alias", "bot@production", "--dollars-per-month", "0.50")
    assert "serves and tells" in told


@pytest.mark.parametrize("amount", ["x", "-1", "nan", "1000000000", "0.00000000001"])
def test_what_is_no_amount_is_refused_with_the_option(run: Run, amount: str) -> None:
    assert "--dollars-per-day" in run("set", "key", "shop", f"--dollars-per-day={amount}", code=2)


def test_a_limit_that_names_nothing_is_refused(run: Run) -> None:
    assert "Name at least one limit" in run("set", "key", "shop", code=2)
