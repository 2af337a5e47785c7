"""`rouge_n`, `rouge_l`, `gleu`: how many words and sequences of words do two texts share?

- ROUGE-N counts sequences of n words that both texts have, each as often as both have it;
  ROUGE-L takes the longest common subsequence of words. Of either, precision is the share of
  the output, recall the share of the expected text, F1 their harmonic mean. C.-Y. Lin, "ROUGE: A
  Package for Automatic Evaluation of Summaries", ACL workshop Text Summarization Branches Out
  (2004), 74-81.
- GLEU is the smaller of precision and recall over all sequences of one to four words. Y. Wu et
  al., "Google's Neural Machine Translation System", arXiv:1609.08144 (2016), section 6.

Words are runs of letters, digits and underscores, case ignored; there is no stemming. Text that
is written without spaces is one word a run: use `chrf` for it. Of several expected texts (a
list) the one that is nearest to the output counts. An expected text without one such sequence
says nothing, and the output is then unscored.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from rapidfuzz.distance import LCSseq

from workbench.scorers._expected import expected_texts, unusable
from workbench.scorers._overlap import common_items, overlap_value
from workbench.scorers.interface import (
    STRICT,
    ConfigT_co,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["Gleu", "RougeConfig", "RougeL", "RougeN", "RougeNConfig"]

_MAX_WORDS: Final = 20_000
_GLEU_LONGEST: Final = 4
_WORD: Final = re.compile(r"\w+")

Words = Sequence[str]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RougeConfig(ScorerConfig):
    """Options of `rouge_l`."""

    metric: Literal["f1", "precision", "recall"] = "f1"
    """`f1`, `precision` (share of the output that the expected text has) or `recall` (share of
    the expected text that the output has)."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RougeNConfig(RougeConfig):
    """Options of `rouge_n`."""

    n: int = Field(default=1, ge=1, le=9)
    """How many words a sequence has."""


class _WordScorer(Scorer[ConfigT_co]):
    """Compares the words of the output with those of each expected text; the best one counts."""

    @property
    def binary(self) -> bool:
        """Graded: every value between 0 and 1 occurs."""
        return False

    @property
    def _fewest_words(self) -> int:
        """How many words an expected text needs, so that there is something to compare."""
        return 1

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare; a text of more than 20,000 words is `failed`."""
        wanted = expected_texts(given.expected)
        if isinstance(wanted, ScoreResult):
            return wanted
        output = _words(given.output)
        texts = [_words(text) for text in wanted]
        fewest = self._fewest_words
        if min(len(text) for text in texts) < fewest:
            noun = "word" if fewest == 1 else "words"
            return unusable(given.expected, f"shorter than {fewest} {noun}")
        longest = max(len(output), *(len(text) for text in texts))
        if longest > _MAX_WORDS:
            return ScoreResult.failed(
                ReasonCode.SIZE_LIMIT, f"A text has {longest:,} words, more than {_MAX_WORDS:,}."
            )
        value = max(self._likeness(output, text) for text in texts)
        return ScoreResult.graded(value, f"{value:.1%} alike")

    @abstractmethod
    def _likeness(self, output: Words, expected: Words) -> float:
        """Return how alike the words of two texts are, 0 to 1."""


class RougeN(_WordScorer[RougeNConfig]):
    """ROUGE-N: how many sequences of n words output and expected text share; graded.

    Example: `rouge_n:n=2`
    """

    name = "rouge_n"
    version = 1
    config_type = RougeNConfig

    @property
    def _fewest_words(self) -> int:
        return self.config.n

    def _likeness(self, output: Words, expected: Words) -> float:
        found, wanted = _sequences(output, self.config.n), _sequences(expected, self.config.n)
        return overlap_value(
            self.config.metric, common_items(found, wanted), len(found), len(wanted)
        )


class RougeL(_WordScorer[RougeConfig]):
    """ROUGE-L: the longest sequence of words, gaps allowed, that both texts share; graded.

    Example: `rouge_l:metric=recall`
    """

    name = "rouge_l"
    version = 1
    config_type = RougeConfig

    def _likeness(self, output: Words, expected: Words) -> float:
        # Numbers instead of words: the library compares hashes, which texts do not keep.
        numbers = {word: number for number, word in enumerate(dict.fromkeys((*output, *expected)))}
        common = LCSseq.similarity(
            [numbers[word] for word in output], [numbers[word] for word in expected]
        )
        return overlap_value(self.config.metric, common, len(output), len(expected))


class Gleu(_WordScorer[ScorerConfig]):
    """GLEU: the smaller of precision and recall of sequences of one to four words; graded.

    Example: `gleu`
    """

    name = "gleu"
    version = 1
    config_type = ScorerConfig

    def _likeness(self, output: Words, expected: Words) -> float:
        found: Counter[tuple[str, ...]] = Counter()
        wanted: Counter[tuple[str, ...]] = Counter()
        for n in range(1, _GLEU_LONGEST + 1):
            found.update(_sequences(output, n))
            wanted.update(_sequences(expected, n))
        most = max(found.total(), wanted.total())
        return (found & wanted).total() / most


def _words(text: str) -> Words:
    return _WORD.findall(text.casefold())


def _sequences(words: Words, n: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(n)), strict=False))
