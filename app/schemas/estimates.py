"""What an experiment will cost, before it is stored: figures from likely to possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from app.core.hashing import JSON

__all__ = [
    "Bounds",
    "Estimate",
    "EstimateView",
    "JudgeEstimate",
    "JudgeSeat",
    "VariantEstimate",
    "total_of",
]


@dataclass(frozen=True, slots=True)
class Bounds:
    """From what is likely to what is possible; tokens, US dollars or seconds."""

    low: float
    high: float

    def __add__(self, other: Bounds) -> Bounds:
        return Bounds(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Bounds:
        """Return both, so many times."""
        return Bounds(self.low * factor, self.high * factor)


def total_of(parts: Iterable[Bounds]) -> Bounds:
    """Return the sum; of nothing it is 0."""
    return sum(parts, Bounds(0.0, 0.0))


@dataclass(frozen=True, slots=True)
class VariantEstimate:
    """One variant: `calls` are to be made, `reused` cells have a stored answer.

    `cost` None is unknown, for the reason in `unknown`; `seconds` None is unknown. `basis` is
    where the low figures come from: `prompt` and `model` are earlier answers, `rule` is none.
    """

    prompt: str
    model: str
    calls: int
    reused: int
    input_tokens: Bounds
    output_tokens: Bounds
    cost: Bounds | None
    seconds: Bounds | None
    basis: str
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class JudgeSeat:
    """One model of a judge as whoever knows the judge describes it: what it asks and how often.

    `own_bytes` is the size of what the judge adds to its prompt, `answers` how many answers it is
    shown at once.
    """

    scorer: str
    model: str
    prompt: str
    parameters: Mapping[str, JSON]
    calls: int
    own_bytes: int
    answers: int


@dataclass(frozen=True, slots=True)
class JudgeEstimate:
    """One seat of a judge; its tokens are figured from the length of its prompt, of the examples
    and of the answers."""

    scorer: str
    model: str
    calls: int
    cost: Bounds | None
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The whole experiment. `rendered` of its `examples` were looked at."""

    examples: int
    rendered: int
    repetitions: int
    variants: tuple[VariantEstimate, ...]
    judges: tuple[JudgeEstimate, ...]

    @property
    def calls(self) -> int:
        """All calls, judges' included."""
        return sum(part.calls for part in self._parts)

    @property
    def cost(self) -> Bounds | None:
        """The cost of everything; None as soon as one part is unknown."""
        costs = [part.cost for part in self._parts]
        known = [cost for cost in costs if cost is not None]
        return total_of(known) if len(known) == len(costs) else None

    @property
    def known_cost(self) -> Bounds:
        """The cost of those parts whose cost is known: the least that everything may cost."""
        return total_of(part.cost for part in self._parts if part.cost is not None)

    @property
    def seconds(self) -> Bounds | None:
        """How long the variants' calls take, one after the other; None if one is unknown."""
        times = [variant.seconds for variant in self.variants]
        known = [time for time in times if time is not None]
        return total_of(known) if len(known) == len(times) else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Why the cost is unknown, each reason once."""
        return tuple(dict.fromkeys(part.unknown for part in self._parts if part.unknown))

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models whose cost is unknown, each once."""
        return tuple(dict.fromkeys(part.model for part in self._parts if part.cost is None))

    @property
    def _parts(self) -> Sequence[VariantEstimate | JudgeEstimate]:
        return (*self.variants, *self.judges)


class EstimateView(BaseModel):
    """What the variants of an experiment will cost; retries are not in it.

    `low` figures rest on earlier answers where there are some, `high` ones on one token a byte
    and max_tokens for each answer: what a budget reserves.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: int
    rendered: int = Field(description="how many examples were rendered to find the sizes")
    repetitions: int
    calls: int
    reused: int = Field(description="cells that have a stored answer and take no call")
    input_tokens: Bounds
    output_tokens: Bounds
    cost: Bounds | None = Field(description="US dollars; null is unknown, as `unknown` says why")
    seconds: Bounds | None = Field(description="null where nothing was stored to tell from")
    unknown: tuple[str, ...]
    judges_left_out: tuple[str, ...] = Field(
        description="scorers that ask models too: their calls come on top of these figures"
    )
    variants: tuple[VariantEstimate, ...]

    @classmethod
    def of(cls, found: Estimate, judges_left_out: Sequence[str]) -> Self:
        """Return an estimate of the variants as it is told."""
        return cls(
            examples=found.examples,
            rendered=found.rendered,
            repetitions=found.repetitions,
            calls=found.calls,
            reused=sum(variant.reused for variant in found.variants),
            input_tokens=total_of(variant.input_tokens for variant in found.variants),
            output_tokens=total_of(variant.output_tokens for variant in found.variants),
            cost=found.cost,
            seconds=found.seconds,
            unknown=found.unknown,
            judges_left_out=tuple(judges_left_out),
            variants=found.variants,
        )
