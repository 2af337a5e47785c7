"""Named random draws from SHA-256, so that the same request always meets the same luck.

A draw is a function of a 32-byte key and a name; nothing is consumed, so that adding a draw
somewhere never shifts another one. Two keys stand behind each draw: the *belief* key (the request
alone) is what the model thinks at temperature 0; the *sample* key (the request, its sampling
parameters, seed and repetition) replaces it for a share of the draws that grows with temperature.
Repetitions at a low temperature therefore agree mostly, and at temperature 0 always.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import TypeVar

from app.core.hashing import JSON

__all__ = ["Dice", "key_of"]

T = TypeVar("T")

_UNIT = 2.0**-53
_MOST_RESTLESS = 0.9


def key_of(*parts: JSON) -> bytes:
    """Return the 32-byte SHA-256 of `parts` as JSON with sorted keys.

    The key is never stored, so it may use the standard library's encoder, which is several times
    as fast here as the canonical form of content hashes and takes lone surrogates too.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()


def _unit(key: bytes, name: str) -> float:
    """Return the draw called `name` under `key`, uniform in [0, 1), with 53 random bits."""
    digest = hashlib.sha256(key + name.encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) * _UNIT


class Dice:
    """Draws for one answer. `temperature` 0 never looks at `sample`; 1 does for half the draws."""

    __slots__ = ("_belief", "_restless", "_sample")

    def __init__(self, belief: bytes, sample: bytes, temperature: float) -> None:
        self._belief = belief
        self._sample = sample
        self._restless = min(_MOST_RESTLESS, max(0.0, temperature) / 2)

    def uniform(self, name: str) -> float:
        """Return a number in [0, 1)."""
        if self._restless and _unit(self._sample, "redraw " + name) < self._restless:
            return _unit(self._sample, name)
        return _unit(self._belief, name)

    def chance(self, name: str, probability: float) -> bool:
        """Return True with `probability` (0 never, 1 always)."""
        return self.uniform(name) < probability

    def pick(self, name: str, options: Sequence[T]) -> T:
        """Return one of `options`, all equally likely; `options` must not be empty."""
        return options[int(self.uniform(name) * len(options))]

    def gumbel(self, name: str) -> float:
        """Return a standard Gumbel draw.

        Adding `s` times it to scores before the largest is taken samples from their softmax at
        scale `s` (the Gumbel-max trick).
        """
        return -math.log(-math.log(max(self.uniform(name), _UNIT)))

    def normal(self, name: str) -> float:
        """Return a standard normal draw (Box-Muller)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform(name + " radius")))
        return radius * math.cos(2.0 * math.pi * self.uniform(name + " angle"))
