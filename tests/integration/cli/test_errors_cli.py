"""What people see when settings or the database cannot work: one sentence and exit code 2."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import typer
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from app.core.errors import ConfigurationError, Invalid
from tests.command_line import CommandLine
from workbench.cli.context import command


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    return CommandLine(tmp_path)


def sentence(line: CommandLine, *arguments: str, **environment: str) -> str:
    """Return what a command that must fail says on standard error."""
    refused = CommandLine(line.folder, environment)
    refused.run(*(arguments or ("prompts", "list")), code=2)
    told = refused.last_error
    assert "Traceback" not in told
    assert len(told.splitlines()) == 1, told
    return told


def outcome(*errors: Exception) -> tuple[int, str, BaseException | None]:
    """Run a command whose task group fails with `errors`."""

    async def fail(error: Exception) -> None:
        raise error

    async def work() -> None:
        async with asyncio.TaskGroup() as outer:
            for error in errors:
                outer.create_task(fail(error))

    app = typer.Typer()
    app.command()(command(work))
    done = CliRunner().invoke(app, [])
    return done.exit_code, done.stderr, done.exception


def test_a_group_of_expected_errors_is_told_as_its_first() -> None:
    code, told, _ = outcome(ConfigurationError("Correct the key."), Invalid("Correct the rest."))
    assert (code, told) == (2, "Error: Correct the key.\n")


def test_a_nested_group_is_told_as_its_first_error() -> None:
    inner = ExceptionGroup("inner", [ConfigurationError("Correct the key.")])
    assert outcome(inner)[:2] == (2, "Error: Correct the key.\n")


def test_a_group_with_an_unexpected_error_stays_what_it_is() -> None:
    code, _, error = outcome(ConfigurationError("Correct the key."), ZeroDivisionError())
    assert code == 1
    assert isinstance(error, ExceptionGroup)


def test_a_file_that_cannot_be_read_is_named() -> None:
    refused = PermissionError(13, "Permission denied", "rows.csv")
    assert outcome(refused)[:2] == (2, "Error: rows.csv: Permission denied.\n")


@pytest.mark.parametrize(
    ("cause", "again"), [("database is locked", True), ("disk I/O error", False)]
)
def test_only_a_busy_database_asks_to_try_again(cause: str, again: bool) -> None:
    told = outcome(OperationalError("SELECT 1", {}, sqlite3.OperationalError(cause)))[1]
    assert cause in told
    assert ("try again" in told) is again


def test_an_address_that_cannot_work_is_one_sentence(line: CommandLine) -> None:
    assert "OPENAI_BASE_URL must be" in sentence(line, OPENAI_BASE_URL="ftp://x")


def test_a_server_that_does_not_answer_is_named_without_password(line: CommandLine) -> None:
    told = sentence(line, WORKBENCH_DATABASE_URL="postgresql://u:canary@127.0.0.1:1/x")
    assert "The database at 127.0.0.1:1 does not answer: start it or correct" in told
    assert "canary" not in told


def test_a_database_in_a_missing_folder_is_named(line: CommandLine) -> None:
    told = sentence(line, WORKBENCH_DATABASE_URL="sqlite:////nonexistent/x.db")
    assert "/nonexistent/x.db" in told


def test_a_file_that_is_no_database_points_to_the_backup(line: CommandLine) -> None:
    (line.folder / "workbench.db").write_text("A letter, and no database at all.\n" * 100)
    for arguments in (["prompts", "list"], ["db", "status"], ["db", "backup"]):
        told = sentence(line, *arguments)
        assert str(line.folder / "workbench.db") in told
        assert "`workbench db restore BACKUP`" in told
    assert sorted(path.name for path in line.folder.iterdir()) == ["workbench.db", "workbench.yaml"]


def test_a_folder_in_place_of_the_database_is_named(line: CommandLine) -> None:
    (line.folder / "workbench.db").mkdir()
    assert "workbench.db is a folder" in sentence(line)


def test_the_database_of_another_program_is_left_as_it_is(line: CommandLine) -> None:
    path = line.folder / "workbench.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    assert "belongs to another program (it has the table 'invoices'" in sentence(line)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("invoices",)]


def test_upgrading_refuses_a_database_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    path = tmp_path / "workbench.db"
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE foo (a)")
    foreign.commit()
    foreign.close()
    line = CommandLine(tmp_path)
    line.run("db", "upgrade", code=2)
    assert "another program" in line.last_error
    with closing(sqlite3.connect(path)) as after:
        assert after.execute("SELECT name FROM sqlite_master").fetchall() == [("foo",)]
