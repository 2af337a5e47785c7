"""Datasets at the boundary: one example on its way in, versions and examples read back.

What an example says is its content: input, messages, expected output, metadata and
cluster. The content hash covers exactly these, an absent part hashes as absent, and the key
is no part of it: the key names the example across versions, the hash says which text it had.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Final, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    model_validator,
)

from app.core.errors import Invalid
from app.core.hashing import JSON, content_hash
from app.schemas.names import Name
from app.schemas.pages import Page

__all__ = [
    "MAX_EXAMPLE_BYTES",
    "MAX_INLINE_EXAMPLES",
    "MAX_NESTING",
    "MESSAGE_INPUT",
    "ChangeCounts",
    "DatasetChanges",
    "DatasetImport",
    "DatasetSummary",
    "DatasetVersionView",
    "ExampleChange",
    "ExampleChangeItem",
    "ExampleColumnNames",
    "ExampleInput",
    "ExampleItem",
    "ExampleMember",
    "ExampleMessage",
    "ExampleView",
    "NewDatasetVersion",
    "Separator",
    "Storable",
    "TextFormat",
    "check_json",
]

MAX_EXAMPLE_BYTES = 1_000_000
"""Largest example, in bytes of its JSON."""

MESSAGE_INPUT = "message"
"""The input that holds the last user turn of a chat."""

MAX_INLINE_EXAMPLES = 5_000
"""How many examples one request may hold as objects; more come as a text, read row by row."""

MAX_NESTING = 64
"""Deepest nesting of objects and arrays in one value."""

_LOWEST_INTEGER, _HIGHEST_INTEGER = -(2**63), 2**64 - 1
_KEY_LENGTH = 300
_KEY_DIGITS = 12  # 48 bits; two inputs that share them get a suffix, so nothing is lost
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

ValueT = TypeVar("ValueT")

Label = Annotated[str, StringConstraints(min_length=1, max_length=_KEY_LENGTH)]

TextFormat = Literal["json", "jsonl", "csv"]
"""Forms of a text that holds examples; `json` is an array of objects."""

Separator = Literal[",", ";", "\t"]
"""What stands between two cells of a CSV text."""


def check_json(value: object, path: str) -> None:
    """Raise `Invalid` unless the value is JSON that the databases and the models take.

    Refused are NaN and infinities, whole numbers beyond 64 bits, lone surrogates and NUL in
    texts and names, nesting deeper than `MAX_NESTING`, and what is no JSON at all. The
    error's `path` leads to the place, as in `messages[2].content`.
    """
    _check(value, path, 0)


def _storable(value: ValueT, info: ValidationInfo) -> ValueT:
    try:
        check_json(value, info.field_name or "value")
    except Invalid as error:  # pydantic collects ValueErrors
        raise ValueError(error.message.rstrip(".")) from None
    return value


Storable: Final = AfterValidator(_storable)
"""Marks a field of any JSON: what `check_json` refuses is refused there."""


def _check(value: object, path: str, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, Mapping):
        _check_depth(path, depth)
        for name, item in value.items():
            if not isinstance(name, str):
                raise Invalid(f"{path}: the name {name!r} is no text.", path=path)
            _check_text(name, path)
            _check(item, f"{path}.{name}", depth + 1)
    elif isinstance(value, (list, tuple)):
        _check_depth(path, depth)
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise Invalid(f"{path}: NaN and infinite numbers cannot be stored.", path=path)
    elif isinstance(value, int):
        if not _LOWEST_INTEGER <= value <= _HIGHEST_INTEGER:
            raise Invalid(
                f"{path}: a whole number beyond 64 bits would lose digits; write it as a text.",
                path=path,
            )
    elif value is not None:
        raise Invalid(f"{path}: a {type(value).__name__} is no JSON value.", path=path)


def _check_text(text: str, path: str) -> None:
    if "\0" in text:
        raise Invalid(f"{path}: the text holds a NUL character.", path=path)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise Invalid(
                f"{path}: the text holds half of a surrogate pair (character {error.start + 1}).",
                path=path,
            ) from None


def _check_depth(path: str, depth: int) -> None:
    if depth >= MAX_NESTING:
        top = re.split(r"[.\[]", path, maxsplit=1)[0]
        raise Invalid(f"{top}: nested deeper than {MAX_NESTING} levels.", path=top)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExampleMessage(_Strict):
    """One turn of a conversation that came before the input; text only."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


class ExampleInput(_Strict):
    """One example as it comes in; what cannot be kept raises pydantic's `ValidationError`.

    `key` None lets the import make a key from the input. `expected_output` None means that
    there is none, as does a JSON null. `input` may be empty only beside `messages`.
    """

    key: Label | None = None
    input: dict[str, JsonValue] = Field(default_factory=dict)
    messages: tuple[ExampleMessage, ...] | None = None
    expected_output: JsonValue = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    cluster: Label | None = None

    @model_validator(mode="after")
    def _can_be_stored(self) -> ExampleInput:
        if not self.input and not self.messages:
            raise ValueError("an example needs an input")
        for name, part in self.content().items():
            try:
                check_json(part, name)
            except Invalid as error:  # pydantic collects ValueErrors
                raise ValueError(error.message.rstrip(".")) from None
        for label in (self.key, self.cluster):
            if label is not None and _CONTROL.search(label):
                raise ValueError(f"{label!r}: a key or cluster holds no control characters")
        return self

    @cached_property
    def hash(self) -> str:
        """The identity of what the example says."""
        shape = self.content()
        if self.cluster is not None:
            shape["cluster"] = self.cluster
        return content_hash(shape)

    def content(self) -> dict[str, JSON]:
        """Return the texts: what a `content` row holds. Absent parts are absent."""
        shape: dict[str, JSON] = {"input": self.input}
        if self.messages:
            shape["messages"] = [
                {"role": turn.role, "content": turn.content} for turn in self.messages
            ]
        if self.expected_output is not None:
            shape["expected_output"] = self.expected_output
        if self.metadata:
            shape["metadata"] = self.metadata
        return shape

    def made_key(self) -> str:
        """Return a key from what is asked, the same wherever the example stands in its file."""
        asked: dict[str, JSON] = {"input": self.input}
        if self.messages:
            asked["messages"] = self.content()["messages"]
        return content_hash(asked).removeprefix("sha256:")[:_KEY_DIGITS]


class DatasetVersionView(_Strict):
    """One immutable version. `parent` is the number of the version that came before."""

    id: UUID
    dataset_id: UUID
    name: Name
    number: int
    content_hash: str
    example_count: int
    expected_count: int = Field(description="examples that have an expected output")
    input_names: tuple[str, ...]
    metadata_names: tuple[str, ...]
    parent: int | None
    source: str
    message: str
    created_at: datetime
    created_by: str

    @property
    def reference(self) -> str:
        """`gsm8k@1`."""
        return f"{self.name}@{self.number}"

    @property
    def summary(self) -> str:
        """`gsm8k@1: 1,319 examples (1,319 with expected output)`."""
        noun = "example" if self.example_count == 1 else "examples"
        return (
            f"{self.reference}: {self.example_count:,} {noun} "
            f"({self.expected_count:,} with expected output)"
        )


class DatasetSummary(_Strict):
    """One dataset in a list: its newest version and how many there are."""

    name: Name
    latest: int
    versions: int
    example_count: int
    expected_count: int
    input_names: tuple[str, ...]
    updated_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class ExampleView:
    """One example of one version. `position` counts from 0 in the order of the file.

    An example whose text was erased has no input any more.
    """

    id: UUID
    position: int
    key: str
    input: Mapping[str, JSON]
    messages: Sequence[Mapping[str, JSON]] | None = None
    expected_output: JSON = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)
    cluster: str | None = None


class ExampleMember(NamedTuple):
    """One example of a version without its text."""

    id: UUID
    key: str
    cluster: str | None


class ChangeCounts(NamedTuple):
    """How many examples differ between two versions, by key."""

    added: int
    removed: int
    changed: int


@dataclass(frozen=True, slots=True)
class ExampleChange:
    """One difference by key: `before` is None for an added example, `after` for a removed one."""

    before: ExampleView | None
    after: ExampleView | None

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def key(self) -> str:
        example = self.after or self.before
        assert example is not None  # noqa: S101 - one of the two is always there
        return example.key


class ExampleItem(_Strict):
    """One example of one version, as it is read back over the API."""

    id: UUID
    position: int
    key: str
    input: dict[str, JsonValue]
    messages: tuple[ExampleMessage, ...] | None
    expected_output: JsonValue
    metadata: dict[str, JsonValue]
    cluster: str | None

    @classmethod
    def of(cls, example: ExampleView) -> ExampleItem:
        return cls.model_validate(example, from_attributes=True)


class ExampleChangeItem(_Strict):
    """One difference by key between two versions."""

    kind: Literal["added", "removed", "changed"]
    key: str
    before: ExampleItem | None
    after: ExampleItem | None

    @classmethod
    def of(cls, change: ExampleChange) -> ExampleChangeItem:
        return cls(
            kind=change.kind,
            key=change.key,
            before=None if change.before is None else ExampleItem.of(change.before),
            after=None if change.after is None else ExampleItem.of(change.after),
        )


class DatasetChanges(Page[ExampleChangeItem]):
    """What differs between two versions: added and changed in order, then removed."""

    before: str = Field(description="reference, as in gsm8k@1")
    after: str = Field(description="reference, as in gsm8k@2")
    added: int
    removed: int
    changed: int


class ExampleColumnNames(_Strict):
    """Which columns an example is made of; without inputs, every column that is nothing else."""

    inputs: tuple[Label, ...] = Field(default=(), max_length=100)
    expected_output: Label | None = None
    key: Label | None = None
    cluster: Label | None = None
    metadata: tuple[Label, ...] = Field(default=(), max_length=100)


class NewDatasetVersion(_Strict):
    """Examples on their way in, as objects or as the text of a file."""

    name: Name
    examples: tuple[ExampleInput, ...] | None = Field(
        default=None, min_length=1, max_length=MAX_INLINE_EXAMPLES
    )
    text: str | None = Field(
        default=None, min_length=1, description="the text of a file, an example a row"
    )
    format: TextFormat = Field(
        default="jsonl", description="of `text`; `json` is an array of objects"
    )
    separator: Separator = Field(default=",", description="between the cells of a CSV `text`")
    columns: ExampleColumnNames | None = Field(
        default=None,
        description="what the columns of `text` are; none: its rows are objects as in `examples`",
    )
    source: str = Field(default="api", min_length=1, max_length=200, description="where from")
    message: str = Field(default="", max_length=2000, description="what this version is")

    @model_validator(mode="after")
    def _one_way_of_saying_it(self) -> NewDatasetVersion:
        if (self.examples is None) == (self.text is None):
            raise ValueError("give either examples or text")
        if self.text is not None and self.format == "csv" and self.columns is None:
            raise ValueError("a CSV text needs columns")
        return self


class DatasetImport(_Strict):
    """What an import came to; `changes` are counted against the version before."""

    version: DatasetVersionView
    created: bool = Field(description="false: a version with exactly this content was there")
    repeated_inputs: int = Field(description="rows without a key whose input an earlier row has")
    changes: ChangeCounts | None
