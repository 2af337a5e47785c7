"""What a gate decides: six words with their exit codes, and the checks behind them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.schemas.experiments import GateException
from workbench.gates.evidence import OpenWarning

__all__ = [
    "EXIT_CODES",
    "GRAVEST_FIRST",
    "STOPPED",
    "Check",
    "Decision",
    "ExceptionNote",
    "GateResult",
]

_CELLS_FAILED = 3  # the exit codes of a run, which infrastructure keeps
STOPPED: Final = 4
"""The exit code of infrastructure if a run is not finished."""


class Decision(StrEnum):
    """What a gate decides."""

    PASSED = "passed"
    WORSE = "worse"
    NOT_PROVEN = "not_proven"
    INCOMPARABLE = "incomparable"
    BLOCKED = "blocked"
    INFRASTRUCTURE = "infrastructure"


GRAVEST_FIRST: Final = (
    Decision.INFRASTRUCTURE,
    Decision.INCOMPARABLE,
    Decision.WORSE,
    Decision.BLOCKED,
    Decision.NOT_PROVEN,
    Decision.PASSED,
)
"""If checks disagree, the first of these that any of them says is the decision: without whole
runs and like conditions nothing else can be believed, and a loss is never hidden by a doubt."""

EXIT_CODES: Final[Mapping[Decision, int]] = {
    Decision.PASSED: 0,
    Decision.WORSE: 10,
    Decision.NOT_PROVEN: 11,
    Decision.INCOMPARABLE: 12,
    Decision.BLOCKED: 13,
    Decision.INFRASTRUCTURE: _CELLS_FAILED,
}
"""The exit code that each decision has when it fails the job."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold: what is asked, what was found, and what it alone decides.

    `name` tells checks of one kind apart; it is empty where there is only one.
    """

    kind: str
    name: str
    decision: Decision
    asked: str
    found: str
    sentence: str

    @property
    def passed(self) -> bool:
        """Whether this check keeps the gate open."""
        return self.decision is Decision.PASSED


@dataclass(frozen=True, slots=True)
class ExceptionNote:
    """One exception that holds; unless the plan allows it, the decision is only advisory."""

    name: GateException
    allowed: bool
    text: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """The decision with its reasons: a sentence for each check that did not pass."""

    decision: Decision
    exit_code: int
    checks: tuple[Check, ...]
    exceptions: tuple[ExceptionNote, ...]
    notes: tuple[OpenWarning, ...]

    @property
    def binding(self) -> bool:
        """Whether a promotion may rest on it; if not, it is advisory."""
        return all(note.allowed for note in self.exceptions)

    @property
    def reasons(self) -> tuple[str, ...]:
        """A sentence for each check that did not pass."""
        return tuple(check.sentence for check in self.checks if not check.passed)
