"""`workbench aliases`: movable names of variants, and every move they made."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape

from app.core.errors import Invalid
from app.schemas.aliases import AliasView, DeploymentView
from workbench.cli.context import (
    FormatOption,
    Workspace,
    command,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.tables import plain_table, print_with_whole_names

__all__ = ["app"]

app = typer.Typer(
    help="Aliases: list, show, set, history.", no_args_is_help=True, add_completion=False
)

_DIGITS = 12

AliasArgument = Annotated[str, typer.Argument(help="As in support-bot@production.")]


@app.command("list")
@command
async def list_(format_: FormatOption = "text") -> None:
    """List every alias with what it means now."""
    async with open_workspace() as workspace:
        aliases = await workspace.services.aliases.list()
    if format_ == "json":
        print_json([alias.model_dump(mode="json") for alias in aliases])
        return
    if not aliases:
        out().print("No alias yet. Make one: workbench aliases set NAME@production VARIANT")
        return
    table = plain_table("alias", "prompt", "model", "variant", "moved", "by")
    for alias in aliases:
        table.add_row(escape(alias.name), *_cells(alias.current))
    print_with_whole_names(out(), table, columns=3)


@app.command()
@command
async def show(alias: AliasArgument, format_: FormatOption = "text") -> None:
    """Show what an alias means, since when, by whom and why."""
    async with open_workspace() as workspace:
        found = await workspace.services.aliases.get(alias)
    if format_ == "json":
        print_json(found.model_dump(mode="json"))
    else:
        _print(found)


@app.command("set")
@command
async def set_(
    alias: AliasArgument,
    variant: Annotated[
        str, typer.Argument(help="The beginning of a variant's hash, or a run: its variant.")
    ],
    reason: Annotated[str, typer.Option(help="Why it is moved; kept with the move.")],
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Take a variant of a simulated model.")
    ] = False,
    format_: FormatOption = "text",
) -> None:
    """Let an alias mean a variant from now on; the move is recorded and never undone.

    Examples:

      workbench aliases set support-bot@production 3f9a20c17b54 --reason "gate 81c0aa passed"

      workbench aliases set support-bot@production 12/triage@3+openai/x --reason "better by 4"
    """
    async with open_workspace() as workspace:
        variant_id = await _variant_id(workspace, variant)
        moved = await workspace.services.aliases.move(
            workspace.actor, alias, variant_id, reason=reason, allow_simulated=allow_simulated
        )
    if format_ == "json":
        print_json(moved.model_dump(mode="json"))
    else:
        _print(moved)


@app.command()
@command
async def history(alias: AliasArgument, format_: FormatOption = "text") -> None:
    """List every move of an alias, newest first."""
    async with open_workspace() as workspace:
        moves = await workspace.services.aliases.history(alias)
    if format_ == "json":
        print_json([move.model_dump(mode="json") for move in moves])
        return
    table = plain_table("move", "prompt", "model", "variant", "moved", "by", "reason")
    for move in moves:
        table.add_row(str(move.number), *_cells(move), escape(move.reason))
    print_with_whole_names(out(), table, columns=4)


async def _variant_id(workspace: Workspace, text: str) -> UUID:
    """Return the variant of a hash or of a run."""
    services = workspace.services
    if "/" not in text:
        return (await services.variants.get(text)).id
    run = await services.experiments.run(text)
    if run.variant_id is None:
        raise Invalid(
            f"{run.name} holds outputs that were made elsewhere: it has no variant.",
            path="variant",
        )
    return run.variant_id


def _cells(move: DeploymentView) -> tuple[str, str, str, str, str]:
    target = move.primary
    return (
        escape(target.prompt),
        escape(target.model),
        _digits(target.variant_hash),
        move.created_at.strftime("%Y-%m-%d %H:%M UTC"),
        escape(move.created_by),
    )


def _digits(content_hash: str) -> str:
    return content_hash.removeprefix("sha256:")[:_DIGITS]


def _print(alias: AliasView) -> None:
    move, target = alias.current, alias.current.primary
    out().print(
        f"[bold]{escape(alias.name)}[/] is {escape(target.prompt)} on {escape(target.model)} "
        f"({_digits(target.variant_hash)})"
    )
    out().print(
        f"[dim]move {move.number}, {move.created_at:%Y-%m-%d %H:%M} UTC, "
        f"{escape(move.created_by)}: {escape(move.reason)}[/]"
    )
