"""`contains`: does the output hold a text somewhere?"""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from workbench.scorers._text import as_text, is_container, quoted
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["Contains", "ContainsConfig"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ContainsConfig(ScorerConfig):
    """Options of `contains`."""

    text: str | None = Field(default=None, min_length=1)
    """The text to look for in every output; without it, each example's expected value."""
    ignore_case: bool = False
    """Compare without regard to upper and lower case."""


class Contains(Scorer[ContainsConfig]):
    """Whether the output contains a given text or the expected value.

    Example: `contains:ignore_case=true`
    """

    name = "contains"
    version = 1
    config_type = ContainsConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Look for the text; an expected text that is empty or no plain value says nothing."""
        wanted = given.expected if self.config.text is None else self.config.text
        if wanted is None:
            return ScoreResult.unscored(ReasonCode.NO_EXPECTED, "The example has no expected text.")
        if is_container(wanted) or wanted == "":
            return ScoreResult.unscored(
                ReasonCode.EXPECTED_UNUSABLE,
                f"The expected value {quoted(wanted)} is no text that could be looked for.",
            )
        needle, haystack = as_text(wanted), given.output
        if self.config.ignore_case:
            needle, haystack = needle.casefold(), haystack.casefold()
        found = needle in haystack
        return ScoreResult.verdict(
            found, f"{'contains' if found else 'does not contain'} {quoted(wanted)}"
        )
