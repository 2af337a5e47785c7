"""Comparisons on a terminal: what is told, and that it fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType

from tests.unit.reports.builders import result
from workbench.reports.text import comparison_text, experiment_text


def told(shown: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=None, record=True, quiet=False, color_system=None)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


def flat(shown: RenderableType) -> str:
    return " ".join(told(shown).split())


def one(**changes: Any) -> Mapping[str, Any]:
    return {**result(), **changes}


ROW = {"n_pairs": 40, "estimate": 0.1, "low": 0.02, "high": 0.18, "level": 0.95, "p_value": 0.01}


def test_an_older_result_without_the_further_looks_is_shown_as_it_was() -> None:
    text = flat(comparison_text(result()))
    assert "baseline" in text and "candidate" in text
    assert "exploratory" not in text and "left out" not in text


def test_nothing_is_wider_than_the_terminal() -> None:
    slices = [{**ROW, "column": "kind" * 10, "value": "x" * 60, "q_value": 0.02}]
    shown = comparison_text(one(slices=slices))
    for width in (80, 120):
        assert all(len(line) <= width for line in told(shown, width).splitlines())


def test_what_was_not_compared_is_counted() -> None:
    coverage = {
        "baseline_examples": 50,
        "candidate_examples": 49,
        "common": 40,
        "only_baseline": 7,
        "only_candidate": 6,
        "changed": 3,
        "baseline_dataset": "d@1",
        "candidate_dataset": "d@2",
    }
    text = flat(comparison_text(one(coverage=coverage)))
    assert (
        "Compared are the 40 examples that both sides have alike; left out: 3 with the same key "
        "say something else, 7 only the baseline's, 6 only the candidate's."
    ) in text


def test_slices_and_secondary_metrics_are_called_exploratory() -> None:
    slices = [{**ROW, "column": "kind", "value": "a", "q_value": 0.02}]
    secondary = [{**ROW, "scorer": "similarity", "q_value": 0.3}]
    left_out = [{"column": "source", "value": None, "reason": "900 values"}]
    text = flat(comparison_text(one(slices=slices, secondary=secondary, slices_left_out=left_out)))
    assert "by slice (exploratory)" in text and "kind = a 40 +10.0 (+2.0 to +18.0) 0.02" in text
    assert "by scorer (exploratory)" in text and "similarity" in text
    assert "Not sliced by: source (900 values)." in text


def test_reliability_and_saved_calls_are_told() -> None:
    side = {"n_examples": 30, "pass_at_k": 0.9, "pass_hat_k": 0.5, "flipped": 12}
    sequential = {"calls_saved": 640}
    text = flat(
        comparison_text(
            one(reliability={"k": 3, "baseline": side, "candidate": side}, sequential=sequential)
        )
    )
    assert "3 answers an example" in text
    assert "passed every time 50.0 % 50.0 %" in text
    assert "sometimes passed 12 of 30 12 of 30" in text
    assert "Stopping early saved 640 calls." in text


def test_what_is_not_alike_is_told_once_for_several_candidates() -> None:
    mismatch = {
        "field": "dataset", "baseline": "d@1", "candidate": "d@2", "blocking": True,
        "text": "The runs are over d@1 and d@2.",
    }  # fmt: skip
    shown = one(comparability=[mismatch])
    text = flat(experiment_text([shown, {**shown, "candidate_run": "other"}]))
    assert text.count("! not alike: The runs are over d@1 and d@2.") == 1


def test_several_candidates_are_a_table_with_a_verdict_each() -> None:
    overall = {"name": "friedman", "statistic": 4.0, "df": 2, "p_value": 0.13, "n_runs": 3}
    first = one(overall=overall, p_holm=0.04, candidate_run="run-b")
    second = one(overall=overall, p_holm=0.5, candidate_run="run-c")
    text = flat(experiment_text([first, second]))
    assert "1 run-b" in text and "2 run-c" in text
    assert "Does any of the 3 runs differ? Friedman's test: p = 0.13." in text
    assert "2 candidates: each interval is at" in text
