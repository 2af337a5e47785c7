"""How able the simulated model versions are.

The figures are free inventions that make a lively example; they describe no real model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Ability", "ability_of"]


@dataclass(frozen=True, slots=True)
class Ability:
    """What separates a small simulated model from a large one."""

    obedience: float
    """Chance that one instruction about the form of the answer is followed."""
    care: float
    """Chance that one subtle cue of a text is noticed."""
    noise: float
    """Scale of the Gumbel noise on evidence; 0 would always take the best supported reading."""
    slip: float
    """Chance that one calculation step goes wrong."""
    reach: tuple[float, ...]
    """Chances to carry out a second, third, ... step when not told to work step by step."""
    latency_ms: float
    """Median time until the first token, in milliseconds."""
    token_ms: float
    """Time for each further token, in milliseconds."""


_SMALL = Ability(0.86, 0.62, 0.75, 0.06, (0.42, 0.15, 0.05), 30.0, 0.20)
_MEDIUM = Ability(0.92, 0.76, 0.50, 0.04, (0.58, 0.32, 0.15), 45.0, 0.30)
_LARGE = Ability(0.97, 0.88, 0.30, 0.02, (0.76, 0.50, 0.30), 65.0, 0.40)

_WORD = re.compile(r"[a-z]+")


def ability_of(model: str) -> Ability:
    """Return the ability that goes with a model's name: `small`, `large`, or between the two."""
    words = _WORD.findall(model.lower())
    if "small" in words:
        return _SMALL
    return _LARGE if "large" in words else _MEDIUM
