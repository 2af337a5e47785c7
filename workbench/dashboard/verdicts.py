"""The verdicts of comparisons as they are shown everywhere: a word, a symbol, a colour (pure).

The word is what counts and always stands there; symbol and colour only make it quicker to find.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["VERDICTS", "VerdictChip", "chip", "verdict_text"]

Colour = Literal["green", "orange", "red", "gray"]


@dataclass(frozen=True, slots=True)
class VerdictChip:
    """How one verdict is shown: `icon` in a badge, `symbol` in a table and in plain text.

    `meaning` is a sentence for whoever does not know the word.
    """

    word: str
    symbol: str
    icon: str
    color: Colour
    meaning: str


VERDICTS: Final[Mapping[str, VerdictChip]] = MappingProxyType(
    {
        "superior": VerdictChip(
            "superior",
            "▲",
            ":material/arrow_upward:",
            "green",
            "The whole interval lies above no difference: the candidate is better.",
        ),
        "non_inferior": VerdictChip(
            "non inferior",
            "✓",
            ":material/check:",
            "green",
            "A loss as large as the margin is ruled out.",
        ),
        "worse_within_margin": VerdictChip(
            "worse within margin",
            "▽",
            ":material/trending_down:",
            "orange",
            "The candidate is worse, by less than the margin.",
        ),
        "inferior": VerdictChip(
            "inferior",
            "▼",
            ":material/arrow_downward:",
            "red",
            "The whole interval lies below no difference: the candidate is worse.",
        ),
        "inconclusive": VerdictChip(
            "inconclusive",
            "?",
            ":material/question_mark:",
            "gray",
            "The interval holds gains and losses: nothing is shown, equality neither.",
        ),
        "insufficient_data": VerdictChip(
            "insufficient data",
            "…",
            ":material/hourglass_empty:",
            "gray",
            "There are too few pairs for any verdict.",
        ),
    }
)
"""Every verdict by the code that is stored."""


def chip(verdict: str) -> VerdictChip:
    """Return how a stored verdict is shown; one that a newer server knows keeps its own word."""
    found = VERDICTS.get(verdict)
    if found is not None:
        return found
    word = verdict.replace("_", " ")
    return VerdictChip(word, "·", ":material/help:", "gray", "A verdict of a newer version.")


def verdict_text(verdict: str) -> str:
    """Return a verdict for a table's cell, as in `▲ superior`."""
    found = chip(verdict)
    return f"{found.symbol} {found.word}"
