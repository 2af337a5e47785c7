"""foundation

Revision: 0001
Follows:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:

    op.create_table(
        "audit_event",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("object_type", sa.String(length=50), nullable=False),
        sa.Column("object_id", sa.String(length=64), nullable=False),
        sa.Column("object_name", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(length=71), nullable=False),
        sa.Column("entry_hash", sa.String(length=71), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_event")),
        sa.UniqueConstraint("entry_hash", name=op.f("uq_audit_event_entry_hash")),
    )
    op.create_index(op.f("ix_audit_event_object_id"), "audit_event", ["object_id"], unique=False)
    op.create_table(
        "content",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("salt", sa.LargeBinary(length=16), nullable=True),
        sa.Column("hash", sa.String(length=71), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(body IS NULL) = (erased_at IS NOT NULL)", name=op.f("ck_content_erased_has_no_body")
        ),
        sa.CheckConstraint(
            "(body IS NULL) = (salt IS NULL)", name=op.f("ck_content_salt_goes_with_body")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content")),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
        sa.UniqueConstraint("name", name=op.f("uq_dataset_name")),
    )
    op.create_table(
        "language_model",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=50), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_language_model")),
        sa.UniqueConstraint("provider", "name", name=op.f("uq_language_model_provider_name")),
    )
    op.create_table(
        "prompt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt")),
        sa.UniqueConstraint("name", name=op.f("uq_prompt_name")),
    )
    op.create_table(
        "scorer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(length=71), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scorer")),
        sa.UniqueConstraint("content_hash", name=op.f("uq_scorer_content_hash")),
    )
    op.create_table(
        "dataset_version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(length=71), nullable=False),
        sa.Column("example_count", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("input_names", sa.JSON(), nullable=False),
        sa.Column("metadata_names", sa.JSON(), nullable=False),
        sa.Column("expected_count", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint("example_count >= 1", name=op.f("ck_dataset_version_not_empty")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=op.f("fk_dataset_version_dataset_id_dataset")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["dataset_version.id"],
            name=op.f("fk_dataset_version_parent_id_dataset_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_version")),
        sa.UniqueConstraint(
            "dataset_id", "content_hash", name=op.f("uq_dataset_version_dataset_id_content_hash")
        ),
        sa.UniqueConstraint(
            "dataset_id", "number", name=op.f("uq_dataset_version_dataset_id_number")
        ),
    )
    op.create_table(
        "example",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("content_hash", sa.String(length=71), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=False),
        sa.Column("cluster", sa.String(length=300), nullable=True),
        sa.ForeignKeyConstraint(
            ["content_id"], ["content.id"], name=op.f("fk_example_content_id_content")
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["dataset.id"], name=op.f("fk_example_dataset_id_dataset")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_example")),
        sa.UniqueConstraint(
            "dataset_id", "key", "content_hash", name=op.f("uq_example_dataset_id_key_content_hash")
        ),
    )
    op.create_table(
        "model_version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("language_model_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("provider_model", sa.String(length=200), nullable=False),
        sa.Column("endpoint", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=200), nullable=True),
        sa.Column("floating", sa.Boolean(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("sunset_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("successor", sa.String(length=300), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'active', 'deprecated', 'retired')",
            name=op.f("ck_model_version_status_known"),
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_model_version_number_positive")),
        sa.ForeignKeyConstraint(
            ["language_model_id"],
            ["language_model.id"],
            name=op.f("fk_model_version_language_model_id_language_model"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_version")),
        sa.UniqueConstraint(
            "language_model_id", "number", name=op.f("uq_model_version_language_model_id_number")
        ),
    )
    op.create_table(
        "prompt_version",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prompt_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("content_hash", sa.String(length=71), nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("tools", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("tool_choice", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("response_format", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "origin IN ('builtin', 'file', 'api')", name=op.f("ck_prompt_version_origin_known")
        ),
        sa.CheckConstraint(
            "(number IS NULL) = (published_at IS NULL)",
            name=op.f("ck_prompt_version_number_is_published"),
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_prompt_version_number_positive")),
        sa.ForeignKeyConstraint(
            ["prompt_id"], ["prompt.id"], name=op.f("fk_prompt_version_prompt_id_prompt")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompt_version")),
        sa.UniqueConstraint(
            "prompt_id", "content_hash", name=op.f("uq_prompt_version_prompt_id_content_hash")
        ),
        sa.UniqueConstraint("prompt_id", "number", name=op.f("uq_prompt_version_prompt_id_number")),
    )
    op.create_table(
        "dataset_version_example",
        sa.Column("dataset_version_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("example_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"],
            ["dataset_version.id"],
            name=op.f("fk_dataset_version_example_dataset_version_id_dataset_version"),
        ),
        sa.ForeignKeyConstraint(
            ["example_id"],
            ["example.id"],
            name=op.f("fk_dataset_version_example_example_id_example"),
        ),
        sa.PrimaryKeyConstraint(
            "dataset_version_id", "position", name=op.f("pk_dataset_version_example")
        ),
        sa.UniqueConstraint(
            "dataset_version_id",
            "example_id",
            name=op.f("uq_dataset_version_example_dataset_version_id_example_id"),
        ),
    )
    op.create_index(
        op.f("ix_dataset_version_example_example_id"),
        "dataset_version_example",
        ["example_id"],
        unique=False,
    )
    op.create_table(
        "experiment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("dataset_version_id", sa.Uuid(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_hash", sa.String(length=71), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("repetitions", sa.Integer(), nullable=False),
        sa.Column("example_limit", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('open', 'completed', 'cancelled')", name=op.f("ck_experiment_status_known")
        ),
        sa.CheckConstraint("repetitions >= 1", name=op.f("ck_experiment_repetitions_positive")),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"],
            ["dataset_version.id"],
            name=op.f("fk_experiment_dataset_version_id_dataset_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment")),
        sa.UniqueConstraint("number", name=op.f("uq_experiment_number")),
    )
    op.create_index(op.f("ix_experiment_spec_hash"), "experiment", ["spec_hash"], unique=False)
    op.create_table(
        "model_price",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_version_id", sa.Uuid(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "input", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=False
        ),
        sa.Column(
            "cached_input",
            sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"),
            nullable=True,
        ),
        sa.Column(
            "output", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=False
        ),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "source IN ('own', 'genai-prices', 'local')", name=op.f("ck_model_price_source_known")
        ),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_version.id"],
            name=op.f("fk_model_price_model_version_id_model_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_price")),
        sa.UniqueConstraint(
            "model_version_id",
            "valid_from",
            "source",
            name=op.f("uq_model_price_model_version_id_valid_from_source"),
        ),
    )
    op.create_index(
        op.f("ix_model_price_model_version_id"), "model_price", ["model_version_id"], unique=False
    )
    op.create_table(
        "variant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prompt_version_id", sa.Uuid(), nullable=False),
        sa.Column("model_version_id", sa.Uuid(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("content_hash", sa.String(length=71), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_version.id"],
            name=op.f("fk_variant_model_version_id_model_version"),
        ),
        sa.ForeignKeyConstraint(
            ["prompt_version_id"],
            ["prompt_version.id"],
            name=op.f("fk_variant_prompt_version_id_prompt_version"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variant")),
        sa.UniqueConstraint("content_hash", name=op.f("uq_variant_content_hash")),
    )
    op.create_index(
        op.f("ix_variant_model_version_id"), "variant", ["model_version_id"], unique=False
    )
    op.create_index(
        op.f("ix_variant_prompt_version_id"), "variant", ["prompt_version_id"], unique=False
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.CheckConstraint("kind IN ('run', 'score', 'compare')", name=op.f("ck_job_kind_known")),
        sa.CheckConstraint(
            "status IN ('running', 'done', 'stopped', 'failed', 'lost')",
            name=op.f("ck_job_status_known"),
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiment.id"], name=op.f("fk_job_experiment_id_experiment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index(op.f("ix_job_experiment_id"), "job", ["experiment_id"], unique=False)
    op.create_table(
        "run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("experiment_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("dataset_version_id", sa.Uuid(), nullable=False),
        sa.Column("variant_id", sa.Uuid(), nullable=True),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "(origin = 'executed') = (variant_id IS NOT NULL AND experiment_id IS NOT NULL)",
            name=op.f("ck_run_executed_has_variant"),
        ),
        sa.CheckConstraint("origin IN ('executed', 'imported')", name=op.f("ck_run_origin_known")),
        sa.ForeignKeyConstraint(
            ["dataset_version_id"],
            ["dataset_version.id"],
            name=op.f("fk_run_dataset_version_id_dataset_version"),
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiment.id"], name=op.f("fk_run_experiment_id_experiment")
        ),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["variant.id"], name=op.f("fk_run_variant_id_variant")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint(
            "experiment_id", "position", name=op.f("uq_run_experiment_id_position")
        ),
        sa.UniqueConstraint("name", name=op.f("uq_run_name")),
    )
    op.create_index(op.f("ix_run_variant_id"), "run", ["variant_id"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
        sa.Column("outcome", sa.String(length=50), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("provider_request_id", sa.String(length=200), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("usage_source", sa.String(length=20), nullable=False),
        sa.Column(
            "cost", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=True
        ),
        sa.Column("retry_after_s", sa.Double(), nullable=True),
        sa.Column("error_content_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["error_content_id"], ["content.id"], name=op.f("fk_attempt_error_content_id_content")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_attempt_run_id_run")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
    )
    op.create_index("ix_attempt_generation_id", "attempt", ["generation_id"], unique=False)
    op.create_index(op.f("ix_attempt_run_id"), "attempt", ["run_id"], unique=False)
    op.create_table(
        "comparison",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("baseline_run_id", sa.Uuid(), nullable=False),
        sa.Column("candidate_run_id", sa.Uuid(), nullable=False),
        sa.Column("scorer_id", sa.Uuid(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("verdict", sa.String(length=30), nullable=False),
        sa.Column("method", sa.String(length=50), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("input_hash", sa.String(length=71), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["baseline_run_id"], ["run.id"], name=op.f("fk_comparison_baseline_run_id_run")
        ),
        sa.ForeignKeyConstraint(
            ["candidate_run_id"], ["run.id"], name=op.f("fk_comparison_candidate_run_id_run")
        ),
        sa.ForeignKeyConstraint(
            ["scorer_id"], ["scorer.id"], name=op.f("fk_comparison_scorer_id_scorer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comparison")),
    )
    op.create_index(
        op.f("ix_comparison_baseline_run_id"), "comparison", ["baseline_run_id"], unique=False
    )
    op.create_index(
        op.f("ix_comparison_candidate_run_id"), "comparison", ["candidate_run_id"], unique=False
    )
    op.create_table(
        "generation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("origin", sa.String(length=20), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("example_id", sa.Uuid(), nullable=True),
        sa.Column("repetition", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.Uuid(), nullable=True),
        sa.Column("prompt_version_id", sa.Uuid(), nullable=True),
        sa.Column("model_version_id", sa.Uuid(), nullable=True),
        sa.Column("provider", sa.String(length=50), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("finish_reason", sa.String(length=50), nullable=True),
        sa.Column("error_code", sa.String(length=50), nullable=True),
        sa.Column("request_content_id", sa.Uuid(), nullable=True),
        sa.Column("output_content_id", sa.Uuid(), nullable=True),
        sa.Column("error_content_id", sa.Uuid(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=True),
        sa.Column("output_tokens", sa.Integer(), nullable=True),
        sa.Column("cached_input_tokens", sa.Integer(), nullable=True),
        sa.Column("reasoning_tokens", sa.Integer(), nullable=True),
        sa.Column("usage_source", sa.String(length=20), nullable=False),
        sa.Column(
            "cost", sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite"), nullable=True
        ),
        sa.Column("model_price_id", sa.Uuid(), nullable=True),
        sa.Column("latency_ms", sa.Double(), nullable=True),
        sa.Column("time_to_first_token_ms", sa.Double(), nullable=True),
        sa.Column("applied_parameters", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("left_out_parameters", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("reported_model", sa.String(length=200), nullable=True),
        sa.Column("reported_fingerprint", sa.String(length=200), nullable=True),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.Column("reopened", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("trace_id", sa.String(length=32), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "origin = 'imported' OR (variant_id IS NOT NULL AND prompt_version_id IS NOT NULL AND model_version_id IS NOT NULL AND provider IS NOT NULL AND (status = 'started' OR latency_ms IS NOT NULL))",
            name=op.f("ck_generation_executed_is_whole"),
        ),
        sa.CheckConstraint(
            "origin IN ('executed', 'imported')", name=op.f("ck_generation_origin_known")
        ),
        sa.CheckConstraint(
            "purpose != 'experiment' OR run_id IS NOT NULL",
            name=op.f("ck_generation_experiment_has_run"),
        ),
        sa.CheckConstraint(
            "purpose IN ('experiment', 'judge', 'chat')", name=op.f("ck_generation_purpose_known")
        ),
        sa.CheckConstraint(
            "status IN ('started', 'completed', 'failed', 'refused', 'incomplete', 'cancelled', 'abandoned')",
            name=op.f("ck_generation_status_known"),
        ),
        sa.CheckConstraint(
            "usage_source = 'unreported' OR (input_tokens IS NOT NULL AND output_tokens IS NOT NULL)",
            name=op.f("ck_generation_tokens_unless_unreported"),
        ),
        sa.CheckConstraint(
            "usage_source IN ('provider', 'estimated', 'unreported')",
            name=op.f("ck_generation_usage_source_known"),
        ),
        sa.ForeignKeyConstraint(
            ["error_content_id"],
            ["content.id"],
            name=op.f("fk_generation_error_content_id_content"),
        ),
        sa.ForeignKeyConstraint(
            ["example_id"], ["example.id"], name=op.f("fk_generation_example_id_example")
        ),
        sa.ForeignKeyConstraint(
            ["model_price_id"],
            ["model_price.id"],
            name=op.f("fk_generation_model_price_id_model_price"),
        ),
        sa.ForeignKeyConstraint(
            ["model_version_id"],
            ["model_version.id"],
            name=op.f("fk_generation_model_version_id_model_version"),
        ),
        sa.ForeignKeyConstraint(
            ["output_content_id"],
            ["content.id"],
            name=op.f("fk_generation_output_content_id_content"),
        ),
        sa.ForeignKeyConstraint(
            ["prompt_version_id"],
            ["prompt_version.id"],
            name=op.f("fk_generation_prompt_version_id_prompt_version"),
        ),
        sa.ForeignKeyConstraint(
            ["request_content_id"],
            ["content.id"],
            name=op.f("fk_generation_request_content_id_content"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_generation_run_id_run")),
        sa.ForeignKeyConstraint(
            ["variant_id"], ["variant.id"], name=op.f("fk_generation_variant_id_variant")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_generation")),
        sa.UniqueConstraint(
            "run_id",
            "example_id",
            "repetition",
            name=op.f("uq_generation_run_id_example_id_repetition"),
        ),
    )
    op.create_index(
        "ix_generation_subject",
        "generation",
        ["subject"],
        unique=False,
        sqlite_where=sa.text("subject IS NOT NULL"),
        postgresql_where=sa.text("subject IS NOT NULL"),
    )
    op.create_table(
        "score",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("generation_id", sa.Uuid(), nullable=False),
        sa.Column("scorer_id", sa.Uuid(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=True),
        sa.Column("label", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.String(length=50), nullable=True),
        sa.Column("explanation_content_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'scored') = (value IS NOT NULL)", name=op.f("ck_score_scored_has_value")
        ),
        sa.CheckConstraint(
            "status IN ('scored', 'unscored', 'failed')", name=op.f("ck_score_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["explanation_content_id"],
            ["content.id"],
            name=op.f("fk_score_explanation_content_id_content"),
        ),
        sa.ForeignKeyConstraint(
            ["generation_id"], ["generation.id"], name=op.f("fk_score_generation_id_generation")
        ),
        sa.ForeignKeyConstraint(
            ["scorer_id"], ["scorer.id"], name=op.f("fk_score_scorer_id_scorer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score")),
        sa.UniqueConstraint(
            "generation_id",
            "scorer_id",
            "repeat",
            name=op.f("uq_score_generation_id_scorer_id_repeat"),
        ),
    )
    op.create_index(op.f("ix_score_scorer_id"), "score", ["scorer_id"], unique=False)


def downgrade() -> None:

    op.drop_index(op.f("ix_score_scorer_id"), table_name="score")
    op.drop_table("score")
    op.drop_index(
        "ix_generation_subject",
        table_name="generation",
        sqlite_where=sa.text("subject IS NOT NULL"),
        postgresql_where=sa.text("subject IS NOT NULL"),
    )
    op.drop_table("generation")
    op.drop_index(op.f("ix_comparison_candidate_run_id"), table_name="comparison")
    op.drop_index(op.f("ix_comparison_baseline_run_id"), table_name="comparison")
    op.drop_table("comparison")
    op.drop_index(op.f("ix_attempt_run_id"), table_name="attempt")
    op.drop_index("ix_attempt_generation_id", table_name="attempt")
    op.drop_table("attempt")
    op.drop_index(op.f("ix_run_variant_id"), table_name="run")
    op.drop_table("run")
    op.drop_index(op.f("ix_job_experiment_id"), table_name="job")
    op.drop_table("job")
    op.drop_index(op.f("ix_variant_prompt_version_id"), table_name="variant")
    op.drop_index(op.f("ix_variant_model_version_id"), table_name="variant")
    op.drop_table("variant")
    op.drop_index(op.f("ix_model_price_model_version_id"), table_name="model_price")
    op.drop_table("model_price")
    op.drop_index(op.f("ix_experiment_spec_hash"), table_name="experiment")
    op.drop_table("experiment")
    op.drop_index(
        op.f("ix_dataset_version_example_example_id"), table_name="dataset_version_example"
    )
    op.drop_table("dataset_version_example")
    op.drop_table("prompt_version")
    op.drop_table("model_version")
    op.drop_table("example")
    op.drop_table("dataset_version")
    op.drop_table("scorer")
    op.drop_table("prompt")
    op.drop_table("language_model")
    op.drop_table("dataset")
    op.drop_table("content")
    op.drop_index(op.f("ix_audit_event_object_id"), table_name="audit_event")
    op.drop_table("audit_event")
