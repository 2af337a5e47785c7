"""Prompt content and values in, the messages for a model out.

A `PromptRenderer` is compiled once and used for every example or request; rendering reads
no file and no database. Which messages there are and what their roles are is settled by the
prompt alone: a value only ever becomes part of one message's text and is never looked at
again, so `{{ other }}` inside a value stays text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.core.errors import Invalid
from app.core.hashing import JSON, ordered_json
from app.core.templating import Template, compile_template
from app.llm.types import Message, Role
from app.schemas.prompts import MessagePlaceholder, PromptContent, Variable, has_type

__all__ = ["PromptRenderer"]


@dataclass(frozen=True, slots=True)
class _Slot:
    """A variable of the prompt; `default` is its text if the variable is optional."""

    name: str
    variable: Variable
    default: str | None

    def text(self, values: Mapping[str, JSON]) -> str:
        """Return the text that takes the placeholder's place."""
        value = values.get(self.name)
        if type(value) is str and self.variable.type in ("string", "any"):  # nearly always
            return value
        if value is None:
            if self.default is not None:
                return self.default
            raise Invalid(
                f"The prompt needs the variable {self.name!r} and no value was given for it.",
                path=f"variables.{self.name}",
            )
        if not has_type(value, self.variable.type):
            raise Invalid(
                f"The variable {self.name!r} is of type {self.variable.type}, and the value "
                f"is {_kind(value)}.",
                path=f"variables.{self.name}",
            )
        return _text(value)


class PromptRenderer:
    """Renders one prompt version for any number of values.

    Strings go in as they are, numbers and booleans in their JSON form, objects and arrays
    as compact JSON. A value of null counts as none given.
    """

    def __init__(self, content: PromptContent) -> None:
        slots = {
            name: _Slot(name, variable, None if variable.required else _text(variable.default))
            for name, variable in content.variables.items()
        }
        steps: list[_Step] = []
        self._history_at: int | None = None
        for message in content.messages:
            if isinstance(message, MessagePlaceholder):
                self._history_at = len(steps)
            else:
                template = compile_template(message.content)
                steps.append(_step(message.role, template, [slots[n] for n in template.names]))
        self._steps = tuple(steps)

    def render(
        self, values: Mapping[str, JSON], history: Sequence[Message] = ()
    ) -> tuple[Message, ...]:
        """Return the messages in order; `history` stands at its placeholder, else at the end.

        Values that the prompt does not name are ignored. Raises `Invalid` with path
        `variables.<name>` for a required variable without a value (an optional one takes
        its default) and for a value of the wrong type.
        """
        messages = [step(values) for step in self._steps]
        if history:
            at = len(messages) if self._history_at is None else self._history_at
            messages[at:at] = history
        return tuple(messages)


_Step = Callable[[Mapping[str, JSON]], Message]


def _step(role: Role, template: Template, slots: Sequence[_Slot]) -> _Step:
    """Return the function that makes one message; a message without variables is made once."""
    first, *rest = template.literals
    if not slots:
        constant = Message(role, first)
        return lambda _values: constant
    pairs = tuple(zip(slots, rest, strict=True))

    def step(values: Mapping[str, JSON]) -> Message:
        parts = [first]
        for slot, literal in pairs:
            parts.append(slot.text(values))
            parts.append(literal)
        return Message(role, "".join(parts))

    return step


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ordered_json(value)


def _kind(value: JSON) -> str:
    """Name a value's JSON type in a sentence."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return f"the number {ordered_json(value)}"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "an array"
