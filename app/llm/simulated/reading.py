"""What a request says, before anything is answered.

A chat request mixes three things in free text: *instructions* (what to do and in which form),
*examples* of the task with their answers, and the *material* to work on. They are told apart by
the means that prompt authors use: roles, fences (triple backticks or quotes, tags), headings
such as `Ticket:` at the start of a line, and blank lines. What cannot be told apart counts as
both instructions and material.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TypeVar, cast

from app.core.hashing import JSON

__all__ = ["Example", "Instructions", "Reading", "read", "stems", "text_of"]

T = TypeVar("T")

_CLOSING_TAG = re.compile(r"</([a-z_-]{1,30})>")
_LANGUAGE = re.compile(r"^\w{0,20}\n")
_HEADING = re.compile(
    r"^[ \t]*(?:the )?(?:support |customer )?"
    r"(?:ticket|text|question|problem|message|e-?mail|input|review|article|comment|content)"
    r"[ \t]*:[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_OPEN_ANSWER = re.compile(r"\n[ \t]*[A-Z][\w -]{0,20}:[ \t]*\Z")
_ORDER = re.compile(
    r"\b(?:classif|categori|extract|summari[sz]|translat|solve|answer|label|sort|triage|route|"
    r"calculat|decide|find|give|return|reply|read|write|list|identify|tell|which|what|turn)",
    re.IGNORECASE,
)
_ARROW_EXAMPLE = re.compile(
    r"^[ \t\-*•]*(?:\w{1,20}:[ ]?)?[\"“']?(?P<given>[^\n]{8,400}?)[\"”']? ?(?:->|=>|→) ?"
    r"[\"“'`]?(?P<answer>[\w -]{1,30}?)[\"”'`]?[.]?[ \t]*$",
    re.MULTILINE,
)
_LINE_EXAMPLE = re.compile(
    r"^[ \t]*(?:ticket|text|question|problem|message|input|review|example)[ \t]*:[ \t]*"
    r"(?P<given>[^\n]+)\n[ \t]*[A-Z][\w ]{0,20}:[ \t]*(?P<answer>[^\n]{1,40})$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example of the task that the request gives."""

    stems: frozenset[str]
    """The telling words of its input."""
    answer: str


_READS = 8_000
"""Characters of a message that are read; the rest is as if it were not there."""


class Instructions:
    """The text of a prompt, with what has been found in it so far.

    The same prompt comes with each example of a dataset: what depends on it alone is found once.
    """

    __slots__ = ("_asked", "_found", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._asked: dict[re.Pattern[str], bool] = {}
        self._found: dict[Callable[[str], object], object] = {}

    def ask(self, pattern: re.Pattern[str]) -> bool:
        """Whether the text contains `pattern`."""
        if pattern not in self._asked:
            self._asked[pattern] = pattern.search(self.text) is not None
        return self._asked[pattern]

    def find(self, finder: Callable[[str], T]) -> T:
        """Return what `finder`, a pure function, finds in the text."""
        if finder not in self._found:
            self._found[finder] = finder(self.text)
        return cast(T, self._found[finder])


@dataclass(frozen=True)
class Reading:
    """A request, taken apart."""

    instructions: Instructions
    material: str
    examples: tuple[Example, ...]

    def asks(self, pattern: re.Pattern[str]) -> bool:
        """Whether the instructions contain `pattern`."""
        return self.instructions.ask(pattern)

    @cached_property
    def lower(self) -> str:
        """The material in lower case."""
        return self.material.lower()

    @cached_property
    def words(self) -> frozenset[str]:
        """The stems of the material's telling words."""
        return stems(self.material)


_LETTERS = re.compile(r"[^\W\d_]{3,}")
_STEM = 5
_COMMON_WORDS = (
    "the and for not are was may get who what that this with else all from does how our you your "
    "has have will can but any its they them there one out too now when where why which than then "
    "been were had did his her she him per also only just like into about after before over more "
    "some such very every everything"
)
_EVERYWHERE = frozenset(word[:_STEM] for word in _COMMON_WORDS.split())
"""Words that say nothing of a text's subject."""


def stems(text: str) -> frozenset[str]:
    """Return the first five letters of every telling word of three letters or more.

    Five letters join most inflected forms (`refund`, `refunded`) and part most words.
    """
    words = {word[:_STEM] for word in _LETTERS.findall(text.lower())}
    return frozenset(words - _EVERYWHERE)


def read(messages: Sequence[Mapping[str, JSON]]) -> Reading:
    """Take a request apart; a request without a user message has empty material."""
    turns = [(str(message.get("role")), text_of(message)[:_READS]) for message in messages]
    system = [text for role, text in turns if role in ("system", "developer")]
    dialogue = [(role, text) for role, text in turns if role in ("user", "assistant")]
    last = max((i for i, (role, _) in enumerate(dialogue) if role == "user"), default=-1)
    if last < 0:
        return Reading(_instructions("\n".join(system)), "", ())
    order, material = _split(dialogue[last][1], has_system=bool(system))
    instructions = _instructions("\n".join([*system, order]).strip())
    examples = (*_turn_examples(dialogue[:last]), *instructions.find(_examples_in))
    return Reading(instructions, material, examples)


@lru_cache(maxsize=32)
def _instructions(text: str) -> Instructions:
    """Return the one object for a text, so that what is found in it is kept for a while."""
    return Instructions(text)


def text_of(message: Mapping[str, JSON]) -> str:
    """Return the text of a message whose content is a text or a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, Mapping))
    return "".join(part for part in parts if isinstance(part, str))


def _split(text: str, *, has_system: bool) -> tuple[str, str]:
    """Return (order, material) of the last user message."""
    for outside, inner in _fenced(text):
        # A fence holds the material if nothing else is there, or if an order stands outside.
        if not outside.strip() or _ORDER.search(outside):
            return outside, inner.strip()
    heading = _last_heading(text)
    if heading is not None:
        return text[: heading.start()], _OPEN_ANSWER.sub("", text[heading.end() :]).strip()
    if has_system:
        return "", text.strip()
    return _split_paragraphs(text)


def _fenced(text: str) -> Iterator[tuple[str, str]]:
    """Yield (outside, inside) for the last fence of each kind: tags, backticks, quotes."""
    for tag in list(_CLOSING_TAG.finditer(text))[-1:]:
        opening = f"<{tag[1]}>"
        start = text.find(opening)
        if 0 <= start < tag.start():
            yield text[:start] + text[tag.end() :], text[start + len(opening) : tag.start()]
    for mark in ("```", '"""'):
        parts = text.rsplit(mark, 2)
        if len(parts) == 3:
            yield parts[0] + parts[2], _LANGUAGE.sub("", parts[1])


def _last_heading(text: str) -> re.Match[str] | None:
    """Return the heading that opens the material: it stands first, or after an order."""
    headings = list(_HEADING.finditer(text))
    if not headings or (
        headings[0].start() > 0 and not _ORDER.search(text, 0, headings[0].start())
    ):
        return None
    return headings[-1]


def _split_paragraphs(text: str) -> tuple[str, str]:
    """Return (order, material), where the order is the first or the last paragraph."""
    first, gap, rest = text.strip().partition("\n\n")
    if not gap:
        return text, text.strip()
    if _ORDER.search(first):
        return first, rest.strip()
    before, _, final = text.strip().rpartition("\n\n")
    return (final, before) if _ORDER.search(final) else (first, rest.strip())


def _turn_examples(dialogue: Sequence[tuple[str, str]]) -> list[Example]:
    """Return the earlier turns that were answered."""
    return [
        Example(stems(_split(asked, has_system=True)[1]), answered)
        for (role, asked), (next_role, answered) in pairwise(dialogue)
        if role == "user" and next_role == "assistant"
    ]


def _examples_in(instructions: str) -> list[Example]:
    """Return the examples written into the instructions (`text -> label`, or two lines)."""
    found = [*_ARROW_EXAMPLE.finditer(instructions), *_LINE_EXAMPLE.finditer(instructions)]
    return [Example(stems(match["given"]), match["answer"].strip()) for match in found]
