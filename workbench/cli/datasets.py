"""`workbench datasets`: import, list, show and diff dataset versions."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
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
from workbench.cli.context import FormatOption, command, err, open_workspace, out, print_json
from workbench.cli.tables import COLUMN_GAP, plain_table, print_with_whole_names
from workbench.reports.visible import visible
from workbench.workspace.dataset_files import ExampleColumns, read_examples

__all__ = ["app"]

app = typer.Typer(
    help="Dataset versions: import, list, show, diff.", no_args_is_help=True, add_completion=False
)

ReferenceArgument = Annotated[
    str, typer.Argument(help="NAME (its newest version), NAME@2 or NAME@<hash prefix>.")
]

_PROGRESS_STEP: Final = 500
_CELL_WIDTH: Final = 200
_NARROWEST: Final = 12
_CHANGE_WIDTH: Final = 70
_LEAD: Final = 20  # equal characters shown before the place where two texts part


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

    Columns may be dotted paths into nested objects. Files of objects with
    key, input, expected_output and metadata need no column options. The same
    content again is the version that is there already.
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
        print_json(shape)
        return
    _tell_imported(imported)


@app.command("list")
@command
async def list_(format_: FormatOption = "text") -> None:
    """List the datasets with their newest version."""
    async with open_workspace() as workspace:
        datasets = await workspace.services.datasets.list()
    if format_ == "json":
        print_json([summary.model_dump(mode="json") for summary in datasets])
        return
    if not datasets:
        _print("No dataset yet. Bring one in: workbench datasets import FILE --name NAME")
        return
    table = plain_table("dataset", "examples", "with expected", "inputs", "imported")
    for summary in datasets:
        cells = (
            f"{summary.name}@{summary.latest}",
            f"{summary.example_count:,}",
            f"{summary.expected_count:,}",
            ", ".join(summary.input_names),
            f"{summary.updated_at:%Y-%m-%d %H:%M} UTC",
        )
        table.add_row(*map(Text, cells))
    print_with_whole_names(out(), table)


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
            if format_ == "json":
                print_json(_example_json(example))
            else:
                _tell_example(version, example)
            return
        versions = await datasets.versions(version.name)
        parent = next((other for other in versions if other.number == version.parent), None)
        changes = None if parent is None else await datasets.change_counts(parent, version)
        examples = await datasets.examples(version.id, limit=limit) if limit else []
    if format_ == "json":
        shape = _version_json(version)
        shape["changes"] = None if changes is None else changes._asdict()
        shape["versions"] = [other.number for other in versions]
        shape["examples"] = [_example_json(example) for example in examples]
        print_json(shape)
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
            async with aclosing(datasets.diff(old, new)) as found:
                async for change in found:
                    changes.append(change)
                    if len(changes) == limit:
                        break
    if format_ == "json":
        print_json(
            {
                "before": old.reference,
                "after": new.reference,
                **counts._asdict(),
                "changes": [_change_json(change) for change in changes],
            }
        )
        return
    told = "the same version" if old.id == new.id else _counted(counts)
    _print(f"{old.reference} → {new.reference}: {told}")
    for change in changes:
        _tell_change(change)
    if (hidden := sum(counts) - len(changes)) > 0:
        _print(f"{hidden:,} more; --limit {sum(counts)} shows all.", style="dim")


@contextmanager
def _row_counter(
    console: Console,
) -> Iterator[Callable[[Iterator[ExampleInput]], Iterator[ExampleInput]]]:
    """Give a function that shows on a terminal how many rows have passed through it."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=None)

        def counted(rows: Iterator[ExampleInput]) -> Iterator[ExampleInput]:
            for number, row in enumerate(rows, 1):
                yield row
                if number % _PROGRESS_STEP == 0:
                    progress.update(task, completed=number)

        yield counted


def _tell_imported(imported: ImportedVersion) -> None:
    version = imported.version
    _print(version.summary, style="bold")
    if not imported.created:
        when = f"{version.created_at:%Y-%m-%d %H:%M} UTC"
        _print(f"Exactly this content is there since {when}; nothing was changed.")
    if imported.changes is not None:
        _print(f"Since {version.name}@{version.parent}: {_counted(imported.changes)}.")
    _print(f"Inputs: {', '.join(version.input_names) or 'none, only messages'}.")
    if version.metadata_names:
        _print(f"Metadata: {', '.join(version.metadata_names)}.")
    if repeated := imported.repeated_inputs:
        rows = "1 row repeats" if repeated == 1 else f"{repeated:,} rows repeat"
        _print(f"{rows} the input of an earlier row; the keys end in -2, -3 and so on.")
    if version.expected_count == 0:
        _print("No expected output: scorers that compare with one need --expected COLUMN.")
    _print(f"Look at it: workbench datasets show {version.reference}")
    _print(f"Run it: workbench run --dataset {version.reference} --prompt PROMPT@1 --model MODEL")


def _tell_version(
    version: DatasetVersionView,
    versions: Sequence[DatasetVersionView],
    changes: ChangeCounts | None,
) -> None:
    _print(version.summary, style="bold")
    facts = {
        "inputs": ", ".join(version.input_names) or "none, only messages",
        "metadata": ", ".join(version.metadata_names),
        "source": version.source,
        "message": version.message,
        "imported": f"{version.created_at:%Y-%m-%d %H:%M} UTC by {version.created_by}",
        "hash": version.content_hash,
        f"since @{version.parent}": "" if changes is None else _counted(changes),
        "versions": ", ".join(f"@{other.number}" for other in versions),
    }
    width = max(len(name) for name, value in facts.items() if value)
    for name, value in facts.items():
        if value:
            _print(f"{name:<{width}}  {value}")


def _tell_examples(version: DatasetVersionView, examples: Sequence[ExampleView]) -> None:
    """Print one line for each example; keys stand whole, texts are cut to the width."""
    rows = [
        (
            example.key,
            _one_line(_asked(example), _CELL_WIDTH),
            _one_line(example.expected_output, _CELL_WIDTH),
        )
        for example in examples
    ]
    titles = ("key", "input", "expected output")
    keys, _, expected = (max(map(len, column)) for column in zip(titles, *rows, strict=True))
    left = max(2 * _NARROWEST, out().width - keys - 2 * COLUMN_GAP)
    expected = min(expected, left // 2)
    table = plain_table(titles[0])
    table.add_column(titles[1], width=left - expected, no_wrap=True, overflow="ellipsis")
    table.add_column(titles[2], width=expected, no_wrap=True, overflow="ellipsis")
    table.columns[0].width = keys
    for row in rows:
        table.add_row(*map(Text, row))
    _print("")
    out().print(table, soft_wrap=False, crop=False)
    _print("")
    if len(examples) < version.example_count:
        _print(f"{len(examples):,} of {version.example_count:,} examples; --limit shows more.")
    key = shlex.quote(examples[0].key)
    _print(f"One whole: workbench datasets show {version.reference} --key {key}")


def _asked(example: ExampleView) -> JSON:
    """Return what stands for the input in a table: the text itself if it is the only one."""
    if not example.input and example.messages:
        return example.messages[-1]["content"]
    return next(iter(example.input.values())) if len(example.input) == 1 else example.input


def _tell_example(version: DatasetVersionView, example: ExampleView) -> None:
    _print(f"{version.reference} · {example.key}", style="bold")
    for name, value in _fields(example).items():
        text = visible(_as_text(value))
        separator = "\n" if "\n" in text else " "
        out().print(Text.assemble((f"{name}:", "cyan"), separator, text))


def _tell_change(change: ExampleChange) -> None:
    mark, style = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}[
        change.kind
    ]
    _print(f"{mark} {change.key}", style=style)
    before = {} if change.before is None else _fields(change.before)
    after = {} if change.after is None else _fields(change.after)
    for name in {**after, **before}:
        old, new = before.get(name), after.get(name)
        if old != new:
            _print(f"    {name}: {_change_text(old, new)}")


def _change_text(old: JSON, new: JSON) -> str:
    """`old → new` from where they part, or the one that is there."""
    if old is None or new is None:
        return _one_line(new if old is None else old, _CHANGE_WIDTH)
    texts = _as_text(old), _as_text(new)
    differ = (place for place, (a, b) in enumerate(zip(*texts, strict=False)) if a != b)
    start = max(0, next(differ, min(map(len, texts))) - _LEAD)
    lead = "…" if start else ""
    return " → ".join(lead + _one_line(text[start:], _CHANGE_WIDTH) for text in texts)


def _fields(example: ExampleView) -> dict[str, JSON]:
    """Return what an example says, part by part; absent parts are absent."""
    parts: dict[str, JSON] = {f"input.{name}": value for name, value in example.input.items()}
    for number, turn in enumerate(example.messages or (), 1):
        parts[f"messages.{number}"] = f"[{turn['role']}] {turn['content']}"
    if example.expected_output is not None:
        parts["expected_output"] = example.expected_output
    parts |= {f"metadata.{name}": value for name, value in example.metadata.items()}
    if example.cluster is not None:
        parts["cluster"] = example.cluster
    return parts


def _as_text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _one_line(value: JSON, width: int) -> str:
    text = "" if value is None else " ".join(_as_text(value).split())
    shown = text if len(text) <= width else text[: width - 1] + "…"
    return visible(shown)


def _counted(counts: ChangeCounts) -> str:
    if not any(counts):
        return "the same examples in another order"
    return f"{counts.added:,} added, {counts.removed:,} removed, {counts.changed:,} changed"


def _version_json(version: DatasetVersionView) -> dict[str, JSON]:
    return {"reference": version.reference, **version.model_dump(mode="json")}


def _example_json(example: ExampleView) -> dict[str, JSON]:
    return {
        "key": example.key,
        "position": example.position,
        "input": example.input,
        "messages": example.messages,
        "expected_output": example.expected_output,
        "metadata": example.metadata,
        "cluster": example.cluster,
    }


def _change_json(change: ExampleChange) -> dict[str, JSON]:
    return {
        "kind": change.kind,
        "key": change.key,
        "before": None if change.before is None else _example_json(change.before),
        "after": None if change.after is None else _example_json(change.after),
    }


def _print(text: str, *, style: str = "") -> None:
    """Print a line as it stands: names of users are no markup."""
    out().print(Text(text, style=style))
