"""Datasets, their versions and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call, Listing, versioned

__all__ = [
    "Dataset",
    "DatasetImport",
    "DatasetVersion",
    "Example",
    "examples",
    "import_",
    "listing",
    "version",
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


class DatasetVersion(Answer):
    """One immutable version."""

    SCHEMA: ClassVar[str] = "DatasetVersionView"

    id: UUID
    name: str
    number: int
    content_hash: str
    example_count: int
    expected_count: int
    input_names: tuple[str, ...]
    message: str
    created_at: datetime
    created_by: str


class DatasetImport(Answer):
    """What an import came to; not `created` if a version with exactly this content was there."""

    SCHEMA: ClassVar[str] = "DatasetImport"

    version: DatasetVersion
    created: bool
    repeated_inputs: int


class Example(Answer):
    """One example of a dataset version."""

    SCHEMA: ClassVar[str] = "ExampleItem"

    id: UUID
    position: int
    key: str
    input: dict[str, JsonValue]
    expected_output: JsonValue
    metadata: dict[str, JsonValue]
    cluster: str | None


def listing(search: str = "") -> Listing[Dataset]:
    """The datasets by name."""
    return Listing("/api/datasets", Dataset, {"search": search})


def version(reference: str) -> Call[DatasetVersion]:
    """The version `tickets@1`."""
    return Call("GET", f"/api/datasets/{versioned(reference)}", DatasetVersion)


def examples(reference: str) -> Listing[Example]:
    """The examples of the version `tickets@1` in order."""
    return Listing(f"/api/datasets/{versioned(reference)}/examples", Example)


def import_(name: str, examples: Sequence[Mapping[str, Any]]) -> Call[DatasetImport]:
    """Store examples (`input`, `expected_output`, `key` ...) as the next version."""
    return Call(
        "POST", "/api/datasets", DatasetImport, body={"name": name, "examples": list(examples)}
    )
