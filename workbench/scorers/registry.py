"""The closed list of scorers, and how a person names one.

A scorer is written as text, `NAME` or `NAME:option=value,option=value`, or as a mapping from
YAML or JSON, `{name: NAME, option: value}`. Both forms give the same scorer, with the same
identity; the details of the text form stand in `_options`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from app.core.hashing import JSON
from workbench.scorers._options import (
    OptionDescription,
    ScorerSpec,
    build_config,
    described_options,
    nearest,
    option_kinds,
    options_from_text,
)
from workbench.scorers.affixes import EndsWith, StartsWith
from workbench.scorers.checks import Checks
from workbench.scorers.composites import (
    MAX_DEPTH,
    AllOf,
    AnyOf,
    AtLeast,
    Composite,
    Not,
    Threshold,
    Weighted,
)
from workbench.scorers.contains import Contains
from workbench.scorers.contains_several import ContainsAll, ContainsAny
from workbench.scorers.date import DateAnswer
from workbench.scorers.exact_match import ExactMatch
from workbench.scorers.facts import Cost, FinishReason, Latency, Tokens
from workbench.scorers.html_valid import HTMLValid
from workbench.scorers.interface import AnyScorer, Scorer, ScorerConfig, ScorerConfigError
from workbench.scorers.json_field import JSONField
from workbench.scorers.json_path import JSONPath
from workbench.scorers.json_schema import JSONSchema
from workbench.scorers.json_subset import JSONSubset
from workbench.scorers.json_valid import JSONValid
from workbench.scorers.judges.kinds import JUDGES
from workbench.scorers.label import Label
from workbench.scorers.length import Length
from workbench.scorers.ngrams import Gleu, RougeL, RougeN
from workbench.scorers.numeric_answer import NumericAnswer
from workbench.scorers.overlap import ListOverlap, SetOverlap
from workbench.scorers.refusal import Refusal
from workbench.scorers.regex import Regex
from workbench.scorers.similarity import EditDistance, Similarity
from workbench.scorers.team import TEAM_PREFIX, stored_team_scorer
from workbench.scorers.tool_calls import ToolCallOverlap, ToolCalls, ToolCallsValid
from workbench.scorers.translation import Bleu, Chrf
from workbench.scorers.xml_valid import XMLValid

__all__ = [
    "SCORERS",
    "ScorerDescription",
    "describe_judges",
    "describe_scorers",
    "parse_rule",
    "parse_scorer",
]

# fmt: off
_ALL: Final[tuple[type[Scorer[Any]], ...]] = (
    AllOf, AnyOf, AtLeast, Bleu, Checks, Chrf, Contains, ContainsAll, ContainsAny, Cost,
    DateAnswer, EditDistance, EndsWith, ExactMatch, FinishReason, Gleu, HTMLValid, JSONField,
    JSONPath, JSONSchema, JSONSubset, JSONValid, Label, Latency, Length, ListOverlap, Not,
    NumericAnswer, Refusal, Regex, RougeL, RougeN, SetOverlap, Similarity, StartsWith, Threshold,
    Tokens, ToolCallOverlap, ToolCalls, ToolCallsValid, Weighted, XMLValid,
)
# fmt: on

SCORERS: Final[Mapping[str, type[Scorer[ScorerConfig]]]] = MappingProxyType(
    {scorer.name: scorer for scorer in sorted(_ALL, key=lambda scorer: scorer.name)}
)
"""Every scorer by its name, in alphabetical order."""

_EXAMPLE: Final = re.compile(r"^\s*Example: `(.+)`$", re.MULTILINE)
_SEE_LIST: Final = "All of them: `workbench scorers list`."
_BY_NAME: Final[Mapping[str, type[AnyScorer[ScorerConfig]]]] = MappingProxyType(
    {**SCORERS, **{judge.name: judge for judge in JUDGES}}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorerDescription:
    """One scorer, as documentation lists it."""

    name: str
    version: int
    summary: str
    """One sentence."""
    example: str
    """How it may be named, as in `length:max=50`."""
    range: tuple[float, float]
    options: tuple[OptionDescription, ...]


def parse_scorer(spec: str | Mapping[str, JSON]) -> AnyScorer[ScorerConfig]:
    """Build the scorer, rule or judge, that a text or a mapping names.

    Raises `ScorerConfigError`, in a sentence that says where to look, if the scorer or one of
    its options is unknown or cannot work as given.
    """
    return _parse(spec, depth=0)


def _parse(spec: ScorerSpec | Mapping[str, JSON], depth: int) -> AnyScorer[ScorerConfig]:
    if isinstance(spec, str):
        name, _, text = spec.partition(":")
        scorer = _scorer_class(name.strip())
        options = options_from_text(scorer.name, option_kinds(scorer.config_type), text)
    else:
        if "source" in spec and str(spec.get("name")).startswith(TEAM_PREFIX):
            return stored_team_scorer(spec)
        scorer = _scorer_class(spec.get("name"))
        options = _options(spec)
    config = build_config(scorer.name, scorer.config_type, options)
    if issubclass(scorer, Composite):
        return scorer(config, _parts(scorer, config, depth))
    if issubclass(scorer, Checks):
        return scorer(config, parse_rule)  # type: ignore[arg-type]  # built as its config_type
    return scorer(config)


def _options(spec: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the options of `{name, option: value}`, or of an identity, which is how a stored
    composite names its parts: `{name, version, config}`."""
    config = spec.get("config")
    if spec.keys() == {"name", "version", "config"} and isinstance(config, Mapping):
        return {str(key): value for key, value in config.items()}
    return {str(key): value for key, value in spec.items() if key != "name"}


def _parts(
    composite: type[Composite[Any]], config: ScorerConfig, depth: int
) -> list[Scorer[ScorerConfig]]:
    if depth == MAX_DEPTH:
        raise ScorerConfigError(
            f"{composite.name}: scorers stand in scorers more than {MAX_DEPTH} deep.",
            path=composite.part_option,
        )
    parts = []
    for spec in composite.named_parts(config):
        part = _parse(spec, depth + 1)
        if not isinstance(part, Scorer):
            raise ScorerConfigError(
                f"{composite.name}: {part.name} asks a model; only rules can be parts.",
                path=composite.part_option,
            )
        parts.append(part)
    return parts


def parse_rule(spec: str | Mapping[str, JSON]) -> Scorer[ScorerConfig]:
    """Build a scorer that needs no model; raises `ScorerConfigError` also for a judge."""
    scorer = parse_scorer(spec)
    if not isinstance(scorer, Scorer):
        raise ScorerConfigError(f"{scorer.name} asks a model; a rule is needed here.", path="name")
    return scorer


def describe_scorers() -> tuple[ScorerDescription, ...]:
    """Describe every rule from the docstrings of its classes, in alphabetical order."""
    return _described(SCORERS.values())


def describe_judges() -> tuple[ScorerDescription, ...]:
    """Describe every judge, likewise."""
    return _described(JUDGES)


def _described(scorers: Iterable[type[AnyScorer[ScorerConfig]]]) -> tuple[ScorerDescription, ...]:
    return tuple(
        ScorerDescription(
            name=scorer.name,
            version=scorer.version,
            summary=_summary(scorer),
            example=_example(scorer),
            range=scorer.range,
            options=described_options(scorer.config_type),
        )
        for scorer in scorers
    )


def _summary(scorer: type[AnyScorer[ScorerConfig]]) -> str:
    return " ".join((scorer.__doc__ or "").partition("\n\n")[0].split())


def _example(scorer: type[AnyScorer[ScorerConfig]]) -> str:
    """Return the example of the class's docstring; the bare name without one."""
    written = _EXAMPLE.search(scorer.__doc__ or "")
    return scorer.name if written is None else written[1]


def _scorer_class(name: JSON) -> type[AnyScorer[ScorerConfig]]:
    if not isinstance(name, str) or not name:
        raise ScorerConfigError(
            f"A scorer needs a name, as in {{name: contains}}. {_SEE_LIST}",
            path="name",
        )
    if name.startswith(TEAM_PREFIX):
        raise ScorerConfigError(
            f"{name} is a function of a workspace's folder scorers/ and can only be named inside "
            "that workspace, and not as a part of another scorer.",
            path="name",
        )
    if name not in _BY_NAME:
        raise ScorerConfigError(
            f"There is no scorer {name!r}{nearest(name, _BY_NAME)} {_SEE_LIST}",
            path="name",
        )
    return _BY_NAME[name]
