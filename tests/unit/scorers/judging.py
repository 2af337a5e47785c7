"""What these tests share: the smallest way to name each rule, and scoring one output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.hashing import JSON
from workbench.scorers import ScoreResult, ScoringInput, parse_rule, run_scorer

__all__ = ["MINIMAL", "NEEDS_NO_EXPECTED", "judge", "minimal"]

# Rules that cannot be built by their name alone.
MINIMAL: dict[str, dict[str, JSON]] = {
    "all_of": {"scorers": ["contains"]},
    "any_of": {"scorers": ["contains"]},
    "at_least": {"scorers": ["contains"]},
    "cost": {"max": 0.01},
    "json_field": {"path": "a"},
    "json_path": {"path": "a"},
    "label": {"labels": ["billing", "bug"]},
    "latency": {"max_ms": 1000},
    "length": {"max": 3},
    "not": {"scorer": "contains"},
    "threshold": {"scorer": "similarity"},
    "tokens": {"max": 100},
    "tool_calls_valid": {"tools": {"search": True}},
    "weighted": {"scorers": ["contains", "similarity"], "weights": [2, 1]},
}

# Rules that judge without an expected value, as named above.
NEEDS_NO_EXPECTED = {
    "cost",
    "finish_reason",
    "html_valid",
    "json_path",
    "json_valid",
    "latency",
    "length",
    "refusal",
    "tokens",
    "tool_calls_valid",
    "xml_valid",
}


def minimal(name: str) -> dict[str, JSON]:
    """Return the smallest mapping that names the rule."""
    return {"name": name, **MINIMAL.get(name, {})}


def judge(
    spec: str | Mapping[str, JSON], output: str, expected: JSON = None, **facts: Any
) -> ScoreResult:
    """Score one output with a rule as a person names it; `facts` are those of `ScoringInput`."""
    return run_scorer(parse_rule(spec), ScoringInput(output=output, expected=expected, **facts))
