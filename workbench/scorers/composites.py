"""`not`, `all_of`, `any_of`, `at_least`, `weighted`, `threshold`: scorers made of scorers.

Parts are named like any scorer. The identity of a composite holds the identities of its parts,
so that another version of a part makes it another scorer.

One rule for missing values: if a part gives no value, the whole gives none, whatever the other
parts say. It is `failed` if a part failed, else `unscored`, with that part's reason. Deciding
without the part, where the others suffice, would leave exactly the bad outputs with a value.

`all_of`, `any_of` and `at_least` count parts that are right or wrong; a graded part is made one
with `threshold`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from pydantic import Field
from pydantic.dataclasses import dataclass

from app.core.hashing import JSON
from workbench.scorers._options import ScorerSpec
from workbench.scorers.interface import (
    MAX_EXPLANATION,
    STRICT,
    ConfigT_co,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoreStatus,
    ScoringInput,
    run_scorer,
)

__all__ = [
    "MAX_DEPTH",
    "MAX_PARTS",
    "AllOf",
    "AnyOf",
    "AtLeast",
    "AtLeastConfig",
    "Composite",
    "Not",
    "OneConfig",
    "SeveralConfig",
    "Threshold",
    "ThresholdConfig",
    "Weighted",
    "WeightedConfig",
]

MAX_DEPTH: Final = 5
"""How deep composites may stand in composites."""

MAX_PARTS: Final = 50
"""Most parts of one composite."""

Several = Annotated[tuple[ScorerSpec, ...], Field(strict=False, max_length=MAX_PARTS)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OneConfig(ScorerConfig):
    """Options of `not`; `scorer` is needed."""

    scorer: ScorerSpec = ""
    """The scorer, such as `contains:text=sorry`."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class ThresholdConfig(OneConfig):
    """Options of `threshold`; `scorer` is needed."""

    min: float = Field(default=0.5, allow_inf_nan=False)
    """Lowest value that is right."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class SeveralConfig(ScorerConfig):
    """Options of `all_of` and `any_of`; `scorers` is needed."""

    scorers: Several = ()
    """The scorers, at most 50, each binary."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AtLeastConfig(SeveralConfig):
    """Options of `at_least`; `scorers` is needed."""

    count: int = Field(default=1, ge=1)
    """How many of them must be right."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class WeightedConfig(ScorerConfig):
    """Options of `weighted`; `scorers` is needed."""

    scorers: Several = ()
    """The scorers, at most 50, binary or graded."""
    weights: Annotated[
        tuple[Annotated[float, Field(gt=0.0, allow_inf_nan=False)], ...], Field(strict=False)
    ] = ()
    """One weight above 0 for each scorer; without them all weigh the same."""
    threshold: float | None = Field(default=None, ge=0.0, le=1.0)
    """The value from which on an output passes; the value itself stays graded."""


class Composite(Scorer[ConfigT_co]):
    """A scorer that asks other scorers and sums up what they say."""

    part_option: ClassVar[str] = "scorers"
    """The option that names the parts."""
    needs_binary: ClassVar[bool] = True
    """Whether each part must be binary."""

    def __init__(self, config: ConfigT_co, parts: Sequence[Scorer[ScorerConfig]]) -> None:
        super().__init__(config)
        self.parts = tuple(parts)
        if not parts:
            raise ScorerConfigError(
                f"{self.name}: name the scorers it is made of.", path=self.part_option
            )
        graded = [part.name for part in parts if not part.binary]
        if self.needs_binary and graded:
            raise ScorerConfigError(
                f"{self.name}: {graded[0]} is graded and neither right nor wrong; put it into "
                f'a threshold, as in {{"name": "threshold", "scorer": "{graded[0]}", "min": 0.5}}.',
                path=self.part_option,
            )

    def score(self, given: ScoringInput) -> ScoreResult:
        """Ask every part; a missing value of one leaves the whole without a value."""
        results = [run_scorer(part, given) for part in self.parts]
        missing = _first_missing(results)
        if missing is not None:
            index, result = missing
            told = f"{self.parts[index].name}: {result.explanation}"
            assert result.reason is not None  # noqa: S101 - a result without a value has one
            if result.status is ScoreStatus.FAILED:
                return ScoreResult.failed(result.reason, told)
            return ScoreResult.unscored(result.reason, told)
        return self._sum_up(results, _told(self.parts, results))

    @abstractmethod
    def _sum_up(self, results: Sequence[ScoreResult], told: str) -> ScoreResult:
        """Return the whole's result; every part has a value, `told` says which."""

    @classmethod
    def named_parts(cls, config: ScorerConfig) -> tuple[ScorerSpec, ...]:
        """Return the parts as the options name them."""
        named: ScorerSpec | tuple[ScorerSpec, ...] = getattr(config, cls.part_option)
        return named if isinstance(named, tuple) else (named,)

    def _set_options(self) -> dict[str, JSON]:
        """The options with the parts' identities in place of their names."""
        parts: list[JSON] = [part.identity() for part in self.parts]
        named = parts if self.part_option == "scorers" else parts[0]
        return {**super()._set_options(), self.part_option: named}


class Not(Composite[OneConfig]):
    """Whether another scorer finds the output wrong; of a graded one, 1 minus its value.

    Example: `not:scorer=contains:text=sorry`
    """

    name = "not"
    version = 1
    config_type = OneConfig
    part_option = "scorer"
    needs_binary = False

    @property
    def binary(self) -> bool:
        """As the part is."""
        return self.parts[0].binary

    def _sum_up(self, results: Sequence[ScoreResult], told: str) -> ScoreResult:
        value, passed = _value(results[0]), results[0].passed
        return ScoreResult.graded(
            1.0 - value, f"not {told}", passed=None if passed is None else not passed
        )


class Threshold(Composite[ThresholdConfig]):
    """Whether another scorer's value is high enough: makes a graded scorer binary.

    Example: `threshold:scorer=rouge_l,min=0.75`
    """

    name = "threshold"
    version = 1
    config_type = ThresholdConfig
    part_option = "scorer"
    needs_binary = False

    def __init__(self, config: ThresholdConfig, parts: Sequence[Scorer[ScorerConfig]]) -> None:
        super().__init__(config, parts)
        low, high = parts[0].range
        if not low < config.min <= high:
            raise ScorerConfigError(
                f"threshold: every value of {parts[0].name} lies between {low:g} and {high:g}, so "
                f"min={config.min:g} says the same of all outputs.",
                path="min",
            )

    def _sum_up(self, results: Sequence[ScoreResult], told: str) -> ScoreResult:
        return ScoreResult.verdict(_value(results[0]) >= self.config.min, told)


class AllOf(Composite[SeveralConfig]):
    """Whether each of several scorers finds the output right.

    Example: `all_of:scorers=["contains:text=refund", "length:max=500"]`
    """

    name = "all_of"
    version = 1
    config_type = SeveralConfig

    def _sum_up(self, results: Sequence[ScoreResult], told: str) -> ScoreResult:
        return ScoreResult.verdict(all(result.passed for result in results), told)


class AnyOf(Composite[SeveralConfig]):
    """Whether at least one of several scorers finds the output right.

    Example: `any_of:scorers=["exact_match", "numeric_answer"]`
    """

    name = "any_of"
    version = 1
    config_type = SeveralConfig

    def _sum_up(self, results: Sequence[ScoreResult], told: str) -> ScoreResult:
        return ScoreResult.verdict(any(result.passed for result in results), told)


class AtLeast(Composite[AtLeastConfig]):
    """Whether a number of several scorers find the output right.

    Example: `at_least:count=2,scorers=["contains:text=a", "contains:text=b", "contains:text=c"]`
    """

    name = "at_least"
    version = 1
    config_type = AtLeastConfig

    def __init__(self, config: AtLeastConfig, parts: Sequence[Scorer[ScorerConfig]]) -> None:
        super().__init__(config, parts)
        if config.count > len(parts):
            raise ScorerConfigError(
                f"at_least: count ({config.count}) is more than the {len(parts)} scorers.",
                path="count",
            )

    def _sum_up(self, results: Sequence[ScoreResult], told: str) -> ScoreResult:
        right = sum(result.passed is True for result in results)
        return ScoreResult.verdict(
            right >= self.config.count, f"{right} of {len(results)} right; {told}"
        )


class Weighted(Composite[WeightedConfig]):
    """The weighted mean of several scorers' values; graded.

    Example: `weighted:weights=2,1,scorers=["exact_match", "similarity"]`
    """

    name = "weighted"
    version = 1
    config_type = WeightedConfig
    needs_binary = False

    def __init__(self, config: WeightedConfig, parts: Sequence[Scorer[ScorerConfig]]) -> None:
        super().__init__(config, parts)
        if config.weights and len(config.weights) != len(parts):
            raise ScorerConfigError(
                f"weighted: {len(config.weights)} weights are given for {len(parts)} scorers.",
                path="weights",
            )
        weights = config.weights or (1.0,) * len(parts)
        largest = max(weights)
        self._weights = [weight / largest for weight in weights]  # whose sum cannot overflow

    @property
    def binary(self) -> bool:
        """Graded: every value between 0 and 1 occurs."""
        return False

    def _sum_up(self, results: Sequence[ScoreResult], told: str) -> ScoreResult:
        # Both sums are exact, so that parts which are all 1 give 1, and not a hair less.
        values = (w * _value(r) for w, r in zip(self._weights, results, strict=True))
        value = min(math.fsum(values) / math.fsum(self._weights), 1.0)
        threshold = self.config.threshold
        return ScoreResult.graded(
            value, told, passed=None if threshold is None else value >= threshold
        )


def _value(result: ScoreResult) -> float:
    return 0.0 if result.value is None else result.value


def _first_missing(results: Sequence[ScoreResult]) -> tuple[int, ScoreResult] | None:
    """Return the first failed result, else the first unscored one, with its position."""
    for status in (ScoreStatus.FAILED, ScoreStatus.UNSCORED):
        for index, result in enumerate(results):
            if result.status is status:
                return index, result
    return None


def _told(parts: Sequence[Scorer[ScorerConfig]], results: Sequence[ScoreResult]) -> str:
    """Say what each part gave, in as many words as there is room for."""
    room = max(20, MAX_EXPLANATION // len(parts) - 4)
    lines = []
    for part, result in zip(parts, results, strict=True):
        line = f"{part.name} {_value(result):g} ({result.explanation})"
        lines.append(line if len(line) <= room else f"{line[: room - 2]}…)")
    return "; ".join(lines)
