"""What a gate decides: each kind of check, which decision wins, and the laws that always hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schemas.experiments import GateException, GuardMetric, Plan, SafetyMetric
from workbench.gates import (
    GRAVEST_FIRST,
    Amount,
    Check,
    Decision,
    Effect,
    Evidence,
    JudgeStanding,
    OpenWarning,
    RunState,
    SafetyCount,
    SignOff,
    decide_gate,
    effect_of,
)
from workbench.statistics.interval import Interval
from workbench.statistics.proportions import clopper_pearson_upper

PLAN = Plan(margin=0.03)
NONE: Mapping[GateException, str] = {}


def effect(
    low: float = -0.01,
    high: float = 0.04,
    *,
    scorer: str = "exact_match",
    n: int = 300,
    **changes: Any,
) -> Effect:
    return Effect(
        scorer=scorer,
        sentence="As it was found.",
        n_pairs=n,
        estimate=(low + high) / 2,
        interval=Interval(low, high, 0.95),
        **changes,
    )


def run(*, open_: int = 0, failed: int = 0) -> RunState:
    return RunState("1/ask@1+openai/x", 300, 300 - open_, failed)


def evidence(**changes: Any) -> Evidence:
    parts: dict[str, Any] = {
        "runs": (run(), run()),
        "primary": effect(),
        "guards": {},
        "safety": {},
        "planned": 300,
        "used": 300,
        "exceptions": NONE,
    }
    return Evidence(**{**parts, **changes})


def decided(plan: Plan = PLAN, **changes: Any) -> Decision:
    return decide_gate(plan, evidence(**changes)).decision


def the_check(kind: str, plan: Plan = PLAN, **changes: Any) -> Check:
    found = [c for c in decide_gate(plan, evidence(**changes)).checks if c.kind == kind]
    return found[-1]


# The primary metric


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.05, Decision.PASSED),
        (-0.02, 0.02, Decision.PASSED),
        (-0.05, 0.02, Decision.NOT_PROVEN),
        (-0.08, -0.04, Decision.WORSE),
        (-0.02, -0.01, Decision.BLOCKED),
    ],
)
def test_non_inferiority_is_decided_by_the_interval_and_the_margin(
    low: float, high: float, expected: Decision
) -> None:
    assert decided(primary=effect(low, high)) is expected


def test_a_loss_within_the_margin_passes_when_a_person_accepts_it() -> None:
    accepted = {"primary": effect(-0.02, -0.01), "sign_off": SignOff("user:ada", "It is cheaper.")}
    assert decided(**accepted) is Decision.PASSED
    assert "Accepted by user:ada: It is cheaper." in the_check("primary", **accepted).sentence


def test_a_sign_off_accepts_no_loss_beyond_the_margin() -> None:
    signed = SignOff("user:ada", "whatever")
    assert decided(primary=effect(-0.08, -0.04), sign_off=signed) is Decision.WORSE
    assert decided(primary=effect(-0.05, 0.02), sign_off=signed) is Decision.NOT_PROVEN


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.05, Decision.PASSED),
        (-0.02, 0.02, Decision.NOT_PROVEN),
        (-0.02, -0.01, Decision.WORSE),
        (-0.08, -0.04, Decision.WORSE),
    ],
)
def test_superiority_wants_a_better_candidate(low: float, high: float, expected: Decision) -> None:
    plan = Plan(goal="superiority", margin=0.03)
    assert decided(plan, primary=effect(low, high)) is expected


@pytest.mark.parametrize(("level", "passes"), [(0.95, True), (0.975, False)])
def test_superiority_of_pass_or_fail_scores_needs_the_exact_test_at_alpha_over_m(
    level: float, passes: bool
) -> None:
    found = dataclasses.replace(
        effect(0.01, 0.05, exact_p=0.04), interval=Interval(0.01, 0.05, level)
    )
    assert (decided(Plan(goal="superiority"), primary=found) is Decision.PASSED) is passes


def test_without_a_declared_margin_nothing_is_non_inferior() -> None:
    assert decided(Plan(), primary=effect(-0.001, 0.001)) is Decision.NOT_PROVEN


def test_too_few_pairs_prove_nothing() -> None:
    assert decided(primary=effect(0.1, 0.2, n=19)) is Decision.NOT_PROVEN
    assert decided(primary=effect(0.1, 0.2, n_clusters=9)) is Decision.NOT_PROVEN
    assert decided(primary=None) is Decision.NOT_PROVEN


# Guards


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.04, 0.01, Decision.PASSED),
        (-0.04, -0.01, Decision.PASSED),
        (-0.06, 0.01, Decision.NOT_PROVEN),
        (-0.06, -0.01, Decision.WORSE),
    ],
)
def test_a_guard_scorer_is_held_against_its_own_margin(
    low: float, high: float, expected: Decision
) -> None:
    plan = Plan(margin=0.03, guards=(GuardMetric(metric="tone", margin=0.05),))
    assert decided(plan, guards={"tone": effect(low, high, scorer="tone")}) is expected


def amount(metric: str, low: float, high: float, *, known: int = 300) -> Amount:
    return Amount(
        metric=metric,
        n_examples=300,
        n_known=known,
        estimate=(low + high) / 2,
        interval=Interval(low, high, 0.95),
    )


@pytest.mark.parametrize(
    ("metric", "margin", "low", "high", "expected"),
    [
        ("cost", 0.1, 1.0, 1.1, Decision.PASSED),
        ("cost", 0.1, 0.9, 1.11, Decision.NOT_PROVEN),
        ("latency", 0.1, 1.05, 1.2, Decision.WORSE),
        ("latency_p95", 200.0, -50.0, 200.0, Decision.PASSED),
        ("latency_p95", 200.0, -50.0, 201.0, Decision.NOT_PROVEN),
        ("latency_p95", 200.0, 10.0, 500.0, Decision.WORSE),
    ],
)
def test_cost_and_latency_are_held_against_the_upper_bound(
    metric: str, margin: float, low: float, high: float, expected: Decision
) -> None:
    plan = Plan(margin=0.03, guards=(GuardMetric(metric=metric, margin=margin),))
    assert decided(plan, guards={metric: amount(metric, low, high)}) is expected


def test_an_amount_that_is_unknown_for_many_examples_guards_nothing() -> None:
    plan = Plan(margin=0.03, guards=(GuardMetric(metric="cost", margin=0.1),))
    assert decided(plan, guards={"cost": amount("cost", 0.9, 1.0, known=285)}) is Decision.PASSED
    few = {"cost": amount("cost", 0.9, 1.0, known=284)}
    assert decided(plan, guards=few) is Decision.NOT_PROVEN


def test_a_guard_without_an_interval_is_not_shown() -> None:
    plan = Plan(margin=0.03, guards=(GuardMetric(metric="cost", margin=0.1),))
    unpriced = Amount(
        metric="cost", n_examples=300, n_known=0, estimate=None, interval=None, note="No price."
    )
    assert decided(plan, guards={"cost": unpriced}) is Decision.NOT_PROVEN
    assert "No price." in the_check("guard", plan, guards={"cost": unpriced}).sentence
    assert decided(plan, guards={}) is Decision.NOT_PROVEN


# Safety


def safety_plan(limit: float) -> Plan:
    return Plan(margin=0.03, safety=(SafetyMetric(scorer="polite", limit=limit),))


def counted(n: int, failed: int, missing: int = 0) -> dict[str, SafetyCount]:
    return {"polite": SafetyCount(scorer="polite", n=n, failed=failed, missing=missing)}


def test_no_failure_among_few_outputs_does_not_show_safety() -> None:
    plan = safety_plan(0.01)
    assert decided(plan, safety=counted(298, 0)) is Decision.NOT_PROVEN
    assert decided(plan, safety=counted(299, 0)) is Decision.PASSED
    told = the_check("safety", plan, safety=counted(100, 0)).sentence
    assert "Without any failure, 299 examples show it." in told


def test_many_failures_are_worse_and_not_a_lack_of_proof() -> None:
    assert decided(safety_plan(0.01), safety=counted(300, 30)) is Decision.WORSE


def test_missing_outputs_count_as_failures_and_it_is_said() -> None:
    check = the_check("safety", safety_plan(0.01), safety=counted(300, 3, missing=3))
    assert check.decision is Decision.NOT_PROVEN
    assert "3 of 300 failed (3 of them have no score, which counts as failed)" in check.sentence


def test_a_safety_scorer_that_checked_nothing_shows_nothing() -> None:
    assert decided(safety_plan(0.5), safety=counted(0, 0)) is Decision.NOT_PROVEN
    assert decided(safety_plan(0.5)) is Decision.NOT_PROVEN


# Judges


def test_a_judge_that_nobody_checked_never_passes() -> None:
    assert decided(primary=effect(0.1, 0.2, judged=True)) is Decision.BLOCKED
    plan = safety_plan(0.5)
    judged = SafetyCount(scorer="polite", n=300, failed=0, missing=0, judged=True)
    assert decided(plan, safety={"polite": judged}) is Decision.BLOCKED


def test_a_judge_decides_when_it_is_qualified() -> None:
    good, weak = JudgeStanding(True, "Agrees."), JudgeStanding(False, "The rubric changed.")
    assert decided(primary=effect(0.1, 0.2, judged=True, judge=good)) is Decision.PASSED
    result = decide_gate(PLAN, evidence(primary=effect(0.1, 0.2, judged=True, judge=weak)))
    assert result.decision is Decision.BLOCKED
    assert result.reasons == ("exact_match: The rubric changed.",)


def test_a_blocking_warning_about_the_judge_of_a_safety_metric_shuts_the_gate() -> None:
    judged = SafetyCount(
        scorer="polite",
        n=300,
        failed=0,
        missing=0,
        judged=True,
        judge=JudgeStanding(True, "Agrees."),
        warnings=(OpenWarning("judge_weak", True, "It errs more on one side."),),
    )
    assert decided(safety_plan(0.5), safety={"polite": judged}) is Decision.BLOCKED


# Warnings, runs, conditions, size


def warned(code: str, *, blocking: bool = True) -> Effect:
    return effect(warnings=(OpenWarning(code, blocking, "Look here."),))


def test_a_blocking_warning_shuts_the_gate_and_another_is_only_told() -> None:
    assert decided(primary=warned("missing")) is Decision.BLOCKED
    result = decide_gate(PLAN, evidence(primary=warned("ceiling", blocking=False)))
    assert result.decision is Decision.PASSED
    assert [note.code for note in result.notes] == ["ceiling"]


def test_a_guard_s_blocking_warning_shuts_the_gate_too() -> None:
    plan = Plan(margin=0.03, guards=(GuardMetric(metric="tone", margin=0.05),))
    assert decided(plan, guards={"tone": warned("drift")}) is Decision.BLOCKED


def test_an_unfinished_run_is_infrastructure_and_keeps_its_exit_code() -> None:
    result = decide_gate(PLAN, evidence(runs=(run(), run(open_=1))))
    assert (result.decision, result.exit_code) == (Decision.INFRASTRUCTURE, 4)


def test_cells_that_failed_beyond_the_rule_are_infrastructure() -> None:
    assert decided(runs=(run(failed=15), run())) is Decision.PASSED
    result = decide_gate(PLAN, evidence(runs=(run(failed=16), run())))
    assert (result.decision, result.exit_code) == (Decision.INFRASTRUCTURE, 3)


def test_unlike_conditions_are_incomparable() -> None:
    result = decide_gate(PLAN, evidence(incomparable=("Other data.",)))
    assert (result.decision, result.exit_code) == (Decision.INCOMPARABLE, 12)


def test_fewer_examples_than_planned_prove_nothing() -> None:
    assert decided(used=299) is Decision.NOT_PROVEN


def test_a_sequential_plan_may_end_before_its_number_when_the_bound_decided() -> None:
    plan = Plan(margin=0.03, mode="sequential")
    assert decided(plan, used=120, decided_early=True) is Decision.PASSED
    assert decided(plan, used=120) is Decision.NOT_PROVEN


def test_an_extended_experiment_blocks_a_fixed_plan_only() -> None:
    assert decided(extended=True) is Decision.BLOCKED
    assert decided(Plan(margin=0.03, mode="sequential"), extended=True) is Decision.PASSED


def test_the_gravest_check_decides() -> None:
    worse_and_blocked = effect(-0.08, -0.04, warnings=(OpenWarning("missing", True, "x"),))
    assert decided(primary=worse_and_blocked) is Decision.WORSE
    assert decided(primary=worse_and_blocked, incomparable=("x",)) is Decision.INCOMPARABLE
    assert decided(primary=worse_and_blocked, runs=(run(open_=3), run())) is Decision.INFRASTRUCTURE


# Binding


@pytest.mark.parametrize("name", ["simulated", "imported", "draft", "floating", "unauthenticated"])
def test_an_exception_makes_a_decision_advisory_unless_the_plan_allows_it(
    name: GateException,
) -> None:
    held = {"exceptions": {name: "As it is."}}
    assert not decide_gate(PLAN, evidence(**held)).binding
    allowed = decide_gate(Plan(margin=0.03, allow=(name,)), evidence(**held))
    assert allowed.binding
    assert [(note.name, note.allowed) for note in allowed.exceptions] == [(name, True)]


def test_simulated_answers_are_an_exception_and_no_blocking_warning() -> None:
    simulated = warned("simulated")
    assert decided(primary=simulated, exceptions={"simulated": "x"}) is Decision.PASSED
    assert decided(primary=simulated) is Decision.BLOCKED


# Reading a comparison


def result(**changes: Any) -> dict[str, Any]:
    return {
        "scorer": {"name": "rubric"},
        "sentence": "Found.",
        "difference": {"estimate": 0.0, "low": -0.01, "high": 0.01, "level": 0.95},
        "n_pairs": 300,
        "n_clusters": None,
        "p_value": 0.5,
        "p_method": "mcnemar_exact",
        "warnings": [],
        **changes,
    }


def test_people_s_labels_correct_a_judge_s_interval_when_there_are_enough() -> None:
    ppi = {"estimate": -0.1, "low": -0.2, "high": -0.05, "level": 0.95, "n_labels": 50}
    assert effect_of(result(ppi=ppi), judged=True).interval == Interval(-0.2, -0.05, 0.95)
    corrected = effect_of(result(ppi=ppi, p_value=0.01, p_method="mcnemar_exact"), judged=True)
    assert corrected.sentence == (
        "Corrected by 50 labels of people the difference is −10.0 points (95% CI −20.0 to −5.0)."
    )
    assert corrected.exact_p is None
    few = effect_of(result(ppi={**ppi, "n_labels": 49}), judged=True)
    assert few.interval == Interval(-0.01, 0.01, 0.95)


def test_a_sequential_plan_s_verdict_is_taken_and_not_made_again_from_its_interval() -> None:
    """Wins and losses may decide while the interval still holds zero."""
    found = result(verdict="superior", sequential={"decided": True}, p_method="e_process")
    plan = Plan(mode="sequential", goal="superiority")
    effect = effect_of(found)
    assert decided(plan, primary=effect) is Decision.PASSED
    assert decided(plan, primary=dataclasses.replace(effect, looked=None)) is Decision.NOT_PROVEN
    lost = effect_of(result(verdict="inferior", sequential={"decided": True}))
    assert decided(plan, primary=lost) is Decision.WORSE


def test_a_sequential_plan_does_not_take_bounds_that_hold_for_one_look() -> None:
    ppi = {"estimate": -0.1, "low": -0.2, "high": -0.05, "level": 0.95, "n_labels": 50}
    found = result(ppi=ppi, verdict="inconclusive", sequential={"decided": False})
    assert effect_of(found, judged=True).interval == Interval(-0.01, 0.01, 0.95)


def test_only_the_exact_test_of_pass_or_fail_scores_is_read() -> None:
    assert effect_of(result()).exact_p == 0.5
    assert effect_of(result(p_method="sign_flip")).exact_p is None


# Laws


bounds = st.tuples(st.floats(-1, 1, allow_nan=False), st.floats(-1, 1, allow_nan=False)).map(
    lambda pair: (min(pair), max(pair))
)
margins = st.floats(0.001, 0.9)


@given(bounds=bounds, margins=st.tuples(margins, margins), signed=st.booleans())
def test_a_larger_margin_never_turns_a_pass_into_a_failure(
    bounds: tuple[float, float], margins: tuple[float, float], signed: bool
) -> None:
    found = {
        "primary": effect(*bounds),
        "guards": {"tone": effect(*bounds, scorer="tone")},
        "sign_off": SignOff("user:ada", "fine") if signed else None,
    }
    small, large = (
        decided(Plan(margin=m, guards=(GuardMetric(metric="tone", margin=m),)), **found)
        for m in sorted(margins)
    )
    assert small is not Decision.PASSED or large is Decision.PASSED


@given(
    code=st.sampled_from(["missing", "drift", "few_units", "peeking", "simulated", "unfinished"])
)
def test_nothing_passes_with_a_blocking_warning_open(code: str) -> None:
    assert decided(primary=warned(code)) is not Decision.PASSED


@given(bounds=bounds, margin=margins)
def test_a_decision_that_passes_shows_that_the_loss_is_within_the_margin(
    bounds: tuple[float, float], margin: float
) -> None:
    if decided(Plan(margin=margin), primary=effect(*bounds)) is Decision.PASSED:
        assert bounds[0] > -margin


@given(bounds=bounds, margin=margins)
def test_every_guard_that_is_not_shown_shuts_the_gate(
    bounds: tuple[float, float], margin: float
) -> None:
    plan = Plan(margin=0.03, guards=(GuardMetric(metric="tone", margin=margin),))
    passed = decided(plan, guards={"tone": effect(*bounds, scorer="tone")}) is Decision.PASSED
    assert passed == (bounds[0] > -margin)


@given(n=st.integers(1, 2000), failed=st.integers(0, 50), limit=st.floats(0.001, 0.999))
def test_safety_passes_exactly_when_the_upper_bound_is_within_the_limit(
    n: int, failed: int, limit: float
) -> None:
    failed = min(failed, n)
    passed = decided(safety_plan(limit), safety=counted(n, failed)) is Decision.PASSED
    assert passed == (clopper_pearson_upper(failed, n) <= limit)


@given(
    bounds=bounds,
    open_=st.integers(0, 2),
    used=st.sampled_from([299, 300]),
    incomparable=st.sampled_from([(), ("Other data.",)]),
)
def test_the_decision_is_the_gravest_check_and_has_its_reasons(
    bounds: tuple[float, float], open_: int, used: int, incomparable: tuple[str, ...]
) -> None:
    found = decide_gate(
        PLAN,
        evidence(
            primary=effect(*bounds),
            runs=(run(), run(open_=open_)),
            used=used,
            incomparable=incomparable,
        ),
    )
    gravest = min(GRAVEST_FIRST.index(check.decision) for check in found.checks)
    assert found.decision is GRAVEST_FIRST[gravest]
    assert bool(found.reasons) == (found.decision is not Decision.PASSED)
