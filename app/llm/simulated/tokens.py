"""A token count for text that no tokenizer belongs to.

A token is up to six letters or digits, or one other visible character, with the white space before
it. That comes near to the four characters a token of English prose, and it makes counting and
cutting agree: the text cut to `n` tokens counts exactly `n`.
"""

from __future__ import annotations

import re
from itertools import islice

__all__ = ["count", "cut"]

_TOKEN = re.compile(r"\s*(?:[^\W_]{1,6}|\S)")


def count(text: str) -> int:
    """Return the number of tokens in `text`, 0 for white space alone."""
    return len(_TOKEN.findall(text))


def cut(text: str, limit: int) -> tuple[str, bool]:
    """Return `text` cut to at most `limit` tokens, and whether anything had to go."""
    ends = [match.end() for match in islice(_TOKEN.finditer(text), limit + 1)]
    if len(ends) <= limit:
        return text, False
    return (text[: ends[limit - 1]] if limit > 0 else ""), True
