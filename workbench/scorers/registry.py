"""The closed list of scorers, and how a person names one.

A scorer is written as text, `NAME` or `NAME:option=value,option=value`, or as a mapping from
YAML or JSON, `{name: NAME, option: value}`. Both forms give the same scorer, with the same
identity; the details of the text form stand in `_options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from app.core.hashing import JSON
from workbench.scorers._options import (
    OptionDescription,
    build_config,
    described_options,
    listed,
    nearest,
    options_from_text,
)
from workbench.scorers.contains import Contains
from workbench.scorers.exact_match import ExactMatch
from workbench.scorers.interface import Scorer, ScorerConfig, ScorerConfigError
from workbench.scorers.json_field import JSONField
from workbench.scorers.json_schema import JSONSchema
from workbench.scorers.numeric_answer import NumericAnswer
from workbench.scorers.regex import Regex
from workbench.scorers.similarity import Similarity

__all__ = ["SCORERS", "ScorerDescription", "describe_scorers", "parse_scorer"]

_ALL: Final[tuple[type[Scorer[ScorerConfig]], ...]] = (
    Contains,
    ExactMatch,
    JSONField,
    JSONSchema,
    NumericAnswer,
    Regex,
    Similarity,
)

SCORERS: Final[Mapping[str, type[Scorer[ScorerConfig]]]] = MappingProxyType(
    {scorer.name: scorer for scorer in _ALL}
)
"""Every scorer by its name, in alphabetical order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorerDescription:
    """One scorer, as documentation lists it."""

    name: str
    version: int
    summary: str
    """One sentence."""
    range: tuple[float, float]
    options: tuple[OptionDescription, ...]


def parse_scorer(spec: str | Mapping[str, JSON]) -> Scorer[ScorerConfig]:
    """Build the scorer that a text or a mapping names.

    Raises `ScorerConfigError`, in a sentence that lists what there is, if the scorer or one of
    its options is unknown or cannot work as given.
    """
    if isinstance(spec, str):
        name, _, text = spec.partition(":")
        scorer = _scorer_class(name.strip())
        options = options_from_text(scorer.name, scorer.config_type, text)
    else:
        scorer = _scorer_class(spec.get("name"))
        options = {str(key): value for key, value in spec.items() if key != "name"}
    return scorer(build_config(scorer.name, scorer.config_type, options))


def describe_scorers() -> tuple[ScorerDescription, ...]:
    """Describe every scorer from the docstrings of its classes, in alphabetical order."""
    return tuple(
        ScorerDescription(
            name=scorer.name,
            version=scorer.version,
            summary=(scorer.__doc__ or "").strip(),
            range=scorer.range,
            options=described_options(scorer.config_type),
        )
        for scorer in SCORERS.values()
    )


def _scorer_class(name: JSON) -> type[Scorer[ScorerConfig]]:
    if not isinstance(name, str) or not name:
        raise ScorerConfigError(
            f"A scorer needs a name, as in {{name: contains}}. Scorers: {listed(SCORERS)}.",
            path="name",
        )
    if name not in SCORERS:
        raise ScorerConfigError(
            f"There is no scorer {name!r}{nearest(name, SCORERS)} Scorers: {listed(SCORERS)}.",
            path="name",
        )
    return SCORERS[name]
