"""`workbench users`: who may sign in to the API, and in which roles."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from rich.markup import escape

from app.core.errors import Invalid
from app.core.permissions import Role
from app.core.settings import HMAC_KEY_FILE, load_settings
from app.schemas.api_keys import NewApiKey
from app.schemas.pages import MAX_PAGE_SIZE
from app.schemas.users import GrantView, NewGrant, NewUser, UserView, prefix_text
from workbench.cli.context import (
    FormatOption,
    Workspace,
    command,
    err,
    open_workspace,
    out,
    print_json,
)
from workbench.cli.tables import plain_table, print_with_whole_names
from workbench.workspace.key_secret import ensure_key_secret
from workbench.workspace.marker import find_workspace

__all__ = ["app", "parsed"]

app = typer.Typer(
    help="Users: bootstrap, list, create, show, grant, revoke, deactivate, reactivate.",
    no_args_is_help=True,
    add_completion=False,
)

ModelT = TypeVar("ModelT", bound=BaseModel)

UserArgument = Annotated[str, typer.Argument(help="As in ana or ana@example.com.")]
RoleArgument = Annotated[Role, typer.Argument(help="What they are here.")]
PrefixOption = Annotated[
    str, typer.Option("--prefix", help="The team whose names are meant, as in 'payments/*'.")
]


@app.command()
@command
async def bootstrap(
    name: Annotated[str, typer.Option(help="As in ana or ana@example.com.")],
    format_: FormatOption = "text",
) -> None:
    """Admit the first user as admin, and print an API key of theirs. Works once.

    Examples:

      workbench users bootstrap --name ana
    """
    new = parsed(NewUser, name=name)
    settings = load_settings(find_workspace(Path.cwd()))
    if ensure_key_secret(settings):
        note = f"Made {HMAC_KEY_FILE}: keep it with the backups, and out of version control."
        err().print(note, style="dim")
    async with open_workspace() as workspace:
        services, actor = workspace.services, workspace.actor
        user = await services.users.bootstrap(actor, new)
        made = await services.api_keys.create(actor, NewApiKey(name="first", user=user.name))
    if format_ == "json":
        print_json(made.model_dump(mode="json"))
        return
    out().print(f"[bold]{escape(user.name)}[/] is admin. Their API key, shown this once:\n")
    out().print(f"  {made.secret}\n")
    out().print(f"[dim]It works until {made.key.expires_at:%Y-%m-%d}.[/]")


@app.command("list")
@command
async def list_(format_: FormatOption = "text") -> None:
    """List every user with the roles that they have."""
    async with open_workspace() as workspace:
        users = await _all(workspace)
    if format_ == "json":
        print_json([user.model_dump(mode="json") for user in users])
        return
    if not users:
        out().print("No user yet. Admit the first: workbench users bootstrap --name NAME")
        return
    table = plain_table("user", "roles", "signs in", "since")
    for user in users:
        table.add_row(
            escape(user.name),
            escape(_roles(user.grants)),
            "yes" if user.is_active else "no",
            f"{user.created_at:%Y-%m-%d}",
        )
    print_with_whole_names(out(), table)


@app.command()
@command
async def create(
    name: UserArgument,
    role: Annotated[list[Role] | None, typer.Option(help="Give them this role at once.")] = None,
    prefix: PrefixOption = "",
    external_id: Annotated[
        str | None, typer.Option(help="What the identity provider calls them (sub).")
    ] = None,
    format_: FormatOption = "text",
) -> None:
    """Admit a person; without a role they may do nothing.

    Examples:

      workbench users create ana --role researcher --role reviewer

      workbench users create bo --role operator --prefix 'payments/*'
    """
    new = parsed(NewUser, name=name, external_id=external_id)
    grants = [parsed(NewGrant, role=wanted, prefix=prefix) for wanted in role or ()]
    async with open_workspace() as workspace:
        user = await workspace.services.users.create(workspace.actor, new)
        for grant_ in grants:
            user = await workspace.services.users.grant(workspace.actor, name, grant_)
    _show(user, format_)


@app.command()
@command
async def show(name: UserArgument, format_: FormatOption = "text") -> None:
    """Show a user: roles, how they sign in, since when."""
    async with open_workspace() as workspace:
        user = await workspace.services.users.get(workspace.actor, name)
    _show(user, format_)


@app.command()
@command
async def grant(
    name: UserArgument,
    role: RoleArgument,
    prefix: PrefixOption = "",
    format_: FormatOption = "text",
) -> None:
    """Give a user a role, for all names or for those of one team.

    Examples:

      workbench users grant ana reviewer

      workbench users grant bo operator --prefix 'payments/*'
    """
    new = parsed(NewGrant, role=role, prefix=prefix)
    async with open_workspace() as workspace:
        user = await workspace.services.users.grant(workspace.actor, name, new)
    _show(user, format_)


@app.command()
@command
async def revoke(
    name: UserArgument,
    role: RoleArgument,
    prefix: PrefixOption = "",
    format_: FormatOption = "text",
) -> None:
    """Take a role from a user; that it was theirs stays on record."""
    old = parsed(NewGrant, role=role, prefix=prefix)
    async with open_workspace() as workspace:
        user = await workspace.services.users.take_back(workspace.actor, name, old)
    _show(user, format_)


@app.command()
@command
async def deactivate(name: UserArgument, format_: FormatOption = "text") -> None:
    """Let a user sign in no longer; servers obey within 5 seconds."""
    async with open_workspace() as workspace:
        user = await workspace.services.users.deactivate(workspace.actor, name)
    _show(user, format_)


@app.command()
@command
async def reactivate(name: UserArgument, format_: FormatOption = "text") -> None:
    """Let a user sign in again, with the roles and keys that they have."""
    async with open_workspace() as workspace:
        user = await workspace.services.users.reactivate(workspace.actor, name)
    _show(user, format_)


def parsed(model: type[ModelT], **values: object) -> ModelT:
    """Return a model of what was typed; `Invalid` names the option that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        field = model.model_fields.get(where)
        if first["type"] == "string_pattern_mismatch" and field is not None and field.description:
            told = f"{first['input']!r} is no {where}: write {field.description}."
        else:
            told = f"{where}: {first['msg']}." if where else f"{first['msg']}."
        raise Invalid(told, path=where) from None


async def _all(workspace: Workspace) -> list[UserView]:
    users: list[UserView] = []
    cursor: str | None = None
    while True:
        page = await workspace.services.users.page(
            workspace.actor, limit=MAX_PAGE_SIZE, cursor=cursor
        )
        users.extend(page.items)
        if (cursor := page.next_cursor) is None:
            return users


def _show(user: UserView, format_: str) -> None:
    if format_ == "json":
        print_json(user.model_dump(mode="json"))
        return
    out().print(f"[bold]{escape(user.name)}[/]: {escape(_roles(user.grants))}")
    if user.external_id is not None:
        out().print(f"signs in by tokens as {escape(user.external_id)}")
    if user.deactivated_at is not None:
        out().print(f"deactivated {user.deactivated_at:%Y-%m-%d %H:%M} UTC")
    out().print(f"[dim]since {user.created_at:%Y-%m-%d %H:%M} UTC, {escape(user.created_by)}[/]")


def _roles(grants: Iterable[GrantView]) -> str:
    told = (
        f"{grant.role} for {prefix_text(grant.prefix)}" if grant.prefix else grant.role.value
        for grant in grants
    )
    return ", ".join(told) or "no role"
