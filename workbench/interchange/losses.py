"""What a conversion does not carry over, field by field.

A `Source` is a parsed document of another tool. A reader takes from it what it uses and names
what it does not; `finish` names whatever was neither taken nor named, so that no leaf of the
document can vanish in silence. Values are shown shortened, with control characters escaped;
a value that is or may be a secret is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeGuard

from app.core.hashing import JSON, ordered_json
from app.core.redaction import Redactor

__all__ = [
    "WITHHELD",
    "FieldPath",
    "Loss",
    "LossReport",
    "Severity",
    "Source",
    "is_reference",
    "is_secret_name",
    "leaves",
    "path_text",
    "shown",
]

FieldPath: TypeAlias = tuple[str | int, ...]
Severity = Literal["dropped", "changed"]

WITHHELD = "(not shown: may be a secret)"

_AMBIGUOUS = "read as this text; readers of YAML 1.1 take it for another value"
_LONGEST_SHOWN = 80  # characters
_SECRET_NAME = re.compile(
    r"(api|access|account|private|signing|subscription|master|encryption|salt)[-_. ]?key"
    r"|key$|token$|secret|passw|pass$|pwd|passphrase|(^|_|-)pat$|bearer|credential"
    r"|authorization|(^|_|-)auth($|_|-)|^env$|^environment_variables$"
    r"|connection_?string|headers?$|cookie|database_?url|dsn$|webhook",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$\{(env|file):[^}]*\}|^os\.environ/|^(file|https?)://", re.IGNORECASE)
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_REDACT = Redactor()


@dataclass(frozen=True)
class Loss:
    """One thing that is not carried over as it was.

    `path` is where it stood, as people write it (`model.configuration.api_key`, or
    `body, line 12`); `was` what stood there, shortened; `why` one clause. A loss that
    `changes_meaning` makes a model see another text than before: such a conversion is
    refused unless it is asked for.
    """

    path: str
    was: str
    why: str
    severity: Severity = "dropped"
    changes_meaning: bool = False

    def to_json(self) -> dict[str, JSON]:
        return {
            "path": self.path,
            "was": self.was,
            "why": self.why,
            "severity": self.severity,
            "changes_meaning": self.changes_meaning,
        }


@dataclass(frozen=True)
class LossReport:
    """All losses of one conversion, in the order of the document. Empty: nothing was lost."""

    losses: tuple[Loss, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.losses)

    def __iter__(self) -> Iterator[Loss]:
        return iter(self.losses)

    def __len__(self) -> int:
        return len(self.losses)

    @property
    def of_meaning(self) -> tuple[Loss, ...]:
        """Those after which a model would see another text."""
        return tuple(loss for loss in self.losses if loss.changes_meaning)


def is_secret_name(name: str) -> bool:
    """Whether a field with this name may hold a credential."""
    return _SECRET_NAME.search(name) is not None


def is_reference(value: object) -> bool:
    """Whether a text points to an environment variable, a file or an address."""
    return isinstance(value, str) and _REFERENCE.search(value) is not None


def path_text(path: FieldPath) -> str:
    """Return a path as people write it: `models[0].prices`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f"{'.' if text else ''}{_escaped(part)}"
    return text


def shown(value: JSON) -> str:
    """Return a value for people: one line, at most 80 characters, nothing secret in it."""
    safe = _without_secrets(value)
    text = safe if isinstance(safe, str) else ordered_json(safe)
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[: _LONGEST_SHOWN - 1]}…"


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda match: _escape(match[0]), text)


def _escape(character: str) -> str:
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return named.get(character, f"\\u{ord(character):04x}")


def _without_secrets(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {
            _escaped(key): WITHHELD if is_secret_name(key) else _without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, str):
        return _escaped(_REDACT(value))
    if isinstance(value, Sequence):
        return [_without_secrets(item) for item in value]
    return value


def leaves(value: JSON, path: FieldPath = ()) -> Iterator[tuple[FieldPath, JSON]]:
    """Yield every scalar and every empty collection below `path`, with its place."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


@dataclass
class Source:
    """A document that is being read: its value, what was taken, and the losses so far."""

    value: JSON
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why a field has no counterpart, by its path without indexes; a parent's holds for parts."""

    ambiguous: Sequence[tuple[FieldPath, str]] = ()
    """Words that some readers take for another value than the text that was read here."""

    _covered: set[FieldPath] = field(default_factory=set)
    _lost: set[FieldPath] = field(default_factory=set)
    _losses: list[Loss] = field(default_factory=list)

    def at(self, *path: str | int) -> JSON:
        """Return what stands at a path, None if nothing does. Does not take it."""
        value = self.value
        for part in path:
            if isinstance(part, str) and isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(part, int) and _is_list(value) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def take(self, *path: str | int) -> JSON:
        """Return what stands at a path with all its parts, and count it as carried over."""
        self._covered.add(path)
        return self.at(*path)

    def text(self, *path: str | int) -> str:
        """Take a text; the empty text if there is none. Anything else is named as a loss."""
        value = self.at(*path)
        if isinstance(value, str):
            return str(self.take(*path))
        if value is None:
            self._covered.add(path)
        else:
            self.lose(path, "this must be a text")
        return ""

    def keys(self, *path: str | int) -> Collection[str]:
        """Return the keys of the mapping at a path; none if there is no mapping."""
        value = self.at(*path)
        return list(value) if isinstance(value, Mapping) else []

    def length(self, *path: str | int) -> int:
        """Return how many items the list at a path has; 0 if there is no list."""
        value = self.at(*path)
        return len(value) if _is_list(value) else 0

    def lose(
        self,
        path: FieldPath,
        why: str,
        severity: Severity = "dropped",
        *,
        changes_meaning: bool = False,
    ) -> None:
        """Name what stands at `path`, with all its parts, as a loss."""
        self._covered.add(path)
        self._lost.add(path)
        secret = any(isinstance(part, str) and is_secret_name(part) for part in path)
        was = WITHHELD if secret else shown(self.at(*path))
        self._losses.append(Loss(path_text(path), was, why, severity, changes_meaning))

    def note(
        self,
        place: str,
        was: str,
        why: str,
        severity: Severity = "changed",
        *,
        changes_meaning: bool = False,
    ) -> None:
        """Name a loss at a place that is no field of the document, as in a text's line."""
        self._losses.append(Loss(_escaped(place), shown(was), why, severity, changes_meaning))

    def finish(self) -> LossReport:
        """Name everything that was neither taken nor named, and return the report.

        What was named twice in the same words is told once.
        """
        begun = {path[:length] for path in self._covered for length in range(len(path))}
        for path in list(self._untouched(self.value, (), begun)):
            self.lose(path, self._reason(path))
        for path, word in self.ambiguous:
            if not any(path[:length] in self._lost for length in range(len(path) + 1)):
                self.note(path_text(path), word, _AMBIGUOUS)
        self.ambiguous = ()
        return LossReport(tuple(dict.fromkeys(self._losses)))

    def uncovered(self) -> list[FieldPath]:
        """Return the leaves that were neither taken nor named."""
        return [path for path, _ in leaves(self.value) if not self._is_covered(path)]

    def _is_covered(self, path: FieldPath) -> bool:
        return any(path[:length] in self._covered for length in range(len(path) + 1))

    def _untouched(
        self, value: JSON, path: FieldPath, begun: Collection[FieldPath]
    ) -> Iterator[FieldPath]:
        """Yield the highest places below which nothing was taken or named.

        `begun` are the places below which something was. A place that holds secrets, or parts
        with reasons of their own, is named part by part.
        """
        if path in self._covered:
            return
        if value and (not path or self._is_told_in_parts(value, path, begun)):
            for key, item in _entries(value):
                yield from self._untouched(item, (*path, key), begun)
        elif path:
            yield path

    def _is_told_in_parts(self, value: JSON, path: FieldPath, begun: Collection[FieldPath]) -> bool:
        if isinstance(value, str) or not isinstance(value, (Mapping, Sequence)):
            return False
        prefix = ".".join(part for part in path if isinstance(part, str)) + "."
        return (
            path in begun
            or any(reason.startswith(prefix) for reason in self.reasons)
            or any(is_secret_name(str(place[-1])) for place, _ in leaves(value, path))
        )

    def _reason(self, path: FieldPath) -> str:
        names = [part for part in path if isinstance(part, str)]
        for length in range(len(names), 0, -1):
            if reason := self.reasons.get(".".join(names[:length])):
                return reason
        if is_secret_name(names[-1] if names else ""):
            return "keys and other secrets are never imported"
        return "there is no such field here"


def _entries(value: JSON) -> Iterator[tuple[str | int, JSON]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif _is_list(value):
        yield from enumerate(value)


def _is_list(value: JSON) -> TypeGuard[Sequence[JSON]]:
    return isinstance(value, Sequence) and not isinstance(value, str)
