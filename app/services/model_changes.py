"""What a declaration changes about a model version (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.parameters import ModelFacts, ParameterFact
from app.schemas.models import ModelDeclaration, ModelVersionView

__all__ = [
    "Identity",
    "declared_values",
    "described",
    "differences",
    "identity_of",
    "overlaid",
    "stored_facts",
    "wanted_identity",
    "with_limits",
]


class Identity(NamedTuple):
    """What a model version calls; another identity is another version."""

    provider_model: str
    endpoint: str
    digest: str | None


def identity_of(version: ModelVersionView) -> Identity:
    return Identity(version.provider_model, version.endpoint, version.digest)


def wanted_identity(declaration: ModelDeclaration, current: ModelVersionView | None) -> Identity:
    """Return the identity that is declared; what is left out is the current version's.

    A digest belongs to its provider model and endpoint and is not taken over to others.
    """
    reference = declaration.reference
    if current is None:
        return Identity(
            declaration.provider_model or reference.name,
            declaration.endpoint or reference.provider,
            declaration.digest,
        )
    provider_model = declaration.provider_model or current.provider_model
    endpoint = declaration.endpoint or current.endpoint
    same = (provider_model, endpoint) == (current.provider_model, current.endpoint)
    return Identity(
        provider_model, endpoint, declaration.digest or (current.digest if same else None)
    )


def overlaid(known: ModelFacts, declaration: ModelDeclaration) -> ModelFacts:
    """Return what is known with what is declared on top, field by field."""
    parameters = dict(known.parameters)
    try:
        for name, fact in declaration.parameters.items():
            parameters[name] = _merged(parameters.get(name, ParameterFact()), fact)
    except ValidationError as error:
        raise _contradiction(error, name) from None
    return with_limits(
        known.model_copy(update={"parameters": parameters}),
        declaration.context_window,
        declaration.max_output_tokens,
    )


def _merged(known: ParameterFact, declared: ParameterFact) -> ParameterFact:
    said = declared.model_dump(exclude_unset=True)
    if said.get("unsupported"):
        said.setdefault("fixed", None)
    if said.get("fixed") is not None:
        said.setdefault("unsupported", False)
    return ParameterFact.model_validate({**known.model_dump(), **said})


def with_limits(
    facts: ModelFacts, context_window: int | None, max_output_tokens: int | None
) -> ModelFacts:
    """Return the facts with other limits (None: as they are).

    Raises `Invalid` if the facts then contradict each other.
    """
    try:
        return ModelFacts(
            context_window=context_window or facts.context_window,
            max_output_tokens=max_output_tokens or facts.max_output_tokens,
            parameters=facts.parameters,
        )
    except ValidationError as error:
        raise _contradiction(error) from None


def _contradiction(error: ValidationError, name: str | None = None) -> Invalid:
    told = error.errors()[0]["msg"].removeprefix("Value error, ")
    about = f"parameters.{name}" if name else "parameters"
    return Invalid(f"These facts contradict each other: {about}: {told}.", path=about)


def declared_values(declaration: ModelDeclaration, current: ModelVersionView) -> dict[str, Any]:
    """Return the columns that a declaration wants; what it leaves out stays."""
    return {
        "facts": stored_facts(overlaid(current.facts, declaration)),
        "status": declaration.status or current.status,
        "sunset_at": declaration.sunset or current.sunset_at,
        "successor": declaration.successor or current.successor,
    }


def described(version: ModelVersionView) -> dict[str, Any]:
    """Return the columns that may change, as they are."""
    return {
        "facts": stored_facts(version.facts),
        "status": version.status,
        "sunset_at": version.sunset_at,
        "successor": version.successor,
    }


def stored_facts(facts: ModelFacts) -> dict[str, Any]:
    """Return the form that is stored: only what is known."""
    return facts.model_dump(mode="json", exclude_defaults=True)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[JSON, JSON]]:
    """Return (old, new) of every single field that differs, facts by name, in JSON's types."""
    before, after = _fields(old), _fields(new)
    return {
        name: (before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }


def _fields(values: Mapping[str, Any]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    for name, value in values.items():
        if name == "facts":
            found |= {k: v for k, v in value.items() if k != "parameters"}
            parameters = value.get("parameters", {})
            found |= {f"parameters.{k}": v for k, v in parameters.items()}
        else:
            found[name] = value.isoformat() if isinstance(value, datetime) else value
    return found
