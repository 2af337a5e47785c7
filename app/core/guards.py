"""Deterministic guards of texts: what must not go to a model, and what must not come from it.

A guard finds something (a pattern, the shape of a credential, personal data that can be told by
its form) and either refuses the text or masks what it found. Of an answer that streams, guards hold
back only what may still become a match, so that

- what leaves, in sum, is what masking the whole text at once gives, wherever the stream was cut;
- no part of a match ever leaves;
- no more than 4,096 characters are held back for each guard.

They fail closed: a match or a possible match that is longer, and a search that takes too long,
refuse the text. Guards apply one after the other, each to what the one before it let through.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

import regex
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.core.errors import WorkbenchError
from app.core.patterns import MAX_PATTERN, compile_stream_pattern

__all__ = [
    "LONGEST_MATCH",
    "Guard",
    "GuardAction",
    "GuardKind",
    "GuardRefused",
    "GuardedText",
    "InputGuard",
    "OutputGuard",
]

GuardKind: TypeAlias = Literal["regex", "secret", "email", "iban", "credit_card", "phone", "ipv4"]
GuardAction: TypeAlias = Literal["block", "mask"]

LONGEST_MATCH: Final = 4_096
"""Characters that a guard holds back at most; whatever might be longer is refused."""

_TIME_LIMIT_S: Final = 0.05  # of the thread's time, for one guard and one piece of text
_CONTEXT = 1  # characters before a piece of text that a boundary looks at


class Guard(BaseModel):
    """One rule about texts: what is looked for, and what happens to a text that has it.

    `block` refuses the whole text, `mask` puts `[label]` in the place of what was found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: GuardKind
    action: GuardAction = "block"
    pattern: str | None = Field(
        default=None,
        max_length=MAX_PATTERN,
        description="of kind regex: what is looked for, without anchors and lookaround",
    )
    label: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$",
        description="what a refusal and a mask call it; the kind if left out",
    )

    @property
    def name(self) -> str:
        """What a refusal and a mask call it."""
        return self.label or self.kind

    @model_validator(mode="after")
    def _only_a_regex_has_a_pattern(self) -> Guard:
        if (self.kind == "regex") != (self.pattern is not None):
            raise ValueError("a guard of kind regex needs a pattern, and no other kind takes one")
        if self.pattern is not None:
            try:
                compile_stream_pattern(self.pattern)
            except WorkbenchError as error:
                raise ValueError(error.message.rstrip(".")) from None
        return self


class GuardRefused(WorkbenchError):
    """A guard forbids the text; `name` is the guard's. The message repeats nothing of the text."""

    code = "guard_refused"

    def __init__(self, message: str, name: str, *, path: str | None = None) -> None:
        super().__init__(message, path=path)
        self.name = name


@dataclass(frozen=True, slots=True)
class GuardedText:
    """A text after its guards; `masked` are the names of those that masked something."""

    text: str
    masked: tuple[str, ...] = ()


class InputGuard:
    """Guards of texts that are there as a whole."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = tuple(guards)

    def check(self, text: str, *, path: str | None = None) -> GuardedText:
        """Return the text with what has to be masked; raises `GuardRefused` with the `path`."""
        masked: list[str] = []
        for guard in self._guards:
            stage = _Stage(guard, path)
            text = stage.finish(text)
            if stage.has_masked:
                masked.append(guard.name)
        return GuardedText(text, tuple(masked))


class OutputGuard:
    """Guards of one text that streams; made anew for each.

    After `GuardRefused` the stream is over: nothing more is to be fed.
    """

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._stages = tuple(_Stage(guard) for guard in guards)

    def feed(self, delta: str) -> str:
        """Take the next piece and return what may leave, maybe nothing; raises `GuardRefused`."""
        for stage in self._stages:
            if not delta:
                break
            delta = stage.feed(delta)
        return delta

    def finish(self) -> str:
        """Return the rest that may leave, now that nothing more comes; raises `GuardRefused`."""
        rest = ""
        for stage in self._stages:
            rest = stage.finish(rest)
        return rest

    @property
    def held(self) -> int:
        """How many characters are held back now."""
        return sum(stage.held for stage in self._stages)

    @property
    def masked(self) -> tuple[str, ...]:
        """The names of the guards that have masked something so far."""
        return tuple(stage.guard.name for stage in self._stages if stage.has_masked)


class _Stage:
    """One guard on its way through one text."""

    def __init__(self, guard: Guard, path: str | None = None) -> None:
        self.guard = guard
        self.has_masked = False
        self._path = path
        self._rule = _rule(guard.kind, guard.pattern)
        self._text = ""  # what is held back, with a little before it
        self._at = 0  # where that begins

    @property
    def held(self) -> int:
        return len(self._text) - self._at

    def feed(self, delta: str) -> str:
        """Return what may leave. A long piece is taken in parts, each within the time limit."""
        parts = [
            self._take(delta[start : start + LONGEST_MATCH], is_last=False)
            for start in range(0, len(delta), LONGEST_MATCH)
        ]
        return parts[0] if len(parts) == 1 else "".join(parts)

    def finish(self, rest: str) -> str:
        """Return all that may leave; `rest` is the end of the text."""
        return self._take(rest, is_last=True)

    def _take(self, delta: str, *, is_last: bool) -> str:
        self._text += delta
        try:
            safe = "".join(self._safe(is_last=is_last))
        except TimeoutError:
            raise self._refusal("takes too long to check") from None
        if self.held > LONGEST_MATCH:
            raise self._refusal("may hold something too long to check")
        kept = max(0, self._at - _CONTEXT)
        self._text, self._at = self._text[kept:], self._at - kept
        return safe

    def _safe(self, *, is_last: bool) -> Iterator[str]:
        """Yield what may leave and move on to what may not yet."""
        search = _Search(self._rule, self._text)
        while True:
            found = search.first(self._at, is_last=is_last)
            end = len(self._text) if found is None else found.start
            yield self._text[self._at : end]
            self._at = end
            if found is None or found.end is None:
                return
            if found.end - found.start > LONGEST_MATCH:
                raise self._refusal("holds something too long to check")
            if self.guard.action == "block":
                raise self._refusal("holds what must not be in it")
            self.has_masked = True
            yield f"[{self.guard.name}]"
            self._at = found.end

    def _refusal(self, told: str) -> GuardRefused:
        name = self.guard.name
        return GuardRefused(f"The text {told} (guard {name}).", name, path=self._path)


@dataclass(frozen=True, slots=True)
class _Found:
    """A match; without an `end` one that may still come about, or grow, from `start` on."""

    start: int
    end: int | None


class _Search:
    """Searches of one rule in one piece of text, within one time limit together."""

    def __init__(self, rule: _Rule, text: str) -> None:
        self._rule = rule
        self._text = text
        self._deadline = time.thread_time() + _TIME_LIMIT_S

    def first(self, at: int, *, is_last: bool) -> _Found | None:
        """Return the first match from a place on, or the first that is open if that comes earlier.

        Raises `TimeoutError`.
        """
        while at < len(self._text):
            match = self._rule.pattern.search(self._text, at, timeout=self._left())
            start = len(self._text) if match is None else match.start()
            if not is_last and (open_at := self._first_open(at, start)) is not None:
                return _Found(open_at, None)
            if match is None:
                return None
            length = self._rule.accepted(match[0])
            if length:
                return _Found(start, start + length)
            at = start + 1
        return None

    def _first_open(self, at: int, until: int) -> int | None:
        r"""Return the first place, up to `until`, from which all of the text may begin a match.

        With a `\b` the text without its last character counts as well: the boundary behind a last
        character depends on one that is not known yet.
        """
        ends = (len(self._text), len(self._text) - 1)[: 1 + self._rule.has_boundary]
        starts = (self._open_towards(end, at, until) for end in ends)
        return min((start for start in starts if start is not None), default=None)

    def _open_towards(self, end: int, at: int, until: int) -> int | None:
        pattern = self._rule.pattern
        match = pattern.search(self._text, at, end, partial=True, timeout=self._left())
        if match is None:
            return None
        if match.partial:  # there is no whole match, hence no open one hides behind it
            return match.start()
        for start in range(at, min(until, end) + 1):
            if pattern.fullmatch(self._text, start, end, partial=True, timeout=self._left()):
                return start
        return None

    def _left(self) -> float:
        left = self._deadline - time.thread_time()
        if left <= 0:
            raise TimeoutError
        return left


def _all(candidate: str) -> int:
    return len(candidate)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is searched for; `accepted` says how much of a candidate is one, 0 if nothing is."""

    pattern: regex.Pattern[str]
    accepted: Callable[[str], int] = _all
    has_boundary: bool = False


@lru_cache(maxsize=1_024)
def _rule(kind: GuardKind, pattern: str | None) -> _Rule:
    if pattern is not None:
        return _Rule(compile_stream_pattern(pattern), has_boundary=r"\b" in pattern)
    text, accepted = _KINDS[kind]
    return _Rule(regex.compile(text, regex.VERBOSE | regex.ASCII), accepted)


_GROUPS: Final = re.compile(r"[ -]")


def _card(candidate: str) -> int:
    """Return how much is a card's number: all of the digits in a row, if some groups of them are
    13 to 19 digits of which the last is right by Luhn's formula (ISO/IEC 7812-1, annex B). Which
    groups belong to the number cannot be told, so all are taken."""
    groups = _GROUPS.split(candidate)
    for first in range(len(groups)):
        for end in range(first + 1, len(groups) + 1):
            digits = "".join(groups[first:end])
            if 13 <= len(digits) <= 19 and _luhn(digits):
                return len(candidate)
    return 0


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _iban(candidate: str) -> int:
    """Return how much is an account's number: 15 to 34 characters whose check digits are right
    (ISO 13616, by ISO/IEC 7064, MOD 97-10). Words that follow the number look like more of it, so
    the longest groups from the first on that are right are taken."""
    groups = candidate.split(" ")
    for end in range(len(groups), 0, -1):
        characters = "".join(groups[:end])
        if 15 <= len(characters) <= 34 and _mod97(characters):
            return len(" ".join(groups[:end]))
    return 0


def _mod97(characters: str) -> bool:
    moved = characters[4:] + characters[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


# A match begins where no part of a longer word stands before it, and is bounded in length where
# common texts could go on and on: so little is held back.
_EMAIL: Final = r"""
    (?<![\w.%+-]) [\w.%+-]{1,64} @ (?:[A-Za-z0-9-]{1,63}\.){1,8} [A-Za-z]{2,24} (?![\w-])
"""
_IBAN: Final = r"(?<![A-Za-z0-9]) [A-Za-z]{2}\d{2} (?:[ ]?[A-Za-z0-9]){11,30} (?![A-Za-z0-9])"
_CREDIT_CARD: Final = r"(?<!\d) [2-6] (?:[ -]?\d){12,18} (?!\d)"
_PHONE: Final = r"(?<![\w+]) \+[1-9] (?:[ ().-]{0,2}\d){6,14} (?!\d)"  # ITU-T E.164
_IPV4: Final = r"""
    (?<![\w.]) (?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3} (?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)
    (?!\w)
"""
# Shapes that providers give their credentials, however long; a private key with what follows of it.
_CREDENTIAL: Final = r"""
    (?<![A-Za-z0-9_-])
    (?: sk-[A-Za-z0-9_-]{20,}
      | (?:[rsp]k|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,}
      | gh[opsur]_[A-Za-z0-9]{30,} | github_pat_[A-Za-z0-9_]{22,} | glpat-[A-Za-z0-9_-]{20,}
      | hf_[A-Za-z0-9]{30,} | gsk_[A-Za-z0-9]{30,} | xai-[A-Za-z0-9]{30,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,}
      | A(?:KI|SI)A[A-Z0-9]{16,}
      | AIza[A-Za-z0-9_-]{35,}
      | wb_[A-Za-z0-9]{4,20}_[A-Za-z0-9_-]{40,}
      | eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]*
    )
  | -----BEGIN[ ](?:[A-Z0-9]{1,12}[ ]){0,3}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
    (?: [^-]{0,3800} -----END[ ](?:[A-Z0-9]{1,12}[ ]){0,3}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
      | [A-Za-z0-9+/=\s:,]{0,3800} )
"""
_KINDS: Final[dict[GuardKind, tuple[str, Callable[[str], int]]]] = {
    "secret": (_CREDENTIAL, _all),
    "email": (_EMAIL, _all),
    "iban": (_IBAN, _iban),
    "credit_card": (_CREDIT_CARD, _card),
    "phone": (_PHONE, _all),
    "ipv4": (_IPV4, _all),
}
