r"""Regular expressions that people write and that are searched for in streams (pure).

A pattern can take gigabytes to compile and forever to run. What it may take to compile is bounded
here; who runs it passes a time limit. And of a stream only the beginning is known, so a pattern may
not ask where the text ends or what stands around: with `\b` as the only such question, whether a
match can still come is known from the text so far and one character less (`app.core.guards`).
"""

from __future__ import annotations

import re
from typing import Final

import regex

from app.core.errors import Invalid

__all__ = ["MAX_PATTERN", "compile_stream_pattern"]

MAX_PATTERN: Final = 1_000
"""Characters that a pattern may have."""

# The compiler writes fixed repeats out: a{1000000} takes 280 MB and nested ones more than exist.
_MAX_EXPANDED: Final = 20_000
_IGNORE_CASE: Final = "(?i)"
_TOKEN: Final = re.compile(
    r"""
    (?P<question> [$^] | \\[AZzBGKmMRX1-9gL] )   # where the text ends, where a match begins, ...
    | (?P<fuzzy> \{(?!\d+(?:,\d*)?\}) )
    | \\[pPN]\{[^}]*\} | \\.                      # an escape
    | (?P<set> \[\^?\]?(?:\\.|[^\]\\])*+\] )
    | (?P<group> \((?:\?(?::|P<\w+>)?)? )        # a plain group is (, (?: or (?P<name>
    | \{(?P<repeat>\d+)(?:,\d*)?\}[?+]?          # its first count is what is written out
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_SAMPLES: Final = ("", "a", " ", "a b", "1")


def compile_stream_pattern(pattern: str) -> regex.Pattern[str]:
    r"""Compile a pattern; `(?i)` at its beginning makes upper and lower case alike.

    It has 1 to 1,000 characters, no anchors but `\b`, no lookaround, back-references, recursion
    or fuzzy parts, and never matches an empty text. Raises `Invalid` with a sentence.
    """
    if not 1 <= len(pattern) <= MAX_PATTERN:
        raise Invalid(f"A pattern has 1 to {MAX_PATTERN:,} characters.", path="pattern")
    body = pattern.removeprefix(_IGNORE_CASE)
    if (told := _refusal(body)) is not None:
        raise Invalid(f"The pattern {told}.", path="pattern")
    try:
        compiled = regex.compile(body, regex.IGNORECASE if body != pattern else 0)
    except Exception as error:
        # Besides regex.error the compiler leaks RecursionError and others on odd patterns.
        raise Invalid(f"The pattern cannot be read: {error}.", path="pattern") from None
    if any((found := compiled.search(text)) and not found[0] for text in _SAMPLES):
        raise Invalid(
            "The pattern matches an empty text: write what must be there.", path="pattern"
        )
    return compiled


def _refusal(pattern: str) -> str | None:
    """Return what is not taken of a pattern, as the rest of a sentence; None if nothing is."""
    length = _Length()
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        if token["question"] is not None or token["fuzzy"] is not None or text == "(?":
            return (
                f"uses {text} at character {token.start() + 1}: a guard looks into a stream and "
                r"takes no anchors but \b, no lookaround, references or fuzzy parts; write \ "
                "before a character that is meant as it is"
            )
        length.add(text, token["repeat"])
    return None if length.total <= _MAX_EXPANDED else "has repeats that multiply to too much"


class _Length:
    """About how many items a pattern has once its fixed repeats are written out."""

    def __init__(self) -> None:
        self._levels = [0]
        self._last = 0  # length of the item that a repeat would apply to

    @property
    def total(self) -> int:
        """The length so far."""
        return sum(self._levels)

    def add(self, piece: str, repeat: str | None) -> None:
        """Take the next piece of the pattern; `repeat` is the first count if it is one."""
        if repeat is not None:
            self._levels[-1] += self._last * (max(int(repeat), 1) - 1)
        elif piece.startswith("("):
            self._levels.append(0)
            self._last = 0
        else:
            closes = piece == ")" and len(self._levels) > 1
            self._last = self._levels.pop() if closes else 1
            self._levels[-1] += self._last
