"""Tables are named one way, and every column type and constraint says what it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    Date,
    DateTime,
    Float,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry, relationship
from sqlalchemy.schema import ForeignKey

import app.models
from app.database import Base, Money, UTCDateTime
from app.database.base import NAMING_CONVENTION
from tests.architecture.sources import refuse

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME = 63  # PostgreSQL cuts longer ones without a word
_PREFIX = {
    "PrimaryKeyConstraint": "pk",
    "ForeignKeyConstraint": "fk",
    "UniqueConstraint": "uq",
    "CheckConstraint": "ck",
}
# The two ends of a half-open interval; everything else that is a moment is called `..._at`.
_INTERVAL_ENDS = frozenset({"model_price.valid_from", "model_price.valid_to"})
# Rows that lists and sums read: texts of people and models are `content` rows that they name.
_FACTS = ("generation", "attempt", "score", "example", "dataset_version_example")
_LONGEST_FACT = 300  # characters


def tables() -> list[Table]:
    assert app.models.__all__
    return Base.metadata.sorted_tables


def badly_named(table: Table) -> Iterator[str]:
    for name in (table.name, *(column.name for column in table.columns)):
        if not _SNAKE_CASE.fullmatch(name):
            yield f"{table.name}: {name} is not in snake_case"
    if table.name.endswith("s") and not table.name.endswith(("ss", "us", "alias")):
        yield f"{table.name} is a plural"


def badly_timed(table: Table) -> Iterator[str]:
    for column in table.columns:
        name = f"{table.name}.{column.name}"
        is_moment = isinstance(column.type, (UTCDateTime, DateTime))
        if is_moment and not isinstance(column.type, UTCDateTime):
            yield f"{name} loses its zone on SQLite: use UTCDateTime"
        if is_moment != (column.name.endswith("_at") or name in _INTERVAL_ENDS):
            yield f"{name}: a point in time is called ..._at, and nothing else is"
        if isinstance(column.type, Date) != column.name.endswith("_date"):
            yield f"{name}: a date is called ..._date, and nothing else is"


def badly_counted(table: Table) -> Iterator[str]:
    for column in table.columns:
        exact = isinstance(column.type, Numeric) and not isinstance(column.type, Float)
        if exact and not isinstance(column.type, Money):
            yield f"{table.name}.{column.name} is no exact decimal on SQLite: use Money"


def badly_constrained(table: Table) -> Iterator[str]:
    for constraint in table.constraints:
        kind = type(constraint).__name__
        wanted = f"{_PREFIX[kind]}_{table.name}"
        if not _name(constraint).startswith(wanted):
            yield f"{table.name}: {kind} {_name(constraint) or 'without a name'} is no {wanted}..."
        yield from _too_long(table, _name(constraint))
    for index in table.indexes:
        if not str(index.name or "").startswith(f"ix_{table.name}_"):
            yield f"{table.name}: the index {index.name} is no ix_{table.name}_..."
        yield from _too_long(table, str(index.name or ""))


def _name(constraint: Constraint) -> str:
    return constraint.name if isinstance(constraint.name, str) else ""


def _too_long(table: Table, name: str) -> Iterator[str]:
    if len(name) > _LONGEST_NAME:
        yield f"{table.name}: the name {name} is longer than {_LONGEST_NAME} characters"


def texts_among_facts(table: Table) -> Iterator[str]:
    for column in table.columns:
        unbounded = isinstance(column.type, Text) or (
            isinstance(column.type, String) and (column.type.length or 10**9) > _LONGEST_FACT
        )
        if unbounded:
            yield f"{table.name}.{column.name} may hold a text: make it a `content` row"


def eager_relationships(mapped: registry) -> Iterator[str]:
    for mapper in mapped.mappers:
        for relation in mapper.relationships:
            if relation.lazy != "raise":
                yield f"{relation} loads by itself: write lazy='raise'"


def class_names_that_differ(mapped: registry) -> Iterator[str]:
    for mapper in mapped.mappers:
        wanted = re.sub(r"(?<!^)(?=[A-Z])", "_", mapper.class_.__name__).lower()
        if mapper.local_table.description != wanted:
            yield f"{mapper.class_.__name__} is kept in {mapper.local_table.description}"


def _all(findings: Iterable[Iterator[str]]) -> list[str]:
    return [finding for found in findings for finding in found]


def test_tables_are_singular_and_everything_is_in_snake_case() -> None:
    refuse(_all(map(badly_named, tables())))


def test_points_in_time_end_in_at_and_carry_their_zone() -> None:
    refuse(_all(map(badly_timed, tables())))


def test_money_is_exact_on_both_databases() -> None:
    refuse(_all(map(badly_counted, tables())))


def test_every_constraint_and_index_has_a_name_by_the_convention() -> None:
    refuse(_all(map(badly_constrained, tables())))


def test_facts_hold_no_texts() -> None:
    refuse(_all(texts_among_facts(Base.metadata.tables[name]) for name in _FACTS))


def test_no_relation_loads_by_itself() -> None:
    refuse(eager_relationships(Base.registry))


def test_a_class_is_called_as_its_table() -> None:
    refuse(class_names_that_differ(Base.registry))


@pytest.mark.parametrize(
    ("finder", "column"),
    [
        (badly_named, Column("createdAt", Integer)),
        (badly_timed, Column("created", UTCDateTime)),
        (badly_timed, Column("created_at", DateTime(timezone=True))),
        (badly_timed, Column("created_at", Integer)),
        (badly_timed, Column("sunset", Date)),
        (badly_timed, Column("sunset_date", Integer)),
        (badly_counted, Column("cost", Numeric(10, 2))),
        (
            badly_constrained,
            Column("l" + "o" * 50 + "ng", Integer, index=True),
        ),
        (texts_among_facts, Column("answer", Text)),
        (texts_among_facts, Column("answer", String)),
        (texts_among_facts, Column("answer", String(1000))),
    ],
)
def test_a_wrong_column_would_be_found(
    finder: Callable[[Table], Iterator[str]], column: Column[object]
) -> None:
    table = Table("quite_ordinary", MetaData(naming_convention=NAMING_CONVENTION), column)
    assert list(finder(table))


def test_a_plural_table_would_be_found() -> None:
    assert list(badly_named(Table("prompts", MetaData())))


def test_a_constraint_without_a_name_would_be_found() -> None:
    table = Table("prompt", MetaData(), Column("number", Integer), CheckConstraint("number > 0"))
    assert list(badly_constrained(table))


def test_a_relation_that_loads_by_itself_and_a_wrong_class_name_would_be_found() -> None:
    class Local(DeclarativeBase):
        pass

    class Owner(Local):
        __tablename__ = "owner"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Thing(Local):
        __tablename__ = "thing_row"
        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id: Mapped[int] = mapped_column(ForeignKey("owner.id"))
        owner: Mapped[Owner] = relationship()

    assert list(eager_relationships(Local.registry))
    assert list(class_names_that_differ(Local.registry))
