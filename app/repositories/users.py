"""Statements on `user` and `role_grant`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, exists, func, insert, or_, select, update

from app.core.permissions import Role
from app.database import AsyncSession, Base
from app.models import IdempotencyKey, RoleGrant, User
from app.schemas.users import GrantView, UserView

__all__ = ["UserRepository"]

_ACTORS: Final = tuple(
    column
    for table in Base.metadata.sorted_tables
    for column in table.columns
    if column.name in {"actor", "author", "owner"} or column.name.endswith("_by")
)
"""Every column that says who acted: what is there belongs to whoever has the name."""


class UserRepository:
    """Users with the grants that they have now; reads return schemas."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, values: Mapping[str, Any]) -> None:
        await self._session.execute(insert(User), [dict(values)])

    async def change(self, user_id: UUID, values: Mapping[str, Any]) -> None:
        await self._session.execute(update(User).where(User.id == user_id).values(**values))

    async def add_grant(self, values: Mapping[str, Any]) -> None:
        await self._session.execute(insert(RoleGrant), [dict(values)])

    async def take_back(self, grant_id: UUID, *, at: datetime, by: str) -> None:
        """Let a grant hold no longer; its row stays."""
        statement = update(RoleGrant).where(RoleGrant.id == grant_id)
        await self._session.execute(statement.values(revoked_at=at, revoked_by=by))

    async def by_name(self, name: str) -> UserView | None:
        return await self._one(select(User).where(User.name == name))

    async def by_external_id(self, external_id: str) -> UserView | None:
        return await self._one(select(User).where(User.external_id == external_id))

    async def by_id(self, user_id: UUID) -> UserView | None:
        return await self._one(select(User).where(User.id == user_id))

    async def page(self, *, limit: int, after: str | None) -> Sequence[UserView]:
        """Return the users after this name, in the order of their names."""
        statement = select(User).order_by(User.name).limit(limit)
        if after is not None:
            statement = statement.where(User.name > after)
        return await self._with_grants(list((await self._session.execute(statement)).scalars()))

    async def count(self, *, up_to: int) -> int:
        """Return how many users there are, or `up_to` if there are more."""
        some = select(User.id).limit(up_to).subquery()
        return int(await self._session.scalar(select(func.count()).select_from(some)) or 0)

    async def has_other_admin(self, user_id: UUID) -> bool:
        """Whether somebody else is active and admin of everything."""
        statement = (
            select(RoleGrant.id)
            .join(User, User.id == RoleGrant.user_id)
            .where(
                RoleGrant.role == Role.ADMIN,
                RoleGrant.prefix == "",
                RoleGrant.revoked_at.is_(None),
                User.deactivated_at.is_(None),
                User.id != user_id,
            )
        )
        return bool(await self._session.scalar(select(exists(statement))))

    async def has_acted(self, actor: str) -> bool:
        """Whether anything is on record under this actor's name.

        Asked before a name changes hands, which is rare: most of the columns have no index.
        """
        recorded = or_(
            *(exists().where(column == actor) for column in _ACTORS),
            exists().where(IdempotencyKey.actor.startswith(f"{actor} ", autoescape=True)),
        )
        return bool(await self._session.scalar(select(recorded)))

    async def _one(self, statement: Select[User]) -> UserView | None:
        found = list((await self._session.execute(statement)).scalars())
        return next(iter(await self._with_grants(found)), None)

    async def _with_grants(self, users: Sequence[User]) -> Sequence[UserView]:
        statement = (
            select(RoleGrant)
            .where(RoleGrant.user_id.in_([user.id for user in users]))
            .where(RoleGrant.revoked_at.is_(None))
            .order_by(RoleGrant.role, RoleGrant.prefix)
        )
        grants: defaultdict[UUID, list[GrantView]] = defaultdict(list)
        for row in (await self._session.execute(statement)).scalars():
            grants[row.user_id].append(_grant(row))
        return [_user(user, grants[user.id]) for user in users]


def _grant(row: RoleGrant) -> GrantView:
    return GrantView(
        id=row.id,
        role=Role(row.role),
        prefix=row.prefix,
        created_at=row.created_at,
        created_by=row.created_by,
    )


def _user(row: User, grants: Sequence[GrantView]) -> UserView:
    return UserView(
        id=row.id,
        name=row.name,
        external_id=row.external_id,
        deactivated_at=row.deactivated_at,
        grants=tuple(grants),
        created_at=row.created_at,
        created_by=row.created_by,
    )
