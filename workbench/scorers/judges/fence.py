r"""The fence around every text that a judge is shown and that nobody vouches for.

A fenced text stands between two lines of its own

    <<<DATA answer 5f0c...>>>
    ...
    <<<END answer 5f0c...>>>

where the code is an HMAC-SHA256 under a secret of the workspace, over the judge's prompt, the
texts and the number of the repeat. Who wrote a text cannot know its code, and the same question
gets the same code again, so that requests stay equal byte for byte.

The code is not what holds the fence: a model may take a fence with another code for one.
So no text inside has a run of three angle brackets at all, in whichever script and however
many invisible characters stand between them: such a run is written with spaces between its
brackets. What reads the message by code, by form, or by what it looks like, finds one fence.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["fence_code", "fenced", "neutralised"]

_CODE_DIGITS: Final = 32
"""128 bits: beyond guessing, and few tokens."""

_LEFT: Final = {
    **dict.fromkeys(
        "<\uff1c\ufe64\u2039\u2329\u3008\u27e8\u02c2\u1438\u276c\u276e\u2770\u29fc\u2991\u2993"
        "\u16b2\U0001d236\ufe5d\ufe3f\u3014\u2772\u227a",
        1,
    ),
    **dict.fromkeys("\u00ab\u300a\u27ea\u226a\u2aa1\u2abb\ufe3d", 2),
    **dict.fromkeys("\u22d8\u2af7", 3),
}
_RIGHT: Final = {
    **dict.fromkeys(
        ">\uff1e\ufe65\u203a\u232a\u3009\u27e9\u02c3\u1433\u276d\u276f\u2771\u29fd\u2992\u2994"
        "\U00016f3f\U0001d237\ufe5e\ufe40\u3015\u2773\u227b",
        1,
    ),
    **dict.fromkeys("\u00bb\u300b\u27eb\u226b\u2aa2\u2abc\ufe3e", 2),
    **dict.fromkeys("\u22d9\u2af8", 3),
}
"""Brackets that look like angles, with the number of them that each looks like."""

_SHORTEST_RUN: Final = 3
_ANGLE: Final = re.compile("[" + re.escape("".join({*_LEFT, *_RIGHT})) + "]")
_INVISIBLE_CATEGORIES: Final = frozenset({"Cf", "Mn", "Me", "Cc", "Cs", "Co", "Cn"})
_INVISIBLE_LETTERS: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_VISIBLE_CONTROLS: Final = frozenset("\t\n\r\v\f\x1c\x1d\x1e\x1f\x85")
"""White space: brackets apart from each other are no run."""


def fence_code(secret: bytes, prompt_hash: str, texts: Sequence[str], repeat: int) -> str:
    """Return the code of one question: 32 hexadecimal digits that follow from all arguments."""
    code = hmac.new(secret, digestmod=hashlib.sha256)
    for part in (prompt_hash, str(repeat), *texts):
        data = part.encode("utf-8", "surrogatepass")
        # Each part with its length, so that no two lists of texts give the same bytes.
        code.update(len(data).to_bytes(8, "big"))
        code.update(data)
    return code.hexdigest()[:_CODE_DIGITS]


def fenced(label: str, text: str, code: str) -> str:
    """Return the text inside its fence. `label` is one of our words, never a given text."""
    return f"<<<DATA {label} {code}>>>\n{neutralised(text)}\n<<<END {label} {code}>>>"


def neutralised(text: str) -> str:
    """Return the text without anything that looks like the beginning or end of a fence line.

    A text without three angle brackets in a row is returned as it is, apart from lone
    surrogates, which no request can carry.
    """
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not _ANGLE.search(text):
        return text
    return "".join(_pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces, each run of brackets as one."""
    start = 0
    while (match := _ANGLE.search(text, start)) is not None:
        yield text[start : match.start()]
        end, weight = _run(text, match.start())
        side = "<" if match[0] in _LEFT else ">"
        run = text[match.start() : end]
        yield " ".join(side * weight) if weight >= _SHORTEST_RUN else run
        start = end
    yield text[start:]


def _run(text: str, start: int) -> tuple[int, int]:
    """Return where the run of brackets that begins at `start` ends, and how many it looks like."""
    weights = _LEFT if text[start] in _LEFT else _RIGHT
    end, weight = start, 0
    for at in range(start, len(text)):
        if text[at] in weights:
            end, weight = at + 1, weight + weights[text[at]]
        elif not _is_invisible(text[at]):
            break
    return end, weight


def _is_invisible(character: str) -> bool:
    if character in _VISIBLE_CONTROLS:
        return False
    return (
        character in _INVISIBLE_LETTERS or unicodedata.category(character) in _INVISIBLE_CATEGORIES
    )
