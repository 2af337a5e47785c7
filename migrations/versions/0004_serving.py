"""serving

Users, their roles and keys; conversations; what is known of an answer in production; replies to
requests sent twice; limits and what was used of them; deployments that carry settings; jobs that
wait for a worker.

Revision: 0004
Follows: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Nothing of these rows may ever change.
FROZEN = ("message",)

# (table, constraint, what was allowed, what is allowed)
WIDENED = (
    (
        "job",
        "kind_known",
        "kind IN ('run', 'score', 'compare')",
        "kind IN ('run', 'score', 'compare', 'gate', 'qualify')",
    ),
    (
        "job",
        "status_known",
        "status IN ('running', 'done', 'stopped', 'failed', 'lost')",
        "status IN ('queued', 'running', 'done', 'stopped', 'failed', 'lost')",
    ),
    (
        "generation",
        "origin_known",
        "origin IN ('executed', 'imported')",
        "origin IN ('executed', 'imported', 'reported')",
    ),
)
REQUIRED, OPTIONAL = "started_at DATETIME NOT NULL", "started_at DATETIME"


def upgrade() -> None:
    op.create_table(
        "account_signal",
        sa.Column("endpoint", sa.String(length=100), nullable=False),
        sa.Column("limited_until_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("pk_account_signal")),
    )
    op.create_table(
        "usage_limit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("holder_kind", sa.String(length=10), nullable=False),
        sa.Column("holder", sa.String(length=300), nullable=False),
        sa.Column("requests_per_minute", sa.Integer(), nullable=True),
        sa.Column("tokens_per_minute", sa.Integer(), nullable=True),
        sa.Column(
            "dollars_per_day",
            sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"),
            nullable=True,
        ),
        sa.Column(
            "dollars_per_month",
            sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"),
            nullable=True,
        ),
        sa.Column("on_reach", sa.String(length=10), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "holder_kind IN ('key', 'user', 'alias')", name=op.f("ck_usage_limit_holder_kind_known")
        ),
        sa.CheckConstraint(
            "on_reach IN ('stop', 'warn')", name=op.f("ck_usage_limit_on_reach_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage_limit")),
        sa.UniqueConstraint(
            "holder_kind", "holder", name=op.f("uq_usage_limit_holder_kind_holder")
        ),
    )
    op.create_table(
        "usage_window",
        sa.Column("holder_kind", sa.String(length=10), nullable=False),
        sa.Column("holder", sa.String(length=300), nullable=False),
        sa.Column("span", sa.String(length=10), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("reserved_tokens", sa.Integer(), nullable=False),
        sa.Column(
            "spent", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=False
        ),
        sa.Column(
            "reserved", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint(
            "holder_kind IN ('key', 'user', 'alias')",
            name=op.f("ck_usage_window_holder_kind_known"),
        ),
        sa.CheckConstraint(
            "span IN ('minute', 'day', 'month')", name=op.f("ck_usage_window_span_known")
        ),
        sa.PrimaryKeyConstraint(
            "holder_kind", "holder", "span", "starts_at", name=op.f("pk_usage_window")
        ),
    )
    op.create_table(
        "user",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("external_id", sa.String(length=300), nullable=True),
        sa.Column("deactivated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("external_id", name=op.f("uq_user_external_id")),
        sa.UniqueConstraint("name", name=op.f("uq_user_name")),
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("prefix", sa.String(length=20), nullable=False),
        sa.Column("secret_hmac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.String(length=200), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replaces_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint("expires_at IS NOT NULL", name=op.f("ck_api_key_expires")),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_api_key_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("name", name=op.f("uq_api_key_name")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_key_user_id"), ["user_id"], unique=False)

    op.create_table(
        "idempotency_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=71), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reply_content_id", sa.Uuid(), nullable=True),
        sa.Column("generation_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["reply_content_id"],
            ["content.id"],
            name=op.f("fk_idempotency_key_reply_content_id_content"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_key")),
        sa.UniqueConstraint("actor", "key", name=op.f("uq_idempotency_key_actor_key")),
    )
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.create_index("ix_idempotency_key_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "role_grant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("prefix", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.String(length=200), nullable=True),
        sa.CheckConstraint(
            "role IN ('viewer', 'researcher', 'reviewer', 'operator', 'auditor', 'admin')",
            name=op.f("ck_role_grant_role_known"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_role_grant_user_id_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grant")),
        sa.UniqueConstraint(
            "user_id",
            "role",
            "prefix",
            "created_at",
            name=op.f("uq_role_grant_user_id_role_prefix_created_at"),
        ),
    )
    with op.batch_alter_table("role_grant", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_role_grant_user_id"), ["user_id"], unique=False)

    op.create_table(
        "conversation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("alias_id", sa.Uuid(), nullable=False),
        sa.Column("pinned_variant_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=True),
        sa.Column("title_content_id", sa.Uuid(), nullable=True),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["alias_id"], ["alias.id"], name=op.f("fk_conversation_alias_id_alias")
        ),
        sa.ForeignKeyConstraint(
            ["pinned_variant_id"],
            ["variant.id"],
            name=op.f("fk_conversation_pinned_variant_id_variant"),
        ),
        sa.ForeignKeyConstraint(
            ["title_content_id"],
            ["content.id"],
            name=op.f("fk_conversation_title_content_id_content"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation")),
    )
    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_conversation_alias_id"), ["alias_id"], unique=False)
        batch_op.create_index("ix_conversation_owner", ["owner", "updated_at"], unique=False)

    op.create_table(
        "chat_call",
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("alias_id", sa.Uuid(), nullable=True),
        sa.Column("deployment_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.String(length=20), nullable=True),
        sa.Column("bucket", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("is_stream", sa.Boolean(), nullable=False),
        sa.Column("is_exact", sa.Boolean(), nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("ignored", sa.JSON(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("tags_content_id", sa.Uuid(), nullable=True),
        sa.Column("reservation", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("server", sa.String(length=100), nullable=False),
        sa.Column("ending", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "ending IN ('completed', 'client_gone', 'upstream_cut', 'timeout', 'refused', 'failed', 'abandoned')",
            name=op.f("ck_chat_call_ending_known"),
        ),
        sa.CheckConstraint(
            "role IN ('primary', 'canary', 'fallback')", name=op.f("ck_chat_call_role_known")
        ),
        sa.ForeignKeyConstraint(
            ["alias_id"], ["alias.id"], name=op.f("fk_chat_call_alias_id_alias")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversation.id"],
            name=op.f("fk_chat_call_conversation_id_conversation"),
        ),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_chat_call_deployment_id_deployment")
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generation.id"], name=op.f("fk_chat_call_generation_id_generation")
        ),
        sa.ForeignKeyConstraint(
            ["tags_content_id"], ["content.id"], name=op.f("fk_chat_call_tags_content_id_content")
        ),
        sa.PrimaryKeyConstraint("generation_id", name=op.f("pk_chat_call")),
    )
    with op.batch_alter_table("chat_call", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_chat_call_actor"), ["actor"], unique=False)
        batch_op.create_index("ix_chat_call_alias_id", ["alias_id", "created_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_chat_call_conversation_id"), ["conversation_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_chat_call_deployment_id"), ["deployment_id"], unique=False
        )
        batch_op.create_index("ix_chat_call_open", ["ending", "created_at"], unique=False)

    op.create_table(
        "message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=True),
        sa.Column("generation_id", sa.Uuid(), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=True),
        sa.Column("history", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('user', 'assistant', 'tool')", name=op.f("ck_message_role_known")
        ),
        sa.ForeignKeyConstraint(
            ["content_id"], ["content.id"], name=op.f("fk_message_content_id_content")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversation.id"],
            name=op.f("fk_message_conversation_id_conversation"),
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generation.id"], name=op.f("fk_message_generation_id_generation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint(
            "conversation_id", "sequence", name=op.f("uq_message_conversation_id_sequence")
        ),
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_message_generation_id"), ["generation_id"], unique=False
        )

    op.add_column(
        "deployment",
        sa.Column("kind", sa.String(length=20), server_default="move", nullable=False),
    )
    op.add_column("deployment", sa.Column("settings", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("deployment", sa.Column("message", sa.Text(), nullable=True))

    op.add_column("job", sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job", sa.Column("stop_asked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job", sa.Column("request", sa.JSON(none_as_null=True), nullable=True))

    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        _rewrite("job", REQUIRED, OPTIONAL)
    else:
        op.alter_column("job", "started_at", nullable=True)
    for table, name, before, after in WIDENED:
        _replace_check(table, name, before, after, sqlite=sqlite)
    for statement in _triggers(sqlite=sqlite):
        op.execute(statement)


def _replace_check(table: str, name: str, before: str, after: str, *, sqlite: bool) -> None:
    if sqlite:
        _rewrite(table, before, after)
        return
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    # Going down, rows may be there of the kinds that go.
    unread = " NOT VALID" if len(after) < len(before) else ""
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_{name} CHECK ({after}){unread}")


def _rewrite(table: str, before: str, after: str) -> None:
    """Replace a part of a table's definition in place.

    This is the way that SQLite's documentation names (Making Other Kinds Of Table Schema Changes)
    for a change that does not touch how rows are stored. Building the table anew would copy all of
    it and lose its triggers.
    """
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    changed = connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = replace(sql, ?, ?) "
        "WHERE type = 'table' AND name = ? AND instr(sql, ?) > 0",
        (before, after, table, before),
    ).rowcount
    connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema=RESET")
    if changed != 1:
        raise RuntimeError(f"The table {table} is not defined as revision 0003 left it.")


def _triggers(*, sqlite: bool) -> list[str]:
    """Return what guards the frozen tables; `append_only_refuse` is of revision 0002."""
    if sqlite:
        return [
            f"CREATE TRIGGER append_only_{table}_{event.lower()} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for table in FROZEN
            for event in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE TRIGGER append_only_{table}_{event.lower()} BEFORE {event} ON {table} "
        f"FOR EACH {'STATEMENT' if event == 'TRUNCATE' else 'ROW'} "
        "EXECUTE FUNCTION append_only_refuse()"
        for table in FROZEN
        for event in ("UPDATE", "DELETE", "TRUNCATE")
    ]


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table, name, before, after in reversed(WIDENED):
        _replace_check(table, name, after, before, sqlite=sqlite)
    op.execute(
        "UPDATE job SET started_at = queued_at, ended_at = queued_at, status = 'stopped' "
        "WHERE started_at IS NULL"
    )
    if sqlite:
        _rewrite("job", OPTIONAL, REQUIRED)
    else:
        op.alter_column("job", "started_at", nullable=False)
    for column in ("request", "stop_asked_at", "queued_at"):
        op.drop_column("job", column)
    for column in ("message", "settings", "kind"):
        op.drop_column("deployment", column)

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_message_generation_id"))

    op.drop_table("message")
    with op.batch_alter_table("chat_call", schema=None) as batch_op:
        batch_op.drop_index("ix_chat_call_open")
        batch_op.drop_index(batch_op.f("ix_chat_call_deployment_id"))
        batch_op.drop_index(batch_op.f("ix_chat_call_conversation_id"))
        batch_op.drop_index("ix_chat_call_alias_id")
        batch_op.drop_index(batch_op.f("ix_chat_call_actor"))

    op.drop_table("chat_call")
    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.drop_index("ix_conversation_owner")
        batch_op.drop_index(batch_op.f("ix_conversation_alias_id"))

    op.drop_table("conversation")
    with op.batch_alter_table("role_grant", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_role_grant_user_id"))

    op.drop_table("role_grant")
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.drop_index("ix_idempotency_key_expires_at")

    op.drop_table("idempotency_key")
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_key_user_id"))

    op.drop_table("api_key")
    op.drop_table("user")
    op.drop_table("usage_window")
    op.drop_table("usage_limit")
    op.drop_table("account_signal")
