"""`starts_with`, `ends_with`: how does the output begin or end?"""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from workbench.scorers._expected import Texts, expected_texts
from workbench.scorers._text import quoted
from workbench.scorers.interface import (
    STRICT,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["AffixConfig", "EndsWith", "StartsWith"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AffixConfig(ScorerConfig):
    """Options of `starts_with` and `ends_with`."""

    texts: Texts = ()
    """The texts of which one must stand there, at most 200; without them, each example's
    expected value, a text or a list of texts."""
    ignore_case: bool = False
    """Compare without regard to upper and lower case."""
    strip: bool = True
    """Leave out white space at both ends of the output."""


class StartsWith(Scorer[AffixConfig]):
    """Whether the output begins with a text, or with one of several.

    Example: `starts_with:texts=Dear,ignore_case=true`
    """

    name = "starts_with"
    version = 1
    config_type = AffixConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the beginning."""
        wanted = self.config.texts or expected_texts(given.expected)
        if isinstance(wanted, ScoreResult):
            return wanted
        output = _normal(given.output, self.config)
        for text in wanted:
            if output.startswith(text.casefold() if self.config.ignore_case else text):
                return ScoreResult.verdict(True, f"starts with {quoted(text)}")
        return ScoreResult.verdict(False, f"starts with {quoted(output, 40)}")


class EndsWith(Scorer[AffixConfig]):
    """Whether the output ends with a text, or with one of several.

    Example: `ends_with:texts=?`
    """

    name = "ends_with"
    version = 1
    config_type = AffixConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the end."""
        wanted = self.config.texts or expected_texts(given.expected)
        if isinstance(wanted, ScoreResult):
            return wanted
        output = _normal(given.output, self.config)
        for text in wanted:
            if output.endswith(text.casefold() if self.config.ignore_case else text):
                return ScoreResult.verdict(True, f"ends with {quoted(text)}")
        return ScoreResult.verdict(False, f"ends with {quoted(output[-40:], 40)}")


def _normal(output: str, config: AffixConfig) -> str:
    if config.strip:
        output = output.strip()
    return output.casefold() if config.ignore_case else output
