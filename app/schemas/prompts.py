"""Prompts at the boundary: what a version says, strictly checked, and what is read back.

Rules that concern one place in a prompt are raised as errors that name it (`ctx` holds the
variable, the message's index or the line in its text), so that a reader of files can tell
file and line, and the API the field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from app.core.hashing import JSON, content_hash, ordered_json
from app.core.parameters import ModelFacts, resolve_parameters
from app.core.templating import Template, TemplateSyntaxError, compile_template
from app.schemas.aliases import DeploymentKind, DeploymentTargetView
from app.schemas.names import Name, Reference, parse_reference

__all__ = [
    "MessagePlaceholder",
    "MessageTemplate",
    "NewPromptVersion",
    "PromptContent",
    "PromptDeployment",
    "PromptDiff",
    "PromptSummary",
    "PromptVersionFacts",
    "PromptVersionView",
    "Publication",
    "RenderedMessage",
    "Variable",
    "VariableType",
    "check_parameters",
    "has_type",
    "parse_prompt_reference",
]

MAX_TEXT = 200_000  # characters in one message
MAX_MESSAGES = 200

VariableType: TypeAlias = Literal[
    "string", "integer", "number", "boolean", "object", "array", "any"
]

# Bounds of a prompt's parameters before any model is chosen: those of the providers alone.
_ANY_MODEL = ModelFacts(max_output_tokens=10_000_000)
_DRAFT = "draft-"
_HASH = "sha256:"
_HASH_SHOWN = 8  # hexadecimal digits


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Variable(_Strict):
    """One input of a prompt. An optional one has a default, so that nothing is ever empty."""

    type: VariableType = "string"
    required: bool = True
    default: Any = None
    description: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _default_goes_with_optional(self) -> Variable:
        if not self.required and self.default is None:
            raise PydanticCustomError(
                "default_missing", "a variable that is not required needs a default"
            )
        if self.required and self.default is not None:
            raise PydanticCustomError(
                "default_useless",
                "a variable with a default is not required: write required: false",
            )
        if self.default is not None and not has_type(self.default, self.type):
            raise PydanticCustomError(
                "default_type", "the default is not of type {type}", {"type": self.type}
            )
        return self


def has_type(value: object, kind: VariableType) -> bool:
    """Whether a value may fill a variable of this type; `any` takes all but null.

    JSON's rules: `true` is no number, `3.0` is an integer.
    """
    match kind:
        case "any":
            return value is not None
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            if isinstance(value, float):
                return value.is_integer()
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "object":
            return isinstance(value, Mapping)
        case "array":
            return isinstance(value, (list, tuple))


class MessageTemplate(_Strict):
    """One message; `content` is a template with `{{ name }}` placeholders."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str = Field(max_length=MAX_TEXT)

    @field_validator("content")
    @classmethod
    def _is_a_template(cls, content: str) -> str:
        if "\0" in content:
            raise PydanticCustomError("nul", "there is a NUL character in it, which no model reads")
        try:
            compile_template(content)
        except TemplateSyntaxError as error:
            raise PydanticCustomError(
                "template", "{problem}", {"problem": error.message, "line": error.line}
            ) from None
        return content


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
        used: set[str] = set()
        histories = 0
        for index, message in enumerate(self.messages):
            if isinstance(message, MessagePlaceholder):
                histories += 1
                if histories > 1:
                    raise PydanticCustomError(
                        "second_placeholder",
                        "a prompt has at most one message placeholder",
                        {"message": index},
                    )
                continue
            names = compile_template(message.content).names
            for name in names:
                if name not in self.variables:
                    raise PydanticCustomError(
                        "undeclared",
                        "the placeholder {placeholder} is not declared under variables",
                        {"placeholder": f"{{{{ {name} }}}}", "variable": name, "message": index},
                    )
            used.update(names)
        for name in self.variables:
            if name not in used:
                raise PydanticCustomError(
                    "unused",
                    "the variable {variable} is declared and used in no message",
                    {"variable": name},
                )
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
                yield from message.content.split("\n")
        variables = {n: v.model_dump(exclude_defaults=True) for n, v in self.variables.items()}
        for title, part in (
            ("variables", variables or None),
            ("parameters", self.parameters or None),
            ("tools", self.tools),
            ("tool_choice", self.tool_choice),
            ("response_format", self.response_format),
        ):
            if part is not None:
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


def check_parameters(parameters: Mapping[str, JSON]) -> None:
    """Refuse a prompt's parameters that no model could take.

    Raises `Invalid` with path `parameters.<name>`: unknown name, wrong type, out of bounds.
    The bounds of a certain model are checked when the prompt meets it.
    """
    resolve_parameters({}, parameters, _ANY_MODEL)


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
        return f"{self.name}@{_DRAFT}{self.content_hash.removeprefix(_HASH)[:_HASH_SHOWN]}"


def parse_prompt_reference(text: str) -> Reference:
    """Read what `parse_reference` reads, and a draft as it is shown: `triage@draft-1a2b3c4d`.

    Raises `Invalid` for anything else.
    """
    return parse_reference(text.replace(f"@{_DRAFT}", f"@{_HASH}", 1), noun="prompt")


class PromptSummary(_Strict):
    """One prompt in a list. Drafts are not counted."""

    name: Name
    latest: int
    versions: int
    description: str
    origin: str
    updated_at: datetime
    author: str


class PromptVersionFacts(_Strict):
    """One version or draft in a list: what is said of it, and not what it says."""

    id: UUID
    number: int | None
    content_hash: str
    description: str
    message: str
    origin: str
    author: str
    created_at: datetime
    published_at: datetime | None


class PromptDeployment(_Strict):
    """One move of an alias that served versions of a prompt.

    `targets` are those of this prompt alone. It served from `created_at` until `ended_at`, which is
    null while it serves. With `is_disabled` the alias answered with a fixed text meanwhile.
    """

    id: UUID
    alias: str
    number: int
    kind: DeploymentKind
    reason: str
    is_disabled: bool
    targets: tuple[DeploymentTargetView, ...]
    created_at: datetime
    created_by: str
    ended_at: datetime | None


class NewPromptVersion(_Strict):
    """Content on its way in: as the next version, under a number of one's own, or as a draft."""

    content: PromptContent
    number: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="default: the next free number"
    )
    draft: bool = Field(default=False, description="store it without a number")
    description: str = Field(default="", max_length=2000, description="what the prompt is for")
    message: str = Field(default="", max_length=2000, description="what this version changes")

    @model_validator(mode="after")
    def _a_draft_has_no_number(self) -> NewPromptVersion:
        if self.draft and self.number is not None:
            raise PydanticCustomError("numbered_draft", "a draft has no number: leave one out")
        return self


class Publication(_Strict):
    """What is said of a draft when it gets its number."""

    message: str = Field(min_length=1, max_length=2000, description="what this version changes")


class PromptDiff(_Strict):
    """How one text differs from another, as the lines of a unified diff; none if they agree."""

    before: str = Field(description="reference, as in triage@1")
    after: str = Field(description="reference, as in triage@2")
    lines: tuple[str, ...]


class RenderedMessage(_Strict):
    """One message as a model would get it."""

    role: str
    content: str
