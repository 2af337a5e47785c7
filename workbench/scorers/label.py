"""`label`: which of the allowed labels does the output name, and is it the expected one?

A label is named if it, or one of its aliases, stands in the output as whole words; case and
white space within it do not matter, and of labels that overlap (`spam`, `not spam`) the longer
one is read. An output that names one label once or often has found it. One that names several
is ambiguous, hence wrong: which one was meant cannot be told, and picking one would be luck.
The label found is stored with the score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass

from app.core.hashing import JSON
from workbench.scorers._expected import Texts, no_expected, unusable
from workbench.scorers._text import as_text, is_container, quoted
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoringInput,
)

__all__ = ["Label", "LabelConfig"]

_MAX_OUTPUT: Final = 100_000
_MAX_NAMES: Final = 500
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LabelConfig(ScorerConfig):
    """Options of `label`; `labels`, `aliases` or both are given."""

    labels: Texts = ()
    """The allowed labels."""
    aliases: dict[str, list[Name]] | None = None
    """Other names of labels, as in `{"billing": ["invoice", "payment"]}`; its keys are labels
    too."""
    whole: bool = False
    """The output must be one label and nothing else but punctuation and white space round it."""


class Label(Scorer[LabelConfig]):
    """Whether the one label that the output names is the expected one.

    Example: `label:labels=bug,other,aliases={"billing": ["invoice", "payment"]}`
    """

    name = "label"
    version = 1
    config_type = LabelConfig

    def __init__(self, config: LabelConfig) -> None:
        super().__init__(config)
        self._label_of = _names(config)
        # Longest first: of names that begin at the same place the longer one is read.
        names = sorted(self._label_of, key=lambda name: (-len(name), name))
        self._named = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)")

    def score(self, given: ScoringInput) -> ScoreResult:
        """Find the label; an output beyond 100,000 characters is `failed`."""
        if given.expected is None:
            return no_expected("label")
        expected = self._expected(given.expected)
        if expected is None:
            return unusable(given.expected, "none of the labels")
        if len(given.output) > _MAX_OUTPUT:
            return ScoreResult.failed(
                ReasonCode.SIZE_LIMIT,
                f"The output has {len(given.output):,} characters, more than {_MAX_OUTPUT:,}.",
            )
        found = self._found(given.output)
        if len(found) > 1:
            shown = ", ".join(quoted(label, 30) for label in found[:5])
            return ScoreResult.verdict(
                False, f"expected {quoted(expected)}, ambiguous: the output names {shown}"
            )
        if not found:
            return ScoreResult.verdict(
                False, f"expected {quoted(expected)}, no label in {quoted(given.output)}"
            )
        return ScoreResult.verdict(
            found[0] == expected,
            f"expected {quoted(expected)}, got {quoted(found[0])}",
            label=found[0],
        )

    def _expected(self, expected: JSON) -> str | None:
        return None if is_container(expected) else self._label_of.get(_normal(as_text(expected)))

    def _found(self, output: str) -> list[str]:
        """Return the different labels that the output names, in its order."""
        text = _normal(output)
        if self.config.whole:
            label = self._label_of.get(text) or self._label_of.get(_bare(text))
            return [] if label is None else [label]
        named = (self._label_of[match[0]] for match in self._named.finditer(text))
        return list(dict.fromkeys(named))


def _names(config: LabelConfig) -> dict[str, str]:
    """Return the label of each name; raises `ScorerConfigError` if a name means two labels."""
    labels: dict[str, Sequence[str]] = {
        **dict.fromkeys(config.labels, ()),
        **(config.aliases or {}),
    }
    if not labels:
        raise ScorerConfigError(
            "label: give the allowed labels, such as labels=billing,bug,other.", path="labels"
        )
    names: dict[str, str] = {}
    for label, aliases in labels.items():
        for name in (label, *aliases):
            key = _normal(name)
            if not key or names.setdefault(key, label) != label:
                fault = "is empty" if not key else f"means both {names[key]!r} and {label!r}"
                raise ScorerConfigError(f"label: the name {name!r} {fault}.", path="aliases")
    if len(names) > _MAX_NAMES:
        raise ScorerConfigError(
            f"label: {len(names)} names are more than {_MAX_NAMES}.", path="labels"
        )
    return names


def _normal(text: str) -> str:
    return _SPACE.sub(" ", text.casefold()).strip()


def _bare(text: str) -> str:
    """Return the text without what is no letter or digit at both ends."""
    start, end = 0, len(text)
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return text[start:end]
