"""Generation parameters: what was asked, within which bounds, what reaches the model.

Layers, the first that names a parameter wins: experiment or request, prompt version,
model version, house default. Out of bounds is refused with the field's path, never
clamped. What a model does not take is left out when it was only a default (house, model
or prompt version), and refused when this very experiment or request asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import Invalid
from app.core.hashing import JSON

__all__ = [
    "ASSUMED_MAX_OUTPUT_TOKENS",
    "HOUSE_DEFAULTS",
    "ModelFacts",
    "ParameterFact",
    "ResolvedParameters",
    "resolve_parameters",
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
_OTHERS: Mapping[str, type | tuple[type, ...]] = {
    "stop": (str, list, tuple),
    "logprobs": bool,
    "reasoning_effort": str,
    "verbosity": str,
}


class ParameterFact(BaseModel):
    """What is known of one parameter at one model version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum: float | None = None
    maximum: float | None = None
    default: float | int | str | bool | None = Field(
        default=None, description="sent when nobody asks for another value"
    )
    fixed: float | int | str | bool | None = Field(
        default=None, description="the only value that the model accepts"
    )
    unsupported: bool = False
    exclusive: tuple[str, ...] = Field(
        default=(), description="parameters that may not be sent together with this one"
    )
    wire: str | None = Field(default=None, description="the name that the provider expects")


class ModelFacts(BaseModel):
    """What the catalog knows of a model version's limits and parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context_window: int | None = Field(default=None, ge=1, description="tokens, in and out")
    max_output_tokens: int | None = Field(default=None, ge=1)
    parameters: dict[str, ParameterFact] = Field(default_factory=dict)


@dataclass(frozen=True)
class ResolvedParameters:
    """The answer of `resolve_parameters`.

    `asked` are values under our names with, in `sources`, the layer each came from;
    `applied` is what is sent, under the provider's names; `left_out` says why the rest
    is not.
    """

    asked: Mapping[str, JSON]
    sources: Mapping[str, str]
    applied: Mapping[str, JSON]
    left_out: Mapping[str, str]


def resolve_parameters(
    request: Mapping[str, JSON], prompt: Mapping[str, JSON], facts: ModelFacts
) -> ResolvedParameters:
    """Merge the layers, check every bound and decide what is sent.

    Raises `Invalid` with path `parameters.<name>` for an unknown name, a wrong type, a
    value out of bounds, or an explicit request that the model cannot take.
    """
    asked, sources = _merge(request, prompt, facts)
    for name, value in asked.items():
        _check(name, value, facts)
    left_out = _left_out(asked, sources, facts)
    applied = {
        _fact(facts, name).wire or name: value
        for name, value in asked.items()
        if name not in left_out
    }
    return ResolvedParameters(asked, sources, applied, left_out)


def _fact(facts: ModelFacts, name: str) -> ParameterFact:
    return facts.parameters.get(name, _NO_FACT)


_NO_FACT = ParameterFact()


def _merge(
    request: Mapping[str, JSON], prompt: Mapping[str, JSON], facts: ModelFacts
) -> tuple[dict[str, JSON], dict[str, str]]:
    model = {n: f.default for n, f in facts.parameters.items() if f.default is not None}
    house = dict(HOUSE_DEFAULTS)
    if facts.max_output_tokens is not None:
        house["max_tokens"] = min(facts.max_output_tokens, ASSUMED_MAX_OUTPUT_TOKENS)
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
                asked[name] = value
                sources[name] = source
    order = sorted(asked)
    return {name: asked[name] for name in order}, {name: sources[name] for name in order}


def _check(name: str, value: JSON, facts: ModelFacts) -> None:
    path = f"parameters.{name}"
    if name in _OTHERS:
        if not isinstance(value, _OTHERS[name]):
            raise Invalid(f"{path} has the wrong type: {value!r}.", path=path)
        return
    if name not in _BOUNDS:
        known = ", ".join(sorted({*_BOUNDS, *_OTHERS}))
        raise Invalid(f"{path} is no parameter; known are {known}.", path=path)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Invalid(f"{path} must be a number, not {value!r}.", path=path)
    if name in _INTEGERS and not float(value).is_integer():
        raise Invalid(f"{path} must be a whole number, not {value!r}.", path=path)
    low, high = _bounds(name, facts)
    if not low <= value <= high:
        raise Invalid(
            f"{path} = {value:g} is out of bounds: this model version takes {low:g} to {high:g}.",
            path=path,
        )


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
    for name in asked:
        for other in _fact(facts, name).exclusive:
            if other in asked and name not in left_out and other not in left_out:
                # The less specific wish yields; between equals the named one (`other`) does.
                loser = name if _RANK[sources[name]] > _RANK[sources[other]] else other
                winner = other if loser == name else name
                left_out[loser] = f"cannot be sent together with {winner}"
    for name, reason in left_out.items():
        if sources[name] == REQUEST:
            raise Invalid(
                f"parameters.{name} was asked for and cannot be sent: {reason}.",
                path=f"parameters.{name}",
            )
    return left_out
