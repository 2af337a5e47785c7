"""Generation parameters: what was asked, within which bounds, what reaches the model.

Layers, the first that names a parameter wins: experiment or request, prompt version,
model version, house default. A layer that says None says nothing. A value that someone
asked for (experiment, request, prompt version) and that is out of bounds is refused with
the field's path, never clamped. What a model does not take is left out when it was only a
default (house, model or prompt version), and refused when this very experiment or request
asked for it. Of two parameters that exclude each other the less specific wish is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.core.errors import Invalid
from app.core.hashing import JSON

__all__ = [
    "ASSUMED_MAX_OUTPUT_TOKENS",
    "HOUSE_DEFAULTS",
    "PARAMETER_NAMES",
    "REQUEST",
    "ModelFacts",
    "ParameterFact",
    "ParameterName",
    "ResolvedParameters",
    "parameter_bounds",
    "resolve_parameters",
    "settle_parameters",
]

ASSUMED_MAX_OUTPUT_TOKENS = 1024
HOUSE_DEFAULTS: Mapping[str, JSON] = MappingProxyType(
    {"temperature": 0.2, "top_p": 0.6, "max_tokens": ASSUMED_MAX_OUTPUT_TOKENS}
)

REQUEST, PROMPT, MODEL, HOUSE = "request", "prompt", "model", "house"
_RANK = {REQUEST: 0, PROMPT: 1, MODEL: 2, HOUSE: 3}

# Bounds that hold for every provider spoken to here; a model's own facts narrow them.
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "max_tokens": (1, 10_000_000),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "n": (1, 128),
    "top_k": (0, 1_000_000),
    "top_logprobs": (0, 20),
    "seed": (-(2**63), 2**63 - 1),
}
_INTEGERS = frozenset({"max_tokens", "n", "top_k", "top_logprobs", "seed"})
_OTHERS: Mapping[str, type] = {"logprobs": bool, "reasoning_effort": str, "verbosity": str}
_STOP = "stop"  # a text or a list of texts

_LONGEST_SHOWN = 80  # characters of a wrong value in an error message

PARAMETER_NAMES = frozenset({*_BOUNDS, *_OTHERS, _STOP})
_UNKNOWN = f"is no parameter; known are {', '.join(sorted(PARAMETER_NAMES))}"


def _known_name(name: str) -> str:
    if name not in PARAMETER_NAMES:
        raise ValueError(f"{name!r} {_UNKNOWN}")
    return name


def _as_list(names: object) -> object:
    return (names,) if isinstance(names, str) else names


ParameterName = Annotated[str, AfterValidator(_known_name)]


class ParameterFact(BaseModel):
    """What is known of one parameter at one model version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum: float | None = Field(default=None, allow_inf_nan=False)
    maximum: float | None = Field(default=None, allow_inf_nan=False)
    default: float | int | str | bool | None = Field(
        default=None, description="sent when nobody asks for another value"
    )
    fixed: float | int | str | bool | None = Field(
        default=None, description="the only value that the model accepts"
    )
    unsupported: bool = False
    exclusive: Annotated[tuple[ParameterName, ...], BeforeValidator(_as_list)] = Field(
        default=(), description="parameters that may not be sent together with this one"
    )
    wire: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,63}$",
        description="the name that the provider expects",
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> ParameterFact:
        low, high = self.minimum, self.maximum
        if low is not None and high is not None and low > high:
            raise ValueError("minimum is greater than maximum")
        if self.unsupported and self.fixed is not None:
            raise ValueError("a parameter is either unsupported or has a fixed value")
        return self


class ModelFacts(BaseModel):
    """What the catalog knows of a model version's limits and parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context_window: int | None = Field(default=None, ge=1, description="tokens, in and out")
    max_output_tokens: int | None = Field(default=None, ge=1)
    parameters: dict[ParameterName, ParameterFact] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _facts_are_possible(self) -> ModelFacts:
        for name, fact in self.parameters.items():
            if told := _impossible(name, fact, self):
                raise ValueError(told)
        self._wire_names_are_distinct()
        return self

    def _wire_names_are_distinct(self) -> None:
        wires = [_wire(self, name) for name in PARAMETER_NAMES]
        if twice := sorted({wire for wire in wires if wires.count(wire) > 1}):
            raise ValueError(f"two parameters have the wire name {twice[0]}")


def _impossible(name: str, fact: ParameterFact, facts: ModelFacts) -> str | None:
    """Return why these facts cannot all hold; None if they can."""
    if name in fact.exclusive:
        return f"{name} cannot exclude itself"
    if name in _BOUNDS:
        low, high = _bounds(name, facts)
        if low > high:
            return f"no value of {name} lies within {_range((low, high))}"
    if fact.fixed is not None and (told := _misfit(name, fact.fixed, facts)):
        return f"the fixed value of {name} {told}"
    if fact.default is None:
        return None
    # A default of max_tokens may be too large: `_limited` bounds it.
    value = _limited(fact.default, facts) if name == "max_tokens" else fact.default
    told = _misfit(name, value, facts)
    return f"the default of {name} {told}" if told else None


@dataclass(frozen=True)
class ResolvedParameters:
    """What was asked for, and what becomes of it.

    `asked` are values under our names with, in `sources`, the layer each came from;
    `applied` is what is sent, under the provider's names; `left_out` says why the rest
    is not.
    """

    asked: Mapping[str, JSON]
    sources: Mapping[str, str]
    applied: Mapping[str, JSON]
    left_out: Mapping[str, str]

    @property
    def refused(self) -> dict[str, str]:
        """What the experiment or request itself asked for and the model does not take."""
        return {n: why for n, why in self.left_out.items() if self.sources[n] == REQUEST}


def resolve_parameters(
    request: Mapping[str, JSON], prompt: Mapping[str, JSON], facts: ModelFacts
) -> ResolvedParameters:
    """Merge the layers, check every bound and decide what is sent.

    Raises `Invalid` with path `parameters.<name>` for an unknown name, a wrong type, a
    value out of bounds, or an explicit request that the model cannot take.
    """
    asked, sources = _merge(request, prompt, facts)
    for name, value in asked.items():
        told = _misfit(name, value, facts)
        # Nobody asked for a house default: where it does not fit it is left out below.
        if told and sources[name] != HOUSE:
            path = f"parameters.{name}"
            raise Invalid(f"{path} {told}.", path=path)
    resolved = settle_parameters(asked, sources, facts)
    for name, reason in resolved.refused.items():
        raise Invalid(
            f"parameters.{name} was asked for and cannot be sent: {reason}.",
            path=f"parameters.{name}",
        )
    return resolved


def settle_parameters(
    asked: Mapping[str, JSON], sources: Mapping[str, str], facts: ModelFacts
) -> ResolvedParameters:
    """Decide what is sent of values that were merged before, by what is known of the model now.

    Raises nothing: what the catalog has learnt since may make `refused` non-empty.
    """
    left_out = _left_out(asked, sources, facts)
    applied = {_wire(facts, n): value for n, value in asked.items() if n not in left_out}
    return ResolvedParameters(asked, sources, applied, left_out)


def _fact(facts: ModelFacts, name: str) -> ParameterFact:
    return facts.parameters.get(name, _NO_FACT)


_NO_FACT = ParameterFact()


def parameter_bounds(facts: ModelFacts, name: str) -> tuple[float, float] | None:
    """Return the lowest and the highest value that a model version takes; None for what is no
    number."""
    return _bounds(name, facts) if name in _BOUNDS else None


def _wire(facts: ModelFacts, name: str) -> str:
    return _fact(facts, name).wire or name


def _merge(
    request: Mapping[str, JSON], prompt: Mapping[str, JSON], facts: ModelFacts
) -> tuple[dict[str, JSON], dict[str, str]]:
    model: dict[str, JSON] = {
        name: fact.default for name, fact in facts.parameters.items() if fact.default is not None
    }
    house = dict(HOUSE_DEFAULTS)
    for defaults in (model, house):
        if "max_tokens" in defaults:
            defaults["max_tokens"] = _limited(defaults["max_tokens"], facts)
    asked: dict[str, JSON] = {}
    sources: dict[str, str] = {}
    layers: tuple[tuple[str, Mapping[str, JSON]], ...] = (
        (REQUEST, request),
        (PROMPT, prompt),
        (MODEL, model),
        (HOUSE, house),
    )
    for source, layer in layers:
        for name, value in layer.items():
            if name not in asked and value is not None:
                asked[name] = _normal(name, value)
                sources[name] = source
    order = sorted(asked)
    return {name: asked[name] for name in order}, {name: sources[name] for name in order}


def _limited(default: JSON, facts: ModelFacts) -> JSON:
    """Move a default of max_tokens within the model version's bounds: nobody chose it, and without
    a limit an answer has no end."""
    if _wrong_kind("max_tokens", default) or not isinstance(default, (int, float)):
        return default
    low, high = _bounds("max_tokens", facts)
    return int(min(max(default, low), high))


def _normal(name: str, value: JSON) -> JSON:
    """Write a whole number as an integer (8.0 tokens) and a tuple as a list, as JSON has them."""
    if name in _INTEGERS and isinstance(value, float) and value.is_integer():
        return int(value)
    return list(value) if isinstance(value, tuple) else value


def _misfit(name: str, value: JSON, facts: ModelFacts) -> str | None:
    """Return what is wrong with a value, as the rest of a sentence; None if it fits."""
    wrong = _wrong_kind(name, value)
    if wrong or name not in _BOUNDS or not isinstance(value, (int, float)):
        return wrong
    bounds = _bounds(name, facts)
    if bounds[0] <= value <= bounds[1]:
        return None
    return f"= {_number(value)} is out of bounds: this model version takes {_range(bounds)}"


def _wrong_kind(name: str, value: JSON) -> str | None:
    if name not in PARAMETER_NAMES:
        return _UNKNOWN
    if name == _STOP:
        wanted, fits = "a text or a list of texts", _is_stop(value)
    elif name in _OTHERS:
        kind = _OTHERS[name]
        wanted, fits = "true or false" if kind is bool else "a text", isinstance(value, kind)
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        wanted, fits = "a number", False
    else:
        wanted, fits = "a whole number", name not in _INTEGERS or _is_whole(value)
    return None if fits else f"must be {wanted}, not {_shown(value)}"


def _is_stop(value: JSON) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_whole(value: float) -> bool:
    return isinstance(value, int) or value.is_integer()


def _shown(value: JSON) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _number(value: float) -> str:
    """Write a number in full: 1047576, not 1.04758e+06."""
    if isinstance(value, int) or not math.isfinite(value) or not value.is_integer():
        return str(value)
    return str(int(value))


def _range(bounds: tuple[float, float]) -> str:
    return f"{_number(bounds[0])} to {_number(bounds[1])}"


def _bounds(name: str, facts: ModelFacts) -> tuple[float, float]:
    low, high = _BOUNDS[name]
    fact = _fact(facts, name)
    low = low if fact.minimum is None else max(low, fact.minimum)
    high = high if fact.maximum is None else min(high, fact.maximum)
    if name == "max_tokens":
        high = min(high, facts.max_output_tokens or ASSUMED_MAX_OUTPUT_TOKENS)
    return low, high


def _left_out(
    asked: Mapping[str, JSON], sources: Mapping[str, str], facts: ModelFacts
) -> dict[str, str]:
    left_out: dict[str, str] = {}
    for name, value in asked.items():
        fact = _fact(facts, name)
        if fact.unsupported:
            left_out[name] = "not supported by the model"
        elif fact.fixed is not None and value != fact.fixed:
            left_out[name] = f"the model takes only {fact.fixed}"
        elif sources[name] == HOUSE and (told := _misfit(name, value, facts)):
            left_out[name] = f"the house default {told}"
    for winner, loser in _rivals(asked, sources, facts):
        if winner not in left_out and loser not in left_out:
            left_out[loser] = f"cannot be sent together with {winner}"
    return left_out


def _rivals(
    asked: Mapping[str, JSON], sources: Mapping[str, str], facts: ModelFacts
) -> Iterator[tuple[str, str]]:
    """Yield (winner, loser) of every two that exclude each other, most specific winners first.

    The less specific wish loses; between equals the one that the fact names does. A
    parameter that lost excludes nothing, hence the order.
    """
    pairs = []
    for name in asked:
        for other in _fact(facts, name).exclusive:
            if other in asked:
                yields = _RANK[sources[name]] > _RANK[sources[other]]
                pairs.append((other, name) if yields else (name, other))
    pairs.sort(key=lambda pair: _RANK[sources[pair[0]]])
    yield from pairs
