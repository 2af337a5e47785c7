from __future__ import annotations

import time

import pytest

from app.core.hashing import JSON
from workbench.scorers import ScoringInput, parse_scorer, run_scorer

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
    scorer = parse_scorer(spec)
    once = ScoringInput(output=output, expected=expected)
    seconds = []
    for _ in range(10):
        started = time.process_time()
        for _ in range(500):
            run_scorer(scorer, once)
        seconds.append((time.process_time() - started) / 500)

    print(f"{spec}: {min(seconds) * 1e6:.1f} microseconds a call")
    assert min(seconds) <= 20e-6
