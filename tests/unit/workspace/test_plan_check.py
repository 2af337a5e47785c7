"""Which plans are refused before the first call, and what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Invalid
from app.schemas.experiments import Plan
from workbench.scorers import parse_scorer
from workbench.workspace.plan_check import check_plan

SCORERS = [parse_scorer("exact_match"), parse_scorer({"name": "similarity"})]


def check(gate: bool = False, **plan: Any) -> None:
    check_plan(Plan.model_validate(plan), SCORERS, examples=300, gate=gate)


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"margin": 0.03},
        {"margin": 0.03, "guards": [{"metric": "cost", "margin": 2.5}]},
        {"margin": 0.03, "guards": [{"metric": "similarity", "margin": 0.1}]},
        {"margin": 0.03, "safety": [{"scorer": "exact_match", "limit": 0.1}], "n": 300},
        {"goal": "superiority", "guards": [{"metric": "latency_p95", "margin": 500}]},
    ],
)
def test_what_a_run_can_fulfil_is_accepted(plan: dict[str, Any]) -> None:
    check(**plan)


@pytest.mark.parametrize(
    ("plan", "path", "told"),
    [
        ({"scorer": "rubric"}, "plan.scorer", "not among the scorers"),
        ({"margin": 1.0}, "plan.margin", "accepts any loss"),
        (
            {"margin": 0.1, "guards": [{"metric": "tone", "margin": 0.1}]},
            "plan.guards.0.metric",
            "neither a declared scorer (exact_match, similarity) nor one of cost, latency",
        ),
        ({"margin": 0.1, "guards": [{"metric": "similarity", "margin": 1}]}, "plan.margin", "any"),
        (
            {"margin": 0.1, "safety": [{"scorer": "tone", "limit": 0.1}]},
            "plan.safety.0.scorer",
            "not among the declared scorers",
        ),
        (
            {"margin": 0.1, "safety": [{"scorer": "similarity", "limit": 0.1}]},
            "plan.safety.0.scorer",
            "passes or fails",
        ),
        (
            {"margin": 0.1, "guards": [{"metric": "cost", "margin": 1}] * 2},
            "plan.guards",
            "twice",
        ),
        (
            {"margin": 0.1, "guards": [{"metric": "exact_match", "margin": 0.01}]},
            "plan.guards",
            "decides already",
        ),
        ({"margin": 0.1, "n": 301}, "plan.n", "301 examples and 300 are in use"),
        ({"guards": [{"metric": "cost", "margin": 1}]}, "plan.margin", "declared before the run"),
        ({"safety": [{"scorer": "exact_match", "limit": 0.1}]}, "plan.margin", "before the run"),
    ],
)
def test_what_no_run_could_fulfil_is_refused(plan: dict[str, Any], path: str, told: str) -> None:
    with pytest.raises(Invalid, match=None) as refused:
        check(**plan)
    assert refused.value.path == path
    assert told in refused.value.message


@pytest.mark.parametrize(
    "plan",
    [
        {"margin": 0.1, "scorer": "regex"},
        {"margin": 0.1, "guards": [{"metric": "regex", "margin": 0.1}]},
        {"margin": 0.1, "safety": [{"scorer": "regex", "limit": 0.1}]},
    ],
)
def test_a_name_that_two_scorers_have_decides_nothing(plan: dict[str, Any]) -> None:
    two = [parse_scorer({"name": "regex", "pattern": pattern}) for pattern in ("a", "b")]
    with pytest.raises(Invalid, match="2 scorers have that name"):
        check_plan(Plan.model_validate(plan), [*SCORERS, *two], examples=300, gate=False)
    check_plan(Plan(margin=0.1), [*SCORERS, *two], examples=300, gate=False)


def test_a_sequential_plan_cannot_look_at_a_judge_of_pairs() -> None:
    pairs = parse_scorer({"name": "judge_preference", "model": "simulated/judge"})
    plan = Plan(margin=0.03, mode="sequential")
    with pytest.raises(Invalid, match="asked about pairs") as refused:
        check_plan(plan, [pairs, *SCORERS], examples=300, gate=False)
    assert refused.value.path == "plan.mode"
    single = plan.model_copy(update={"scorer": "exact_match"})
    check_plan(single, [pairs, *SCORERS], examples=300, gate=False)


def test_a_gate_without_a_margin_is_refused_with_what_to_write() -> None:
    check(margin=None)
    with pytest.raises(Invalid) as refused:
        check(gate=True)
    assert "plan: {margin: 0.03}" in (refused.value.hint or "")
    assert "superiority" in (refused.value.hint or "")
    check(gate=True, goal="superiority")
    check(gate=True, margin=0.03)


def test_a_gate_needs_a_scorer() -> None:
    with pytest.raises(Invalid, match="none is declared"):
        check_plan(Plan(margin=0.03), [], examples=300, gate=True)
