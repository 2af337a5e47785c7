"""Prompts at the boundary: what a version says, strictly checked, and what is read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.core.hashing import JSON, content_hash, ordered_json
from app.core.templating import Template, compile_template
from app.schemas.names import Name

__all__ = [
    "MessagePlaceholder",
    "MessageTemplate",
    "PromptContent",
    "PromptSummary",
    "PromptVersionView",
    "Variable",
]

MAX_TEXT = 200_000  # characters in one message
MAX_MESSAGES = 200

VariableType = Literal["string", "integer", "number", "boolean", "object", "array", "any"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Variable(_Strict):
    """One input of a prompt. An optional one has a default, so that nothing is ever empty."""

    type: VariableType = "string"
    required: bool = True
    default: Any = None
    description: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _optional_has_default(self) -> Variable:
        if not self.required and self.default is None:
            raise ValueError("a variable that is not required needs a default")
        if self.required and self.default is not None:
            raise ValueError("a variable with a default is not required: write required: false")
        return self


class MessageTemplate(_Strict):
    """One message; `content` is a template with `{{ name }}` placeholders."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str = Field(max_length=MAX_TEXT)


class MessagePlaceholder(_Strict):
    """The place where a conversation's messages go."""

    placeholder: Literal["history"]


class PromptContent(_Strict):
    """Everything that makes a version what it is; the content hash covers exactly this.

    An absent key hashes as absent, so that a key added to this shape later changes no
    hash. `tools` and `response_format` hash with their key order, which models see.
    """

    messages: tuple[MessageTemplate | MessagePlaceholder, ...] = Field(
        min_length=1, max_length=MAX_MESSAGES
    )
    variables: dict[str, Variable] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _placeholders_are_declared(self) -> PromptContent:
        used = {name for template in self.templates for name in template.variables}
        if undeclared := sorted(used - set(self.variables)):
            raise ValueError(
                f"the placeholder {{{{ {undeclared[0]} }}}} is not declared under variables"
            )
        if unused := sorted(set(self.variables) - used):
            raise ValueError(f"the variable {unused[0]!r} is declared and not used in any message")
        if sum(isinstance(m, MessagePlaceholder) for m in self.messages) > 1:
            raise ValueError("a prompt has at most one message placeholder")
        return self

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """The compiled texts of the messages that have one, in order."""
        return tuple(
            compile_template(m.content) for m in self.messages if isinstance(m, MessageTemplate)
        )

    @cached_property
    def hash(self) -> str:
        """The identity of this content."""
        return content_hash(self.canonical())

    def canonical(self) -> dict[str, JSON]:
        """Return the form that is hashed."""
        shape: dict[str, JSON] = {
            "messages": [m.model_dump() for m in self.messages],
            "variables": {
                name: v.model_dump(exclude_defaults=True, exclude={"description"})
                for name, v in self.variables.items()
            },
            "parameters": dict(self.parameters),
        }
        if self.tools is not None:
            shape["tools"] = ordered_json(self.tools)
        if self.tool_choice is not None:
            shape["tool_choice"] = self.tool_choice
        if self.response_format is not None:
            shape["response_format"] = ordered_json(self.response_format)
        return shape

    def stored(self) -> dict[str, Any]:
        """Return the columns of `prompt_version` that hold the content."""
        return {
            "messages": [m.model_dump() for m in self.messages],
            "variables": {
                name: v.model_dump(exclude_defaults=True) for name, v in self.variables.items()
            },
            "parameters": dict(self.parameters),
            "tools": self.tools,
            "tool_choice": self.tool_choice,
            "response_format": self.response_format,
        }

    def text_lines(self) -> Iterator[str]:
        """Yield the content as lines for a diff: what a person would compare."""
        for message in self.messages:
            if isinstance(message, MessagePlaceholder):
                yield f"[{message.placeholder}]"
            else:
                yield f"[{message.role}]"
                yield from message.content.splitlines()
        for title, part in (
            (
                "variables",
                {n: v.model_dump(exclude_defaults=True) for n, v in self.variables.items()},
            ),
            ("parameters", dict(self.parameters)),
            ("tools", self.tools),
            ("tool_choice", self.tool_choice),
            ("response_format", self.response_format),
        ):
            if part:
                yield f"[{title}]"
                yield from _lines(part)


def _lines(part: object) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield f"{key}: {ordered_json(value)}"
    elif isinstance(part, list):
        for item in part:
            yield ordered_json(item)
    else:
        yield str(part)


class PromptVersionView(_Strict):
    """One version or draft as it is read back."""

    id: UUID
    prompt_id: UUID
    name: Name
    number: int | None
    content_hash: str
    content: PromptContent
    description: str
    message: str
    origin: Literal["builtin", "file", "api"]
    author: str
    created_at: datetime
    published_at: datetime | None

    @property
    def reference(self) -> str:
        """`triage@3`, or `triage@draft-1a2b3c4d` for a draft."""
        if self.number is not None:
            return f"{self.name}@{self.number}"
        return f"{self.name}@draft-{self.content_hash.removeprefix('sha256:')[:8]}"


class PromptSummary(_Strict):
    """One prompt in a list. Drafts are not counted."""

    name: Name
    latest: int
    versions: int
    description: str
    origin: str
    updated_at: datetime
    author: str
