"""evaluation

Judges, their qualification and people's reviews; budgets; gate decisions; aliases and their
deployments; answers used again; experiments that carry another one on.

Revision: 0003
Follows: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


# Nothing of these rows may ever change.
FROZEN = (
    "deployment",
    "deployment_target",
    "gate_decision",
    "judge_qualification",
    "judgement",
    "review",
)


def upgrade() -> None:
    op.create_table(
        "alias",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alias")),
        sa.UniqueConstraint("name", name=op.f("uq_alias_name")),
    )
    op.create_table(
        "deployment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alias_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("previous_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["alias_id"], ["alias.id"], name=op.f("fk_deployment_alias_id_alias")
        ),
        sa.ForeignKeyConstraint(
            ["previous_id"], ["deployment.id"], name=op.f("fk_deployment_previous_id_deployment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
        sa.UniqueConstraint("alias_id", "number", name=op.f("uq_deployment_alias_id_number")),
    )
    op.create_table(
        "judge_qualification",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scorer_id", sa.Uuid(), nullable=False),
        sa.Column("dataset_version_id", sa.Uuid(), nullable=False),
        sa.Column("qualified", sa.Boolean(), nullable=False),
        sa.Column("label_count", sa.Integer(), nullable=False),
        sa.Column("input_hash", sa.String(length=71), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"],
            ["dataset_version.id"],
            name=op.f("fk_judge_qualification_dataset_version_id_dataset_version"),
        ),
        sa.ForeignKeyConstraint(
            ["scorer_id"], ["scorer.id"], name=op.f("fk_judge_qualification_scorer_id_scorer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judge_qualification")),
    )
    op.create_index(
        op.f("ix_judge_qualification_scorer_id"), "judge_qualification", ["scorer_id"], unique=False
    )

    op.create_table(
        "budget",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column(
            "amount", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_budget_amount_not_negative")),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiment.id"], name=op.f("fk_budget_experiment_id_experiment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget")),
        sa.UniqueConstraint("experiment_id", name=op.f("uq_budget_experiment_id")),
    )
    op.create_table(
        "deployment_target",
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("variant_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "role IN ('primary', 'canary', 'fallback')",
            name=op.f("ck_deployment_target_role_known"),
        ),
        sa.CheckConstraint("weight >= 0", name=op.f("ck_deployment_target_weight_not_negative")),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployment.id"],
            name=op.f("fk_deployment_target_deployment_id_deployment"),
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["variant.id"], name=op.f("fk_deployment_target_variant_id_variant")
        ),
        sa.PrimaryKeyConstraint(
            "deployment_id", "variant_id", "role", name=op.f("pk_deployment_target")
        ),
    )
    op.create_index(
        op.f("ix_deployment_target_variant_id"), "deployment_target", ["variant_id"], unique=False
    )

    op.create_table(
        "budget_lease",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("budget_id", sa.Uuid(), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column(
            "amount", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=False
        ),
        sa.Column(
            "spent", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(settled_at IS NULL) = (spent IS NULL)", name=op.f("ck_budget_lease_settled_has_spent")
        ),
        sa.CheckConstraint(
            "spent IS NULL OR spent <= amount", name=op.f("ck_budget_lease_spent_within_amount")
        ),
        sa.ForeignKeyConstraint(
            ["budget_id"], ["budget.id"], name=op.f("fk_budget_lease_budget_id_budget")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_lease")),
    )
    op.create_index(op.f("ix_budget_lease_budget_id"), "budget_lease", ["budget_id"], unique=False)

    op.create_table(
        "gate_decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=True),
        sa.Column("baseline_run_id", sa.Uuid(), nullable=False),
        sa.Column("candidate_run_id", sa.Uuid(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("decision", sa.String(length=30), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=False),
        sa.Column("binding", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("evidence_hash", sa.String(length=71), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["baseline_run_id"], ["run.id"], name=op.f("fk_gate_decision_baseline_run_id_run")
        ),
        sa.ForeignKeyConstraint(
            ["candidate_run_id"], ["run.id"], name=op.f("fk_gate_decision_candidate_run_id_run")
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiment.id"],
            name=op.f("fk_gate_decision_experiment_id_experiment"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_decision")),
    )
    op.create_index(
        op.f("ix_gate_decision_candidate_run_id"),
        "gate_decision",
        ["candidate_run_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_gate_decision_experiment_id"), "gate_decision", ["experiment_id"], unique=False
    )

    op.create_table(
        "judgement",
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("scorer_id", sa.Uuid(), nullable=False),
        sa.Column("judged_generation_id", sa.Uuid(), nullable=False),
        sa.Column("other_generation_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.String(length=10), nullable=True),
        sa.Column("seat", sa.Integer(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("label", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.String(length=50), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'scored') = (value IS NOT NULL)", name=op.f("ck_judgement_scored_has_value")
        ),
        sa.CheckConstraint(
            "position IN ('first', 'second')", name=op.f("ck_judgement_position_known")
        ),
        sa.CheckConstraint(
            "status IN ('scored', 'unscored', 'failed')", name=op.f("ck_judgement_status_known")
        ),
        sa.CheckConstraint(
            "(position IS NULL) = (other_generation_id IS NULL)",
            name=op.f("ck_judgement_pair_has_position"),
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generation.id"], name=op.f("fk_judgement_generation_id_generation")
        ),
        sa.ForeignKeyConstraint(
            ["judged_generation_id"],
            ["generation.id"],
            name=op.f("fk_judgement_judged_generation_id_generation"),
        ),
        sa.ForeignKeyConstraint(
            ["other_generation_id"],
            ["generation.id"],
            name=op.f("fk_judgement_other_generation_id_generation"),
        ),
        sa.ForeignKeyConstraint(
            ["scorer_id"], ["scorer.id"], name=op.f("fk_judgement_scorer_id_scorer")
        ),
        sa.PrimaryKeyConstraint("generation_id", name=op.f("pk_judgement")),
    )
    op.create_index(
        op.f("ix_judgement_judged_generation_id"),
        "judgement",
        ["judged_generation_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_judgement_other_generation_id"), "judgement", ["other_generation_id"], unique=False
    )
    op.create_index(op.f("ix_judgement_scorer_id"), "judgement", ["scorer_id"], unique=False)

    op.create_table(
        "review",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("criterion", sa.String(length=100), nullable=False),
        sa.Column("reviewer", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("label", sa.String(length=200), nullable=True),
        sa.Column("comment_content_id", sa.Uuid(), nullable=True),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "source IN ('imported', 'entered')", name=op.f("ck_review_source_known")
        ),
        sa.CheckConstraint(
            "value IS NOT NULL OR label IS NOT NULL", name=op.f("ck_review_says_something")
        ),
        sa.ForeignKeyConstraint(
            ["comment_content_id"],
            ["content.id"],
            name=op.f("fk_review_comment_content_id_content"),
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generation.id"], name=op.f("fk_review_generation_id_generation")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(op.f("ix_review_generation_id"), "review", ["generation_id"], unique=False)

    op.add_column("experiment", sa.Column("extends_id", sa.Uuid(), nullable=True))

    op.add_column("generation", sa.Column("request_hash", sa.String(length=71), nullable=True))
    op.add_column("generation", sa.Column("reused_from_id", sa.Uuid(), nullable=True))
    op.create_index(
        op.f("ix_generation_request_hash"), "generation", ["request_hash"], unique=False
    )

    for statement in _triggers(sqlite=op.get_bind().dialect.name == "sqlite"):
        op.execute(statement)


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
    # The triggers go with their tables. No table is rebuilt: SQLite would lose its triggers.
    op.drop_index(op.f("ix_generation_request_hash"), "generation")
    op.drop_column("generation", "reused_from_id")
    op.drop_column("generation", "request_hash")

    op.drop_column("experiment", "extends_id")

    op.drop_index(op.f("ix_review_generation_id"), "review")

    op.drop_table("review")
    op.drop_index(op.f("ix_judgement_scorer_id"), "judgement")
    op.drop_index(op.f("ix_judgement_other_generation_id"), "judgement")
    op.drop_index(op.f("ix_judgement_judged_generation_id"), "judgement")

    op.drop_table("judgement")
    op.drop_index(op.f("ix_gate_decision_experiment_id"), "gate_decision")
    op.drop_index(op.f("ix_gate_decision_candidate_run_id"), "gate_decision")

    op.drop_table("gate_decision")
    op.drop_index(op.f("ix_budget_lease_budget_id"), "budget_lease")

    op.drop_table("budget_lease")
    op.drop_index(op.f("ix_deployment_target_variant_id"), "deployment_target")

    op.drop_table("deployment_target")
    op.drop_table("budget")
    op.drop_index(op.f("ix_judge_qualification_scorer_id"), "judge_qualification")

    op.drop_table("judge_qualification")
    op.drop_table("deployment")
    op.drop_table("alias")
