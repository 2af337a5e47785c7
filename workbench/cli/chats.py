"""`workbench chats`: answers in production, to be found, counted, read and exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, cast, get_args
from uuid import UUID

import typer
from rich.markup import escape
from rich.text import Text

from app.core.errors import Invalid
from app.schemas.chat_counts import ChatCount, ChatCounts
from app.schemas.generations import GenerationFacts, GenerationFilter, GenerationStatus
from app.schemas.models import parse_model_reference
from app.schemas.names import parse_reference
from workbench.cli.context import FormatOption, command, err, open_workspace, out, print_json
from workbench.cli.show import print_story
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.cli.times import parse_time
from workbench.number_text import count_text
from workbench.reports.files import check_report_path, write_text

__all__ = ["app"]

app = typer.Typer(
    help="Answers in production: list, count, show, export.",
    no_args_is_help=True,
    add_completion=False,
)

_MOST_EXPORTED = 1_000

AliasOption = Annotated[
    str | None, typer.Option("--alias", help="Through this alias: support-bot@production.")
]
SinceOption = Annotated[
    str | None, typer.Option(help="That began then or later: 2026-03-01T03:12 (UTC).")
]
UntilOption = Annotated[str | None, typer.Option(help="That began before.")]
PromptOption = Annotated[str | None, typer.Option(help="Of a prompt: triage or triage@3.")]
ModelOption = Annotated[str | None, typer.Option(help="By a model: openai/x or openai/x@2.")]
StatusOption = Annotated[
    list[str] | None, typer.Option("--status", help="Ended so: failed, incomplete, ...")
]


@app.command("list")
@command
async def list_(
    alias: AliasOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    prompt: PromptOption = None,
    model: ModelOption = None,
    status: StatusOption = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20,
    format_: FormatOption = "text",
) -> None:
    """List answers in production, newest first: facts only, no content."""
    wanted = _filter(alias, since, until, prompt, model, status)
    async with open_workspace() as workspace:
        page = await workspace.services.generation_lists.page(
            workspace.actor, wanted, cursor=None, limit=limit
        )
    if format_ == "json":
        print_json([item.model_dump(mode="json") for item in page.items])
        return
    if not page.items:
        out().print("No answer in production is like that.")
        return
    table = plain_table("generation", "began", "alias", "prompt", "model", "ended", "tokens", "ms")
    for item in page.items:
        table.add_row(*_row(item))
    print_with_whole_names(out(), table, columns=1)
    if page.next_cursor:
        out().print(f"[dim]{len(page.items)} of about {page.total_estimate:,}; --limit for more[/]")


@app.command()
@command
async def count(
    alias: AliasOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    prompt: PromptOption = None,
    model: ModelOption = None,
    status: StatusOption = None,
    format_: FormatOption = "text",
) -> None:
    """Count answers in production: how many, for how many people, given by what.

    Example: workbench chats count --alias support-bot@production --since 2026-03-01T03:00
    """
    wanted = _filter(alias, since, until, prompt, model, status)
    async with open_workspace() as workspace:
        found = await workspace.services.generations.counts(workspace.actor, wanted)
    if format_ == "json":
        print_json(found.model_dump(mode="json"))
    else:
        _print_counts(found)


@app.command()
@command
async def show(
    generation: Annotated[UUID, typer.Argument(help="Its id, as `chats list` prints it.")],
    format_: FormatOption = "text",
) -> None:
    """Show one answer whole: what was sent, what came, what gave it.

    That it was opened is an audit event.
    """
    async with open_workspace() as workspace:
        found = await workspace.services.generations.read(workspace.actor, generation)
    if format_ == "json":
        print_json(found.model_dump(mode="json"))
        return
    story, chat = found.generation, found.chat
    where = "" if chat is None or chat.alias is None else f"{chat.alias} · "
    ended = story.status if chat is None or chat.ending is None else chat.ending
    print_story(
        out(),
        story,
        f"{where}{story.started_at:%Y-%m-%d %H:%M:%S} UTC · {ended}",
        found.scores,
        found.attempts,
        found.judgements,
        simulated=story.provider == "simulated",
    )
    if chat is not None and chat.deployment is not None:
        exact = "as it was measured" if chat.is_exact else f"with {', '.join(chat.asked)}"
        told = f"move {chat.deployment} of {chat.alias}, {chat.role}, {exact}, for {chat.actor}"
        out().print(Text(f"served by {told}", style="dim"))


@app.command()
@command
async def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="A JSON file, written whole.")],
    alias: AliasOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    prompt: PromptOption = None,
    model: ModelOption = None,
    status: StatusOption = None,
    limit: Annotated[int, typer.Option(min=1, max=_MOST_EXPORTED)] = _MOST_EXPORTED,
) -> None:
    """Write answers in production with their whole provenance to a file, newest first.

    The file says what was asked for, what was counted, what the alias meant meanwhile, and each
    answer with content. That it was made is an audit event.
    """
    wanted = _filter(alias, since, until, prompt, model, status)
    check_report_path(output)
    async with open_workspace() as workspace:
        services, actor = workspace.services, workspace.actor
        counts = await services.generations.counts(actor, wanted)
        answers = await services.generations.export(actor, wanted, limit=limit)
        moves = [] if alias is None else await services.aliases.history(alias)
    case = {
        "alias": alias,
        "since": None if wanted.since is None else wanted.since.isoformat(),
        "until": None if wanted.until is None else wanted.until.isoformat(),
        "counts": counts.model_dump(mode="json"),
        "deployments": [move.model_dump(mode="json") for move in moves],
        "answers": [answer.model_dump(mode="json") for answer in answers],
    }
    write_text(output, json.dumps(case, ensure_ascii=False, indent=2) + "\n")
    out().print(f"Wrote {count_text(len(answers), 'answer')} to {escape(str(output))}.")
    if counts.answers > len(answers):
        err().print(
            f"There are {counts.answers:,}: narrow the time, or raise --limit "
            f"(at most {_MOST_EXPORTED:,}).",
            style="yellow",
        )


def _filter(
    alias: str | None,
    since: str | None,
    until: str | None,
    prompt: str | None,
    model: str | None,
    statuses: list[str] | None,
) -> GenerationFilter:
    wanted = GenerationFilter(
        alias=alias,
        purposes=("chat",),
        statuses=_statuses(statuses or []),
        since=None if since is None else parse_time(since, option="since"),
        until=None if until is None else parse_time(until, option="until"),
        prompt=None if prompt is None else parse_reference(prompt, noun="prompt"),
        model=None if model is None else parse_model_reference(model),
    )
    if wanted.since and wanted.until and wanted.until <= wanted.since:
        raise Invalid("--until must lie behind --since.", path="until")
    return wanted


def _statuses(names: list[str]) -> tuple[GenerationStatus, ...]:
    known = get_args(GenerationStatus)
    for name in names:
        if name not in known:
            raise Invalid(f"--status {name!r}: known are {', '.join(known)}.", path="status")
    return tuple(cast("GenerationStatus", name) for name in names)


def _row(item: GenerationFacts) -> tuple[str, ...]:
    tokens = "-" if item.input_tokens is None else f"{item.input_tokens}+{item.output_tokens}"
    return (
        str(item.id),
        item.started_at.strftime("%Y-%m-%d %H:%M:%S"),
        escape(item.alias or "-"),
        escape(item.prompt or "-"),
        escape(item.model or "-"),
        item.ending or "under way",
        tokens,
        "-" if item.latency_ms is None else f"{item.latency_ms:.0f}",
    )


def _print_counts(found: ChatCounts) -> None:
    if not found.answers or found.first_at is None or found.last_at is None:
        out().print("No answer in production is like that.")
        return
    cost = "cost unknown" if found.cost is None else f"${found.cost:.4f}"
    out().print(
        f"[bold]{count_text(found.answers, 'answer')}[/] to "
        f"{count_text(found.subjects, 'named user')} in "
        f"{count_text(found.conversations, 'conversation')}, asked for by "
        f"{count_text(found.actors, 'caller')}, {cost}"
    )
    out().print(
        f"[dim]first {found.first_at:%Y-%m-%d %H:%M:%S}, last "
        f"{found.last_at:%Y-%m-%d %H:%M:%S} UTC[/]"
    )
    table = plain_table("alias", "move", "role", "prompt", "model", "answers", "ended")
    for target in found.targets:
        table.add_row(*_target_row(target))
    print_with_whole_names(out(), table, columns=1)


def _target_row(target: ChatCount) -> tuple[str, ...]:
    return (
        escape(target.alias or "-"),
        "-" if target.deployment is None else str(target.deployment),
        target.role or "-",
        escape(target.prompt),
        escape(target.model),
        f"{target.answers:,}",
        ", ".join(f"{count:,} {ending}" for ending, count in target.endings.items()),
    )
