"""traffic

Sums of the answers in production by hour and by day, so that weeks of them need not be counted
anew. An hour that has been summed and then gets one more answer, however late, is noted by a
trigger in the transaction that ends the answer, and is summed again.

Revision: 0007
Follows: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SPAN = "span IN ('hour', 'day')"
COUNTS = (
    "completed",
    "client_gone",
    "upstream_cut",
    "timeout",
    "refused",
    "failed",
    "abandoned",
    "unpriced",
    "uncounted",
)
SUMS = ("input_tokens", "output_tokens")

# Summing an hour takes the lock alone, ending an answer of it takes it with others: whoever sums
# has waited for the answers that are being written, and these see that the hour is summed.
LOCK = 7_007

SQLITE_TRIGGER = """
    CREATE TRIGGER traffic_late_{event} AFTER {when} ON chat_call
    WHEN NEW.alias_id IS NOT NULL AND NEW.ending IS NOT NULL
    BEGIN
        INSERT INTO traffic_late (starts_at)
        SELECT starts_at FROM traffic_span WHERE span = 'hour'
        AND starts_at = substr(NEW.created_at, 1, 13) || ':00:00.000000';
    END
"""
POSTGRESQL_FUNCTION = f"""
    CREATE FUNCTION traffic_note_late() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE hour timestamptz := date_trunc('hour', NEW.created_at, 'UTC');
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(
            {LOCK}, (extract(epoch FROM hour) / 3600)::integer
        );
        INSERT INTO traffic_late (starts_at)
        SELECT starts_at FROM traffic_span WHERE span = 'hour' AND starts_at = hour;
        RETURN NULL;
    END $$
"""
POSTGRESQL_TRIGGER = """
    CREATE TRIGGER traffic_late_{event} AFTER {when} ON chat_call FOR EACH ROW
    WHEN (NEW.alias_id IS NOT NULL AND NEW.ending IS NOT NULL)
    EXECUTE FUNCTION traffic_note_late()
"""
EVENTS = {"insert": "INSERT", "update": "UPDATE OF ending"}

# Whose an answer is and when it began, without its row: for each of thousands of scores.
INDEX = "ix_chat_call_generation_id"


def upgrade() -> None:
    _create_tables()
    op.create_index(INDEX, "chat_call", ["generation_id", "alias_id", "created_at"])
    sqlite = op.get_bind().dialect.name == "sqlite"
    if not sqlite:
        op.execute(POSTGRESQL_FUNCTION)
    for event, when in EVENTS.items():
        trigger = SQLITE_TRIGGER if sqlite else POSTGRESQL_TRIGGER
        op.execute(trigger.format(event=event, when=when))


def downgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for event in EVENTS:
        op.execute(f"DROP TRIGGER traffic_late_{event}" + ("" if sqlite else " ON chat_call"))
    if not sqlite:
        op.execute("DROP FUNCTION traffic_note_late()")
    op.drop_index(INDEX, "chat_call")
    op.drop_table("traffic_late")
    op.drop_table("traffic_sum")
    op.drop_table("traffic_span")


def _create_tables() -> None:
    op.create_table(
        "traffic_span",
        sa.Column("span", sa.String(length=10), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("summed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(SPAN, name=op.f("ck_traffic_span_span_known")),
        sa.PrimaryKeyConstraint("span", "starts_at", name=op.f("pk_traffic_span")),
    )
    op.create_table(
        "traffic_late",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_traffic_late")),
    )
    op.create_table(
        "traffic_sum",
        sa.Column("span", sa.String(length=10), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alias_id", sa.Uuid(), nullable=False),
        sa.Column("prompt_version_id", sa.Uuid(), nullable=False),
        sa.Column("model_version_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in SUMS),
        sa.Column(
            "cost", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=False
        ),
        sa.Column("latency", sa.JSON(), nullable=False),
        sa.Column("first_token", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["alias_id"], ["alias.id"], name=op.f("fk_traffic_sum_alias_id_alias")
        ),
        sa.ForeignKeyConstraint(
            ["prompt_version_id"],
            ["prompt_version.id"],
            name=op.f("fk_traffic_sum_prompt_version_id_prompt_version"),
        ),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_version.id"],
            name=op.f("fk_traffic_sum_model_version_id_model_version"),
        ),
        sa.ForeignKeyConstraint(
            ["span", "starts_at"],
            ["traffic_span.span", "traffic_span.starts_at"],
            name=op.f("fk_traffic_sum_span_starts_at_traffic_span"),
        ),
        sa.PrimaryKeyConstraint(
            "span",
            "starts_at",
            "alias_id",
            "prompt_version_id",
            "model_version_id",
            "role",
            name=op.f("pk_traffic_sum"),
        ),
    )
