"""Engines, sessions, column types and schema revisions."""

from app.database.base import Base, Money, UTCDateTime
from app.database.engine import AsyncSession, Database, DatabaseError, IntegrityError
from app.database.joining import Transaction

__all__ = [
    "AsyncSession",
    "Base",
    "Database",
    "DatabaseError",
    "IntegrityError",
    "Money",
    "Transaction",
    "UTCDateTime",
]
