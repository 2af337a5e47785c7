"""What a comparison knows beside its difference is said, and nothing is said of what it lacks."""

from __future__ import annotations

from typing import Any

import pytest

from app.schemas.experiments import GuardMetric, Plan, SafetyMetric
from tests.unit.reports.builders import evidence, result
from workbench.comparison_words import (
    coverage_text,
    evidence_facts,
    marks,
    remedy,
    secondary_facts,
    slice_figures,
)
from workbench.reports.plan_words import plan_facts
from workbench.statistics.warnings import WarningCode

SPEC: dict[str, Any] = {"scorers": [{"name": "contains", "version": 1, "config": {}}]}


def test_a_result_of_an_earlier_version_says_nothing_of_what_it_lacks() -> None:
    assert evidence_facts(result()) == []
    assert secondary_facts(result()) == []
    assert marks(result()) == ()
    assert coverage_text(result()) == ""


@pytest.mark.parametrize("key", evidence())
def test_a_key_that_is_there_and_empty_says_nothing_either(key: str) -> None:
    assert evidence_facts(result(**{key: None})) == []


def test_rows_that_were_left_out_are_counted_by_side() -> None:
    assert coverage_text(evidence()) == (
        "190 examples on both sides (tickets@1 and en); left out: 6 only in the baseline, "
        "16 only in the candidate, 4 whose text changed"
    )
    whole = {**evidence()["coverage"], "only_baseline": 0, "only_candidate": 0, "changed": 0}
    assert coverage_text({"coverage": whole}) == "all 190 examples on both sides"


def test_examples_that_both_datasets_have_and_no_run_answered_are_not_told_as_covered() -> None:
    whole = {**evidence()["coverage"], "only_baseline": 0, "only_candidate": 0, "changed": 0}
    assert coverage_text({"coverage": whole, "n_pairs": 30}) == (
        "all 190 examples on both sides; 30 of them scored on both"
    )


def test_every_kind_of_evidence_has_its_line() -> None:
    told = dict(evidence_facts(result(**evidence())))
    assert told["Differs in sampling"] == "en This blocks a gate."
    assert told["Stopping"] == (
        "sequential: stopped as soon as it was decided, 120 of at most 400 examples "
        "after 6 looks, 560 calls saved"
    )
    assert told["Repetitions"] == (
        "right at least once of 3: 80.0 % → 85.0 %; right every time of 3: 40.0 % → unknown"
    )
    assert told["Preference"] == (
        "60 won, 30 lost, 10 tied; win rate 65.0 %, with lengths held equal 60.0 %"
    )
    assert told["Order and length"] == (
        "the same in both orders: 90.0 %; first place preferred: 52.0 % (p = 0.50); "
        "slope on length 0.3 (p = 0.02)"
    )
    assert told["Judge"] == "not qualified: en"
    assert told["With human labels"].endswith("corrected by 80 labels")
    assert told["Any difference at all"] == "between 3 runs: Cochran's Q, p = 0.01"
    assert "openai/large: no pairs; on average: +4.0 points" in told["On each model"]


def test_what_must_stand_beside_a_verdict_stands_there() -> None:
    assert marks(result(**evidence(), simulated=True)) == (
        "sequential",
        "preference",
        "judge not qualified",
        "different dataset versions",
        "simulated",
    )


def test_a_slice_has_its_number_of_pairs_and_its_corrected_p() -> None:
    first, second, _ = evidence()["slices"]
    assert slice_figures(first).endswith("48, q = 0.21")
    assert slice_figures(second).startswith("no interval, ")


def test_nothing_declared_is_no_plan() -> None:
    assert plan_facts(Plan(), SPEC) == []


def test_a_plan_says_what_must_be_shown_and_of_what_it_stands_guard() -> None:
    plan = Plan(
        margin=0.03,
        mode="sequential",
        n=400,
        guards=(
            GuardMetric(metric="cost", margin=0.1),
            GuardMetric(metric="latency_p95", margin=200),
            GuardMetric(metric="similarity", margin=0.02),
        ),
        safety=(SafetyMetric(scorer="refusal", limit=0.01),),
        allow=("draft",),
    )
    assert plan_facts(plan, SPEC) == [
        ("To show", "not worse in contains by more than 3 points"),
        ("Looks", "sequential, in random order of seed 0, at most 400 examples"),
        ("Guard", "cost rises by at most 10.0 %"),
        ("Guard", "the 95th percentile of latency rises by at most 200 ms"),
        ("Guard", "similarity loses at most 2 points"),
        (
            "Safety",
            "every output passes refusal; the share of failures is below 1.0 % "
            "with 95 % confidence",
        ),
        ("Allowed", "draft"),
    ]


@pytest.mark.parametrize("code", list(WarningCode))
def test_a_warning_that_does_not_say_what_to_do_is_told_with_a_remedy(code: WarningCode) -> None:
    text, command = remedy(code.value, 12)
    assert bool(text) is (code not in (WarningCode.SPARSE, WarningCode.MODELS_DISAGREE))
    assert "{" not in command
    assert not command or command.startswith("workbench ")
