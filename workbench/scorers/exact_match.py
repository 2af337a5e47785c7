"""`exact_match`: is the output the expected value, no more and no less?"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

from pydantic.dataclasses import dataclass

from app.core.hashing import JSON
from workbench.scorers._expected import Texts, expected_texts
from workbench.scorers._json import NotJSON, equal_json, read_json
from workbench.scorers._text import as_text, is_container, quoted
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["ExactMatch", "ExactMatchConfig"]

_WHITESPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ExactMatchConfig(ScorerConfig):
    """Options of `exact_match`."""

    ignore_case: bool = False
    """Compare without regard to upper and lower case."""
    strip: bool = True
    """Leave out white space at both ends."""
    collapse_whitespace: bool = False
    """Treat every run of white space, line breaks included, as one space."""
    json: bool = False
    """Compare as JSON values if both sides are JSON: key order, spacing and `1` or `1.0` do
    not matter. An expected object or array is compared so in any case."""
    texts: Texts = ()
    """Texts of which the output must equal one, at most 200; the expected value is then not
    looked at."""
    any_expected: bool = False
    """Take an expected list as several texts of which the output must equal one."""
    unicode_form: Literal["none", "NFC", "NFKC"] = "none"
    """Bring both sides into one Unicode form first: `NFC` makes `é` equal to `e` with an
    accent, `NFKC` also `ﬁ` to `fi` and full-width letters to plain ones."""


class ExactMatch(Scorer[ExactMatchConfig]):
    """Whether the output equals the expected value.

    Example: `exact_match:ignore_case=true`
    """

    name = "exact_match"
    version = 1
    config_type = ExactMatchConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare as texts or as JSON values; an empty output equals an empty expected text."""
        if self.config.texts or self.config.any_expected:
            return self._equals_one(given)
        expected = given.expected
        if expected is None:
            return ScoreResult.unscored(
                ReasonCode.NO_EXPECTED, "The example has no expected value."
            )
        same = self._normal(given.output) == self._normal(as_text(expected))
        if not same and (self.config.json or is_container(expected)):
            same = _same_json(given.output, expected)
        if same:
            return ScoreResult.verdict(True, f"equals {quoted(expected)}")
        return ScoreResult.verdict(
            False, f"expected {quoted(expected)}, got {quoted(given.output)}"
        )

    def _equals_one(self, given: ScoringInput) -> ScoreResult:
        """Compare with several texts."""
        wanted = self.config.texts or expected_texts(given.expected)
        if isinstance(wanted, ScoreResult):
            return wanted
        output = self._normal(given.output)
        for text in wanted:
            if output == self._normal(text) or (self.config.json and _same_json(output, text)):
                return ScoreResult.verdict(True, f"equals {quoted(text)}")
        return ScoreResult.verdict(
            False, f"got {quoted(given.output)}, none of the {len(wanted)} texts wanted"
        )

    def _normal(self, text: str) -> str:
        config = self.config
        if config.unicode_form != "none":
            text = unicodedata.normalize(config.unicode_form, text)
        if config.collapse_whitespace:
            text = _WHITESPACE.sub(" ", text)
        if config.strip:
            text = text.strip()
        return text.casefold() if config.ignore_case else text


def _same_json(output: str, expected: JSON) -> bool:
    try:
        if isinstance(expected, str):
            expected = read_json(expected)
        return equal_json(read_json(output), expected)
    except NotJSON:
        return False
