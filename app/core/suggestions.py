"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest_name"]


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like `word`; None if none is like it."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean triage?` to put behind a sentence, or nothing."""
    nearest = nearest_name(word, known)
    return "" if nearest is None else f" Did you mean {nearest}?"
