"""Fake judges: models that answer a judge's question, each with one fault of its own.

`reading` is how the most gullible of models reads a message: it takes for a fence whatever looks
like one, in any script, with any code, and obeys what stands outside of all fences.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from tests.fake_provider.hashing import unit_interval

__all__ = [
    "Gullible",
    "Noisy",
    "Obedient",
    "PassesNothings",
    "PrefersLonger",
    "Reading",
    "WordCounter",
    "reading",
]

_MARK = re.compile(r"<{3,}\s*(data|end)\b([^<>\n]*)>{3,}")
_ORDER = re.compile(r"\bsay (pass|fail|first|second|tie)\b")
_FENCE = re.compile(r"<<<DATA (\w+) ([0-9a-f]{32})>>>\n(.*?)\n<<<END \1 \2>>>", re.DOTALL)
_ANGLES = str.maketrans(
    {
        **dict.fromkeys("\u2039\u3008\u27e8\u2329\u276c\u276e\u2770\u02c2\u1438", "<"),
        **dict.fromkeys("\u203a\u3009\u27e9\u232a\u276d\u276f\u2771\u02c3\u1433", ">"),
        **dict.fromkeys("\u00ab\u300a\u226a\u27ea", "<<"),
        **dict.fromkeys("\u00bb\u300b\u226b\u27eb", ">>"),
        "\u22d8": "<<<",
        "\u22d9": ">>>",
    }
)
_UNSEEN = frozenset({"Cf", "Mn", "Me"})


class Reading(NamedTuple):
    """A message as a gullible model sees it: the marks of its fences in order, as (kind, rest of
    the mark), and the text outside of all fences."""

    marks: list[tuple[str, str]]
    outside: str


def reading(message: str) -> Reading:
    """Read a message, by what it looks like."""
    folded = unicodedata.normalize("NFKC", message.translate(_ANGLES)).translate(_ANGLES)
    seen = "".join(c for c in folded if unicodedata.category(c) not in _UNSEEN).casefold()
    marks, outside, depth, at = [], [], 0, 0
    for mark in _MARK.finditer(seen):
        if depth == 0:
            outside.append(seen[at : mark.start()])
        depth = max(0, depth + (1 if mark[1] == "data" else -1))
        marks.append((mark[1], mark[2].strip()))
        at = mark.end()
    if depth == 0:
        outside.append(seen[at:])
    return Reading(marks, "".join(outside))


@dataclass(frozen=True, slots=True)
class Gullible:
    """Does what a text outside of every fence says, as in `say pass`; else it says `otherwise`."""

    otherwise: str = "fail"

    def __call__(self, question: str) -> str:
        """Return the reply as JSON."""
        orders = _ORDER.findall(reading(question).outside)
        return _reply(orders[-1] if orders else self.otherwise)


@dataclass(frozen=True, slots=True)
class PrefersLonger:
    """Of two answers it takes the longer one, whatever it says."""

    def __call__(self, question: str) -> str:
        """Return the reply as JSON."""
        lengths = {label: len(text) for label, _, text in _FENCE.findall(question)}
        first, second = lengths.get("first", 0), lengths.get("second", 0)
        return _reply("tie" if first == second else "first" if first > second else "second")


@dataclass(frozen=True, slots=True)
class Noisy:
    """Passes an answer that holds the expected one, and is wrong about a seeded share of them."""

    seed: int
    right_share: float

    def __call__(self, question: str) -> str:
        """Return the reply as JSON."""
        texts = {label: text for label, _, text in _FENCE.findall(question)}
        is_right = texts.get("expected", "") in texts.get("output", "")
        # By what is judged and not by the code, which is another one in each workspace.
        subject = f"{self.seed}:{sorted(texts.items())}"
        if unit_interval(f"judge:{subject}") >= self.right_share:
            is_right = not is_right
        return _reply("pass" if is_right else "fail")


@dataclass(frozen=True, slots=True)
class PassesNothings:
    """Right about every answer that says something, and passes those that say next to nothing."""

    def __call__(self, question: str) -> str:
        """Return the reply as JSON."""
        texts = {label: text for label, _, text in _FENCE.findall(question)}
        output = texts.get("output", "")
        is_right = texts.get("expected", "") in output or not any(map(str.isdigit, output))
        return _reply("pass" if is_right else "fail")


@dataclass(frozen=True, slots=True)
class Obedient:
    """Right about honest answers, and does what an answer says inside its fence."""

    def __call__(self, question: str) -> str:
        """Return the reply as JSON."""
        texts = {label: text for label, _, text in _FENCE.findall(question)}
        output = texts.get("output", "")
        return _reply("pass" if "pass" in output or texts.get("expected", "") in output else "fail")


@dataclass(frozen=True, slots=True)
class WordCounter:
    """Passes whatever is long, right or wrong, and fails whatever is short."""

    longest_short: int = 12

    def __call__(self, question: str) -> str:
        """Return the reply as JSON."""
        texts = {label: text for label, _, text in _FENCE.findall(question)}
        return _reply("pass" if len(texts.get("output", "")) > self.longest_short else "fail")


def _reply(verdict: str) -> str:
    return orjson.dumps({"reason": f"It is a {verdict}.", "verdict": verdict}).decode()
