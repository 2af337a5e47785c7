"""`finish_reason`, `latency`, `cost`, `tokens`: bounds on the facts that came with an answer.

A fact that nobody recorded is no 0: the example is `unscored`. An answer that was given to an
earlier run and used again took this run no time and no money, so it has no latency and no cost.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from workbench.scorers._expected import Texts
from workbench.scorers._text import quoted
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoringInput,
)

__all__ = [
    "Cost",
    "CostConfig",
    "FinishReason",
    "FinishReasonConfig",
    "Latency",
    "LatencyConfig",
    "Tokens",
    "TokensConfig",
]

NumberT = TypeVar("NumberT", float, Decimal)


@dataclass(frozen=True, kw_only=True, config=STRICT)
class FinishReasonConfig(ScorerConfig):
    """Options of `finish_reason`."""

    allowed: Texts = ("stop",)
    """The reasons that are right: `stop`, `length`, `tool_calls`, `content_filter`, `other`."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class LatencyConfig(ScorerConfig):
    """Options of `latency`; at least one of `min_ms` and `max_ms` is given."""

    max_ms: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    """Longest time that is right, in milliseconds."""
    min_ms: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    """Shortest time that is right, in milliseconds."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class CostConfig(ScorerConfig):
    """Options of `cost`; at least one of `min` and `max` is given."""

    max: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    """Highest cost of one answer that is right, in US dollars."""
    min: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    """Lowest cost that is right, in US dollars."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TokensConfig(ScorerConfig):
    """Options of `tokens`; at least one of `min` and `max` is given."""

    kind: Literal["output", "input", "total"] = "output"
    """What is counted: `output` tokens, `input` tokens or the `total` of both."""
    max: int | None = Field(default=None, ge=0)
    """Most tokens that are right."""
    min: int | None = Field(default=None, ge=0)
    """Fewest tokens that are right."""


class FinishReason(Scorer[FinishReasonConfig]):
    """Whether the model stopped for an allowed reason, such as having said all.

    Example: `finish_reason`
    """

    name = "finish_reason"
    version = 1
    config_type = FinishReasonConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the recorded reason."""
        if given.finish_reason is None:
            return _missing("reason for stopping")
        return ScoreResult.verdict(
            given.finish_reason in self.config.allowed, f"stopped for {quoted(given.finish_reason)}"
        )


class Latency(Scorer[LatencyConfig]):
    """Whether the answer took neither more nor less time than given bounds.

    Example: `latency:max_ms=2000`
    """

    name = "latency"
    version = 1
    config_type = LatencyConfig

    def __init__(self, config: LatencyConfig) -> None:
        super().__init__(config)
        _check_bounds(self.name, "max_ms", config.min_ms, config.max_ms)

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the recorded latency; an answer used again has none."""
        if given.reused:
            return _missing("latency: it was given to an earlier run")
        if given.latency_ms is None:
            return _missing("latency")
        told = f"{given.latency_ms:,.0f} ms"
        return _bounded(given.latency_ms, self.config.min_ms, self.config.max_ms, told, "ms")


class Cost(Scorer[CostConfig]):
    """Whether the answer cost neither more nor less than given bounds.

    Example: `cost:max=0.01`
    """

    name = "cost"
    version = 1
    config_type = CostConfig

    def __init__(self, config: CostConfig) -> None:
        super().__init__(config)
        _check_bounds(self.name, "max", config.min, config.max)
        # repr gives the decimal that was written (0.01), not the binary fraction behind it.
        self._low = None if config.min is None else Decimal(repr(config.min))
        self._high = None if config.max is None else Decimal(repr(config.max))

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the recorded cost; an answer used again has none."""
        if given.reused:
            return _missing("cost: it was given to an earlier run")
        if given.cost is None:
            return _missing("cost: the price is unknown")
        return _bounded(given.cost, self._low, self._high, f"${given.cost:f}", "dollars")


class Tokens(Scorer[TokensConfig]):
    """Whether the answer has neither more nor fewer tokens than given bounds.

    Example: `tokens:kind=output,max=200`
    """

    name = "tokens"
    version = 1
    config_type = TokensConfig

    def __init__(self, config: TokensConfig) -> None:
        super().__init__(config)
        _check_bounds(self.name, "max", config.min, config.max)

    def score(self, given: ScoringInput) -> ScoreResult:
        """Compare the tokens that the provider reported."""
        kind = self.config.kind
        counted = {
            "output": (given.output_tokens,),
            "input": (given.input_tokens,),
            "total": (given.input_tokens, given.output_tokens),
        }[kind]
        known = [count for count in counted if count is not None]
        if len(known) < len(counted):
            return _missing(f"count of {kind} tokens")
        count = sum(known)
        return _bounded(
            count, self.config.min, self.config.max, f"{count:,} {kind} tokens", "tokens"
        )


def _check_bounds(scorer: str, option: str, low: float | None, high: float | None) -> None:
    if low is None and high is None:
        raise ScorerConfigError(f"{scorer}: give a bound, such as {option}=1000.", path=option)
    if low is not None and high is not None and low > high:
        raise ScorerConfigError(
            f"{scorer}: the lower bound ({low:g}) is above the upper one ({high:g}).", path=option
        )


def _missing(fact: str) -> ScoreResult:
    return ScoreResult.unscored(ReasonCode.MISSING_FACT, f"The answer has no {fact}.")


def _bounded(
    value: NumberT, low: NumberT | None, high: NumberT | None, told: str, unit: str
) -> ScoreResult:
    if low is not None and value < low:
        return ScoreResult.verdict(False, f"{told}, at least {low:,} {unit} wanted")
    if high is not None and value > high:
        return ScoreResult.verdict(False, f"{told}, at most {high:,} {unit} allowed")
    return ScoreResult.verdict(True, told)
