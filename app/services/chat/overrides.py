"""What callers may change of the variant that answers them (pure).

An alias names what may be overridden. Anything else that a caller asks for is ignored and told, or
refused where the alias is strict or regulated. What a caller asks for and the variant has anyway is
no override. A model that is called directly has no alias: there everything may be set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.parameters import (
    REQUEST,
    ResolvedParameters,
    resolve_parameters,
    settle_parameters,
)
from app.schemas.aliases import AliasSettings
from app.schemas.chat import ChatRequest
from app.services.serving import ServedVariant

__all__ = ["Overridden", "apply_overrides"]


@dataclass(frozen=True, slots=True)
class Overridden:
    """What is sent beside the messages. `is_exact` if the caller changed nothing of the variant."""

    parameters: ResolvedParameters
    tools: JSON
    tool_choice: JSON
    response_format: JSON
    is_exact: bool
    ignored: tuple[str, ...]


def apply_overrides(
    request: ChatRequest, variant: ServedVariant, settings: AliasSettings | None
) -> Overridden:
    """Return what becomes of a request's wishes; `settings` None is a model called directly.

    Raises `Invalid` with path `parameters.NAME`, or the field's name, for what is out of bounds and
    for what is refused.
    """
    wishes = _Wishes(settings)
    if request.stream and not wishes.may("stream"):
        raise Invalid("This alias does not answer as a stream.", path="stream")
    for name in request.asked_besides:
        wishes.ignore(name)
    if request.subject is not None and not wishes.may("user"):
        wishes.ignore("user")
    changed = {
        name: value
        for name, value in request.parameters.items()
        if value is not None and _is_taken(name, value, variant, wishes)
    }
    tools, own_tools = _own_or_asked(variant.tools, request.tools, "tools", wishes)
    choice, own_choice = _own_or_asked(
        variant.tool_choice,
        request.tool_choice,
        "tool_choice",
        wishes,
        may_bring=wishes.are_free or not own_tools,
    )
    form, own_form = _own_or_asked(
        variant.response_format, request.response_format, "response_format", wishes
    )
    return Overridden(
        parameters=_overridden(variant, changed),
        tools=tools,
        tool_choice=choice,
        response_format=form,
        is_exact=not changed and own_tools and own_choice and own_form,
        ignored=tuple(wishes.ignored),
    )


class _Wishes:
    """What may be set, and what was asked for in vain."""

    def __init__(self, settings: AliasSettings | None) -> None:
        self._settings = settings
        self.ignored: list[str] = []

    @property
    def are_free(self) -> bool:
        return self._settings is None

    @property
    def may_bring_tools(self) -> bool:
        return self._settings is None or not self._settings.regulated

    def may(self, name: str) -> bool:
        return self._settings is None or name in self._settings.may_override

    def ignore(self, name: str, path: str | None = None) -> None:
        if self._settings is not None and self._settings.refuses_others:
            raise Invalid(f"This alias does not let callers set {name}.", path=path or name)
        self.ignored.append(name)


def _is_taken(name: str, value: JSON, variant: ServedVariant, wishes: _Wishes) -> bool:
    """Return whether a parameter changes the variant; one that may not is ignored or refused."""
    own = variant.parameters.asked.get(name)
    if value == own and isinstance(value, bool) == isinstance(own, bool):
        return False
    if wishes.may(name) and (wishes.are_free or not _is_upwards(name, value, own)):
        return True
    wishes.ignore(name, f"parameters.{name}")
    return False


def _is_upwards(name: str, value: JSON, own: JSON) -> bool:
    """Whether more tokens are asked for than the variant gives: no alias lets callers do that."""
    if name != "max_tokens" or not isinstance(own, (int, float)):
        return False
    return isinstance(value, (int, float)) and value > own


def _own_or_asked(
    own: JSON, asked: JSON, name: str, wishes: _Wishes, *, may_bring: bool = True
) -> tuple[JSON, bool]:
    """Return the variant's value, or else the caller's, and whether it is the variant's.

    A caller chooses among tools (`may_bring`) only where the tools are the caller's own.
    """
    if asked is None or asked == own:
        return own, True
    if own is None and may_bring and wishes.may_bring_tools:
        return asked, False
    wishes.ignore(name)
    return own, True


def _overridden(variant: ServedVariant, changed: Mapping[str, JSON]) -> ResolvedParameters:
    """Return the variant's parameters with some of them changed, all within their bounds."""
    if not changed:
        return variant.parameters
    checked = resolve_parameters(changed, {}, variant.facts)
    asked = {**variant.parameters.asked, **{name: checked.asked[name] for name in changed}}
    sources = {**variant.parameters.sources, **dict.fromkeys(changed, REQUEST)}
    asked = {name: asked[name] for name in sorted(asked)}
    settled = settle_parameters(asked, sources, variant.facts)
    for name in changed:
        if name in settled.left_out:
            path = f"parameters.{name}"
            raise Invalid(
                f"{path} was asked for and cannot be sent: {settled.left_out[name]}.", path=path
            )
    return settled
