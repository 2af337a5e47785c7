"""`workbench datasets`: import, list, show and diff dataset versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from app.core.hashing import JSON
from app.schemas.datasets import (
    ChangeCounts,
    DatasetVersionView,
    ExampleChange,
    ExampleInput,
    ExampleView,
)
from app.services.datasets import ImportedVersion
from workbench.cli.context import command, err, open_workspace, out
from workbench.workspace.dataset_files import ExampleColumns, read_examples

__all__ = ["app"]

app = typer.Typer(help="Dataset versions: import, list, show, diff.", no_args_is_help=True)

Format = Literal["text", "json"]
FormatOption = Annotated[Format, typer.Option("--format", help="text or json.")]
ReferenceArgument = Annotated[
    str, typer.Argument(help="NAME (its newest version), NAME@2 or NAME@<hash prefix>.")
]

_PROGRESS_STEP: Final = 500
_CELL_WIDTH: Final = 60
"""Characters of a text in a table; `--key` shows all of it."""


@app.command("import")
@command
async def import_(
    file: Annotated[Path, typer.Argument(help="CSV, JSONL, JSON or Parquet, an example a row.")],
    name: Annotated[str, typer.Option(help="The dataset, as in gsm8k or team/gsm8k.")],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="An input column; without any, all that is nothing else."),
    ] = None,
    expected: Annotated[str | None, typer.Option(help="Column: the expected output.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Column: a stable name (default: made from the input).")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Column: what examples are alike by, such as a document.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(help="Column to keep beside the example; repeatable.")
    ] = None,
    messages: Annotated[
        str | None,
        typer.Option(help="Column of OpenAI chat messages; the last assistant turn is expected."),
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="What this version is.")] = "",
    format_: FormatOption = "text",
) -> None:
    """Bring in a file as the dataset's next version: all of it, or nothing.

    Columns may be dotted paths into nested objects. Files of objects with key, input,
    expected_output and metadata need no column options. The same content again is the
    version that is there.
    """
    columns = ExampleColumns(
        inputs=tuple(inputs or ()),
        expected=expected,
        key=key,
        cluster=cluster,
        metadata=tuple(metadata or ()),
        messages=messages,
    )
    async with open_workspace() as workspace:
        with _row_counter(err()) as counted:
            imported = await workspace.services.datasets.import_version(
                workspace.actor,
                name,
                counted(read_examples(file, columns)),
                source=file.name,
                message=message,
            )
    if format_ == "json":
        shape = _version_json(imported.version)
        shape["created"] = imported.created
        shape["repeated_inputs"] = imported.repeated_inputs
        shape["changes"] = None if imported.changes is None else imported.changes._asdict()
        _print_json(shape)
        return
    _tell_imported(imported)


@app.command("list")
@command
async def list_(format_: FormatOption = "text") -> None:
    """List the datasets with their newest version."""
    async with open_workspace() as workspace:
        datasets = await workspace.services.datasets.list()
    if format_ == "json":
        _print_json([summary.model_dump(mode="json") for summary in datasets])
        return
    if not datasets:
        _print("No dataset yet. Bring one in: workbench datasets import FILE --name NAME")
        return
    table = _table("dataset", "examples", "with expected", "inputs", "imported")
    for summary in datasets:
        table.add_row(
            f"{summary.name}@{summary.latest}",
            f"{summary.example_count:,}",
            f"{summary.expected_count:,}",
            ", ".join(summary.input_names),
            f"{summary.updated_at:%Y-%m-%d %H:%M} UTC",
        )
    out().print(table, soft_wrap=False)


@app.command()
@command
async def show(
    reference: ReferenceArgument,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many examples.")] = 5,
    key: Annotated[str | None, typer.Option(help="Show this example, whole.")] = None,
    format_: FormatOption = "text",
) -> None:
    """Show a version: where it comes from, its history, its first examples."""
    async with open_workspace() as workspace:
        datasets = workspace.services.datasets
        version = await datasets.get(reference)
        if key is not None:
            example = await datasets.example_by_key(version, key)
            _print_json(_example_json(example)) if format_ == "json" else _tell_example(example)
            return
        versions = await datasets.versions(version.name)
        changes = await _changes_from_parent(datasets.change_counts, version, versions)
        examples = await datasets.examples(version.id, limit=limit) if limit else []
    if format_ == "json":
        shape = _version_json(version)
        shape["changes"] = None if changes is None else changes._asdict()
        shape["versions"] = [other.number for other in versions]
        shape["examples"] = [_example_json(example) for example in examples]
        _print_json(shape)
        return
    _tell_version(version, versions, changes)
    if examples:
        _tell_examples(version, examples)


@app.command()
@command
async def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="The version before: NAME@1.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The version after: NAME@2.")],
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="How many differences.")] = 20,
    format_: FormatOption = "text",
) -> None:
    """Show what changed between two versions: examples added, removed and changed, by key."""
    async with open_workspace() as workspace:
        datasets = workspace.services.datasets
        old, new = await datasets.get(before), await datasets.get(after)
        counts = await datasets.change_counts(old, new)
        changes: list[ExampleChange] = []
        if limit and any(counts):
            async for change in datasets.diff(old, new):
                changes.append(change)
                if len(changes) == limit:
                    break
    if format_ == "json":
        _print_json(
            {
                "before": old.reference,
                "after": new.reference,
                **counts._asdict(),
                "changes": [_change_json(change) for change in changes],
            }
        )
        return
    _print(f"{old.reference} → {new.reference}: {_counted(counts)}")
    for change in changes:
        _tell_change(change)
    if (hidden := sum(counts) - len(changes)) > 0:
        _print(f"{hidden:,} more; --limit {sum(counts)} shows all.", style="dim")
