"""What every scorer is given, what it gives back, and the one way to run it.

A scorer reads one stored output and says how good it is. A rule (`Scorer`) is pure: the same
input, the same version and the same options give the same result, with no clock, file or
network. It runs after the output is safe, so it can fail, be mended and run again without a
model call. A judge asks a language model instead; what it shares with a rule is `AnyScorer`.

Invariants, held by the types here:

- Missing is never 0. A result is `scored` with a finite value, or `unscored` (the example
  gives nothing to judge by) or `failed` (the scorer could not finish), both with a reason
  code and no value. An output that is wrong, empty or unreadable is scored, as wrong.
- A change of behaviour raises the scorer's `version`, which is part of its identity, so that
  scores of two versions are never mixed unseen.
- `run_scorer` never raises: what goes wrong inside a scorer is a `failed` result.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final, Generic, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.fields import FieldInfo

from app.core.errors import ConfigurationError
from app.core.hashing import JSON
from workbench.scorers._text import shortened

__all__ = [
    "MAX_EXPLANATION",
    "MAX_LABEL",
    "STRICT",
    "AnyScorer",
    "ConfigT_co",
    "Direction",
    "ReasonCode",
    "ScoreResult",
    "ScoreStatus",
    "Scorer",
    "ScorerConfig",
    "ScorerConfigError",
    "ScoringInput",
    "run_scorer",
]

MAX_EXPLANATION: Final = 300
"""Longest explanation that is kept, in characters; what exceeds it is cut and marked."""

MAX_LABEL: Final = 200
"""Longest label that is kept, in characters."""

Direction: TypeAlias = Literal["higher", "lower"]
"""Which end of the range is good."""


class ScorerConfigError(ConfigurationError):
    """The scorer does not exist, or an option of it is unknown or cannot work."""


class ScoreStatus(StrEnum):
    """Whether there is a value, and if not, on whose side the cause lies."""

    SCORED = "scored"
    UNSCORED = "unscored"
    FAILED = "failed"


class ReasonCode(StrEnum):
    """Why there is no value; stored with the score and counted in reports."""

    NO_EXPECTED = "no_expected"
    EXPECTED_UNUSABLE = "expected_unusable"
    MISSING_FACT = "missing_fact"
    NOT_APPLICABLE = "not_applicable"
    TIME_LIMIT = "time_limit"
    SIZE_LIMIT = "size_limit"
    OUT_OF_RANGE = "out_of_range"
    WRONG_TYPE = "wrong_type"
    EXCEPTION = "exception"
    CRASHED = "crashed"
    JUDGE_UNPARSED = "judge_unparsed"
    JUDGE_REFUSED = "judge_refused"
    JUDGE_ERROR = "judge_error"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoringInput:
    """One stored output with all that a scorer may judge it by."""

    output: str
    """The assistant's text; empty if the message has none (a refusal, only tool calls)."""
    message: Mapping[str, JSON] = field(default_factory=dict)
    """The whole assistant message: content, tool calls, refusal. Empty if only text is known."""
    expected: JSON = None
    """The example's expected output. None means that the example has none; a JSON null in a
    dataset means the same."""
    variables: Mapping[str, JSON] = field(default_factory=dict)
    """The example's input by variable name, as the prompt was filled with it."""
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    """The example's metadata columns."""
    latency_ms: float | None = None
    """How long the answer took, in milliseconds; None if nobody measured it."""
    cost: Decimal | None = None
    """What the answer cost, in US dollars; None if the price is unknown."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    """As the provider reported them; None if it did not."""
    finish_reason: str | None = None
    """Why the model stopped, such as `stop` or `length`."""
    reused: bool = False
    """Whether the answer was given to an earlier run, so that no time or money was spent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreResult:
    """One value, or the reason why there is none.

    Raises `ValueError` if the parts contradict each other or the value is not finite.
    """

    status: ScoreStatus
    value: float | None = None
    """Finite and within the scorer's range when scored, else None."""
    passed: bool | None = None
    """The verdict of a scorer that has one; None for a graded scorer and when not scored."""
    label: str | None = None
    """The class found, for scorers that classify."""
    explanation: str = ""
    """One short sentence for people."""
    reason: ReasonCode | None = None
    """Set exactly when there is no value."""

    def __post_init__(self) -> None:
        if self.status is ScoreStatus.SCORED:
            if self.value is None or not math.isfinite(self.value):
                raise ValueError(f"A score needs a finite value, not {self.value!r}.")
            if self.reason is not None:
                raise ValueError("A score with a value has no reason for being absent.")
        elif self.reason is None:
            raise ValueError("A result without a value needs a reason code.")
        elif self.value is not None or self.passed is not None or self.label is not None:
            raise ValueError("A result with a reason for being absent carries no value.")

    @classmethod
    def graded(
        cls, value: float, explanation: str, *, passed: bool | None = None, label: str | None = None
    ) -> ScoreResult:
        """A value on the scorer's range."""
        return cls(
            status=ScoreStatus.SCORED,
            value=value,
            passed=passed,
            label=label,
            explanation=explanation,
        )

    @classmethod
    def verdict(cls, passed: bool, explanation: str, *, label: str | None = None) -> ScoreResult:
        """Right or wrong: 1.0 or 0.0."""
        return cls.graded(1.0 if passed else 0.0, explanation, passed=passed, label=label)

    @classmethod
    def unscored(cls, reason: ReasonCode, explanation: str) -> ScoreResult:
        """The example gives this scorer nothing to judge by."""
        return cls(status=ScoreStatus.UNSCORED, reason=reason, explanation=explanation)

    @classmethod
    def failed(cls, reason: ReasonCode, explanation: str) -> ScoreResult:
        """The scorer could not finish."""
        return cls(status=ScoreStatus.FAILED, reason=reason, explanation=explanation)


STRICT: Final = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)
"""Options are never converted silently, and are documented by the text below each field."""


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class ScorerConfig:
    """Base of all scorers' options; a scorer without options uses it as it is."""

    __pydantic_fields__: ClassVar[dict[str, FieldInfo]]


ConfigT_co = TypeVar("ConfigT_co", bound=ScorerConfig, covariant=True)


class AnyScorer(ABC, Generic[ConfigT_co]):
    """What a rule and a judge have in common: a version, options, and a scale.

    Building one checks the options and raises `ScorerConfigError` in a sentence.
    """

    name: str
    """The registry's name, as in `--scorer NAME`."""
    version: int
    """Raised whenever the same input and options could give another result."""
    config_type: ClassVar[type[ScorerConfig]]
    """The class of this scorer's options."""
    range: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest possible value."""
    direction: Direction = "higher"

    def __init__(self, config: ConfigT_co) -> None:
        self._config = config

    @property
    def config(self) -> ConfigT_co:
        """The options, checked and immutable."""
        return self._config

    @property
    def binary(self) -> bool:
        """Whether only the two ends of the range occur, which decides the analysis."""
        return True

    def identity(self) -> dict[str, JSON]:
        """What the scorer's content hash covers: name, version and the options that were set.

        An option left at its default is absent. So a new option does not change the hash of
        scorers that do not use it; a changed default is changed behaviour, hence a new version.
        """
        return {"name": self.name, "version": self.version, "config": self._set_options()}

    def _set_options(self) -> dict[str, JSON]:
        options: dict[str, JSON] = TypeAdapter(self.config_type).dump_python(
            self._config, mode="json", exclude_defaults=True
        )
        return options


class Scorer(AnyScorer[ConfigT_co]):
    """A versioned rule with its options.

    Once built, `score` may be called from any thread, any number of times.
    """

    @abstractmethod
    def score(self, given: ScoringInput) -> ScoreResult:
        """Judge one output; callers use `run_scorer`, which adds the safety net."""


def run_scorer(scorer: Scorer[ScorerConfig], given: ScoringInput) -> ScoreResult:
    """Score one output; never raises.

    An exception inside the scorer is a `failed` result that names its class and nothing of
    its text, which may hold parts of the output. A value outside the declared range fails
    too: clamped, it would look like a judgement. Explanation and label are cut to length.
    """
    try:
        result = scorer.score(given)
        low, high = scorer.range
        if result.value is not None and not low <= result.value <= high:
            return ScoreResult.failed(
                ReasonCode.OUT_OF_RANGE,
                f"{scorer.name} gave {result.value:g}, outside its range {low:g} to {high:g}.",
            )
        return _bounded(result)
    except Exception as error:
        return ScoreResult.failed(
            ReasonCode.EXCEPTION, f"{scorer.name} stopped with {type(error).__name__}."
        )


def _bounded(result: ScoreResult) -> ScoreResult:
    if len(result.explanation) > MAX_EXPLANATION:
        result = replace(result, explanation=shortened(result.explanation, MAX_EXPLANATION))
    if result.label is not None and len(result.label) > MAX_LABEL:
        result = replace(result, label=shortened(result.label, MAX_LABEL))
    return result
