"""Migrations go one after the other, can be undone, and keep history append-only."""

from __future__ import annotations

import ast
import hashlib
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import app.models
from app.database import Base
from tests.architecture.sources import REPOSITORY, example

VERSIONS = REPOSITORY / "migrations" / "versions"

# What is on the main branch has run on somebody's database: it is never edited again, a mistake
# is mended by the next migration. Add a line when a migration lands.
LANDED = {
    "0001_foundation.py": "5d3bf635e4e722821def75212952702a092eaf6c2093c178b92dbf454c177c12",
    "0002_append_only.py": "92225b42d2074a550d036735febff7cb82f3399388cfe853ec278f4a068d5076",
    "0003_evaluation.py": "db1545437d6a2d73a729976f29931c5efef15fd2fe921e2aee7d86773a69bc3e",
    "0004_serving.py": "29ad2091f0fdf4016068649233159696baa5fba440a884c9fb70a6bddfe607c3",
    "0005_queue.py": "186090a71f870a7606829301d0003f26c343f760c7dc96156f7397db117c5486",
    "0006_reviews.py": "21ca0d85889bd1c767aadaedc8fc7d93b1e71bd8747bc3fdb7234d73931d7520",
    "0007_traffic.py": "64713808e85c6601887b4cde8fd0a991646aed15672ecb7c42f42a3a8db0d3ce",
}

# Tables whose rows may change, and what of them does. Every other table is guarded by triggers.
MAY_CHANGE = {
    "account_signal": "until when an account is to be left alone",
    "alias": "nothing; a name that its deployments stand under",
    "api_key": "when it was last used, and whether it still holds",
    "budget": "its amount, when somebody raises it",
    "budget_lease": "what was spent of it, once, when it is settled",
    "chat_call": "how it ended, once",
    "conversation": "its title, its length, and whether it is hidden",
    "dataset": "nothing; a name that its versions stand under",
    "experiment": "its status",
    "idempotency_key": "its reply, and it goes when it is old",
    "job": "its status, as the work goes on",
    "language_model": "nothing; a name that its versions stand under",
    "prompt": "nothing; a name that its versions stand under",
    "role_grant": "whether it was taken back",
    "traffic_late": "nothing; it goes when its hour is summed again",
    "traffic_span": "nothing; it goes when it is summed again",
    "traffic_sum": "nothing; it goes when its span is summed again",
    "usage_limit": "what it allows",
    "usage_window": "what was used, until it is old and goes",
    "user": "name, identity and whether they are active",
}


def migrations() -> list[Path]:
    return sorted(VERSIONS.glob("*.py"))


def assigned(source: str, name: str) -> object:
    """Return the constant that a migration gives to a name."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == name for target in node.targets
        ):
            return ast.literal_eval(node.value)
    raise AssertionError(f"A migration must set {name}.")


def steps(source: str, direction: str) -> int:
    """Return how many calls a direction makes; one that only passes makes none."""
    for function in example(source).functions():
        if function.name == direction:
            return sum(isinstance(node, ast.Call) for node in ast.walk(function))
    return 0


def triggers(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'append_only_%'"
        )
        return {name for (name,) in rows}


def test_migrations_are_numbered_and_follow_each_other() -> None:
    previous = None
    for number, path in enumerate(migrations(), start=1):
        source = path.read_text(encoding="utf-8")
        revision = f"{number:04d}"
        assert re.fullmatch(rf"{revision}_[a-z0-9]+(_[a-z0-9]+)*\.py", path.name)
        assert assigned(source, "revision") == revision
        assert assigned(source, "down_revision") == previous
        previous = revision


@pytest.mark.parametrize("path", migrations(), ids=lambda path: path.stem)
def test_a_migration_can_be_undone(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert steps(source, "upgrade") > 0
    assert steps(source, "downgrade") > 0


def test_a_migration_that_cannot_be_undone_would_be_found() -> None:
    assert steps("def downgrade() -> None:\n    pass", "downgrade") == 0
    assert steps("def upgrade() -> None:\n    op.drop_table('x')", "downgrade") == 0


@pytest.mark.parametrize("name", LANDED)
def test_a_landed_migration_is_never_edited(name: str) -> None:
    content = (VERSIONS / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == LANDED[name], (
        f"{name} has changed. If it is on the main branch already, write a new migration instead "
        "(`make migrate-create`). If it is still yours alone, write its new hash into LANDED."
    )


def test_every_landed_migration_is_pinned() -> None:
    assert set(LANDED) == {path.name for path in migrations()}


def wanted_triggers() -> set[str]:
    assert app.models.__all__
    guarded = set(Base.metadata.tables) - set(MAY_CHANGE)
    return {f"append_only_{table}_{event}" for table in guarded for event in ("update", "delete")}


def test_every_table_is_append_only_or_says_what_may_change(sqlite_template: Path) -> None:
    found, wanted = triggers(sqlite_template), wanted_triggers()

    assert wanted <= found, "a migration that rebuilds a table on SQLite must make them again"
    assert found <= wanted, "a guarded table is not one that may change"


def test_triggers_that_a_rebuilt_table_lost_would_be_found(
    sqlite_template: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(sqlite_template, copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.executescript(
            "CREATE TABLE rebuilt AS SELECT * FROM score; DROP TABLE score;"
            "ALTER TABLE rebuilt RENAME TO score;"
        )
    lost = {"append_only_score_update", "append_only_score_delete"}
    assert wanted_triggers() - triggers(copy) == lost


def test_tables_that_may_change_exist() -> None:
    assert set(MAY_CHANGE) <= set(Base.metadata.tables)
