"""`numeric_answer`: is the number that the output arrives at the expected one?

The answer is the first number after a marker, else the last number of the text. Without the
`marker` option a marker is `####` with the number right behind it, or `A:` at the start of a
line, or `Answer:` anywhere; the last one that a number follows counts, because worked
solutions give partial answers before the final one. With the option, only that marker counts,
and an output without it holds no answer.

Numbers are compared as exact decimals, so `18`, `18.00`, `$18` and `1.8e1` are equal. Units
are not read: `15%` is 15 and `1.8 billion` is 1.8.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

from pydantic import Field
from pydantic.dataclasses import dataclass

from app.core.hashing import JSON
from workbench.scorers._numbers import (
    first_number,
    last_number,
    multiply,
    shown_number,
    subtract,
)
from workbench.scorers._text import quoted
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoringInput,
)

__all__ = ["NumericAnswer", "NumericAnswerConfig"]

# Each alternative begins with one letter, which lets `re` skip all other text quickly.
# `####` also opens a Markdown heading ("#### Step 3"): there no letter may come between.
_MARKER: Final = re.compile(
    r"""
    \#\#\#\#(?=[^\w\n]{0,20}\d)
    | A(?P<bare>[ *_]*):
    | A(?<!\wA)(?i:nswer)[ *_]*:
    | a(?<!\wa)(?i:nswer)[ *_]*:
    """,
    re.VERBOSE,
)
_INDENT: Final = " \t*_"
_MAX_INDENT: Final = 20


@dataclass(frozen=True, kw_only=True, config=STRICT)
class NumericAnswerConfig(ScorerConfig):
    """Options of `numeric_answer`."""

    marker: str | None = Field(default=None, min_length=1, max_length=100)
    """Text before the answer, such as `####` or `Total:`; its last occurrence counts. An
    expected text without it is read as by default."""
    tolerance: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """Largest absolute difference that still counts as equal."""
    relative_tolerance: float = Field(default=0.0, ge=0.0, lt=1.0, allow_inf_nan=False)
    """Largest difference that still counts as equal, as a share of the expected number (0.05 is
    5 %); a difference within either tolerance is enough."""
    min: float | None = Field(default=None, allow_inf_nan=False)
    """Smallest number that is right; with `min` or `max` the expected value is not looked at."""
    max: float | None = Field(default=None, allow_inf_nan=False)
    """Largest number that is right."""


class NumericAnswer(Scorer[NumericAnswerConfig]):
    """Whether the last number, or the one after a marker, equals the expected number or lies
    between bounds.

    Example: `numeric_answer:tolerance=0.01`
    """

    name = "numeric_answer"
    version = 1
    config_type = NumericAnswerConfig

    def __init__(self, config: NumericAnswerConfig) -> None:
        super().__init__(config)
        self._low, self._high = _exact(config.min), _exact(config.max)
        if self._low is not None and self._high is not None and self._low > self._high:
            raise ScorerConfigError("numeric_answer: min is greater than max.", path="min")
        # repr gives the decimal that was written (0.1), not the binary fraction behind it.
        self._tolerance = Decimal(repr(config.tolerance))
        self._relative = Decimal(repr(config.relative_tolerance))

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the two numbers; an output without a number is wrong."""
        if self._low is not None or self._high is not None:
            return self._within_bounds(given.output)
        if given.expected is None:
            return ScoreResult.unscored(
                ReasonCode.NO_EXPECTED, "The example has no expected number."
            )
        marker = self.config.marker
        expected = _expected_number(given.expected, marker)
        if expected is None:
            return ScoreResult.unscored(
                ReasonCode.EXPECTED_UNUSABLE,
                f"The expected value {quoted(given.expected)} holds no number.",
            )
        answer = self._answer(given.output)
        if answer is None:
            return ScoreResult.verdict(
                False, f"expected {shown_number(expected)}, found no number{self._where}"
            )
        return ScoreResult.verdict(
            self._equal(expected, answer),
            f"expected {shown_number(expected)}, got {shown_number(answer)}",
        )

    def _within_bounds(self, output: str) -> ScoreResult:
        answer = self._answer(output)
        if answer is None:
            return ScoreResult.verdict(False, f"found no number{self._where}")
        if self._low is not None and answer < self._low:
            told = f"got {shown_number(answer)}, at least {shown_number(self._low)} wanted"
            return ScoreResult.verdict(False, told)
        if self._high is not None and answer > self._high:
            told = f"got {shown_number(answer)}, at most {shown_number(self._high)} allowed"
            return ScoreResult.verdict(False, told)
        return ScoreResult.verdict(True, f"got {shown_number(answer)}")

    def _answer(self, output: str) -> Decimal | None:
        marker = self.config.marker
        return _read_answer(output) if marker is None else _after(output, marker)

    @property
    def _where(self) -> str:
        marker = self.config.marker
        return "" if marker is None else f" after {quoted(marker)}"

    def _equal(self, expected: Decimal, answer: Decimal) -> bool:
        if expected == answer:
            return True
        if not self._tolerance and not self._relative:
            return False
        difference = subtract(expected, answer).copy_abs()
        allowed = multiply(self._relative, expected.copy_abs())
        return difference <= self._tolerance or difference <= allowed


def _exact(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(repr(number))


def _expected_number(expected: JSON, marker: str | None) -> Decimal | None:
    if isinstance(expected, str):
        after = None if marker is None else _after(expected, marker)
        return _read_answer(expected) if after is None else after
    if isinstance(expected, bool) or not isinstance(expected, (int, float)):
        return None
    return Decimal(repr(expected)) if math.isfinite(expected) else None


def _read_answer(text: str) -> Decimal | None:
    markers = [match for match in _MARKER.finditer(text) if _is_marker(match)]
    end = len(text)
    for match in reversed(markers):
        number = first_number(text, match.end(), end)
        if number is not None:
            return number
        end = match.start()
    return last_number(text)


def _is_marker(match: re.Match[str]) -> bool:
    """`A:` opens an answer only at the start of a line, be it bold."""
    if match["bare"] is None:
        return True
    start = match.start()
    before = match.string[max(0, start - _MAX_INDENT) : start]
    head = before.rstrip(_INDENT)
    return head.endswith("\n") or (not head and len(before) == start)


def _after(text: str, marker: str) -> Decimal | None:
    start = text.rfind(marker)
    return None if start < 0 else first_number(text, start + len(marker))
