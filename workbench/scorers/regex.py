"""`regex`: does the output match a pattern?

Patterns are those of the `regex` package, a superset of Python's `re`. They come from people
and imported files and run on text from models, so both ends are bounded: a search that exceeds
the time limit is `failed`, and a pattern whose size alone could exhaust memory is refused
before it is compiled.
"""

from __future__ import annotations

import re
from typing import Final

import regex
from pydantic import Field
from pydantic.dataclasses import dataclass

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

__all__ = ["Regex", "RegexConfig"]

_MAX_PATTERN: Final = 1_000
# The compiler writes fixed repeats out: a{1000000} takes 280 MB and nested ones more than exist.
_MAX_EXPANDED: Final = 20_000
# Recursion can take a gigabyte within a second; the flags x and V1 change what brackets mean,
# so that the length below would be measured wrongly.
_REFUSED: Final = re.compile(
    r"(?<!\\)(?:\\\\)*(?P<construct>\(\?(?:R|\d|&|P[>&]|[a-zA-Z]*(?:x|V1)))"
)
_TOKEN: Final = re.compile(
    r"""
    \\.                                   # an escape
    | \[\^?\]?(?:\\.|[^\]\\])*+\]         # a character class
    | \{(?P<repeat>\d+)(?:,\d*)?\}[?+]?   # its first count is what is written out
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RegexConfig(ScorerConfig):
    """Options of `regex`."""

    pattern: str | None = None
    """The pattern, at most 1,000 characters, without recursion and the flags x and V1; left
    out, each example's expected text is the pattern."""
    fullmatch: bool = False
    """The whole output must match; otherwise a match anywhere is enough."""
    ignore_case: bool = False
    """Match without regard to upper and lower case."""
    time_limit_s: float = Field(default=1.0, gt=0.0, le=10.0)
    """Longest time for one output, in seconds; a search that takes longer is `failed`."""


class Regex(Scorer[RegexConfig]):
    r"""Whether the output matches a regular expression.

    Example: `regex:pattern=^\d{1,3}$`
    """

    name = "regex"
    version = 2
    config_type = RegexConfig

    def __init__(self, config: RegexConfig) -> None:
        super().__init__(config)
        self._flags = regex.IGNORECASE if config.ignore_case else 0
        try:
            self._pattern = (
                None if config.pattern is None else _compiled(config.pattern, self._flags)
            )
        except ValueError as error:
            raise ScorerConfigError(f"regex: {error}", path="pattern") from error

    def score(self, given: ScoringInput) -> ScoreResult:
        """Search the output; the search gives way to other threads while it runs."""
        pattern = self._pattern
        if pattern is None:
            if given.expected is None:
                return ScoreResult.unscored(
                    ReasonCode.NO_EXPECTED, "There is neither a pattern nor an expected text."
                )
            if not isinstance(given.expected, str):
                return ScoreResult.unscored(
                    ReasonCode.EXPECTED_UNUSABLE,
                    f"The expected value {quoted(given.expected)} is no pattern.",
                )
            try:
                pattern = _compiled(given.expected, self._flags)
            except ValueError as error:
                return ScoreResult.unscored(ReasonCode.EXPECTED_UNUSABLE, str(error))
        return self._search(pattern, given.output)

    def _search(self, pattern: regex.Pattern[str], output: str) -> ScoreResult:
        limit = self.config.time_limit_s
        search = pattern.fullmatch if self.config.fullmatch else pattern.search
        try:
            found = search(output, timeout=limit) is not None
        except TimeoutError:
            return ScoreResult.failed(
                ReasonCode.TIME_LIMIT,
                f"{quoted(pattern.pattern)} took longer than {limit:g} s on this output.",
            )
        return ScoreResult.verdict(
            found, f"{'matches' if found else 'does not match'} {quoted(pattern.pattern)}"
        )


def _compiled(pattern: str, flags: int) -> regex.Pattern[str]:
    """Compile within bounds; raises `ValueError` with a sentence."""
    shown = quoted(pattern)
    if not pattern:
        raise ValueError("The pattern is empty: write what is to be found.")
    if len(pattern) > _MAX_PATTERN:
        raise ValueError(
            f"The pattern has {len(pattern):,} characters; at most {_MAX_PATTERN:,} are taken."
        )
    refused = _REFUSED.search(pattern)
    if refused:
        raise ValueError(
            f"The pattern {shown} uses {refused['construct']}), which is not taken here."
        )
    if _expanded_length(pattern) > _MAX_EXPANDED:
        raise ValueError(f"The repeats in the pattern {shown} multiply to too much; lower them.")
    try:
        return regex.compile(pattern, flags)
    except Exception as error:
        # Besides regex.error the compiler leaks RecursionError and others on odd patterns.
        raise ValueError(f"The pattern {shown} cannot be read: {error}.") from error


def _expanded_length(pattern: str) -> int:
    """Return about how many items the pattern has once its fixed repeats are written out."""
    levels = [0]
    last = 0  # length of the item that a repeat would apply to
    for token in _TOKEN.finditer(pattern):
        if token["repeat"] is not None:
            levels[-1] += last * (max(int(token["repeat"]), 1) - 1)
        elif token[0] == "(":
            levels.append(0)
            last = 0
        else:
            last = levels.pop() if token[0] == ")" and len(levels) > 1 else 1
            levels[-1] += last
    return sum(levels)
