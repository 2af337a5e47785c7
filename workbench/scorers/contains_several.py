"""`contains_any`, `contains_all`: does the output hold one of several texts, or each of them?"""

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

__all__ = ["ContainsAll", "ContainsAny", "ContainsSeveralConfig"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ContainsSeveralConfig(ScorerConfig):
    """Options of `contains_any` and `contains_all`."""

    texts: Texts = ()
    """The texts to look for, at most 200; without them, each example's expected value, a text
    or a list of texts."""
    ignore_case: bool = False
    """Compare without regard to upper and lower case."""


class ContainsAny(Scorer[ContainsSeveralConfig]):
    """Whether the output contains at least one of several texts.

    Example: `contains_any:texts=sorry,apologies`
    """

    name = "contains_any"
    version = 1
    config_type = ContainsSeveralConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Look for each text until one is found."""
        wanted = self.config.texts or expected_texts(given.expected)
        if isinstance(wanted, ScoreResult):
            return wanted
        found, missing = _sought(wanted, given.output, self.config.ignore_case)
        if found:
            return ScoreResult.verdict(True, f"contains {quoted(found[0])}")
        return ScoreResult.verdict(False, f"contains none of {_shown(missing)}")


class ContainsAll(Scorer[ContainsSeveralConfig]):
    """Whether the output contains every one of several texts.

    Example: `contains_all:texts=name,address,ignore_case=true`
    """

    name = "contains_all"
    version = 1
    config_type = ContainsSeveralConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Look for each text."""
        wanted = self.config.texts or expected_texts(given.expected)
        if isinstance(wanted, ScoreResult):
            return wanted
        _, missing = _sought(wanted, given.output, self.config.ignore_case)
        if missing:
            return ScoreResult.verdict(False, f"does not contain {_shown(missing)}")
        return ScoreResult.verdict(True, f"contains all of {_shown(list(wanted))}")


def _sought(texts: tuple[str, ...], output: str, ignore_case: bool) -> tuple[list[str], list[str]]:
    """Return the texts that the output contains, and those that it does not."""
    haystack = output.casefold() if ignore_case else output
    found: list[str] = []
    missing: list[str] = []
    for text in texts:
        needle = text.casefold() if ignore_case else text
        (found if needle in haystack else missing).append(text)
    return found, missing


def _shown(texts: list[str]) -> str:
    shown = ", ".join(quoted(text, 30) for text in texts[:5])
    return shown if len(texts) <= 5 else f"{shown} and {len(texts) - 5} more"
