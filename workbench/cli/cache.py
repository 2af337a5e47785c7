"""`workbench cache`: why an answer is used again or is not, and what that has saved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from app.core.errors import Conflict, Invalid, NotFound
from app.core.hashing import JSON
from app.llm.request_identity import changed_parts, identity_hash, identity_of_stored
from app.llm.types import ModelTarget
from app.schemas.generations import GenerationView
from workbench.cli.context import (
    FormatOption,
    Workspace,
    command,
    open_workspace,
    out,
    print_json,
)
from workbench.number_text import money
from workbench.text_diff import unified_diff

__all__ = ["app"]

app = typer.Typer(
    help="Reuse of stored answers: explain, stats.", no_args_is_help=True, add_completion=False
)

_WHICH: Final = "A generation's id, or RUN:KEY[:REPETITION], repetitions counted from 0."


@dataclass(frozen=True)
class _Stored:
    """A stored generation with the identity of its request."""

    name: str
    story: GenerationView
    identity: Mapping[str, JSON]

    @property
    def hash(self) -> str:
        """The hash as it is made today; an older row may have none, or that of another form."""
        return identity_hash(self.identity)


@app.command()
@command
async def explain(
    first: Annotated[str, typer.Argument(metavar="A", help=_WHICH)],
    second: Annotated[
        str | None, typer.Argument(metavar="[B]", help="Another one to hold against it.")
    ] = None,
    format_: FormatOption = "text",
) -> None:
    """Say which part of two requests differs; of one alone, whether its answer can be used again.

    Examples:

      workbench cache explain 3/triage@1+openai/gpt-4.1:t-17 4/triage@1+openai/gpt-4.1:t-17

      workbench cache explain latest:t-17:1
    """
    async with open_workspace() as workspace:
        a = await _stored(workspace, first)
        b = await _stored(workspace, second) if second is not None else None
    if b is None:
        reason = _unusable(a)
        if format_ == "json":
            print_json({"generation": _json(a), "usable": reason is None, "reason": reason})
            return
        out().print(escape(f"{a.name}: {a.hash}"))
        out().print("Its answer can be used again." if reason is None else escape(reason))
        return
    changed = changed_parts(a.identity, b.identity)
    if format_ == "json":
        print_json({"a": _json(a), "b": _json(b), "equal": not changed, "changed": list(changed)})
        return
    _print_difference(out(), a, b, changed)


@app.command()
@command
async def stats(format_: FormatOption = "text") -> None:
    """Show how many answers could be used again, and what using them has saved."""
    async with open_workspace() as workspace:
        totals = await workspace.services.generations.reuse_totals()
    if format_ == "json":
        print_json(
            {
                "answers": totals.answers,
                "distinct_requests": totals.distinct,
                "reused": totals.reused,
                "runs": totals.runs,
                "saved_cost": None if totals.cost is None else float(totals.cost),
                "saved_input_tokens": totals.input_tokens,
                "saved_output_tokens": totals.output_tokens,
            }
        )
        return
    console = out()
    console.print(
        f"{totals.answers:,} stored answers to {totals.distinct:,} different requests can be used "
        "again (`workbench run --cache`)."
    )
    if not totals.reused:
        console.print("None was used again yet.")
        return
    runs = "run" if totals.runs == 1 else "runs"
    cost = "cost unknown" if totals.cost is None else money(float(totals.cost))
    console.print(
        f"{totals.reused:,} calls saved in {totals.runs:,} {runs}: {cost}, "
        f"{totals.input_tokens:,} tokens in, {totals.output_tokens:,} out."
    )


async def _stored(workspace: Workspace, reference: str) -> _Stored:
    """Return the generation of a reference; `NotFound` or `Invalid` says what is wrong with it."""
    generations = workspace.services.generations
    try:
        story = await generations.by_id(UUID(reference))
    except ValueError:
        story = await _of_cell(workspace, reference)
    name = reference if story.key is None else f"{story.key}, repetition {story.repetition}"
    if story.request is None or story.model is None or story.provider is None:
        raise Conflict(
            f"The request of {reference} is not stored: it was made elsewhere, could not be "
            "rendered, or its text was erased."
        )
    model = await workspace.services.models.get(story.model)
    target = ModelTarget(story.provider, model.endpoint, model.provider_model)
    identity = identity_of_stored(story.request, target, model.digest, story.repetition)
    return _Stored(f"{name} ({story.prompt} on {story.model})", story, identity)


async def _of_cell(workspace: Workspace, reference: str) -> GenerationView:
    """Find RUN:KEY or RUN:KEY:REPETITION; names of runs and keys may hold colons themselves."""
    services = workspace.services
    missing: NotFound | None = None
    for colon in re.finditer(":", reference):
        try:
            run = await services.experiments.run(reference[: colon.start()])
        except NotFound as error:
            missing = missing or error
            continue
        for key, repetition in _cells(reference[colon.end() :]):
            if (found := await services.generations.of_cell(run.id, key, repetition)) is not None:
                return found
        missing = NotFound(
            f"{run.name} has no outcome for {reference[colon.end() :]!r}.",
            hint=f"`workbench show {run.name}` lists keys.",
        )
    if missing is not None:
        raise missing
    raise Invalid(f"{reference!r} is no generation.", hint=_WHICH)


def _cells(text: str) -> Iterator[tuple[str, int]]:
    """Yield what KEY or KEY:REPETITION may mean."""
    yield text, 0
    if match := re.fullmatch(r"(.*):(\d{1,6})", text, re.DOTALL):
        yield match[1], int(match[2])


def _unusable(stored: _Stored) -> str | None:
    """Say why an answer cannot be used again; None if it can."""
    story = stored.story
    if story.origin == "imported":
        return "It was made elsewhere: only answers of our own calls are used again."
    if story.status != "completed":
        return f"It is {story.status}: only completed answers are used again."
    if story.output is None:
        return "Its text was erased."
    if story.reused_from_id is not None:
        return f"It is itself the answer of {story.reused_from_id}, which can be used again."
    if story.request_hash != stored.hash:
        return "It was stored under another form of hash, or none; it is not found any more."
    return None


def _print_difference(console: Console, a: _Stored, b: _Stored, changed: Sequence[str]) -> None:
    console.print(escape(f"A  {a.name}: {a.hash}"))
    console.print(escape(f"B  {b.name}: {b.hash}"))
    if not changed:
        console.print("The requests are equal: the answer of one may be used for the other.")
        return
    console.print(f"[bold]They differ in {escape(', '.join(changed))}.[/]")
    for part in changed:
        console.print()
        lines = [_lines(part, stored.identity) for stored in (a, b)]
        for line in unified_diff(lines[0], lines[1], f"A {part}", f"B {part}"):
            style = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1], "")
            console.print(Text(line, style=style))


def _lines(part: str, identity: Mapping[str, JSON]) -> list[str]:
    """Return a part as lines to compare: a chat as it reads, all else as JSON."""
    if part == "messages":
        messages = identity["messages"]
        assert isinstance(messages, list)  # noqa: S101 - as `LLMRequest.request_shape` made it
        return [line for message in messages for line in _message_lines(message)]
    name, _, parameter = part.partition(".")
    value = identity.get(name)
    if parameter:
        assert isinstance(value, Mapping)  # noqa: S101 - as `identity_of` made it
        if parameter not in value:
            return []
        value = value[parameter]
    return json.dumps(value, indent=2, ensure_ascii=False).splitlines()


def _message_lines(message: Mapping[str, JSON]) -> Iterator[str]:
    content = message.get("content")
    others = {k: v for k, v in message.items() if k not in ("role", "content")}
    yield f"[{message['role']}]" + (json.dumps(others, ensure_ascii=False) if others else "")
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    # `splitlines` would also split at signs that are no line end in a prompt.
    yield from text.split("\n")


def _json(stored: _Stored) -> dict[str, object]:
    return {
        "id": str(stored.story.id),
        "key": stored.story.key,
        "repetition": stored.story.repetition,
        "status": stored.story.status,
        "request_hash": stored.hash,
        "stored_hash": stored.story.request_hash,
        "reused_from_id": str(stored.story.reused_from_id) if stored.story.reused_from_id else None,
        "identity": stored.identity,
    }
