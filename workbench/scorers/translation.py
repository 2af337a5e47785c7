"""`bleu`, `chrf`: how near is the output to reference texts, as translation research measures it?

Both are computed by sacrebleu (M. Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018)
for one output at a time, and divided by 100:

- BLEU (K. Papineni et al., ACL 2002) with exponential smoothing and with the effective order,
  so that an output of fewer than four words is not 0 for its length alone.
- chrF (M. Popović, WMT 2015): sequences of up to six characters, beta 2; with `word_order` 2 it
  is chrF++.

A mean of these values over examples is not the corpus score that papers report. An output and a
reference that are both empty are equal, hence 1, which sacrebleu calls 0.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from workbench.scorers._expected import expected_texts
from workbench.scorers.interface import (
    STRICT,
    ConfigT_co,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

__all__ = ["Bleu", "BleuConfig", "Chrf", "ChrfConfig"]

_MAX_CHARACTERS: Final = 20_000
_MAX_REFERENCES: Final = 20


@dataclass(frozen=True, kw_only=True, config=STRICT)
class BleuConfig(ScorerConfig):
    """Options of `bleu`."""

    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    """How text is cut into words, in sacrebleu's names: `13a` (the usual one), `intl`, `zh`,
    `char` or `none` (white space only)."""
    ignore_case: bool = False
    """Compare without regard to upper and lower case."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ChrfConfig(ScorerConfig):
    """Options of `chrf`."""

    word_order: int = Field(default=0, ge=0, le=4)
    """Longest sequence of words that is counted besides the characters; 2 is chrF++."""
    ignore_case: bool = False
    """Compare without regard to upper and lower case."""


class _SentenceScorer(Scorer[ConfigT_co]):
    """Gives sacrebleu's score of one output against its references."""

    @property
    def binary(self) -> bool:
        """Graded: every value between 0 and 1 occurs."""
        return False

    @cached_property
    def _metric(self) -> Metric:
        return self._make_metric()

    @abstractmethod
    def _make_metric(self) -> Metric:
        """Return the metric with the options of this scorer."""

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare with one or several references; a text beyond 20,000 characters is `failed`."""
        references = expected_texts(given.expected)
        if isinstance(references, ScoreResult):
            # An empty expected text is a reference like any other.
            if given.expected != "":
                return references
            references = ("",)
        longest = max(len(given.output), *(len(text) for text in references))
        if longest > _MAX_CHARACTERS or len(references) > _MAX_REFERENCES:
            return ScoreResult.failed(
                ReasonCode.SIZE_LIMIT,
                f"There are {len(references)} references and texts of up to {longest:,} "
                f"characters; at most {_MAX_REFERENCES} and {_MAX_CHARACTERS:,} are taken.",
            )
        if not given.output.strip() and any(not text.strip() for text in references):
            return ScoreResult.graded(1.0, "both are empty")
        score = self._metric.sentence_score(given.output, list(references)).score
        # Rounding can leave equal texts a hair above 100.
        return ScoreResult.graded(min(score / 100.0, 1.0), f"{score:.1f} of 100")


class Bleu(_SentenceScorer[BleuConfig]):
    """BLEU of the output against one or several expected texts; graded.

    Example: `bleu:ignore_case=true`
    """

    name = "bleu"
    version = 1
    config_type = BleuConfig

    def _make_metric(self) -> Metric:
        from sacrebleu.metrics.bleu import BLEU  # slow: only its use pays

        return BLEU(
            lowercase=self.config.ignore_case,
            tokenize=self.config.tokenize,
            smooth_method="exp",
            effective_order=True,
        )


class Chrf(_SentenceScorer[ChrfConfig]):
    """chrF of the output against one or several expected texts; graded.

    Example: `chrf:word_order=2`
    """

    name = "chrf"
    version = 1
    config_type = ChrfConfig

    def _make_metric(self) -> Metric:
        from sacrebleu.metrics.chrf import CHRF  # slow: only its use pays

        return CHRF(word_order=self.config.word_order, lowercase=self.config.ignore_case)
