"""The one helper of these tests: score one output with a scorer named as a person names it."""

from __future__ import annotations

from collections.abc import Mapping

from app.core.hashing import JSON
from workbench.scorers import ScoreResult, ScoringInput, parse_scorer, run_scorer

__all__ = ["judge"]


def judge(spec: str | Mapping[str, JSON], output: str, expected: JSON = None) -> ScoreResult:
    return run_scorer(parse_scorer(spec), ScoringInput(output=output, expected=expected))
