"""append only

Triggers that keep history: facts and texts that others rely on cannot be changed or
deleted, whoever holds the connection. (The owner of a database can drop a trigger;
the audit chain shows that.)

Revision: 0002
Follows: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Nothing of these rows may ever change.
FROZEN = (
    "audit_event",
    "attempt",
    "comparison",
    "dataset_version",
    "dataset_version_example",
    "example",
    "score",
    "scorer",
    "variant",
)

# table -> (columns that may change, condition on the old row for any change)
GUARDED = {
    # A draft is published once; the text itself never changes.
    "prompt_version": (("number", "message", "author", "published_at"), "OLD.number IS NULL"),
    # Erasing takes body and salt and sets the time, once.
    "content": (("body", "salt", "erased_at"), "OLD.erased_at IS NULL AND NEW.body IS NULL"),
    # Prices are closed, never rewritten.
    "model_price": (("valid_to",), "1 = 1"),
    "model_version": (("facts", "status", "sunset_at", "successor", "floating"), "1 = 1"),
    "run": ((), "1 = 0"),
}

COLUMNS = {
    "prompt_version": (
        "id",
        "prompt_id",
        "content_hash",
        "messages",
        "variables",
        "parameters",
        "tools",
        "tool_choice",
        "response_format",
        "description",
        "origin",
        "created_at",
    ),
    "content": ("id", "hash", "size_bytes", "created_at"),
    "model_price": (
        "id",
        "model_version_id",
        "valid_from",
        "input",
        "cached_input",
        "output",
        "source",
        "created_at",
        "created_by",
    ),
    "model_version": (
        "id",
        "language_model_id",
        "number",
        "provider_model",
        "endpoint",
        "digest",
        "created_at",
        "created_by",
    ),
    "run": (),
}

# What a model answered stays; only an open or failed cell may be written again.
ANSWERED = "OLD.status IN ('completed', 'refused')"

PROTECTED = (*FROZEN, *GUARDED, "generation")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for statement in _sqlite():
            op.execute(statement)
    else:
        for statement in _postgresql():
            op.execute(statement)


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in PROTECTED:
        for name in ("update", "delete", *(() if sqlite else ("truncate",))):
            on = "" if sqlite else f" ON {table}"
            op.execute(f"DROP TRIGGER append_only_{table}_{name}{on}")
    if not sqlite:
        op.execute("DROP FUNCTION append_only_refuse()")


def _conditions() -> list[tuple[str, str, str | None]]:
    """Return (table, event, condition under which the change is refused; None: always)."""
    rows: list[tuple[str, str, str | None]] = [(table, "UPDATE", None) for table in FROZEN]
    for table, (_, allowed) in GUARDED.items():
        kept = " OR ".join(f"NEW.{c} IS DISTINCT FROM OLD.{c}" for c in COLUMNS[table])
        rows.append((table, "UPDATE", f"NOT ({allowed})" + (f" OR {kept}" if kept else "")))
    rows.append(("generation", "UPDATE", ANSWERED))
    rows.extend((table, "DELETE", None) for table in PROTECTED)
    return rows


def _sqlite() -> list[str]:
    return [
        f"CREATE TRIGGER append_only_{table}_{event.lower()} BEFORE {event} ON {table} "
        + (f"WHEN {condition.replace('IS DISTINCT FROM', 'IS NOT')} " if condition else "")
        + f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table, event, condition in _conditions()
    ]


def _postgresql() -> list[str]:
    statements = [
        "CREATE FUNCTION append_only_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    ]
    for table, event, condition in _conditions():
        # `json` has no equality operator; its text is what was stored.
        when = f"WHEN ({_cast(table, condition)}) " if condition else ""
        statements.append(
            f"CREATE TRIGGER append_only_{table}_{event.lower()} BEFORE {event} ON {table} "
            f"FOR EACH ROW {when}EXECUTE FUNCTION append_only_refuse()"
        )
    # Row triggers do not see TRUNCATE.
    statements.extend(
        f"CREATE TRIGGER append_only_{table}_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION append_only_refuse()"
        for table in PROTECTED
    )
    return statements


def _cast(table: str, condition: str) -> str:
    if table != "prompt_version":
        return condition
    for column in (
        "messages",
        "variables",
        "parameters",
        "tools",
        "tool_choice",
        "response_format",
    ):
        for row in ("OLD", "NEW"):
            condition = condition.replace(f"{row}.{column} ", f"{row}.{column}::text ")
            condition = condition.replace(f"{row}.{column} OR", f"{row}.{column}::text OR")
    return condition
