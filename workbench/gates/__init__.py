"""A declared plan applied to what was measured: one candidate in, one decision out. Pure.

A gate is a list of checks, each of which says what it alone would decide; the gate's decision
is the gravest of them (`GRAVEST_FIRST`), and it passes only if every check does. All guards and
safety metrics must pass, so no correction for their number is needed (intersection-union test,
Berger 1982); the intervals carry the correction for the number of candidates.

Invariants:

- nothing that is unknown passes: no interval, no pairs, no qualification is a check that fails;
- no blocking warning is ever open in a decision that passes;
- a larger margin never turns a decision that passes into one that does not.

Whether a decision *binds* is another question than what it says: answers of simulated models,
imported outputs, drafts, floating models and actors without a credential make it advisory,
unless the plan allows them by name.
"""

from __future__ import annotations

from workbench.gates.decide import decide_gate
from workbench.gates.decision import (
    GRAVEST_FIRST,
    Check,
    Decision,
    ExceptionNote,
    GateResult,
)
from workbench.gates.evidence import (
    MAX_BASELINE_AGE_DAYS,
    Amount,
    Effect,
    Evidence,
    JudgeStanding,
    OpenWarning,
    RunState,
    SafetyCount,
    SignOff,
    effect_of,
)

__all__ = [
    "GRAVEST_FIRST",
    "MAX_BASELINE_AGE_DAYS",
    "Amount",
    "Check",
    "Decision",
    "Effect",
    "Evidence",
    "ExceptionNote",
    "GateResult",
    "JudgeStanding",
    "OpenWarning",
    "RunState",
    "SafetyCount",
    "SignOff",
    "decide_gate",
    "effect_of",
]
