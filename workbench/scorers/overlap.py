"""`set_overlap`, `list_overlap`: how many of the expected items does the output name?

Items are those of a JSON array, if the output is one or holds one in its only ``` block, else
the pieces between separators: by default line breaks if there are any, else commas and
semicolons. Bullets and numbers before a line's item are no part of it, empty pieces are no
items. An item that is no text is compared by its JSON text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydantic import Field
from pydantic.dataclasses import dataclass
from rapidfuzz.distance import LCSseq

from app.core.hashing import JSON
from workbench.scorers._expected import expected_list, no_expected, unusable
from workbench.scorers._json import NotJSON, read_json
from workbench.scorers._overlap import Metric, common_items, overlap_value
from workbench.scorers._text import as_text, quoted
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["ListOverlap", "ListOverlapConfig", "SetOverlap", "SetOverlapConfig"]

_MAX_ITEMS: Final = 10_000
_BULLET: Final = re.compile(r"\s*(?:[-*•+]|\d{1,6}[.)])\s+")
_DEFAULT_SEPARATOR: Final = re.compile(r"[,;]")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SetOverlapConfig(ScorerConfig):
    """Options of `set_overlap`."""

    metric: Metric = "f1"
    """`f1`, `precision` (share of the output's items that are expected), `recall` (share of the
    expected items that the output names) or `jaccard`."""
    separator: str | None = Field(default=None, min_length=1, max_length=20)
    """The text between two items; without it, line breaks, else commas and semicolons. White
    space round an item is no part of it."""
    ignore_case: bool = False
    """Compare items without regard to upper and lower case."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ListOverlapConfig(SetOverlapConfig):
    """Options of `list_overlap`."""

    ordered: bool = False
    """Count only items that stand in the expected order: the longest common subsequence."""


class SetOverlap(Scorer[SetOverlapConfig]):
    """How far the items of output and expected value agree, each counted once; graded.

    Example: `set_overlap:metric=jaccard,ignore_case=true`
    """

    name = "set_overlap"
    version = 1
    config_type = SetOverlapConfig

    @property
    def binary(self) -> bool:
        """Graded: every value between 0 and 1 occurs."""
        return False

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the two sets; more than 10,000 items are `failed`."""
        sides = _sides(given, self.config)
        if isinstance(sides, ScoreResult):
            return sides
        found, expected = set(sides[0]), set(sides[1])
        missing = [item for item in dict.fromkeys(sides[1]) if item not in found]
        return _result(
            self.config.metric, len(found & expected), len(found), len(expected), missing
        )


class ListOverlap(Scorer[ListOverlapConfig]):
    """How far the items of output and expected value agree, repeats counted; graded.

    Example: `list_overlap:ordered=true`
    """

    name = "list_overlap"
    version = 1
    config_type = ListOverlapConfig

    @property
    def binary(self) -> bool:
        """Graded: every value between 0 and 1 occurs."""
        return False

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the two lists; more than 10,000 items are `failed`."""
        sides = _sides(given, self.config)
        if isinstance(sides, ScoreResult):
            return sides
        found, expected = sides
        if self.config.ordered:
            numbers = {item: number for number, item in enumerate({*found, *expected})}
            common = LCSseq.similarity(
                [numbers[item] for item in found], [numbers[item] for item in expected]
            )
        else:
            common = common_items(found, expected)
        present = set(found)
        missing = [item for item in dict.fromkeys(expected) if item not in present]
        return _result(self.config.metric, common, len(found), len(expected), missing)


def _sides(
    given: ScoringInput, config: SetOverlapConfig
) -> tuple[list[str], list[str]] | ScoreResult:
    """Return the items of both sides, or the reason why they cannot be compared."""
    if given.expected is None:
        return no_expected("list")
    listed = expected_list(given.expected)
    if listed is None:
        if not isinstance(given.expected, str):
            return unusable(given.expected, "no list")
        listed = list(_pieces(given.expected, config.separator))
    found = _output_items(given.output, config.separator)
    if max(len(found), len(listed)) > _MAX_ITEMS:
        return ScoreResult.failed(
            ReasonCode.SIZE_LIMIT, f"Output or expected list has more than {_MAX_ITEMS:,} items."
        )
    return _normal(found, config), _normal(listed, config)


def _output_items(output: str, separator: str | None) -> Sequence[JSON]:
    try:
        value = read_json(output, allow_fence=True)
    except NotJSON:
        return _pieces(output, separator)
    return value if isinstance(value, list) else _pieces(output, separator)


def _pieces(text: str, separator: str | None) -> list[str]:
    if separator is not None:
        pieces = text.split(separator)
    elif "\n" in text.strip():
        pieces = [_BULLET.sub("", line, count=1) for line in text.splitlines()]
    else:
        pieces = _DEFAULT_SEPARATOR.split(text)
    return [piece.strip() for piece in pieces if piece.strip()]


def _normal(items: Sequence[JSON], config: SetOverlapConfig) -> list[str]:
    texts = [as_text(item).strip() for item in items]
    return [text.casefold() for text in texts] if config.ignore_case else texts


def _result(
    metric: Metric, common: int, found: int, expected: int, missing: list[str]
) -> ScoreResult:
    told = f"{common} of {expected} expected items, {found} in the output"
    if missing:
        told += f"; missing {', '.join(quoted(item, 30) for item in missing[:3])}"
        told += f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return ScoreResult.graded(overlap_value(metric, common, found, expected), told)
