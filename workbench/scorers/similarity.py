"""`similarity`, `edit_distance`: how near is the output to the expected text, letter by letter?

Similarity is 1 - d / max(m, n), where d is the Levenshtein distance (fewest insertions, deletions
and substitutions of single characters; V. I. Levenshtein, Soviet Physics Doklady 10 (1966),
707-710) and m, n are the two lengths. Two empty texts are equal, hence 1.
"""

from __future__ import annotations

from typing import Final

from pydantic import Field
from pydantic.dataclasses import dataclass
from rapidfuzz.distance import Levenshtein

from workbench.scorers._text import as_text
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["EditDistance", "EditDistanceConfig", "Similarity", "SimilarityConfig"]

# Time grows with the product of the lengths; two texts of this size take about 170 ms.
_MAX_CHARACTERS: Final = 50_000


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SimilarityConfig(ScorerConfig):
    """Options of `similarity`."""

    ignore_case: bool = False
    """Compare without regard to upper and lower case."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class EditDistanceConfig(SimilarityConfig):
    """Options of `edit_distance`."""

    max: int = Field(default=5, ge=0)
    """Most insertions, deletions and substitutions of single characters that are right."""


class Similarity(Scorer[SimilarityConfig]):
    """Edit similarity of output and expected text, 0 (nothing alike) to 1 (equal); graded.

    Example: `similarity:ignore_case=true`
    """

    name = "similarity"
    version = 1
    config_type = SimilarityConfig

    @property
    def binary(self) -> bool:
        """Graded: every value between 0 and 1 occurs."""
        return False

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare letter by letter; a text beyond 50,000 characters is `failed`."""
        sides = _sides(given, self.config)
        if isinstance(sides, ScoreResult):
            return sides
        value = Levenshtein.normalized_similarity(*sides)
        return ScoreResult.graded(value, f"{value:.1%} alike")


class EditDistance(Scorer[EditDistanceConfig]):
    """Whether a few changes of single characters make the output the expected text.

    Example: `edit_distance:max=2,ignore_case=true`
    """

    name = "edit_distance"
    version = 1
    config_type = EditDistanceConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Count the changes; a text beyond 50,000 characters is `failed`."""
        sides = _sides(given, self.config)
        if isinstance(sides, ScoreResult):
            return sides
        most = self.config.max
        distance = Levenshtein.distance(*sides, score_cutoff=most)
        if distance > most:
            return ScoreResult.verdict(False, f"more than {most:,} changes")
        return ScoreResult.verdict(True, f"{distance:,} changes")


def _sides(given: ScoringInput, config: SimilarityConfig) -> tuple[str, str] | ScoreResult:
    """Return the two texts to compare, or the reason why they cannot be."""
    if given.expected is None:
        return ScoreResult.unscored(ReasonCode.NO_EXPECTED, "The example has no expected text.")
    output, expected = given.output, as_text(given.expected)
    if max(len(output), len(expected)) > _MAX_CHARACTERS:
        return ScoreResult.failed(
            ReasonCode.SIZE_LIMIT,
            f"Output ({len(output):,} characters) or expected text ({len(expected):,}) is "
            f"longer than {_MAX_CHARACTERS:,}.",
        )
    if config.ignore_case:
        return output.casefold(), expected.casefold()
    return output, expected
