"""What a request says, before anything is answered.

A chat request mixes three things in free text: *instructions* (what to do and in which form),
*examples* of the task with their answers, and the *material* to work on. They are told apart by
the means that prompt authors use: roles, fences (triple backticks or quotes, tags), headings
such as `Ticket:` at the start of a line, and blank lines. What cannot be told apart counts as
both instructions and material.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from app.core.hashing import JSON

__all__ = ["Example", "Reading", "read"]

_FENCED = re.compile(r'```\w*\n?(.*?)```|"""(.*?)"""|<([a-z_-]+)>(.*?)</\3>', re.DOTALL)
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
    r"^[\s\-*•]*(?:\w+:[ ]*)?[\"“']?(?P<given>[^\n]{8,400}?)[\"”']?[ ]*(?:->|=>|→)[ ]*"
    r"[\"“'`]?(?P<answer>[\w -]{1,30}?)[\"”'`]?[.]?[ ]*$",
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

    given: str
    answer: str


@dataclass(frozen=True)
class Reading:
    """A request, taken apart."""

    instructions: str
    material: str
    examples: tuple[Example, ...]

    def asks(self, pattern: re.Pattern[str]) -> bool:
        """Whether the instructions contain `pattern`."""
        return pattern.search(self.instructions) is not None

    @cached_property
    def words(self) -> frozenset[str]:
        """The material's words in lower case, cut to the stem that `stem` gives."""
        return stems(self.material)


_LETTERS = re.compile(r"[^\W\d_]{3,}")
_STEM = 5


def stems(text: str) -> frozenset[str]:
    """Return the first five letters of every word of three letters or more, in lower case.

    Five letters join most inflected forms (`refund`, `refunded`) and part most words.
    """
    return frozenset(word[:_STEM] for word in _LETTERS.findall(text.lower()))


def read(messages: Sequence[Mapping[str, JSON]]) -> Reading:
    """Take a request apart; a request without a user message has empty material."""
    turns = [(str(message.get("role", "user")), _text(message)) for message in messages]
    system = [text for role, text in turns if role in ("system", "developer")]
    dialogue = [(role, text) for role, text in turns if role in ("user", "assistant")]
    last = max((i for i, (role, _) in enumerate(dialogue) if role == "user"), default=-1)
    if last < 0:
        return Reading("\n".join(system), "", ())
    order, material = _split(dialogue[last][1], has_system=bool(system))
    instructions = "\n".join([*system, order]).strip()
    return Reading(
        instructions, material, (*_turn_examples(dialogue[:last]), *_examples_in(instructions))
    )


def _text(message: Mapping[str, JSON]) -> str:
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
    fences = list(_FENCED.finditer(text))
    if fences:
        fence = fences[-1]
        inner = next(group for group in (fence[1], fence[2], fence[4]) if group is not None)
        return text[: fence.start()] + text[fence.end() :], inner.strip()
    heading = _last_heading(text)
    if heading is not None:
        return text[: heading.start()], _OPEN_ANSWER.sub("", text[heading.end() :]).strip()
    if has_system:
        return "", text.strip()
    return _split_paragraphs(text)


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
    pairs = zip(dialogue, dialogue[1:], strict=False)
    return [
        Example(_split(asked, has_system=True)[1], answered)
        for (role, asked), (next_role, answered) in pairs
        if role == "user" and next_role == "assistant"
    ]


def _examples_in(instructions: str) -> list[Example]:
    """Return the examples written into the instructions (`text -> label`, or two lines)."""
    found = [*_ARROW_EXAMPLE.finditer(instructions), *_LINE_EXAMPLE.finditer(instructions)]
    return [Example(match["given"], match["answer"].strip()) for match in found]
