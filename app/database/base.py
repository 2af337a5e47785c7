"""The ORM base, the naming convention and the column types that both databases share."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from sqlalchemy import BigInteger, Dialect, MetaData, Numeric, types
from sqlalchemy.orm import DeclarativeBase

__all__ = ["MONEY_QUANTUM", "NAMING_CONVENTION", "Base", "Money", "UTCDateTime"]

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

MONEY_QUANTUM = Decimal("1e-10")  # US dollars; a token of the cheapest model costs more
_SCALE = 10**10


class Base(DeclarativeBase):
    """Base of all tables. Reading a relation that was not loaded is an error (`lazy="raise"`)."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class UTCDateTime(types.TypeDecorator[datetime]):
    """A point in time with its zone. SQLite stores naive values, so the zone is put back."""

    impl = types.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without zone cannot be stored.")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Money(types.TypeDecorator[Decimal]):
    """US dollars, exact to 1e-10. Numeric on PostgreSQL; SQLite, which has no exact
    decimals, stores integers of that quantum, so that sums are exact there too."""

    impl = Numeric(20, 10)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> types.TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(20, 10))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | int | None:
        if value is None:
            return None
        quantised = value.quantize(MONEY_QUANTUM, rounding=ROUND_HALF_EVEN)
        return int(quantised * _SCALE) if dialect.name == "sqlite" else quantised

    def process_result_value(self, value: Decimal | int | None, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return Decimal(int(value)) * MONEY_QUANTUM
        return Decimal(value)
