"""The model catalog: which model versions there are, what is known of them, what they cost.

A version is identified by what it calls: provider model, endpoint and digest. Declaring
something else under the same name makes the next number; facts and lifecycle may change,
each change with its audit event. What a declaration does not say stays as it is: the facts
of known families to begin with, and what was mended since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, Invalid, NotFound
from app.core.fact_settings import FactSetting, parse_fact_setting
from app.core.parameters import ASSUMED_MAX_OUTPUT_TOKENS
from app.core.permissions import Actor, Permission, require
from app.core.settings import EndpointSettings
from app.core.suggestions import did_you_mean
from app.database import AsyncSession, Database
from app.llm.pricing import known_price
from app.llm.providers import ModelReport
from app.repositories.models import ModelRepository
from app.schemas.models import (
    FactChanges,
    ModelDeclaration,
    ModelReference,
    ModelStatus,
    ModelVersionView,
    ParameterView,
    PriceDeclaration,
    PriceView,
    parse_model_reference,
    price_at,
)
from app.schemas.pages import Page, decode_cursor, page_of
from app.services.model_changes import stored_facts, with_limits
from app.services.model_parameters import parameter_views
from app.services.model_writer import Declared, ModelWriter, PriceList

__all__ = ["Declared", "ModelService"]


class ModelService:
    """Use cases of the catalog.

    `endpoints` are the settings' accounts by name; `price_list` is where list prices of
    known models come from.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        endpoints: Mapping[str, EndpointSettings],
        price_list: PriceList = known_price,
    ) -> None:
        self._database = database
        self._clock = clock
        self._endpoints = endpoints
        self._price_list = price_list

    async def get(self, reference: ModelReference | str) -> ModelVersionView:
        """Return the version of a reference; without a number the latest that is not retired.

        A retired version is still there by its number. `NotFound` says what there is.
        """
        async with self._database.read_session() as session:
            return await _get(self._models(session), _parsed(reference))

    async def by_id(self, version_id: UUID) -> ModelVersionView:
        """Return one version; `NotFound` if there is none."""
        async with self._database.read_session() as session:
            version = await self._models(session).by_id(version_id)
        if version is None:
            raise NotFound("There is no such model version.")
        return version

    async def list(self) -> list[ModelVersionView]:
        """Return every version, by provider, name and number."""
        async with self._database.read_session() as session:
            return await self._models(session).all_versions()

    async def page(
        self,
        actor: Actor,
        *,
        provider: str | None = None,
        status: ModelStatus | None = None,
        search: str = "",
        cursor: str | None,
        limit: int,
    ) -> Page[ModelVersionView]:
        """Return versions by provider, name and number, of one provider or status if given;
        `search` is part of the name."""
        require(actor, Permission.MODEL_READ)
        after = None if cursor is None else decode_cursor(cursor, str, str, int)
        async with self._database.read_session() as session:
            found, total = await self._models(session).page(
                provider=provider,
                status=status,
                search=search,
                after=cast("tuple[str, str, int] | None", after),
                limit=limit + 1,
            )
        return page_of(
            found, limit=limit, total=total, position=lambda v: (v.provider, v.name, v.number)
        )

    async def read(self, actor: Actor, reference: ModelReference | str) -> ModelVersionView:
        """Return a version as `get` does, if the actor may read the catalog."""
        require(actor, Permission.MODEL_READ)
        return await self.get(reference)

    async def parameters_of(
        self, actor: Actor, reference: ModelReference | str
    ) -> Sequence[ParameterView]:
        """Return every parameter with its bounds at a version, by name; raises as `get` does."""
        version = await self.read(actor, reference)
        return parameter_views(version.facts)

    async def prices_of(self, actor: Actor, reference: ModelReference | str) -> Sequence[PriceView]:
        """Return every price of the version of a reference, by time; raises as `get` does."""
        require(actor, Permission.MODEL_READ)
        async with self._database.read_session() as session:
            models = self._models(session)
            version = await _get(models, _parsed(reference))
            return await models.prices(version.id)

    async def prices(self, version: ModelVersionView) -> Sequence[PriceView]:
        """Return every price of a version, by time."""
        async with self._database.read_session() as session:
            return await self._models(session).prices(version.id)

    async def price_at(self, version: ModelVersionView, at: datetime) -> PriceView | None:
        """Return the price that counts at a time; None if it is unknown, which is not 0."""
        return price_at(await self.prices(version), at)

    async def declare(self, actor: Actor, declaration: ModelDeclaration) -> Declared:
        """Record what someone says about one model; see `declare_all`."""
        return (await self.declare_all(actor, [declaration]))[0]

    async def declare_all(
        self, actor: Actor, declarations: Sequence[ModelDeclaration], *, dry_run: bool = False
    ) -> Sequence[Declared]:
        """Record declarations in one transaction: all of them or none.

        With `dry_run` everything is done and rolled back. Raises `Invalid` for an endpoint
        that the settings do not have or facts that contradict each other, `Conflict` for a
        price that contradicts a recorded one.
        """
        require(actor, Permission.MODEL_WRITE)
        for declaration in declarations:
            self._check_endpoint(declaration)
        async with self._database.write_session() as session:
            writer = self._writer(session, actor)
            ids: dict[str, UUID] = {}
            for model in sorted({d.model for d in declarations}):  # one order, so no deadlock
                ids[model] = await self._lock(writer, actor, parse_model_reference(model))
            done = [await writer.declare(ids[d.model], d) for d in declarations]
            if dry_run:
                await session.rollback()
            else:
                await session.commit()
        return done

    def _check_endpoint(self, declaration: ModelDeclaration) -> None:
        if declaration.endpoint is None:
            return
        reference = declaration.reference
        endpoint = self._endpoints.get(declaration.endpoint)
        if endpoint is None:
            raise Invalid(
                f"{reference}: there is no endpoint {declaration.endpoint!r}; "
                f"known are {', '.join(sorted(self._endpoints))}.",
                path="endpoint",
                hint="Name its provider and base_url under endpoints in workbench.yaml.",
            )
        if endpoint.provider != reference.provider:
            raise Invalid(
                f"{reference}: the endpoint {declaration.endpoint!r} belongs to provider "
                f"{endpoint.provider}; name the model {endpoint.provider}/{reference.name}.",
                path="endpoint",
            )

    async def record_report(
        self, actor: Actor, version: ModelVersionView, report: ModelReport
    ) -> Declared:
        """Record what the provider says of a model.

        A digest pins it, in a new version if the recorded one has another or none; a window
        that was unknown is learnt.
        """
        window_known = version.facts.context_window is not None
        return await self.declare(
            actor,
            ModelDeclaration(
                model=version.model,
                digest=report.digest,
                context_window=None if window_known else report.context_window,
            ),
        )

    async def set_parameter_fact(
        self, actor: Actor, reference: ModelReference | str, setting: FactSetting
    ) -> Declared:
        """Change what is known of one parameter: how the catalog is mended after a refusal."""
        return await self.set_facts(actor, reference, [setting])

    async def set_facts(
        self,
        actor: Actor,
        reference: ModelReference | str,
        settings: Sequence[FactSetting] = (),
        *,
        context_window: int | None = None,
        max_output_tokens: int | None = None,
    ) -> Declared:
        """Change what is known of one version's limits and parameters."""
        require(actor, Permission.MODEL_WRITE)
        async with self._database.write_session() as session:
            writer = self._writer(session, actor)
            version = await self._locked(writer, actor, reference)
            facts = with_limits(version.facts, context_window, max_output_tokens)
            for setting in settings:
                facts = setting.apply(facts)
            declared = await writer.change(version, {"facts": stored_facts(facts)})
            await session.commit()
        return declared

    async def change_facts(
        self, actor: Actor, reference: ModelReference | str, changes: FactChanges
    ) -> Declared:
        """Change facts as people write them; raises `Invalid` for what is no such change."""
        return await self.set_facts(
            actor,
            reference,
            [parse_fact_setting(text) for text in changes.parameters],
            context_window=changes.context_window,
            max_output_tokens=changes.max_output_tokens,
        )

    async def retire(
        self,
        actor: Actor,
        reference: ModelReference | str,
        *,
        sunset: datetime | None = None,
        successor: str | None = None,
    ) -> Declared:
        """Retire a version now, or deprecate it until a sunset that is still to come."""
        require(actor, Permission.MODEL_WRITE)
        now = self._clock.now()
        later = sunset is not None and sunset > now
        values: dict[str, Any] = {
            "status": "deprecated" if later else "retired",
            "sunset_at": sunset or now,
        }
        async with self._database.write_session() as session:
            writer = self._writer(session, actor)
            version = await self._locked(writer, actor, reference)
            if successor is not None:
                if str(parse_model_reference(successor)) == version.reference:
                    raise Invalid("A version cannot be its own successor.", path="successor")
                values["successor"] = successor
            declared = await writer.change(version, values)
            await session.commit()
        return declared

    async def add_price(
        self, actor: Actor, reference: ModelReference | str, price: PriceDeclaration
    ) -> ModelVersionView:
        """Record a price of one's own: it ends the open one and overrides the list's.

        Raises `Conflict` if it contradicts a recorded one.
        """
        require(actor, Permission.MODEL_WRITE)
        async with self._database.write_session() as session:
            writer = self._writer(session, actor)
            version = await self._locked(writer, actor, reference)
            await writer.record_prices(version, [price])
            version = await _get(writer.models, _parsed(version.reference))
            await session.commit()
        return version

    async def resolve(
        self, actor: Actor, text: str, *, add_missing: bool
    ) -> tuple[ModelVersionView, str | None]:
        """Return the version that a text names, and a line to tell the person, if there is one.

        With `add_missing` (a local workspace) a name that the catalog does not have is
        added by itself. Raises `Conflict` for a version that is retired.
        """
        reference = parse_model_reference(text)
        async with self._database.read_session() as session:
            models = self._models(session)
            known = await models.versions(reference.provider, reference.name)
            if known or not add_missing or reference.number is not None:
                version = await _get(models, reference)
                if version.status == "retired":
                    raise Conflict(_retired(version))
                return version, _lifecycle_note(version)
        declared = await self.declare(actor, ModelDeclaration(model=reference.model))
        return declared.version, _added_note(declared.version)

    async def resolve_offered(self, text: str) -> ModelVersionView:
        """Return the version that a text names for whoever calls a model directly: a draft is not
        there for them.

        Raises `NotFound` for what the catalog does not offer, `Conflict` for a retired version.
        """
        reference = parse_model_reference(text)
        async with self._database.read_session() as session:
            models = self._models(session)
            versions = await models.versions(reference.provider, reference.name)
            if not versions:
                return await _get(models, reference)
        named = [it for it in versions if reference.number in (None, it.number)]
        offered = [it for it in named if it.status != "draft"]
        if not offered:
            raise NotFound(f"There is no model {reference}.")
        alive = [it for it in offered if it.status != "retired"]
        if not alive:
            raise Conflict(_retired(offered[-1]))
        return alive[-1]

    def _models(self, session: AsyncSession) -> ModelRepository:
        return ModelRepository(session, self._clock.now())

    def _writer(self, session: AsyncSession, actor: Actor) -> ModelWriter:
        return ModelWriter(session, self._clock, actor, self._price_list)

    async def _lock(self, writer: ModelWriter, actor: Actor, reference: ModelReference) -> UUID:
        return await writer.models.ensure_model(reference.provider, reference.name, str(actor))

    async def _locked(
        self, writer: ModelWriter, actor: Actor, reference: ModelReference | str
    ) -> ModelVersionView:
        """Return a version that nobody else can change until the transaction ends."""
        wanted = _parsed(reference)
        await _get(writer.models, wanted)  # locking would make a model that is not there
        await self._lock(writer, actor, wanted)
        return await _get(writer.models, wanted)


def _parsed(reference: ModelReference | str) -> ModelReference:
    return parse_model_reference(reference) if isinstance(reference, str) else reference


async def _get(models: ModelRepository, reference: ModelReference) -> ModelVersionView:
    provider, name, number = reference.provider, reference.name, reference.number
    if number is None:
        version = await models.latest(provider, name)
    else:
        version = await models.by_number(provider, name, number)
    if version is not None:
        return version
    versions = await models.versions(provider, name)
    if versions and number is None:
        raise NotFound(_retired(versions[-1]))
    if versions:
        numbers = ", ".join(str(version.number) for version in versions)
        raise NotFound(f"There is no {reference}; {reference.model} has the versions {numbers}.")
    suggestion = did_you_mean(reference.model, await models.names())
    raise NotFound(
        f"There is no model {reference.model} in the catalog.{suggestion}",
        hint=f"Add it with `workbench models add {reference.model}`.",
    )


def _retired(version: ModelVersionView) -> str:
    when = f" on {version.sunset_at:%Y-%m-%d}" if version.sunset_at else ""
    successor = f" Its successor is {version.successor}." if version.successor else ""
    return f"{version.reference} was retired{when}.{successor}"


def _lifecycle_note(version: ModelVersionView) -> str | None:
    if version.status != "deprecated":
        return None
    until = f" and ends on {version.sunset_at:%Y-%m-%d}" if version.sunset_at else ""
    successor = f"; its successor is {version.successor}" if version.successor else ""
    return f"{version.reference} is deprecated{until}{successor}."


def _added_note(version: ModelVersionView) -> str:
    most = version.facts.max_output_tokens
    limit = (
        f"up to {most:,} output tokens"
        if most
        else f"no facts known, {ASSUMED_MAX_OUTPUT_TOKENS:,} output tokens assumed"
    )
    price = version.price
    if price is None:
        cost = "price unknown"
    elif price.source == "local":
        cost = "no cost"
    else:
        cost = f"${price.input.normalize():f} in, ${price.output.normalize():f} out per million"
    floating = "; the name is no snapshot (floating)" if version.floating else ""
    return f"Added {version.reference} to the catalog: {limit}; {cost}{floating}."
