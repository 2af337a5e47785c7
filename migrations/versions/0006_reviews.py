"""reviews

Indexes that answers are found by: each filter of the list of generations alone, newest first, and
what people marked them as. No table is rebuilt, so that SQLite keeps its triggers.

Revision: 0006
Follows: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# (table, index, columns, condition). Full ones where most rows have a value and many share it;
# partial ones for what is rare, which cost next to nothing and make the rare case quick to find.
INDEXES = (
    # Everything, or that of one purpose, newest first.
    ("generation", "ix_generation_purpose", ("purpose", "started_at"), None),
    # A run's, newest first: the unique index has them by example. What is added up of a run or of
    # a model version is in the index, so that sums over very many generations read no row.
    (
        "generation",
        "ix_generation_run_id",
        ("run_id", "started_at", "status", "reused_from_id", "cost"),
        "run_id IS NOT NULL",
    ),
    ("generation", "ix_generation_prompt_version_id", ("prompt_version_id", "started_at"), None),
    (
        "generation",
        "ix_generation_model_version_id",
        (
            "model_version_id",
            "started_at",
            "purpose",
            "status",
            "reused_from_id",
            "input_tokens",
            "output_tokens",
            "cost",
        ),
        None,
    ),
    # Nearly all are completed and stopped by themselves: those are found by the others.
    ("generation", "ix_generation_status", ("status", "started_at"), "status != 'completed'"),
    (
        "generation",
        "ix_generation_finish_reason",
        ("finish_reason", "started_at"),
        "finish_reason != 'stop'",
    ),
    (
        "generation",
        "ix_generation_error_code",
        ("error_code", "started_at"),
        "error_code IS NOT NULL",
    ),
    # One of each, or few.
    ("generation", "ix_generation_request_id", ("request_id",), "request_id IS NOT NULL"),
    ("generation", "ix_generation_trace_id", ("trace_id",), "trace_id IS NOT NULL"),
    (
        "generation",
        "ix_generation_reused_from_id",
        ("reused_from_id",),
        "reused_from_id IS NOT NULL",
    ),
    # In the place of the one of 0001: with what is added up of a run's calls in a month.
    (
        "attempt",
        "ix_attempt_run_id",
        ("run_id", "started_at", "cost", "outcome", "output_tokens"),
        "run_id IS NOT NULL",
    ),
    # What people marked: `audit` is the criterion that no import may use.
    (
        "review",
        "ix_review_mark",
        ("label", "generation_id"),
        "criterion = 'audit' AND source = 'entered'",
    ),
)


def upgrade() -> None:
    op.drop_index("ix_attempt_run_id", "attempt")
    for table, name, columns, condition in INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, list(columns), sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for table, name, _, _ in reversed(INDEXES):
        op.drop_index(name, table)
    op.create_index("ix_attempt_run_id", "attempt", ["run_id"])
