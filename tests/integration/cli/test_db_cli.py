"""`workbench db` as it is typed: schema, backup, restore."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from workbench.cli.db import app

Run = Callable[..., Any]

INSERT = (
    "INSERT INTO prompt (id, name, created_at, created_by)"
    " VALUES ('0190a000000070008000000000000001', 'triage', '2026-01-01', 'local:ann')"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace without a database, which is the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    (tmp_path / "workbench.yaml").write_text("workspace_version: 1\n")
    return tmp_path


@pytest.fixture
def database(folder: Path, migrated_sqlite: Path) -> Path:
    """Its database, migrated and empty."""
    return Path(shutil.copy(migrated_sqlite, folder / "workbench.db"))


@pytest.fixture
def run(folder: Path) -> Run:
    def invoke(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == code, result.output
        return result

    return invoke


def prompts(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM prompt ORDER BY name")]


def insert_prompt(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(INSERT)


def copies(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"workbench.*.{kind}.db"))


def status(run: Run) -> dict[str, Any]:
    shape: dict[str, Any] = json.loads(run("status", "--format", "json").stdout)
    return shape


def test_status_before_there_is_a_database_makes_none(run: Run, folder: Path) -> None:
    assert "there is no database yet" in run("status").stdout
    assert status(run)["exists"] is False
    assert not (folder / "workbench.db").exists()


def test_upgrade_makes_the_newest_schema_and_then_has_nothing_to_do(run: Run, folder: Path) -> None:
    assert "Schema upgraded from nothing to " in run("upgrade").stdout
    assert "The schema is up to date" in run("upgrade").stdout
    assert status(run)["up_to_date"] is True
    assert copies(folder, "backup") == []  # there was nothing to keep


def test_status_names_the_database_and_its_revision(run: Run, database: Path) -> None:
    told = run("status").stdout
    assert str(database) in told
    assert "up to date" in told


def test_a_downgrade_that_loses_nothing_is_done_after_a_backup(
    run: Run, database: Path, folder: Path
) -> None:
    insert_prompt(database)
    before = status(run)["current"]
    run("downgrade", "0001")
    assert status(run)["current"] == "0001"
    assert status(run)["pending"][-1] == before
    assert [prompts(copy) for copy in copies(folder, "backup")] == [["triage"]]
    assert "to be run: 0002" in run("status").stdout
    run("upgrade")
    assert prompts(database) == ["triage"]


@pytest.mark.parametrize("revision", ["base", "-7"])
def test_a_downgrade_that_destroys_data_is_refused_and_names_what_is_lost(
    run: Run, database: Path, revision: str
) -> None:
    insert_prompt(database)
    refused = run("downgrade", revision, code=2)
    assert "destroys prompt (1 row)." in refused.stderr
    assert "--yes" in refused.stderr
    assert prompts(database) == ["triage"]


def test_a_destructive_downgrade_with_yes_keeps_a_backup(
    run: Run, database: Path, folder: Path
) -> None:
    insert_prompt(database)
    run("downgrade", "base", "--yes")
    assert status(run)["current"] is None
    assert [prompts(copy) for copy in copies(folder, "backup")] == [["triage"]]


@pytest.mark.parametrize("revision", ["9999", "nonsense"])
def test_an_unknown_revision_is_refused(run: Run, database: Path, revision: str) -> None:
    assert f"There is no revision '{revision}'" in run("downgrade", revision, code=2).stderr


def test_a_backup_is_a_copy_that_later_changes_do_not_reach(run: Run, database: Path) -> None:
    run("backup", "copy.db")
    insert_prompt(database)
    assert prompts(Path("copy.db")) == []


def test_a_backup_without_a_file_stands_beside_the_database(
    run: Run, database: Path, folder: Path
) -> None:
    (path,) = copies(folder, "backup") or [None]
    assert path is None
    assert str(folder) in run("backup").stdout
    assert len(copies(folder, "backup")) == 1


def test_a_backup_overwrites_nothing_and_needs_its_folder(run: Run, database: Path) -> None:
    run("backup", "copy.db")
    assert "exists already" in run("backup", "copy.db", code=2).stderr
    assert "There is no folder" in run("backup", "nowhere/copy.db", code=2).stderr


def test_without_a_database_there_is_nothing_to_back_up(run: Run, folder: Path) -> None:
    assert "There is no database yet" in run("backup", code=2).stderr
    assert not (folder / "workbench.db").exists()


def test_a_restore_brings_back_the_backup_and_keeps_what_was_there(
    run: Run, database: Path, folder: Path
) -> None:
    run("backup", "copy.db")
    insert_prompt(database)
    run("restore", "copy.db", "--yes")
    assert prompts(database) == []
    assert [prompts(copy) for copy in copies(folder, "before-restore")] == [["triage"]]


def test_a_restore_without_yes_changes_nothing(run: Run, database: Path) -> None:
    run("backup", "copy.db")
    insert_prompt(database)
    assert "--yes" in run("restore", "copy.db", code=2).stderr
    assert prompts(database) == ["triage"]


def test_a_restore_where_there_is_no_database_needs_no_yes(
    run: Run, database: Path, folder: Path
) -> None:
    insert_prompt(database)
    database.rename("copy.db")
    run("restore", "copy.db")
    assert prompts(database) == ["triage"]
    assert copies(folder, "before-restore") == []


@pytest.mark.parametrize("name", ["workbench.yaml", "missing.db", "empty.db", "workbench.db"])
def test_what_is_no_backup_is_refused_and_changes_nothing(
    run: Run, database: Path, folder: Path, name: str
) -> None:
    insert_prompt(database)
    (folder / "empty.db").touch()
    run("restore", name, "--yes", code=2)
    assert prompts(database) == ["triage"]
    assert copies(folder, "before-restore") == []


def test_an_older_backup_is_upgraded_by_the_next_command(run: Run, database: Path) -> None:
    run("downgrade", "0001")
    run("backup", "old.db")
    run("upgrade")
    assert "the next command upgrades it" in run("restore", "old.db", "--yes").stderr
    assert status(run)["current"] == "0001"


def test_passwords_are_not_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://user:hunter2@127.0.0.1:1/results"
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", url)
    refused = run("status", code=2)
    assert "does not answer" in refused.stderr
    assert "hunter2" not in refused.output
    assert "pg_dump" in run("restore", "x.db", "--yes", code=2).stderr
