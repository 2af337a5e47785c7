"""`date`: is the date that the output names the expected one?

Which written forms are dates stands in `_dates`. Of several dates in an output the last one is
the answer, as with numbers, unless the option says the first.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from workbench.scorers._dates import DateOrder, dates_in
from workbench.scorers._expected import no_expected, unusable
from workbench.scorers._text import quoted
from workbench.scorers.interface import (
    STRICT,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoringInput,
)

__all__ = ["DateAnswer", "DateConfig"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DateConfig(ScorerConfig):
    """Options of `date`."""

    tolerance_days: int = Field(default=0, ge=0, le=366_000)
    """Largest difference that still counts as equal, in days."""
    min: str | None = None
    """Earliest date that is right, such as `2025-03-05`; with `min` or `max` the expected value
    is not looked at."""
    max: str | None = None
    """Latest date that is right."""
    order: DateOrder = "unknown"
    """What `05/03/2025` means: `day_first`, `month_first`, or `unknown`, which reads no date
    that is written so."""
    which: Literal["last", "first"] = "last"
    """Which of several dates in the output is the answer: `last` or `first`."""


class DateAnswer(Scorer[DateConfig]):
    """Whether the date in the output is the expected one or lies between bounds.

    Example: `date:order=day_first,tolerance_days=1`
    """

    name = "date"
    version = 1
    config_type = DateConfig

    def __init__(self, config: DateConfig) -> None:
        super().__init__(config)
        self._low = _bound("min", config.min)
        self._high = _bound("max", config.max)
        if self._low is not None and self._high is not None and self._low > self._high:
            raise ScorerConfigError(
                f"date: min ({self._low}) is later than max ({self._high}).", path="min"
            )

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the two dates; an output without a date is wrong."""
        found = self._pick(given.output)
        if self._low is not None or self._high is not None:
            return self._within_bounds(found)
        if given.expected is None:
            return no_expected("date")
        expected = self._pick(given.expected) if isinstance(given.expected, str) else None
        if expected is None:
            return unusable(given.expected, "no date that can be read")
        if found is None:
            return ScoreResult.verdict(False, f"expected {expected}, found no date")
        days = abs((found - expected).days)
        return ScoreResult.verdict(
            days <= self.config.tolerance_days, f"expected {expected}, got {found}"
        )

    def _pick(self, text: str) -> date | None:
        answer = None
        for found in dates_in(text, self.config.order):
            answer = found
            if self.config.which == "first":
                break
        return answer

    def _within_bounds(self, found: date | None) -> ScoreResult:
        if found is None:
            return ScoreResult.verdict(False, "found no date")
        if self._low is not None and found < self._low:
            return ScoreResult.verdict(False, f"got {found}, before {self._low}")
        if self._high is not None and found > self._high:
            return ScoreResult.verdict(False, f"got {found}, after {self._high}")
        return ScoreResult.verdict(True, f"got {found}")


def _bound(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ScorerConfigError(
            f"date: {option} is written like 2025-03-05, not {quoted(text)}.", path=option
        ) from error
