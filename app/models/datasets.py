"""Datasets, their immutable versions and the examples in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.base import Base, UTCDateTime

__all__ = ["Dataset", "DatasetVersion", "DatasetVersionExample", "Example"]


class Dataset(Base):
    __tablename__ = "dataset"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class DatasetVersion(Base):
    """An immutable snapshot; `content_hash` covers keys and examples in their order."""

    __tablename__ = "dataset_version"
    __table_args__ = (
        UniqueConstraint("dataset_id", "number"),
        UniqueConstraint("dataset_id", "content_hash"),
        CheckConstraint("example_count >= 1", name="not_empty"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("dataset.id"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(71))
    example_count: Mapped[int]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("dataset_version.id"))
    input_names: Mapped[list[Any]] = mapped_column(JSON)
    metadata_names: Mapped[list[Any]] = mapped_column(JSON)
    expected_count: Mapped[int]
    source: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    created_by: Mapped[str] = mapped_column(String(200))


class Example(Base):
    """One example as it stood in one or more versions; its texts are a `content` row."""

    __tablename__ = "example"
    __table_args__ = (UniqueConstraint("dataset_id", "key", "content_hash"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    dataset_id: Mapped[UUID] = mapped_column(ForeignKey("dataset.id"))
    key: Mapped[str] = mapped_column(String(300))
    content_hash: Mapped[str] = mapped_column(String(71))
    content_id: Mapped[UUID] = mapped_column(ForeignKey("content.id"))
    cluster: Mapped[str | None] = mapped_column(String(300))


class DatasetVersionExample(Base):
    """Membership; `position` is the order of the file, never an identity."""

    __tablename__ = "dataset_version_example"
    __table_args__ = (UniqueConstraint("dataset_version_id", "example_id"),)

    dataset_version_id: Mapped[UUID] = mapped_column(
        ForeignKey("dataset_version.id"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    example_id: Mapped[UUID] = mapped_column(ForeignKey("example.id"), index=True)
