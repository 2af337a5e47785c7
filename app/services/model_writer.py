"""Changes to the catalog inside one transaction; `app.services.models` opens and commits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import NotFound
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.model_families import family_facts, is_floating, is_local
from app.core.permissions import Actor
from app.database import AsyncSession
from app.llm.types import Price
from app.repositories.models import ModelRepository
from app.schemas.models import ModelDeclaration, ModelVersionView, PriceDeclaration, PriceView
from app.services import audit
from app.services.model_changes import (
    Identity,
    declared_values,
    described,
    differences,
    identity_of,
    overlaid,
    stored_facts,
    wanted_identity,
)
from app.services.model_prices import own_price_changes

__all__ = ["Declared", "ModelWriter", "PriceList"]

PriceList = Callable[[str, str, datetime], Price | None]
"""Tells the list price of a provider's model at a time; None if it is not known."""

_LIST_PRICED_ENDPOINT = "openai"  # a list is for the maker's own endpoint, not for another's


@dataclass(frozen=True)
class Declared:
    """What became of a change; `changes` are (old, new) by field, for an updated version."""

    version: ModelVersionView
    change: Literal["added", "new version", "updated", "unchanged"]
    changes: Mapping[str, tuple[JSON, JSON]] = field(default_factory=dict)


class ModelWriter:
    """One actor's changes at one time, each with its audit event."""

    def __init__(
        self, session: AsyncSession, clock: Clock, actor: Actor, price_list: PriceList
    ) -> None:
        self._session = session
        self._clock = clock
        self._actor = actor
        self._price_list = price_list
        self._now = clock.now()
        self.models = ModelRepository(session, self._now)

    async def declare(self, model_id: UUID, declaration: ModelDeclaration) -> Declared:
        """Make the catalog say what the declaration says; the language model is locked."""
        current = await self._current(declaration)
        identity = wanted_identity(declaration, current)
        if current is None or identity != identity_of(current):
            return await self._add(model_id, declaration, identity, current)
        changes = await self._change(current, declared_values(declaration, current))
        priced = await self.record_prices(current, declaration.price_history)
        version = await self._reread(current.id)
        if priced:
            changes["price"] = (_amounts(current.price), _amounts(version.price))
        return Declared(version, "updated" if changes else "unchanged", changes)

    async def _current(self, declaration: ModelDeclaration) -> ModelVersionView | None:
        reference = declaration.reference
        latest = await self.models.latest(reference.provider, reference.name)
        if latest is not None:
            return latest
        versions = await self.models.versions(reference.provider, reference.name)
        return versions[-1] if versions else None

    async def _add(
        self,
        model_id: UUID,
        declaration: ModelDeclaration,
        identity: Identity,
        previous: ModelVersionView | None,
    ) -> Declared:
        provider = declaration.reference.provider
        known = family_facts(provider, identity.provider_model)
        if previous is not None and previous.provider_model == identity.provider_model:
            known = previous.facts  # what was mended for a name holds for its next snapshot
        facts = stored_facts(overlaid(known, declaration))
        version_id = new_id()
        await self.models.add_version(
            {
                "id": version_id,
                "language_model_id": model_id,
                "number": await self.models.next_number(model_id),
                "provider_model": identity.provider_model,
                "endpoint": identity.endpoint,
                "digest": identity.digest,
                "floating": is_floating(provider, identity.provider_model, identity.digest),
                "facts": facts,
                "status": declaration.status or "active",
                "sunset_at": declaration.sunset,
                "successor": declaration.successor,
                "created_at": self._now,
                "created_by": str(self._actor),
            }
        )
        version = await self._reread(version_id)
        detail = {
            "provider_model": version.provider_model,
            "endpoint": version.endpoint,
            "digest": version.digest,
            "facts": facts,
            "status": version.status,
        }
        await self._audit("model_version.added", version, detail)
        kept = self._kept_price(identity, previous)
        await self.record_prices(version, declaration.price_history or kept)
        change: Literal["added", "new version"] = "added" if previous is None else "new version"
        return Declared(await self._reread(version_id), change)

    def _kept_price(
        self, identity: Identity, previous: ModelVersionView | None
    ) -> list[PriceDeclaration]:
        """One's own price goes on where only the snapshot behind the name has changed."""
        if previous is None or previous.price is None or previous.price.source != "own":
            return []
        if (previous.provider_model, previous.endpoint) != identity[:2]:
            return []
        price = previous.price
        return [
            PriceDeclaration(
                valid_from=self._now,
                valid_to=price.valid_to,
                input=price.input,
                cached_input=price.cached_input,
                output=price.output,
            )
        ]

    async def change(self, version: ModelVersionView, values: Mapping[str, Any]) -> Declared:
        """Write facts (stored form) or lifecycle that differ from the version's."""
        changes = await self._change(version, values)
        after = await self._reread(version.id)
        return Declared(after, "updated" if changes else "unchanged", changes)

    async def _change(
        self, version: ModelVersionView, values: Mapping[str, Any]
    ) -> dict[str, tuple[JSON, JSON]]:
        before = described(version)
        changed = {name: value for name, value in values.items() if value != before[name]}
        if not changed:
            return {}
        await self.models.change_version(version.id, changed)
        changes = differences({name: before[name] for name in changed}, changed)
        status = changed.get("status")
        verb = status if status in ("deprecated", "retired") else "updated"
        detail: dict[str, JSON] = {
            "old": {name: change[0] for name, change in changes.items()},
            "new": {name: change[1] for name, change in changes.items()},
        }
        await self._audit(f"model_version.{verb}", version, detail)
        return changes

    async def record_prices(
        self, version: ModelVersionView, declared: Sequence[PriceDeclaration]
    ) -> bool:
        """Record one's own prices and, beside them, the list's or the local zero.

        Returns whether anything changed.
        """
        recorded = await self.models.prices(version.id)
        changes = own_price_changes([p for p in recorded if p.source == "own"], declared)
        rows = [self._row(version, "own", p, p.valid_from, p.valid_to) for p in changes.add]
        close = dict(changes.close)
        listed = self._listed(version)
        if listed is not None:
            source, price = listed
            current = [p for p in recorded if p.source == source and p.covers(self._now)]
            if all(_amounts(p) != _amounts(price) for p in current):
                close |= {p.id: self._now for p in current}
                rows.append(self._row(version, source, price, self._now, None))
        for price_id, end in close.items():
            await self.models.close_price(price_id, end)
        await self.models.add_prices(rows)
        if rows or close:
            detail: dict[str, JSON] = {
                "closed": sorted(str(price_id) for price_id in close),
                "added": [{"id": str(row["id"]), "source": row["source"]} for row in rows],
            }
            await self._audit("model_price.recorded", version, detail)
        return bool(rows or close)

    def _listed(self, version: ModelVersionView) -> tuple[str, Price] | None:
        if is_local(version.provider, version.provider_model):
            return "local", Price(None, Decimal(0), Decimal(0))
        if version.endpoint != _LIST_PRICED_ENDPOINT:
            return None
        known = self._price_list(version.provider, version.provider_model, self._now)
        return None if known is None else ("genai-prices", known)

    def _row(
        self,
        version: ModelVersionView,
        source: str,
        price: Price | PriceDeclaration,
        valid_from: datetime,
        valid_to: datetime | None,
    ) -> dict[str, Any]:
        return {
            "id": new_id(),
            "model_version_id": version.id,
            "valid_from": valid_from,
            "valid_to": valid_to,
            "input": price.input,
            "cached_input": price.cached_input,
            "output": price.output,
            "source": source,
            "created_at": self._now,
            "created_by": str(self._actor),
        }

    async def _reread(self, version_id: UUID) -> ModelVersionView:
        version = await self.models.by_id(version_id)
        if version is None:
            raise NotFound("The model version that was just written is gone.")
        return version

    async def _audit(
        self, action: str, version: ModelVersionView, detail: Mapping[str, JSON]
    ) -> None:
        await audit.record(
            self._session,
            self._clock,
            self._actor,
            action,
            "model_version",
            str(version.id),
            version.reference,
            detail,
        )


def _amounts(price: Price | PriceView | None) -> dict[str, str] | None:
    """The money of a price, in a form that JSON has; trailing zeros do not count."""
    if price is None:
        return None
    amounts = {"input": price.input, "cached_input": price.cached_input, "output": price.output}
    return {name: f"{value.normalize():f}" for name, value in amounts.items() if value is not None}
