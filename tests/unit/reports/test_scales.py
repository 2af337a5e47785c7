"""Scores of a judge on 1 to 5 are told as they are, rates in per cent, in every form of report."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import RenderableType

from tests.unit.reports.builders import comparison, make_report, result
from tests.unit.reports.test_text import flat
from workbench.number_text import RATES, Scale
from workbench.reports.html import experiment_page
from workbench.reports.markdown import comparison_markdown, experiment_markdown
from workbench.reports.text import comparison_text, experiment_text

EFFECT = {"estimate": 0.4, "low": 0.2, "high": 0.6, "level": 0.95}
ROW = {**EFFECT, "n_pairs": 40, "p_value": 0.01, "q_value": 0.02}
SIDE = {"interval": [3.3, 3.7], "n_cells": 200, "n_scored": 200, "n_correct": None}


def judged(**changes: Any) -> dict[str, Any]:
    """A comparison by a judge on 1 to 5, with everything that has a difference."""
    found = result()
    return {
        **found,
        "range": [1.0, 5.0],
        "baseline": {**found["baseline"], **SIDE, "mean": 3.5},
        "candidate": {**found["candidate"], **SIDE, "mean": 3.9},
        "difference": EFFECT,
        "margin": 0.2,
        "planning_margin": 0.12,
        "detectable_difference": 0.28,
        "ppi": {**EFFECT, "n_labels": 60, "weight": 0.5},
        "slices": [{**ROW, "column": "language", "value": "en"}],
        "secondary": [{**ROW, "scorer": "other judge", "range": [0.0, 10.0]}],
        **changes,
    }


def _text(found: dict[str, Any]) -> RenderableType:
    return comparison_text(found)


def _table(found: dict[str, Any]) -> RenderableType:
    return experiment_text([found, found])


@pytest.mark.parametrize("shown", [_text, _table])
def test_the_terminal(shown: Any) -> None:
    text = flat(shown(judged()))
    assert "+0.4 (+0.2 to +0.6)" in text or "+0.4 on 1 to 5 (95 % CI +0.2 to +0.6)" in text
    assert "points" not in text.replace("6.0 points", "")  # the stored sentence has its own words
    assert "390.0 %" not in text


def test_the_terminal_names_the_scale_of_each_scorer() -> None:
    text = flat(comparison_text(judged()))
    assert "3.90 (95 %" in text
    assert "more, on 1 to 5" in text
    assert "more, on 0 to 10" in text


def test_markdown() -> None:
    text = comparison_markdown(judged())
    assert "3.90 (95 % CI 3.30 to 3.70)" in text
    assert "+0.4 on 1 to 5 (95 % CI +0.2 to +0.6)" in text
    report = experiment_markdown(
        make_report(comparisons=[comparison(changes=judged())]), "sha256:spec"
    )
    assert "difference on 1 to 5" in report
    assert "+40.0" not in report


def test_the_page() -> None:
    page = experiment_page(make_report(comparisons=[comparison(changes=judged())]))
    assert "on 1 to 5" in page
    assert "0.2 on 1 to 5, the loss declared acceptable" in page
    assert "about 0.28 on 1 to 5 with 80 % power" in page
    assert "on 0 to 10" in page
    assert "+40.0" not in page


def test_rates_are_told_in_points_and_so_is_what_names_no_range() -> None:
    assert Scale.of([0.0, 1.0]) == Scale.of(None) == RATES
    assert RATES.distance(0.03) == "3 points"
    assert RATES.mean(0.742) == "74.2 %"
