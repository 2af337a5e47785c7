"""Scorers: versioned rules that say how good one stored output is."""

from __future__ import annotations

from workbench.scorers._options import OptionDescription
from workbench.scorers.interface import (
    AnyScorer,
    Direction,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoreStatus,
    ScoringInput,
    run_scorer,
)
from workbench.scorers.registry import (
    SCORERS,
    ScorerDescription,
    describe_judges,
    describe_scorers,
    parse_rule,
    parse_scorer,
)

__all__ = [
    "SCORERS",
    "AnyScorer",
    "Direction",
    "OptionDescription",
    "ReasonCode",
    "ScoreResult",
    "ScoreStatus",
    "Scorer",
    "ScorerConfig",
    "ScorerConfigError",
    "ScorerDescription",
    "ScoringInput",
    "describe_judges",
    "describe_scorers",
    "parse_rule",
    "parse_scorer",
    "run_scorer",
]
