"""`workbench db`: the database's schema, and copies of an embedded database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.text import Text

from app.core.errors import ConfigurationError, Unavailable
from app.database import Database
from app.database.backup import backup_sqlite, restore_sqlite
from app.database.loss import DowngradeLoss, downgrade_loss
from app.database.revisions import SchemaStatus, schema_status
from app.database.schema import downgrade, upgrade
from workbench.cli.context import FormatOption, command, err, open_workspace, out, print_json
from workbench.workspace.schema import refuse_foreign

__all__ = ["app"]

app = typer.Typer(
    help="The database: upgrade, downgrade, status, backup, restore.",
    no_args_is_help=True,
    add_completion=False,
)

YesOption = Annotated[bool, typer.Option("--yes", help="Do it although something is lost.")]


@app.command("upgrade")
@command
async def upgrade_() -> None:
    """Bring the schema to the newest revision; an embedded database is copied first."""
    async with open_workspace(check_schema=False) as workspace:
        database = workspace.services.database
        await database.ping()
        before = await schema_status(database)
        if before.up_to_date:
            _say(f"The schema is up to date: {before.head}.")
            return
        if database.is_sqlite and before.current is not None:
            _say(f"Backup: {_copy_beside(database, 'backup')}")
        elif database.is_sqlite:
            await refuse_foreign(database)
        after = await upgrade(database)
        _say(f"Schema upgraded from {before.current or 'nothing'} to {after.current}.")


# `-1` is a revision here and no option.
@app.command("downgrade", context_settings={"ignore_unknown_options": True})
@command
async def downgrade_(
    revision: Annotated[
        str, typer.Argument(help="The revision to go down to; -1 for one step, base for none.")
    ],
    yes: YesOption = False,
) -> None:
    """Undo migrations; an embedded database is copied first."""
    async with open_workspace(check_schema=False) as workspace:
        database = workspace.services.database
        await database.ping()
        loss = await downgrade_loss(database, revision)
        if not loss.revisions:
            _say("There is nothing to undo.")
            return
        if loss.destroys and not yes:
            raise _loss_refused(loss)
        if database.is_sqlite:
            _say(f"Backup: {_copy_beside(database, 'backup')}")
        after = await downgrade(database, revision)
        _say(f"Undone: {', '.join(loss.revisions)}. The schema is at {after.current or 'nothing'}.")
        if database.is_sqlite:
            err().print("The next command of this version upgrades it again.", style="dim")


@app.command()
@command
async def status(
    format_: FormatOption = "text",
) -> None:
    """Tell which database is used and whether its schema is up to date."""
    async with open_workspace(check_schema=False) as workspace:
        database = workspace.services.database
        found = None
        if _exists(database):
            await database.ping()
            found = await schema_status(database)
        name = _name(database)
    if format_ == "json":
        print_json(_status_json(name, found))
        return
    _say(f"Database  {name}")
    if found is None:
        _say("Schema    there is no database yet; the first command makes it")
    elif found.up_to_date:
        _say(f"Schema    {found.current}, up to date")
    else:
        _say(f"Schema    {found.current or 'none'}; to be run: {', '.join(found.pending)}")
        err().print("Run `workbench db upgrade`.", style="dim")


@app.command()
@command
async def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to; default: beside the database, with the time.")
    ] = None,
) -> None:
    """Copy an embedded database as it is now; other commands may go on meanwhile."""
    async with open_workspace(check_schema=False) as workspace:
        _say(f"Backup: {_copy_beside(workspace.services.database, 'backup', file)}")


@app.command()
@command
async def restore(
    file: Annotated[Path, typer.Argument(help="A file that `workbench db backup` wrote.")],
    yes: YesOption = False,
) -> None:
    """Replace an embedded database's content by a backup's, after a copy of what is there."""
    async with open_workspace(check_schema=False) as workspace:
        database = workspace.services.database
        if _path(database).is_file() and not yes:
            raise ConfigurationError(
                f"Restoring replaces everything that {database.path} holds.",
                hint="Run it again with --yes; a copy of what is there is kept.",
            )
        safety = _restore(database, file)
        if safety is not None:
            _say(f"What was there before: {safety}")
        _say(f"Restored from {file}.")
        found = await schema_status(database)
        if not found.up_to_date:
            err().print(
                f"Its schema is at {found.current}; the next command upgrades it.", style="dim"
            )


def _restore(database: Database, file: Path) -> Path | None:
    """Restore, and return the copy of what was there before; None if nothing was."""
    path = _path(database)
    if path.exists() and file.exists() and path.samefile(file):
        raise ConfigurationError(f"{file} is the database itself; name a backup.")
    safety = _copy_beside(database, "before-restore") if path.is_file() else None
    try:
        restore_sqlite(database, file)
    except ConfigurationError:
        if safety is not None:
            safety.unlink(missing_ok=True)  # nothing was changed
        raise
    except sqlite3.OperationalError as error:
        raise Unavailable(
            f"The database could not be replaced: {error}.",
            hint="End other commands that use it, then try again.",
        ) from error
    return safety


def _copy_beside(database: Database, kind: str, target: Path | None = None) -> Path:
    """Copy the database to `target`, else beside it under a name with the time."""
    source = _path(database)
    if not source.is_file():
        raise ConfigurationError(f"There is no database yet: {source}.")
    if target is not None and not target.parent.is_dir():
        raise ConfigurationError(f"There is no folder {target.parent}.")
    try:
        return backup_sqlite(database, target, kind=kind)
    except (sqlite3.Error, OSError) as error:
        told = target or f"beside {source}"
        raise Unavailable(f"The copy {told} could not be made: {error}.") from error


def _path(database: Database) -> Path:
    if database.path is None:
        raise ConfigurationError(
            "Only an embedded SQLite database is copied by this command.",
            hint="For PostgreSQL use pg_dump and pg_restore.",
        )
    return database.path


def _loss_refused(loss: DowngradeLoss) -> ConfigurationError:
    return ConfigurationError(
        f"Going down to {loss.target or 'base'} undoes {', '.join(loss.revisions)} and "
        f"destroys {loss}.",
        hint="Run it again with --yes if that is what you want.",
    )


def _exists(database: Database) -> bool:
    """Whether there is a database at all; opening a SQLite file would make it."""
    return database.path is None or database.path.is_file()


def _name(database: Database) -> str:
    """Tell where a database is, without user and password."""
    if database.path is not None:
        return str(database.path)
    parts = urlsplit(database.url)
    where = parts.hostname or "local socket"
    port = f":{parts.port}" if parts.port else ""
    return f"PostgreSQL at {where}{port}, database {parts.path.lstrip('/')}"


def _status_json(name: str, found: SchemaStatus | None) -> dict[str, object]:
    return {
        "database": name,
        "exists": found is not None,
        "current": None if found is None else found.current,
        "head": None if found is None else found.head,
        "pending": [] if found is None else list(found.pending),
        "up_to_date": found is not None and found.up_to_date,
    }


def _say(text: str) -> None:
    out().print(Text(text))
