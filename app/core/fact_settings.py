"""One change to what is known of a parameter, as people write it.

    temperature=unsupported                    the model does not take it
    temperature=supported                      nothing stands against it any more
    temperature=fixed:1                        the model takes only this value
    temperature=min:0.1  temperature=max:1     narrower bounds
    temperature=default:0.7                    sent when nobody asks for another value
    temperature=exclusive:top_p                never sent together with top_p
    max_tokens=wire:max_completion_tokens      the name that the provider expects

A provider that refuses a parameter names it as it stood on the wire; such a name is
understood too.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.parameters import PARAMETER_NAMES, ModelFacts, ParameterFact

__all__ = ["FactSetting", "parse_fact_setting"]

_WITHOUT_VALUE = frozenset({"unsupported", "supported"})
_WITH_VALUE = frozenset({"fixed", "min", "max", "default", "wire", "exclusive"})


@dataclass(frozen=True)
class FactSetting:
    """One change; `str()` gives the written form, `apply` the changed facts."""

    parameter: str
    kind: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.parameter}={self.kind}" + (f":{self.value}" if self.value else "")

    def apply(self, facts: ModelFacts) -> ModelFacts:
        """Return the facts with this change; `Invalid` if they would contradict each other."""
        name = self._our_name(facts)
        fact = facts.parameters.get(name, ParameterFact())
        try:
            changed = ParameterFact.model_validate({**fact.model_dump(), **self._update(fact)})
            return ModelFacts.model_validate(
                {
                    **facts.model_dump(exclude={"parameters"}),
                    "parameters": {**facts.parameters, name: changed},
                }
            )
        except ValidationError as error:
            told = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise Invalid(f"{self} cannot be: {told}.", path=f"parameters.{name}") from None

    def _our_name(self, facts: ModelFacts) -> str:
        if self.parameter in PARAMETER_NAMES:
            return self.parameter
        for name, fact in facts.parameters.items():
            if fact.wire == self.parameter:
                return name
        raise Invalid(
            f"{self.parameter} is no parameter; known are {', '.join(sorted(PARAMETER_NAMES))}.",
            path="parameter",
        )

    def _update(self, fact: ParameterFact) -> dict[str, object]:
        match self.kind:
            case "unsupported":
                return {"unsupported": True, "fixed": None, "default": None}
            case "supported":
                return {"unsupported": False, "fixed": None, "exclusive": ()}
            case "fixed":
                return {"unsupported": False, "fixed": _value(self.value), "default": None}
            case "default":
                return {"default": _value(self.value)}
            case "min":
                return {"minimum": self.value}
            case "max":
                return {"maximum": self.value}
            case "exclusive":
                others = (*fact.exclusive, *self.value.split(","))
                return {"exclusive": tuple(dict.fromkeys(others))}
            case _:
                return {"wire": self.value}


def parse_fact_setting(text: str) -> FactSetting:
    """Read one change; `Invalid` says which forms there are."""
    parameter, _, change = text.partition("=")
    kind, colon, value = change.partition(":")
    if parameter and (
        (kind in _WITHOUT_VALUE and not colon) or (kind in _WITH_VALUE and value.strip())
    ):
        return FactSetting(parameter.strip(), kind, value.strip())
    raise Invalid(
        f"{text!r} cannot be read. Write temperature=unsupported, temperature=supported, "
        "temperature=fixed:1, temperature=min:0, temperature=max:1, temperature=default:0.7, "
        "temperature=exclusive:top_p or max_tokens=wire:max_completion_tokens.",
        path="parameter",
    )


def _value(text: str) -> bool | int | float | str:
    """Read true, false and numbers as such, anything else as a text."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
