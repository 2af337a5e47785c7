"""A model version's parameters, each with what becomes of it when nobody asks for a value. Pure."""

from __future__ import annotations

from typing import Final, Literal

from app.core.parameters import (
    PARAMETER_NAMES,
    ModelFacts,
    ParameterFact,
    parameter_bounds,
    resolve_parameters,
)
from app.schemas.models import ParameterView

__all__ = ["parameter_views"]

_NO_FACT: Final = ParameterFact()


def parameter_views(facts: ModelFacts) -> list[ParameterView]:
    """Return every parameter that is known here, by name."""
    resolved = resolve_parameters({}, {}, facts)
    views: list[ParameterView] = []
    for name in sorted(PARAMETER_NAMES):
        fact = facts.parameters.get(name, _NO_FACT)
        low, high = parameter_bounds(facts, name) or (None, None)
        source = resolved.sources.get(name)
        default_from: Literal["model", "house"] | None = None
        if source is not None:
            default_from = "model" if source == "model" else "house"
        views.append(
            ParameterView(
                name=name,
                minimum=low,
                maximum=high,
                default=resolved.asked.get(name),
                default_from=default_from,
                fixed=fact.fixed,
                unsupported=fact.unsupported,
                exclusive=fact.exclusive,
                sent_as=fact.wire or name,
                left_out=resolved.left_out.get(name),
            )
        )
    return views
