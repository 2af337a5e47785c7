"""`workbench prompts`: between prompt files and the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Annotated

import orjson
import typer
from rich.table import Table
from rich.text import Text

from app.core.errors import Invalid, WorkbenchError
from app.core.hashing import JSON, ordered_json
from app.llm.types import Message
from app.schemas.prompts import MessagePlaceholder, PromptContent, PromptSummary, Variable
from app.services.prompts import NumberTaken
from app.services.rendering import PromptRenderer
from workbench.cli.context import (
    ExitCode,
    FormatOption,
    command,
    err,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.reports.visible import visible
from workbench.text_diff import Kind, Piece, line_hunks, marked_lines, unified_diff
from workbench.workspace.prompts import (
    Entry,
    PromptText,
    State,
    SyncReport,
    load_prompt,
    prompt_status,
    publish_prompt,
    pull_prompts,
    sync_prompts,
)

__all__ = ["app"]

app = typer.Typer(
    help="Prompt versions: sync, list, show, diff, publish.",
    no_args_is_help=True,
    add_completion=False,
)

TextArgument = Annotated[
    str, typer.Argument(help="A version as in triage@3, a name (its newest), or a .yaml file.")
]

_MARKS = {Kind.REMOVED: ("[-{}-]", "red"), Kind.ADDED: ("{{+{}+}}", "green")}


# Commands


@app.command()
@command
async def sync(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done.")
    ] = False,
    renumber: Annotated[
        bool,
        typer.Option(
            "--renumber",
            help="Give a file whose number is taken the next free one, and rename it.",
        ),
    ] = False,
    format_: FormatOption = "text",
) -> int:
    """Register the files under prompts/ that the registry does not have yet."""
    async with open_workspace() as workspace:
        report = await sync_prompts(
            workspace.services,
            workspace.actor,
            workspace.root,
            renumber=renumber,
            dry_run=dry_run,
        )
        if format_ == "json":
            print_json(_sync_json(report, workspace.root))
        else:
            _print_sync(report, workspace.root)
        return ExitCode.DONE if report.complete else ExitCode.USAGE


@app.command("list")
@command
async def list_(
    everything: Annotated[bool, typer.Option("--all", help="Built-in prompts too.")] = False,
    format_: FormatOption = "text",
) -> None:
    """List the prompts of the registry."""
    async with open_workspace() as workspace:
        summaries = await workspace.services.prompts.list()
    shown = [s for s in summaries if everything or s.origin != "builtin"]
    if format_ == "json":
        print_json([s.model_dump(mode="json") for s in shown])
    elif shown:
        print_with_whole_names(out(), _list_table(shown))
    else:
        out().print(
            "No prompts are registered yet. Write prompts/NAME/v1.yaml, then run "
            "`workbench prompts sync`."
        )


@app.command()
@command
async def show(
    prompt: TextArgument,
    render: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VAR=VALUE",
            help="Show the messages that a model would get with these values; repeatable.",
        ),
    ] = None,
    format_: FormatOption = "text",
) -> None:
    """Show one prompt text with its variables and parameters, or rendered."""
    async with open_workspace() as workspace:
        text = await load_prompt(workspace.services, workspace.root, prompt)
    messages = None
    if render is not None:
        values = _values(render, text.content.variables)
        messages = PromptRenderer(text.content).render(values)
    if format_ == "json":
        print_json(_show_json(text, messages))
        return
    console = out()
    console.print(_heading(text))
    if messages is None:
        for part in _content_parts(text.content):
            console.print(part)
    else:
        for message in messages:
            console.print(_message_part(message.role, message.text))


@app.command()
@command
async def diff(
    a: TextArgument,
    b: TextArgument,
    words: Annotated[bool, typer.Option("--words", help="Mark words, not lines.")] = False,
) -> None:
    """Show how the text B differs from A; drafts are named by their file."""
    async with open_workspace() as workspace:
        old = await load_prompt(workspace.services, workspace.root, a)
        new = await load_prompt(workspace.services, workspace.root, b)
    old_lines, new_lines = list(old.content.text_lines()), list(new.content.text_lines())
    console = out()
    if old_lines == new_lines:
        err().print(f"{old.label} and {new.label} say the same.", markup=False)
    elif words:
        console.print(Text(f"--- {old.label}\n+++ {new.label}"))
        for hunk in line_hunks(old_lines, new_lines):
            console.print(Text(f"@@ line {hunk.before_line} @@", style="cyan"))
            for pieces in marked_lines(hunk):
                console.print(_marked(pieces))
    else:
        console.print(_coloured(unified_diff(old_lines, new_lines, old.label, new.label)))


@app.command()
@command
async def status(format_: FormatOption = "text") -> None:
    """Compare the files under prompts/ with the registry."""
    async with open_workspace() as workspace:
        found = await prompt_status(workspace.services, workspace.root)
    if format_ == "json":
        print_json(
            {
                "entries": [_entry_json(e, workspace.root) for e in found.entries],
                "problems": [_problem_json(problem) for problem in found.problems],
            }
        )
        return
    if not found.entries and not found.problems:
        out().print(
            "No prompt files and no prompts in the registry. Write prompts/NAME/v1.yaml, then "
            "run `workbench prompts sync`."
        )
        return
    if found.entries:
        print_with_whole_names(out(), _status_table(found.entries, workspace.root))
    _print_problems(found.problems)
    for line in _advice(found.entries):
        out().print(line, style="dim")


@app.command()
@command
async def publish(
    prompt: Annotated[
        str, typer.Argument(help="A prompt's name, or the file or reference of a draft.")
    ],
    message: Annotated[
        str, typer.Option("--message", "-m", help="What this version changes, in a line.")
    ],
) -> None:
    """Give a draft the next number; its file becomes the version's file."""
    async with open_workspace() as workspace:
        published = await publish_prompt(
            workspace.services, workspace.actor, workspace.root, prompt, message=message
        )
    path = _shown(workspace.root, published.path)
    was = ""
    if published.replaced is not None:
        was = f" (was {_shown(workspace.root, published.replaced)})"
    out().print(f"Published {published.version.reference}: {path}{was}", markup=False)


@app.command()
@command
async def pull() -> None:
    """Write a file for each version that only the registry has."""
    async with open_workspace() as workspace:
        pulled = await pull_prompts(workspace.services, workspace.root)
    for path in pulled.written:
        out().print(f"written  {_shown(workspace.root, path)}", markup=False)
    for path in pulled.kept:
        err().print(f"kept     {_shown(workspace.root, path)}: it is in the way", markup=False)
    if not pulled.written and not pulled.kept:
        err().print("Nothing to write: every version of the registry has its file.")


# What is printed


def _shown(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _list_table(summaries: Sequence[PromptSummary]) -> Table:
    table = plain_table("prompt", "versions", "changed", "description")
    for summary in summaries:
        table.add_row(
            Text(f"{summary.name}@{summary.latest}"),
            str(summary.versions),
            summary.updated_at.strftime("%Y-%m-%d"),
            Text(visible(summary.description)),
        )
    return table


def _print_sync(report: SyncReport, root: Path) -> None:
    console = out()
    verb = "would register" if report.dry_run else "registered"
    for synced in report.synced:
        was = "" if synced.was is None else f" (was {_shown(root, synced.was)})"
        where = f"{_shown(root, synced.path)}{was}"
        console.print(Text.assemble((verb, "green"), f"  {synced.reference}  {where}"))
    for file, refusal in report.refused:
        where = _shown(root, file.path)
        console.print(Text.assemble(("refused", "red"), f"  {where}: {refusal.message}"))
        if isinstance(refusal, NumberTaken):
            console.print(_indented(_coloured(refusal.diff.split("\n"))))
        if refusal.hint:
            console.print(Text(f"  {refusal.hint}", style="dim"))
    _print_problems(report.problems)
    console.print(f"{'Dry run: ' if report.dry_run else ''}{report.summary}.")
    if report.empty:
        console.print("Write prompts/NAME/v1.yaml, or run `workbench prompts pull`.")


def _print_problems(problems: Sequence[WorkbenchError]) -> None:
    for problem in problems:
        err().print(Text.assemble(("not readable", "red"), f"  {visible(problem.message)}"))
        if problem.hint:
            err().print(Text(f"  {problem.hint}", style="dim"))


def _coloured(lines: Sequence[str]) -> Text:
    """Colour the lines of a unified diff."""
    styles = {"-": "red", "+": "green", "@": "cyan"}
    text = Text()
    for line in lines:
        text.append(visible(line) + "\n", style=styles.get(line[:1]))
    text.right_crop(1)
    return text


def _indented(text: Text) -> Text:
    return Text("\n").join(Text("    ") + line for line in text.split("\n"))


def _marked(pieces: Sequence[Piece]) -> Text:
    """Mark changed words as `[-old-]{+new+}`, in colour where there is any."""
    text = Text()
    for piece in pieces:
        form, style = _MARKS.get(piece.kind, ("{}", ""))
        text.append(form.format(visible(piece.text)), style=style)
    return text


_STATES = {
    State.IN_STEP: "green",
    State.ONLY_IN_FILES: "yellow",
    State.ONLY_IN_REGISTRY: "yellow",
    State.DIFFERS: "red",
    State.DRAFT: "cyan",
}


def _status_table(entries: Sequence[Entry], root: Path) -> Table:
    table = plain_table("prompt", "state", "file")
    for entry in entries:
        where = "" if entry.file is None else _shown(root, entry.file.path)
        table.add_row(
            Text(entry.reference),
            Text(entry.state + _twin_note(entry), style=_STATES[entry.state]),
            Text(where),
        )
    return table


def _twin_note(entry: Entry) -> str:
    return "" if entry.twin is None else f", same content as {entry.twin.reference}"


def _advice(entries: Sequence[Entry]) -> Iterator[str]:
    """Say once for each state that is there what brings it in step."""
    advice = {
        State.ONLY_IN_FILES: "Register files with `workbench prompts sync`.",
        State.ONLY_IN_REGISTRY: "Write missing files with `workbench prompts pull`.",
        State.DIFFERS: "See a difference with `workbench prompts diff NAME@N FILE`; "
        "`workbench prompts sync --renumber` gives such a file a number of its own.",
        State.DRAFT: "Give a draft its number with `workbench prompts publish NAME -m MESSAGE`.",
    }
    states = {entry.state for entry in entries}
    yield from (line for state, line in advice.items() if state in states)


def _heading(text: PromptText) -> Text:
    """Say what this is: reference, hash, and who made it when and why."""
    heading = Text(text.label, style="bold")
    heading.append(f"  {text.content.hash[:19]}", style="not bold dim")
    said = text.version or text.file
    facts = [] if said is None else [said.description, said.message]
    if version := text.version:
        at = (version.published_at or version.created_at).strftime("%Y-%m-%d %H:%M UTC")
        facts.append(f"{version.author}, {at}, origin {version.origin}")
    elif file := text.file:
        facts.append(f"draft of {file.name}" if file.number is None else file.reference)
    for fact in filter(None, facts):
        heading.append(f"\n{visible(fact)}", style="not bold")
    return heading


def _content_parts(content: PromptContent) -> Iterator[Text]:
    for message in content.messages:
        if isinstance(message, MessagePlaceholder):
            yield _message_part(message.placeholder, "(the conversation's messages)")
        else:
            yield _message_part(message.role, message.content)
    if content.variables:
        lines = [_variable_line(name, variable) for name, variable in content.variables.items()]
        yield _message_part("variables", "\n".join(lines))
    if content.parameters:
        lines = [f"{name}: {ordered_json(v)}" for name, v in content.parameters.items()]
        yield _message_part("parameters", "\n".join(lines))
    for name in ("tools", "tool_choice", "response_format"):
        value: JSON = getattr(content, name)
        if value is not None:
            yield _message_part(name, orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _message_part(title: str, body: str) -> Text:
    return Text.assemble("\n", (title, "bold cyan"), "\n", indent(visible(body), "  "))


def _variable_line(name: str, variable: Variable) -> str:
    need = "required" if variable.required else f"default {ordered_json(variable.default)}"
    told = f"  {variable.description}" if variable.description else ""
    return f"{name}: {variable.type}, {need}{told}"


def _values(pairs: Sequence[str], variables: Mapping[str, Variable]) -> dict[str, JSON]:
    """Read `VAR=VALUE`; a value for a variable that is no text is read as JSON."""
    values: dict[str, JSON] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise Invalid(f"--render {pair}: write VAR=VALUE.", path="render")
        if name not in variables:
            known = ", ".join(variables) or "none"
            raise Invalid(f"--render: there is no variable {name!r}; known are {known}.")
        if variables[name].type in ("string", "any"):
            values[name] = value
            continue
        try:
            values[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise Invalid(
                f"--render {pair}: the variable is of type {variables[name].type}; write JSON."
            ) from None
    return values


# What is printed as JSON


def _sync_json(report: SyncReport, root: Path) -> dict[str, JSON]:
    return {
        "dry_run": report.dry_run,
        "in_step": report.in_step,
        "registered": [
            {
                "reference": synced.reference,
                "file": _shown(root, synced.path),
                "was": None if synced.was is None else _shown(root, synced.was),
            }
            for synced in report.synced
        ],
        "refused": [
            {
                "reference": file.reference,
                "file": _shown(root, file.path),
                **_problem_json(refusal),
                "diff": refusal.diff if isinstance(refusal, NumberTaken) else None,
            }
            for file, refusal in report.refused
        ],
        "problems": [_problem_json(problem) for problem in report.problems],
    }


def _problem_json(problem: WorkbenchError) -> dict[str, JSON]:
    return {"code": problem.code, "message": problem.message, "hint": problem.hint}


def _entry_json(entry: Entry, root: Path) -> dict[str, JSON]:
    return {
        "name": entry.name,
        "number": entry.number,
        "state": entry.state.value,
        "file": None if entry.file is None else _shown(root, entry.file.path),
        "file_hash": None if entry.file is None else entry.file.content.hash,
        "registry_hash": None if entry.version is None else entry.version.content_hash,
        "same_content_as": None if entry.twin is None else entry.twin.reference,
    }


def _show_json(text: PromptText, messages: Sequence[Message] | None) -> dict[str, JSON]:
    said = text.version or text.file
    version = text.version
    shape: dict[str, JSON] = {
        "reference": text.label,
        "name": None if said is None else said.name,
        "number": None if said is None else said.number,
        "content_hash": text.content.hash,
        "description": "" if said is None else said.description,
        "message": "" if said is None else said.message,
        "author": None if version is None else version.author,
        "published_at": None
        if version is None or version.published_at is None
        else version.published_at.isoformat(),
        "origin": None if version is None else version.origin,
        "content": text.content.model_dump(mode="json", exclude_none=True),
    }
    if messages is not None:
        shape["rendered"] = [message.to_json() for message in messages]
    return shape
