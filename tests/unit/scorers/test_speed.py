from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from app.core.hashing import JSON
from tests.unit.scorers.judging import minimal
from workbench.scorers import SCORERS, ScoringInput, parse_rule, run_scorer

WORKED = (
    "She packs 16 boxes a day and keeps 3 + 4 = 7 of them for the shop.\n"
    "That leaves 16 - 7 = 9 boxes, which sell at $2.00 each, so 9 * 2 = $18.00 a day.\n"
    "In a week of 7 days she takes 18 * 7 = 126 dollars, and 126 / 2 = 63 after costs.\n"
    "A: 63"
)


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("spec", "output", "expected"),
    [
        ("numeric_answer", WORKED, WORKED),
        ("exact_match", WORKED, WORKED),
        ("exact_match:ignore_case=true", WORKED, "63"),
    ],
)
def test_a_call_takes_at_most_20_microseconds(spec: str, output: str, expected: JSON) -> None:
    scorer = parse_rule(spec)
    once = ScoringInput(output=output, expected=expected)
    seconds = []
    for _ in range(10):
        started = time.process_time()
        for _ in range(500):
            run_scorer(scorer, once)
        seconds.append((time.process_time() - started) / 500)

    print(f"{spec}: {min(seconds) * 1e6:.1f} microseconds a call")
    assert min(seconds) <= 20e-6


TICKET = "The queue is billing, since 5 March 2025: the customer asks for 18 dollars, I can help."
FACTS: dict[str, Any] = {
    "message": {"tool_calls": [{"function": {"name": "search", "arguments": '{"query": 1}'}}]},
    "latency_ms": 5.0,
    "cost": Decimal("0.1"),
    "input_tokens": 30,
    "output_tokens": 20,
    "finish_reason": "stop",
    "metadata": {"checks": ["contains"]},
}
EXPECTED: dict[str, JSON] = {
    "date": "2025-03-05",
    "json_field": {"a": 1},
    "json_subset": {"a": 1},
    "json_schema": {"type": "object"},
    "numeric_answer": 18,
    "regex": r"\d{4}",
    "tool_calls": "search",
}


@pytest.mark.benchmark
@pytest.mark.parametrize("name", list(SCORERS))
def test_ten_thousand_short_outputs_take_at_most_five_seconds(name: str) -> None:
    scorer = parse_rule(minimal(name))
    output = '{"a": 1}' if name.startswith("json") else TICKET
    once = ScoringInput(output=output, expected=EXPECTED.get(name, "billing"), **FACTS)
    assert run_scorer(scorer, once).value is not None  # what loads late is loaded now
    seconds = []
    for _ in range(5):
        started = time.process_time()
        for _ in range(100):
            run_scorer(scorer, once)
        seconds.append((time.process_time() - started) / 100)

    print(f"{name}: {min(seconds) * 1e6:.1f} microseconds a call")
    assert min(seconds) <= 500e-6
