"""Alembic's entry: runs on a connection handed over by `app.database.schema`."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

import app.models
from app.database.base import Base, Money, UTCDateTime
from app.database.schema import is_ours

__all__: list[str] = []

_ = app.models  # imported so that all tables are in the metadata


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our column types as what they are in SQL: a migration must not change with the code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Money):
        return 'sa.Numeric(20, 10).with_variant(sa.BigInteger(), "sqlite")'
    return False


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        compare_server_default=True,
        include_name=is_ours,
        transaction_per_migration=False,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
