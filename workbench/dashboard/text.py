"""Text of pages: what is untrusted made harmless, and money in words (pure).

Labels, captions, titles and messages of Streamlit read Markdown, with links and images; whatever
came from people or models goes through `escaped` before it stands in one. Longer texts are shown
by `elements.plain`, which reads none.

Nothing that is there goes unseen: a character without a shape, or one that turns the order of
others, is written out as `⟨U+200B⟩`. What writing needs stays as it is: joiners inside words of
scripts that are joined (Arabic, those of India and others) and inside emoji, and one variation
selector behind the character that it varies. Flags made of tag characters are written out, because
tag characters can carry whole sentences that nobody sees.

Money is in US dollars.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Final

__all__ = ["dollars", "escaped", "shortened", "visible"]

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$&@/=^])")
_LINE_BREAKS: Final = re.compile(r"\s+")

_WORD_JOINER: Final = "\u2060"
_READ_AFTER_ESCAPES: Final = re.compile(
    r"""
    (?<=http:)(?=//) | (?<=https:)(?=//) | (?<=www)(?=\.)   # addresses become links
    | (?<=[-.\w+])(?=@[-\w]+\.[-\w])                         # and those of mail
    | (?<=:)(?=(?:100|1234|[+-]1|\w*[a-z]\w*):)              # :smile:, :material_home:, :streamlit:
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ARROWS: Final = re.compile(r"(?<!\S)(<->|->|<-|--|>=|<=|~=)(?!\S)")

_HIDDEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_WITHOUT_SHAPE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_NON_JOINER, _JOINER = "\u200c", "\u200d"
_EMOJI_STYLE: Final = "\ufe0f"
_SELECTORS: Final = re.compile("[\u180b-\u180d\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_JOINED_SCRIPTS: Final = re.compile(
    "[\u0600-\u07ff\u0860-\u0dff\u0f00-\u109f\u1780-\u18af\u1a20-\u1aaf\ufb50-\ufdff\ufe70-\ufefc]"
)
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"
_PLAIN_BREAKS: Final = str.maketrans("", "", "\t\n\r")
_MOST_MARKS: Final = 8
"""Marks that one letter may carry; more only paint over the lines above and below."""

_DIGITS: Final = 4  # of an amount below a dollar, from the first that is not 0
_DECIMALS: Final = 6
_SMALLEST: Final = Decimal(1).scaleb(-_DECIMALS)


def escaped(text: str) -> str:
    """Return text on one line that Streamlit's Markdown shows as it is.

    Where Markdown would still find an address, an icon or an arrow after its escapes are read, a
    word joiner (no width, no line break) parts it. Text from right to left is isolated, so that it
    cannot turn the words beside it.
    """
    line = _LINE_BREAKS.sub(" ", visible(text))
    line = _ARROWS.sub(lambda found: f"{found[0][0]}{_WORD_JOINER}{found[0][1:]}", line)
    line = _READ_AFTER_ESCAPES.sub(_WORD_JOINER, line)
    if any(unicodedata.bidirectional(one) in _RIGHT_TO_LEFT for one in line):
        line = f"{_ISOLATE}{line}{_END_ISOLATE}"
    return _MARKDOWN.sub(r"\\\1", line)


def visible(text: str) -> str:
    """Return text with characters that are not seen, or that turn the order of others, written out.

    Tabs and line ends stay; a zero-width space becomes `⟨U+200B⟩`.
    """
    if text.isascii() and text.translate(_PLAIN_BREAKS).isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for place, one in enumerate(text):
        marks = marks + 1 if unicodedata.category(one) in ("Mn", "Me") else 0
        around = text[place - 1 : place], text[place + 1 : place + 2]
        is_seen = marks <= _MOST_MARKS and _is_seen(one, *around)
        shown.append(one if is_seen else f"⟨U+{ord(one):04X}⟩")
    return "".join(shown)


def _is_seen(one: str, before: str, after: str) -> bool:
    """Whether a character has a shape of its own or a place in the shape of its neighbours."""
    if one in "\t\n\r":
        return True
    if one in (_JOINER, _NON_JOINER):
        return _joins(one, before, after)
    if _SELECTORS.match(one):
        return before.isprintable() and bool(before.strip()) and not _SELECTORS.match(before)
    return one not in _WITHOUT_SHAPE and unicodedata.category(one) not in _HIDDEN


def _joins(one: str, before: str, after: str) -> bool:
    if _JOINED_SCRIPTS.match(before) and _JOINED_SCRIPTS.match(after):
        return True
    is_emoji = unicodedata.category(before or " ") in ("So", "Sk") or before == _EMOJI_STYLE
    return one == _JOINER and is_emoji and unicodedata.category(after or " ") == "So"


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of a text; an ellipsis says that there is more."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def dollars(amount: Decimal | float | None) -> str:
    """Return an amount of US dollars, not below 0, as people write it: `$0.0312`, `$1,234.50`.

    Cents stand always, except of nothing, which is `$0`; what is below a millionth is said to be
    so, and what is not known is `unknown`.
    """
    if amount is None:
        return "unknown"
    exact = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    if exact == 0:
        return "$0"
    if exact < _SMALLEST:
        return f"< ${_SMALLEST:f}"
    places = 2 if exact >= 1 else min(_DECIMALS, _DIGITS - 1 - exact.adjusted())
    whole, _, fraction = f"{exact:,.{places}f}".partition(".")
    return f"${whole}.{fraction.rstrip('0').ljust(2, '0')}"
