"""A whole evaluation of another tool: prompts, examples with their checks, models, scorers.

What the readers of such formats share: the files they are given, since nothing that a file only
names is opened, and the result, which becomes files of a workspace.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from app.core.errors import Invalid
from app.core.hashing import JSON, ordered_json
from workbench.interchange.losses import LossReport
from workbench.interchange.prompts import ImportedPrompt

__all__ = [
    "MAX_EXAMPLES",
    "ForeignFile",
    "ImportedEvaluation",
    "check_count",
    "keyed",
    "slug",
]

MAX_EXAMPLES = 20_000
"""Most examples of one import, lists of values written out."""

_LONGEST_KEY = 60  # characters
_HASH_DIGITS = 12


@dataclass(frozen=True)
class ForeignFile:
    """A file that the user named: its path as given, and its text."""

    name: str
    text: str

    @property
    def base(self) -> str:
        """The last part of the path, by which another file may refer to it."""
        return PurePath(self.name).name

    @property
    def suffix(self) -> str:
        return PurePath(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        return PurePath(self.name).stem


@dataclass(frozen=True)
class ImportedEvaluation:
    """An evaluation in our own terms. `examples` are rows of a dataset file of ours.

    `models` is empty if none can be reached. `registered` are prompts by reference that need no
    file; `notes` what is left to do, in sentences; `reports` one for each file that was read.
    """

    name: str
    examples: Sequence[Mapping[str, JSON]]
    prompts: Sequence[ImportedPrompt] = ()
    registered: Sequence[str] = ()
    description: str = ""
    models: Sequence[str] = ()
    parameters: Mapping[str, JSON] | Sequence[Mapping[str, JSON]] = field(default_factory=dict)
    repetitions: int = 1
    scorers: Sequence[str | Mapping[str, JSON]] = ()
    notes: Sequence[str] = ()
    reports: Sequence[tuple[str, LossReport]] = ()


def slug(text: str, longest: int = _LONGEST_KEY) -> str:
    """Return the words of a text in lower-case ASCII with hyphens; empty if there are none."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if len(words) <= longest:
        return words
    return words[:longest].rpartition("-")[0] or words[:longest]


def check_count(count: int) -> None:
    """Raise `Invalid` for more examples than are taken."""
    if count > MAX_EXAMPLES:
        raise Invalid(
            f"Its tests become {count:,} examples, more than the {MAX_EXAMPLES:,} that are taken; "
            "lists of values multiply with each other."
        )


def keyed(rows: Sequence[tuple[str, Mapping[str, JSON]]]) -> Iterator[dict[str, JSON]]:
    """Yield each row with a key of its own: its description's words, else a hash of the input.

    Where several rows would share a key, each gets a hash of all its parts beside it, so that
    no key rests on a position. Rows that are equal in all parts come once.
    """
    different = {_digits([description, dict(row)]): (description, row) for description, row in rows}
    bases = [slug(told) or _digits(row.get("input")) for told, row in different.values()]
    shared = Counter(bases)
    for (digits, (_, row)), base in zip(different.items(), bases, strict=True):
        yield {"key": base if shared[base] == 1 else f"{base}-{digits}", **row}


def _digits(value: JSON) -> str:
    return hashlib.sha256(ordered_json(value).encode("utf-8", "replace")).hexdigest()[:_HASH_DIGITS]
