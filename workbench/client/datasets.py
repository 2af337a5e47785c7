"""Datasets, their versions and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Listing, quoted, versioned

__all__ = [
    "Change",
    "Changes",
    "Dataset",
    "DatasetImport",
    "DatasetVersion",
    "Example",
    "ExamplePage",
    "InputLength",
    "LabelCount",
    "LengthBucket",
    "Message",
    "Preview",
    "PreviewRow",
    "Profile",
    "RepeatedInput",
    "RowError",
    "changes",
    "example_page",
    "examples",
    "import_",
    "import_text",
    "listing",
    "preview",
    "profile",
    "version",
    "versions",
]


class Dataset(Answer):
    """One dataset of the list, with its newest version's number."""

    SCHEMA: ClassVar[str] = "DatasetSummary"

    name: str
    latest: int
    versions: int
    example_count: int
    expected_count: int
    input_names: tuple[str, ...]
    updated_at: datetime
    created_by: str


class DatasetVersion(Answer):
    """One immutable version; `parent` is the number of the one before."""

    SCHEMA: ClassVar[str] = "DatasetVersionView"

    id: UUID
    name: str
    number: int
    content_hash: str
    example_count: int
    expected_count: int
    input_names: tuple[str, ...]
    metadata_names: tuple[str, ...]
    parent: int | None
    source: str
    message: str
    created_at: datetime
    created_by: str

    @property
    def reference(self) -> str:
        """`tickets@1`."""
        return f"{self.name}@{self.number}"


class DatasetImport(Answer):
    """What an import came to; not `created` if a version with exactly this content was there."""

    SCHEMA: ClassVar[str] = "DatasetImport"

    version: DatasetVersion
    created: bool
    repeated_inputs: int


class Message(Answer):
    """One turn of a conversation that came before an example's input."""

    SCHEMA: ClassVar[str] = "ExampleMessage"

    role: str
    content: str


class Example(Answer):
    """One example of a dataset version."""

    SCHEMA: ClassVar[str] = "ExampleItem"

    id: UUID
    position: int
    key: str
    input: dict[str, JsonValue]
    messages: tuple[Message, ...] | None
    expected_output: JsonValue
    metadata: dict[str, JsonValue]
    cluster: str | None


class ExamplePage(Answer):
    """Some examples; a filtered page may be short with more behind it. `searched` of them were
    gone through, from the first on."""

    SCHEMA: ClassVar[str] = "ExamplePage"

    items: tuple[Example, ...]
    next_cursor: str | None = None
    searched: int


class Change(Answer):
    """One difference by key: `added`, `removed` or `changed`."""

    SCHEMA: ClassVar[str] = "ExampleChangeItem"

    kind: str
    key: str
    before: Example | None
    after: Example | None


class Changes(Answer):
    """A page of what differs between two versions, with counts of all."""

    SCHEMA: ClassVar[str] = "DatasetChanges"

    items: tuple[Change, ...]
    next_cursor: str | None = None
    before: str
    after: str
    added: int
    removed: int
    changed: int


class LengthBucket(Answer):
    """How many inputs have a length from `low` up to and with `high`, in characters."""

    SCHEMA: ClassVar[str] = "LengthBucket"

    low: int
    high: int
    examples: int


class InputLength(Answer):
    """The length of one input in characters."""

    SCHEMA: ClassVar[str] = "InputLength"

    key: str
    position: int
    characters: int


class RepeatedInput(Answer):
    """One input that several examples have; `keys` are the first of them."""

    SCHEMA: ClassVar[str] = "RepeatedInput"

    keys: tuple[str, ...]
    examples: int
    expected_differ: bool


class LabelCount(Answer):
    """One expected output and how many examples have it."""

    SCHEMA: ClassVar[str] = "LabelCount"

    label: JsonValue
    examples: int


class Profile(Answer):
    """What a version is made of; `labels` is None if there are too many different ones."""

    SCHEMA: ClassVar[str] = "DatasetProfile"

    dataset: str
    examples: int
    complete: bool
    median_characters: int
    longest: tuple[InputLength, ...]
    lengths: tuple[LengthBucket, ...]
    characters_per_token: int
    repeated_groups: int
    repeated_examples: int
    repeated: tuple[RepeatedInput, ...]
    labels: tuple[LabelCount, ...] | None
    without_expected: int


class RowError(Answer):
    """What is wrong with one row of a text; without a row, with the text from a line on."""

    SCHEMA: ClassVar[str] = "RowError"

    row: int | None
    line: int | None
    column: str | None
    problem: str


class PreviewRow(Answer):
    """One row as it was read, and the example that it becomes; None if it cannot be one."""

    SCHEMA: ClassVar[str] = "PreviewRow"

    row: int
    values: dict[str, JsonValue]
    example: dict[str, JsonValue] | None


class Preview(Answer):
    """What a text would become as a version; nothing was stored."""

    SCHEMA: ClassVar[str] = "DatasetPreview"

    columns: tuple[str, ...]
    rows: tuple[PreviewRow, ...]
    examples: int
    expected_count: int
    repeated_inputs: int
    errors: tuple[RowError, ...]
    error_count: int


def listing(search: str = "") -> Listing[Dataset]:
    """The datasets by name."""
    return Listing("/api/datasets", Dataset, {"search": search})


def version(reference: str) -> Call[DatasetVersion]:
    """The version `tickets@1`."""
    return Call("GET", f"/api/datasets/{versioned(reference)}", DatasetVersion)


def versions(name: str) -> Listing[DatasetVersion]:
    """The versions of one dataset, oldest first."""
    return Listing(f"/api/datasets/{quoted(name)}/versions", DatasetVersion)


def examples(reference: str) -> Listing[Example]:
    """The examples of the version `tickets@1` in order."""
    return Listing(f"/api/datasets/{versioned(reference)}/examples", Example)


def example_page(
    reference: str,
    *,
    search: str = "",
    key: str | None = None,
    column: str | None = None,
    value: str | None = None,
    expected_output: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Call[ExamplePage]:
    """A page of the examples of `tickets@1` that have a text, a key, a value in a metadata column
    or an expected output; all if nothing is said."""
    wanted = {
        "search": search or None,
        "key": key,
        "column": column,
        "value": value,
        "expected_output": expected_output,
        "cursor": cursor,
        "limit": limit,
    }
    return Call("GET", f"/api/datasets/{versioned(reference)}/examples", ExamplePage, wanted)


def changes(
    before: str, after: str, *, cursor: str | None = None, limit: int = 50
) -> Call[Changes]:
    """A page of what differs between `tickets@1` and `tickets@2`, by key."""
    wanted = {"before": before, "cursor": cursor, "limit": limit}
    return Call("GET", f"/api/datasets/{versioned(after)}/diff", Changes, wanted)


def profile(reference: str) -> Call[Profile]:
    """What the version `tickets@1` is made of."""
    return Call("GET", f"/api/datasets/{versioned(reference)}/profile", Profile)


def import_(name: str, examples: Sequence[Mapping[str, Any]]) -> Call[DatasetImport]:
    """Store examples (`input`, `expected_output`, `key` ...) as the next version."""
    return Call(
        "POST", "/api/datasets", DatasetImport, body={"name": name, "examples": list(examples)}
    )


def preview(request: Mapping[str, Any]) -> Call[Preview]:
    """What a text would become: `{"text": ..., "format": "csv", "columns": {...}}`."""
    return Call("POST", "/api/datasets/preview", Preview, body=request)


def import_text(request: Mapping[str, Any]) -> Call[DatasetImport]:
    """Store a text's rows as the next version: as for `preview`, with `name` and `message`."""
    return Call("POST", "/api/datasets", DatasetImport, body=request)
