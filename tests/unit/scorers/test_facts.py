"""Rules on the facts that came with an answer: a fact that is missing is never 0."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScorerConfigError, ScoreStatus, parse_scorer


@pytest.mark.parametrize(
    ("spec", "facts", "passed"),
    [
        ("finish_reason", {"finish_reason": "stop"}, True),
        ("finish_reason", {"finish_reason": "length"}, False),
        ("finish_reason:allowed=stop,tool_calls", {"finish_reason": "tool_calls"}, True),
        ("latency:max_ms=100", {"latency_ms": 100.0}, True),
        ("latency:max_ms=100", {"latency_ms": 100.5}, False),
        ("latency:min_ms=10", {"latency_ms": 9.0}, False),
        ("cost:max=0.1", {"cost": Decimal("0.1")}, True),
        ("cost:max=0.1", {"cost": Decimal("0.1000001")}, False),
        ("cost:max=0", {"cost": Decimal(0)}, True),
        ("tokens:max=10", {"output_tokens": 10}, True),
        ("tokens:max=10", {"output_tokens": 11}, False),
        ("tokens:min=1", {"output_tokens": 0}, False),
        ("tokens:kind=input,max=10", {"input_tokens": 3, "output_tokens": 99}, True),
        ("tokens:kind=total,max=10", {"input_tokens": 3, "output_tokens": 8}, False),
        # The tokens of an answer that was used again are still its own.
        ("tokens:max=10", {"output_tokens": 10, "reused": True}, True),
    ],
)
def test_a_fact_lies_within_its_bounds(spec: str, facts: dict[str, Any], passed: bool) -> None:
    assert judge(spec, "", **facts).passed is passed


@pytest.mark.parametrize(
    ("spec", "facts"),
    [
        ("finish_reason", {}),
        ("latency:max_ms=100", {}),
        ("latency:max_ms=100", {"latency_ms": 5.0, "reused": True}),
        ("cost:max=1", {}),
        ("cost:max=1", {"cost": Decimal(0), "reused": True}),
        ("tokens:max=1", {"input_tokens": 0}),
        ("tokens:kind=total,max=1", {"output_tokens": 0}),
    ],
)
def test_a_missing_fact_is_unscored(spec: str, facts: dict[str, Any]) -> None:
    result = judge(spec, "", **facts)

    assert (result.status, result.value) == (ScoreStatus.UNSCORED, None)
    assert result.reason is ReasonCode.MISSING_FACT


@pytest.mark.parametrize(
    "spec",
    ["latency", "cost", "tokens", "latency:max_ms=1,min_ms=2", "cost:max=-1", "tokens:max=1.5"],
)
def test_bounds_that_are_missing_or_cannot_be_are_refused(spec: str) -> None:
    with pytest.raises(ScorerConfigError):
        parse_scorer(spec)
