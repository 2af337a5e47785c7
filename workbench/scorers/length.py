"""`length`: is the output as long as it may be, in characters, words, lines or sentences?

A word is a run of characters that are no white space, so that text without spaces (Chinese,
Japanese) is better counted in characters. A line has something besides white space on it. A
sentence ends with `.`, `!`, `?`, `…` or their full-width forms, closing quotes and brackets
included, before white space or the end; what is left without such an end is a sentence too.
Abbreviations are not known: `e.g. this` are two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from workbench.scorers.interface import (
    STRICT,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoringInput,
)

__all__ = ["Length", "LengthConfig"]

# Possessive repeats: linear in the length of the text.
_SENTENCE_END: Final = re.compile(r"[.!?…]++[\"'”’»)\]]*+(?=\s|\Z)|[。！？]++[」』”’）]*+")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LengthConfig(ScorerConfig):
    """Options of `length`; at least one of `min` and `max` is given."""

    unit: Literal["characters", "words", "lines", "sentences"] = "characters"
    """What is counted: `characters`, `words`, `lines` or `sentences`; white space at both ends
    of the output is not."""
    min: int | None = Field(default=None, ge=0)
    """Fewest that are right."""
    max: int | None = Field(default=None, ge=0)
    """Most that are right."""


class Length(Scorer[LengthConfig]):
    """Whether the output is neither shorter nor longer than given bounds.

    Example: `length:unit=words,max=50`
    """

    name = "length"
    version = 1
    config_type = LengthConfig

    def __init__(self, config: LengthConfig) -> None:
        super().__init__(config)
        if config.min is None and config.max is None:
            raise ScorerConfigError(
                "length: give min, max or both, such as unit=words,max=50.", path="max"
            )
        if config.min is not None and config.max is not None and config.min > config.max:
            raise ScorerConfigError(
                f"length: min ({config.min}) is greater than max ({config.max}).", path="min"
            )

    def score(self, given: ScoringInput) -> ScoreResult:
        """Count; an empty output has the length 0."""
        low, high, unit = self.config.min, self.config.max, self.config.unit
        count = _COUNT[unit](given.output.strip())
        if low is not None and count < low:
            return ScoreResult.verdict(False, f"{count:,} {unit}, at least {low:,} wanted")
        if high is not None and count > high:
            return ScoreResult.verdict(False, f"{count:,} {unit}, at most {high:,} allowed")
        return ScoreResult.verdict(True, f"{count:,} {unit}")


def _words(text: str) -> int:
    return len(text.split())


def _lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip())


def _sentences(text: str) -> int:
    count = end = 0
    for match in _SENTENCE_END.finditer(text):
        # An end with nothing but punctuation before it closes no new sentence.
        if any(character.isalnum() for character in text[end : match.start()]):
            count += 1
        end = match.end()
    return count + any(character.isalnum() for character in text[end:])


_COUNT: Final[Mapping[str, Callable[[str], int]]] = {
    "characters": len,
    "words": _words,
    "lines": _lines,
    "sentences": _sentences,
}
