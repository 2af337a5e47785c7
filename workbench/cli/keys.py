"""`workbench keys`: credentials of people and of services."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape

from app.core.permissions import Permission
from app.schemas.api_keys import (
    DEFAULT_LIFETIME_DAYS,
    MAX_GRACE_HOURS,
    MAX_LIFETIME_DAYS,
    ApiKeyView,
    KeyScope,
    NewApiKey,
    Rotation,
    ShownApiKey,
    base_name,
)
from app.schemas.pages import MAX_PAGE_SIZE
from app.schemas.users import prefix_text
from workbench.cli.context import (
    FormatOption,
    Workspace,
    command,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.cli.users import parsed

__all__ = ["app"]

app = typer.Typer(
    help="API keys: list, create, show, revoke, rotate.", no_args_is_help=True, add_completion=False
)

KeyArgument = Annotated[str, typer.Argument(help="As in bot.")]


@app.command("list")
@command
async def list_(format_: FormatOption = "text") -> None:
    """List every key: whose it is, what it may do, until when, and when it was last used."""
    async with open_workspace() as workspace:
        keys = await _all(workspace)
    if format_ == "json":
        print_json([key.model_dump(mode="json") for key in keys])
        return
    if not keys:
        out().print("No key yet. Make one: workbench keys create NAME --user USER")
        return
    table = plain_table("key", "begins with", "belongs to", "works until", "last used", "may use")
    for key in keys:
        table.add_row(
            escape(key.name),
            key.prefix,
            escape(key.user or "a service"),
            _until(key),
            f"{key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never",
            escape(_scope(key.scope)),
        )
    print_with_whole_names(out(), table, columns=len(table.columns))


@app.command()
@command
async def create(
    name: KeyArgument,
    user: Annotated[str | None, typer.Option(help="Whose key it is.")] = None,
    service: Annotated[bool, typer.Option("--service", help="It is a service's.")] = False,
    permission: Annotated[
        list[Permission] | None, typer.Option(help="It may do this, and what else is named so.")
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="The only team whose names it may use, as in 'payments/*'.")
    ] = "",
    alias: Annotated[
        list[str] | None, typer.Option(help="It may use this alias, and what else is named so.")
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=MAX_LIFETIME_DAYS, help="How long it works.")
    ] = DEFAULT_LIFETIME_DAYS,
    format_: FormatOption = "text",
) -> None:
    """Make a key and print it, this once.

    A person's key may do what they may at the moment. A service's may do what --permission names:
    without any, chat:write and alias:read.

    Examples:

      workbench keys create ana-laptop --user ana

      workbench keys create support-bot --service --alias support-bot@production
    """
    scope = parsed(KeyScope, permissions=permission or None, prefix=prefix, aliases=alias or None)
    new = parsed(
        NewApiKey, name=name, user=user, is_service=service, scope=scope, lifetime_days=days
    )
    async with open_workspace() as workspace:
        made = await workspace.services.api_keys.create(workspace.actor, new)
    _print_made(made, format_)


@app.command()
@command
async def show(name: KeyArgument, format_: FormatOption = "text") -> None:
    """Show a key without its secret."""
    async with open_workspace() as workspace:
        key = await workspace.services.api_keys.get(workspace.actor, name)
    _print(key, format_)


@app.command()
@command
async def revoke(name: KeyArgument, format_: FormatOption = "text") -> None:
    """Let a key work no longer; servers obey within 5 seconds.

    A key that replaced it, or that it replaced, works on: revoke that too if need be.
    """
    async with open_workspace() as workspace:
        key = await workspace.services.api_keys.revoke(workspace.actor, name)
        left = _working_kin(key, await _all(workspace))
    _print(key, format_)
    if left and format_ == "text":
        out().print(
            f"Still working: {escape(', '.join(left))}. Revoke too: workbench keys revoke NAME"
        )


@app.command()
@command
async def rotate(
    name: KeyArgument,
    grace_hours: Annotated[
        int, typer.Option(min=0, max=MAX_GRACE_HOURS, help="How long the old key still works.")
    ] = Rotation().grace_hours,
    format_: FormatOption = "text",
) -> None:
    """Replace a key by a new one with its scope and lifetime, and print that, this once."""
    rotation = Rotation(grace_hours=grace_hours)
    async with open_workspace() as workspace:
        made = await workspace.services.api_keys.rotate(workspace.actor, name, rotation)
    _print_made(made, format_)


async def _all(workspace: Workspace) -> list[ApiKeyView]:
    keys: list[ApiKeyView] = []
    cursor: str | None = None
    while True:
        page = await workspace.services.api_keys.page(
            workspace.actor, limit=MAX_PAGE_SIZE, cursor=cursor
        )
        keys.extend(page.items)
        if (cursor := page.next_cursor) is None:
            return keys


def _working_kin(revoked: ApiKeyView, keys: Iterable[ApiKeyView]) -> list[str]:
    """Return the keys of the same rotations that still work."""
    now, base = datetime.now(UTC), base_name(revoked.name)
    return [key.name for key in keys if base_name(key.name) == base and key.works_at(now)]


def _print_made(made: ShownApiKey, format_: str) -> None:
    if format_ == "json":
        print_json(made.model_dump(mode="json"))
        return
    out().print(f"The key [bold]{escape(made.key.name)}[/], shown this once:\n")
    out().print(f"  {made.secret}\n")
    out().print(f"[dim]It works until {made.key.expires_at:%Y-%m-%d}.[/]")


def _print(key: ApiKeyView, format_: str) -> None:
    if format_ == "json":
        print_json(key.model_dump(mode="json"))
        return
    out().print(
        f"[bold]{escape(key.name)}[/] ({key.prefix}...) of {escape(key.user or 'a service')}, "
        f"works until: {_until(key)}"
    )
    out().print(f"may use {escape(_scope(key.scope))}")
    if key.replaces is not None:
        out().print(f"replaces {escape(key.replaces)}")
    used = f"{key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never"
    out().print(
        f"[dim]last used {used}; made {key.created_at:%Y-%m-%d %H:%M} UTC, "
        f"{escape(key.created_by)}[/]"
    )


def _until(key: ApiKeyView) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.user_deactivated_at is not None:
        return f"user deactivated {key.user_deactivated_at:%Y-%m-%d}"
    day = f"{key.expires_at:%Y-%m-%d}"
    return day if key.works_at(datetime.now(UTC)) else f"expired {day}"


def _scope(scope: KeyScope) -> str:
    if scope.permissions == frozenset():
        return "nothing"
    bounds = (
        _names(scope.permissions),
        f"names {prefix_text(scope.prefix)}" if scope.prefix else "",
        "no alias" if scope.aliases == frozenset() else _names(scope.aliases),
    )
    return "; ".join(filter(None, bounds)) or "all that its user may"


def _names(names: Collection[str] | None) -> str:
    return ", ".join(sorted(names or ()))
