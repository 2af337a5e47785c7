"""`checks`: does the output pass the checks that its own example carries?

Other scorers ask the same of every output. Here each example says in its metadata what is asked
of its output, as test files of other tools do:

    {"input": {...}, "metadata": {"checks": ["contains:text=Paris", {"name": "length", "max": 80}]}}

or, with weights and a threshold,

    {"threshold": 0.7, "checks": [
        {"scorer": "contains:text=Paris", "weight": 2},
        {"scorer": {"name": "weighted", "scorers": ["rouge_l"], "threshold": 0.5},
         "expected": "Paris is the capital of France."},
        {"checks": [...], "threshold": 0.5}]}

A check is a rule as anywhere else; `expected` takes the place of the example's expected output
for this check alone. Without a threshold the output passes if every check passes, with one if
the weighted mean of the values reaches it. A group of checks is one check.

Checks are data: only rules run (no judge, no team's function, no `checks` inside), at most
`MAX_CHECKS` an example, groups at most `MAX_GROUPS` deep. As for other scorers made of scorers,
one check without a value leaves the whole without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from app.core.hashing import JSON, ordered_json
from workbench.scorers._text import quoted
from workbench.scorers.composites import Composite
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoreStatus,
    ScoringInput,
    run_scorer,
)

__all__ = ["CHECKS_FIELD", "MAX_CHECKS", "MAX_GROUPS", "Checks", "ChecksConfig"]

CHECKS_FIELD: Final = "checks"
"""The metadata column that is read unless another one is named."""

MAX_CHECKS: Final = 100
"""Most checks of one example, those in groups included."""

MAX_GROUPS: Final = 5
"""How deep groups may stand in groups."""

_REMEMBERED: Final = 1_000  # parsed groups of checks
_SHOWN_FAILURES: Final = 3

ParseRule: TypeAlias = Callable[[str | Mapping[str, JSON]], Scorer[ScorerConfig]]


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ChecksConfig(ScorerConfig):
    """Options of `checks`."""

    field: str = Field(default=CHECKS_FIELD, min_length=1)
    """The metadata column that holds each example's checks."""
    graded: bool = False
    """Give the weighted mean of the checks' values instead of 0 or 1."""


class Checks(Scorer[ChecksConfig]):
    """Whether the output passes the checks that its own example carries.

    Example: `checks:graded=true`
    """

    name = "checks"
    # Whoever raises the version of a rule raises this one, since checks name rules in data.
    version = 2
    config_type = ChecksConfig

    def __init__(self, config: ChecksConfig, parse_rule: ParseRule) -> None:
        super().__init__(config)
        self._parse_rule = parse_rule
        self._parsed = lru_cache(maxsize=_REMEMBERED)(self._parse)

    @property
    def binary(self) -> bool:
        """Unless the mean is asked for."""
        return not self.config.graded

    def score(self, given: ScoringInput) -> ScoreResult:
        """Run the example's checks; checks that cannot be read are `failed`."""
        value = given.metadata.get(self.config.field)
        if value is None or value in ([], {}):
            return ScoreResult.unscored(
                ReasonCode.NO_EXPECTED, f"The example has no {self.config.field} in its metadata."
            )
        try:
            group = self._parsed(_Shape(value))
        except ScorerConfigError as error:
            return ScoreResult.failed(ReasonCode.WRONG_TYPE, f"Its checks: {error.message}")
        result = group.run(given)
        if result.value is None or self.config.graded:
            return result
        return ScoreResult.verdict(result.passed is True, result.explanation)

    def _parse(self, shape: _Shape) -> _Group:
        return _GroupReader(self._parse_rule).group(shape.value, 0)


class _Shape:
    """A JSON value that can be remembered by: equal to another one of the same text."""

    def __init__(self, value: JSON) -> None:
        self.value = value
        self._text = ordered_json(value)

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shape) and other._text == self._text


@dataclass(frozen=True)
class _Check:
    """One rule. `own` says whether it is given its own expected output."""

    rule: Scorer[ScorerConfig]
    weight: float
    expected: JSON = None
    own: bool = False

    @property
    def name(self) -> str:
        return self.rule.name

    def run(self, given: ScoringInput) -> ScoreResult:
        return run_scorer(self.rule, replace(given, expected=self.expected) if self.own else given)


@dataclass(frozen=True)
class _Group:
    """Several checks that count as one."""

    parts: Sequence[_Check | _Group]
    threshold: float | None
    weight: float = 1.0
    name: str = "checks"

    def run(self, given: ScoringInput) -> ScoreResult:
        results = [part.run(given) for part in self.parts]
        for status in (ScoreStatus.FAILED, ScoreStatus.UNSCORED):
            for part, result in zip(self.parts, results, strict=True):
                if result.status is status:
                    return _without_value(part.name, result)
        for part, result in zip(self.parts, results, strict=True):
            if self.threshold is None and result.passed is None:
                return ScoreResult.failed(
                    ReasonCode.WRONG_TYPE,
                    f"{part.name} is graded and neither right nor wrong; give it a threshold.",
                )
        return self._sum_up(results)

    def _sum_up(self, results: Sequence[ScoreResult]) -> ScoreResult:
        weights = [part.weight for part in self.parts]
        values = [result.value or 0.0 for result in results]
        largest = max(weights)  # divided first: the sum of shares cannot overflow
        total = sum(weight / largest for weight in weights)
        mean = sum(v * w / largest for v, w in zip(values, weights, strict=True))
        mean = min(mean / total, 1.0)
        if self.threshold is None:
            passed = all(result.passed for result in results)
        else:
            # The mean of equal values may miss them by a rounding error.
            passed = mean >= self.threshold - 1e-9
        return ScoreResult.graded(mean, self._told(results, mean), passed=passed)

    def _told(self, results: Sequence[ScoreResult], mean: float) -> str:
        wrong = [
            f"{part.name} ({result.explanation})"
            for part, result in zip(self.parts, results, strict=True)
            if result.passed is False
        ]
        count = len(results) - len(wrong)
        told = f"{count} of {len(results)} checks passed"
        if self.threshold is not None:
            told += f", mean {mean:.3g}, wanted {self.threshold:g}"
        return f"{told}; not: {'; '.join(wrong[:_SHOWN_FAILURES])}" if wrong else told


class _GroupReader:
    """Reads the checks of one example and counts them."""

    def __init__(self, parse_rule: ParseRule) -> None:
        self._parse_rule = parse_rule
        self._count = 0

    def group(self, value: JSON, depth: int) -> _Group:
        """Read a list of checks, or a mapping with checks and a threshold."""
        if depth > MAX_GROUPS:
            raise ScorerConfigError(f"groups stand in groups more than {MAX_GROUPS} deep.")
        shape: Mapping[str, JSON] = value if isinstance(value, Mapping) else {"checks": value}
        if "name" in shape:
            raise ScorerConfigError("a list of checks is wanted; put the one into [ ].")
        _refuse_unknown(shape, {"checks", "threshold", "weight"})
        items = shape.get("checks")
        if not isinstance(items, (list, tuple)) or not items:
            raise ScorerConfigError(f"a list of checks is wanted, not {quoted(items)}.")
        threshold = shape.get("threshold")
        parts = tuple(self._part(item, depth) for item in items)
        if not any(part.weight for part in parts):
            raise ScorerConfigError("every weight is 0, so nothing decides.")
        return _Group(
            parts,
            None if threshold is None else _number(threshold, "threshold"),
            _weight(shape),
        )

    def _part(self, item: JSON, depth: int) -> _Check | _Group:
        self._count += 1
        if self._count > MAX_CHECKS:
            raise ScorerConfigError(f"there are more than {MAX_CHECKS}.")
        if isinstance(item, Mapping) and "name" not in item:
            if "checks" in item:
                return self.group(item, depth + 1)
            _refuse_unknown(item, {"scorer", "expected", "weight"})
            own = "expected" in item
            return _Check(self._rule(item.get("scorer")), _weight(item), item.get("expected"), own)
        return _Check(self._rule(item), 1.0)

    def _rule(self, spec: JSON) -> Scorer[ScorerConfig]:
        if not isinstance(spec, (str, Mapping)):
            raise ScorerConfigError(f"a scorer is a text or a mapping, not {quoted(spec)}.")
        rule = self._parse_rule(spec)
        if any(isinstance(part, Checks) for part in _all_parts(rule)):
            raise ScorerConfigError("checks cannot stand in checks.")
        return rule


def _all_parts(rule: Scorer[ScorerConfig]) -> Iterator[Scorer[ScorerConfig]]:
    yield rule
    if isinstance(rule, Composite):
        for part in rule.parts:
            yield from _all_parts(part)


def _refuse_unknown(shape: Mapping[str, JSON], known: set[str]) -> None:
    unknown = sorted(set(shape) - known)
    if unknown:
        raise ScorerConfigError(
            f"{quoted(unknown[0])} is not known here; known are {', '.join(sorted(known))}."
        )


def _weight(shape: Mapping[str, JSON]) -> float:
    return _number(shape.get("weight", 1.0), "weight")


def _number(value: JSON, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e9:
        raise ScorerConfigError(f"{name} is a number from 0, not {quoted(value)}.")
    return float(value)


def _without_value(name: str, result: ScoreResult) -> ScoreResult:
    assert result.reason is not None  # noqa: S101 - a result without a value has one
    told = f"{name}: {result.explanation}"
    if result.status is ScoreStatus.FAILED:
        return ScoreResult.failed(result.reason, told)
    return ScoreResult.unscored(result.reason, told)
