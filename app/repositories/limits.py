"""Statements on `usage_limit` and `usage_window`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, delete, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from app.core.usage_limits import Holder, HolderKind, Limits, Window, WindowKey
from app.database import AsyncSession
from app.models import UsageLimit, UsageWindow
from app.schemas.limits import LimitView, WindowView

__all__ = ["LimitRepository"]

_WINDOW: Table = UsageWindow.__table__  # type: ignore[assignment] # declarative tables are tables
_KEY_COLUMNS = ("holder_kind", "holder", "span", "starts_at")
_COUNTS = ("requests", "tokens", "reserved_tokens", "spent", "reserved")
_BATCH = 200  # keys of four values each, far below either database's bound of parameters

_KEY = tuple_(_WINDOW.c.holder_kind, _WINDOW.c.holder, _WINDOW.c.span, _WINDOW.c.starts_at)


class LimitRepository:
    """What may be used, and what was."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all_limits(self) -> dict[Holder, Limits]:
        """Return every limit by its holder."""
        return {Holder(it.holder_kind, it.holder): it.limits for it in await self.all()}

    async def all(self, kind: str | None = None) -> Sequence[LimitView]:
        """Return limits by kind and name, without windows."""
        statement = select(UsageLimit).order_by(UsageLimit.holder_kind, UsageLimit.holder)
        if kind is not None:
            statement = statement.where(UsageLimit.holder_kind == kind)
        return [_view(row) for row in (await self._session.execute(statement)).scalars()]

    async def get(self, holder: Holder) -> LimitView | None:
        statement = select(UsageLimit).where(
            UsageLimit.holder_kind == holder.kind, UsageLimit.holder == holder.name
        )
        row = (await self._session.execute(statement)).scalar_one_or_none()
        return None if row is None else _view(row)

    async def add(self, values: Mapping[str, Any]) -> None:
        await self._session.execute(insert(UsageLimit), [dict(values)])

    async def change(self, holder: Holder, values: Mapping[str, Any]) -> None:
        await self._session.execute(
            update(UsageLimit)
            .where(UsageLimit.holder_kind == holder.kind, UsageLimit.holder == holder.name)
            .values(**values)
        )

    async def remove(self, holder: Holder) -> None:
        await self._session.execute(
            delete(UsageLimit).where(
                UsageLimit.holder_kind == holder.kind, UsageLimit.holder == holder.name
            )
        )

    async def windows(self, keys: Sequence[WindowKey]) -> Sequence[WindowView]:
        """Return those of the windows that were used."""
        statement = select(UsageWindow).where(_KEY.in_([tuple(key) for key in keys]))
        return [
            WindowView.model_validate(row, from_attributes=True)
            for row in (await self._session.execute(statement)).scalars()
        ]

    async def windows_of(self, keys: Sequence[WindowKey]) -> dict[Holder, list[WindowView]]:
        """Return those of the windows that were used, by their holder."""
        found: defaultdict[Holder, list[WindowView]] = defaultdict(list)
        for start in range(0, len(keys), _BATCH):
            batch = [tuple(key) for key in keys[start : start + _BATCH]]
            statement = select(UsageWindow).where(_KEY.in_(batch)).order_by(*_WINDOW.primary_key)
            for row in (await self._session.execute(statement)).scalars():
                holder = Holder(cast("HolderKind", row.holder_kind), row.holder)
                found[holder].append(WindowView.model_validate(row, from_attributes=True))
        return found

    async def lock_windows(
        self, wanted: Sequence[WindowKey], existing: Sequence[WindowKey] = ()
    ) -> dict[WindowKey, Window]:
        """Return windows that nobody else can change until we commit.

        Those `wanted` are made if they are not there; those `existing` are left out then. Rows are
        made and locked in the order of their keys, so that two transactions never wait for each
        other; it is that of Python, whatever collation the database has.
        """
        dialect = self._session.get_bind().dialect.name
        if wanted:
            made = [_row(key, Window()) for key in sorted(set(wanted))]
            await self._session.execute(_MAKE[dialect], made)
        keys = sorted({*wanted, *existing})
        found: dict[WindowKey, Window] = {}
        for start in range(0, len(keys), _BATCH):
            statement = (
                select(*(_WINDOW.c[name] for name in (*_KEY_COLUMNS, *_COUNTS)))
                .where(_KEY.in_([tuple(key) for key in keys[start : start + _BATCH]]))
                .order_by(*_ORDER[dialect])
                .with_for_update()
            )
            for row in await self._session.execute(statement):
                found[WindowKey(*row[:4])] = Window(*row[4:])
        return found

    async def save_windows(self, windows: Mapping[WindowKey, Window]) -> None:
        """Store what was counted; the caller holds the rows' locks."""
        if windows:
            rows = [
                {f"key_{name}": value for name, value in zip(_KEY_COLUMNS, key, strict=True)}
                | {name: getattr(window, name) for name in _COUNTS}
                for key, window in sorted(windows.items(), key=lambda it: it[0])
            ]
            await self._session.execute(_SAVE, rows)

    async def purge(self, before: Mapping[str, datetime]) -> None:
        """Delete windows that began before the time of their span."""
        for span, at in before.items():
            await self._session.execute(
                delete(UsageWindow).where(UsageWindow.span == span, UsageWindow.starts_at < at)
            )


_MAKE = {
    "sqlite": sqlite.insert(_WINDOW).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(_WINDOW).on_conflict_do_nothing(),
}
_ORDER = {
    dialect: (
        *(_WINDOW.c[name].collate(bytewise) for name in _KEY_COLUMNS[:3]),
        _WINDOW.c.starts_at,
    )
    for dialect, bytewise in (("sqlite", "BINARY"), ("postgresql", "C"))
}
_SAVE = (
    update(_WINDOW)
    .where(*(_WINDOW.c[name] == bindparam(f"key_{name}") for name in _KEY_COLUMNS))
    .values({name: bindparam(name) for name in _COUNTS})
)


def _row(key: WindowKey, window: Window) -> dict[str, Any]:
    shape = dict(zip(_KEY_COLUMNS, key, strict=True))
    return shape | {name: getattr(window, name) for name in _COUNTS}


def _view(row: UsageLimit) -> LimitView:
    return LimitView.model_validate(row, from_attributes=True)
