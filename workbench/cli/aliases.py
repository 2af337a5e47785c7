"""`workbench aliases`: movable names of variants, and every move they made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import typer
import yaml
from rich.markup import escape

from app.core.errors import Invalid
from app.schemas.aliases import (
    AliasSettings,
    AliasView,
    DeploymentView,
    RollbackPlan,
    read_deployment_request,
)
from workbench.cli.context import (
    ExitCode,
    Format,
    FormatOption,
    Workspace,
    command,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.cli.times import parse_time

__all__ = ["app"]

app = typer.Typer(
    help="Aliases: list, show, set, settings, history, at, rollback, disable.",
    no_args_is_help=True,
    add_completion=False,
)

_DIGITS = 12

AliasArgument = Annotated[str, typer.Argument(help="As in support-bot@production.")]
ReasonOption = Annotated[str, typer.Option(help="Why; kept with the move.")]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--setting",
        help="What callers may do, as in strict=true or overrides=[stop, max_tokens]; again for "
        "more. What is not named stays.",
    ),
]


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
    table = plain_table("alias", "prompt", "model", "state", "variant", "moved", "by")
    for alias in aliases:
        prompt, model, *others = _cells(alias.current)
        table.add_row(escape(alias.name), prompt, model, _state(alias.current), *others)
    print_with_whole_names(out(), table, columns=4)


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
    reason: ReasonOption,
    canary: Annotated[
        list[str] | None,
        typer.Option(help="VARIANT=WEIGHT: the part of callers who meet another one; 1% or 0.01."),
    ] = None,
    fallback: Annotated[
        list[str] | None,
        typer.Option(help="A variant to answer with if the others fail; again for more, in order."),
    ] = None,
    setting: SettingOption = None,
    allow_simulated: Annotated[
        bool, typer.Option("--allow-simulated", help="Take variants of simulated models.")
    ] = False,
    format_: FormatOption = "text",
) -> None:
    """Let an alias mean a variant from now on; the move is recorded and never undone.

    A canary meets the same callers each time, and raising its weight moves only new ones to it.

    Examples:

      workbench aliases set support-bot@production 3f9a20c17b54 --reason "gate 81c0aa passed"

      workbench aliases set support-bot@production 12/triage@3+openai/x --reason "better by 4"

      workbench aliases set support-bot@production 3f9a20c17b54 --canary 81c0aa5be2d1=1% \\
        --fallback 5d01c6ab9f02 --setting strict=true --reason "try the new model"
    """
    async with open_workspace() as workspace:
        request = {
            "kind": "move",
            "variant": str(await _variant_id(workspace, variant)),
            "canaries": [await _canary(workspace, text) for text in canary or ()],
            "fallbacks": [str(await _variant_id(workspace, text)) for text in fallback or ()],
            "settings": _settings(setting),
            "allow_simulated": allow_simulated,
            "reason": reason,
        }
        await _deploy(workspace, alias, request, format_)


@app.command()
@command
async def settings(
    alias: AliasArgument,
    setting: SettingOption = None,
    reason: ReasonOption = "",
    format_: FormatOption = "text",
) -> None:
    """Show what an alias lets its callers do, or change it.

    Settings are overrides, strict, regulated, allow_system, guards.input, guards.output,
    history.policy and history.messages.

    Example:

      workbench aliases settings support-bot@production --reason "no addresses in answers" \\
        --setting "guards.output=[{kind: email, action: mask}]"
    """
    async with open_workspace() as workspace:
        if setting:
            request = {"kind": "settings", "settings": _settings(setting), "reason": reason}
            await _deploy(workspace, alias, request, format_)
            return
        found = (await workspace.services.aliases.get(alias)).current.settings
    if format_ == "json":
        print_json(found.model_dump(mode="json"))
    else:
        _print_settings(found)


@app.command()
@command
async def rollback(
    alias: AliasArgument,
    to: Annotated[
        int | None, typer.Option(min=1, help="The number of a move; else the last other one.")
    ] = None,
    reason: ReasonOption = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say whether it can be done.")
    ] = False,
    format_: FormatOption = "text",
) -> int:
    """Let an alias mean again what it meant before: one more move, served within five seconds.

    Conversations follow the alias with their next answer, but for those that were pinned to a
    variant. The settings stay as they are.

    Example:

      workbench aliases rollback support-bot@production --reason "wrong prices since 03:12"
    """
    async with open_workspace() as workspace:
        plan = await workspace.services.aliases.plan_rollback(workspace.actor, alias, to)
        ends_here = dry_run or plan.problem is not None
        if format_ == "text":
            _print_plan(plan)
        elif ends_here:
            print_json(plan.model_dump(mode="json"))
        if ends_here:
            return ExitCode.DONE if plan.problem is None else ExitCode.USAGE
        request = {"kind": "rollback", "to": plan.to.number, "reason": reason}
        await _deploy(workspace, alias, request, format_)
    return ExitCode.DONE


@app.command()
@command
async def disable(
    alias: AliasArgument,
    message: Annotated[str, typer.Option(help="What everybody is answered from now on.")],
    reason: ReasonOption,
    format_: FormatOption = "text",
) -> None:
    """Answer with a fixed text and call no model, until the alias is rolled back or set again.

    Example:

      workbench aliases disable support-bot@production --message "We are back soon." --reason "..."
    """
    async with open_workspace() as workspace:
        request = {"kind": "disable", "message": message, "reason": reason}
        await _deploy(workspace, alias, request, format_)


@app.command("at")
@command
async def at(
    alias: AliasArgument,
    time: Annotated[
        str | None, typer.Option(help="As in 2026-03-01T03:12:00Z; without a zone it is UTC.")
    ] = None,
    number: Annotated[int | None, typer.Option(min=1, help="The number of a move.")] = None,
    format_: FormatOption = "text",
) -> None:
    """Say what an alias meant at a time, or by its move of a number."""
    if (time is None) == (number is None):
        raise Invalid("Say when: either --time or --number.", path="time")
    async with open_workspace() as workspace:
        aliases, actor = workspace.services.aliases, workspace.actor
        if number is not None:
            found = await aliases.deployment(actor, alias, number)
        else:
            found = await aliases.at(actor, alias, parse_time(str(time), option="time"))
    if format_ == "json":
        print_json(found.model_dump(mode="json"))
    else:
        _print_deployment(alias, found)


@app.command()
@command
async def history(alias: AliasArgument, format_: FormatOption = "text") -> None:
    """List every move of an alias, newest first."""
    async with open_workspace() as workspace:
        moves = await workspace.services.aliases.history(alias)
    if format_ == "json":
        print_json([move.model_dump(mode="json") for move in moves])
        return
    table = plain_table("move", "kind", "prompt", "model", "variant", "moved", "by", "reason")
    for move in moves:
        table.add_row(str(move.number), move.kind, *_cells(move), escape(move.reason))
    print_with_whole_names(out(), table, columns=5)


async def _deploy(
    workspace: Workspace, alias: str, values: dict[str, Any], format_: Format
) -> None:
    """Move an alias and print what it means then."""
    request = read_deployment_request(values)
    moved = await workspace.services.aliases.deploy(workspace.actor, alias, request)
    if format_ == "json":
        print_json(moved.model_dump(mode="json"))
    else:
        _print(moved)


async def _canary(workspace: Workspace, text: str) -> dict[str, Any]:
    """Read VARIANT=WEIGHT, where 1% and 0.01 are the same weight."""
    variant, separator, weight = text.rpartition("=")
    percent = weight.endswith("%")
    try:
        part = float(weight.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        separator = ""
    if not separator:
        raise Invalid(
            f"{text!r} is no canary: write VARIANT=WEIGHT, as in 81c0aa5be2d1=1%.", path="canary"
        )
    return {"variant": str(await _variant_id(workspace, variant)), "weight": part}


def _settings(texts: Sequence[str] | None) -> dict[str, Any] | None:
    """Read KEY=VALUE with dots in the key and YAML as value; None for none at all."""
    if not texts:
        return None
    found: dict[str, Any] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator:
            raise Invalid(f"{text!r} is no setting: write KEY=VALUE.", path="setting")
        try:
            _put(found, key.strip().split("."), yaml.safe_load(value))
        except yaml.YAMLError:
            raise Invalid(
                f"The value of {key} cannot be read: write it as YAML or JSON.", path="setting"
            ) from None
    return found


def _put(settings: dict[str, Any], key: Sequence[str], value: Any) -> None:
    """Put a value below the names of its key, as in guards, output."""
    *parents, name = key
    for parent in parents:
        settings = settings.setdefault(parent, {})
        if not isinstance(settings, dict):
            raise Invalid(f"{parent} is set twice, once as a whole.", path="setting")
    settings[name] = value


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


def _state(move: DeploymentView) -> str:
    """Say in a word what an alias does besides serving its variant."""
    if move.message is not None:
        return "disabled"
    part = sum(target.weight for target in move.targets if target.role == "canary")
    return f"canary {part:.2%}" if part else "serves"


def _digits(content_hash: str) -> str:
    return content_hash.removeprefix("sha256:")[:_DIGITS]


def _print(alias: AliasView) -> None:
    _print_deployment(alias.name, alias.current)


def _print_deployment(name: str, move: DeploymentView) -> None:
    if move.message is not None:
        out().print(f"[bold]{escape(name)}[/] is disabled and answers: {escape(move.message)}")
    for target in move.targets:
        told = f"{escape(target.prompt)} on {escape(target.model)} ({_digits(target.variant_hash)})"
        if target.role == "primary":
            verb = "is" if move.message is None else "was"
            out().print(f"[bold]{escape(name)}[/] {verb} {told}")
        elif target.role == "canary":
            out().print(f"  {target.weight:.2%} of callers meet {told}")
        else:
            out().print(f"  if that fails: {told}")
    _print_settings(move.settings, changed_only=True)
    out().print(
        f"[dim]move {move.number} ({move.kind}), {move.created_at:%Y-%m-%d %H:%M:%S} UTC, "
        f"{escape(move.created_by)}: {escape(move.reason)}[/]"
    )


def _print_settings(settings: AliasSettings, *, changed_only: bool = False) -> None:
    """Print settings in the form of `--setting`: all, or those that are not the defaults."""
    defaults = dict(_flat(AliasSettings().model_dump(mode="json")))
    for key, value in _flat(settings.model_dump(mode="json")):
        if not changed_only or value != defaults[key]:
            out().print(f"  {key}={escape(_flow(value))}")


def _flow(value: Any) -> str:
    """Write a value as YAML in one line, without the mark that ends a document."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"))
    return text.removesuffix("...\n").strip()


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings with dots in their keys; what a guard leaves out is left out."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield f"{prefix}{name}", [_without_nulls(item) for item in value]
        else:
            yield f"{prefix}{name}", value


def _without_nulls(item: Any) -> Any:
    if not isinstance(item, Mapping):
        return item
    return {name: value for name, value in item.items() if value is not None}


def _print_plan(plan: RollbackPlan) -> None:
    target = plan.to.primary
    out().print(
        f"{escape(plan.alias)} would go from move {plan.now} back to move {plan.to.number}: "
        f"{escape(target.prompt)} on {escape(target.model)} ({_digits(target.variant_hash)})"
    )
    if plan.problem is not None:
        out().print(f"It cannot: {escape(plan.problem)}")
    for told in plan.left_out:
        out().print(f"  left out: {escape(told)}")
    if plan.following or plan.pinned:
        out().print(
            f"  {plan.following:,} conversations follow with their next answer, {plan.pinned:,} "
            "are pinned and stay"
        )
