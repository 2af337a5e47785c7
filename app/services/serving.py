"""What an alias or a model's name means at this moment, ready to be rendered and called.

Resolving reads the database and is on the way of every chat, so what was read is kept. A moved
alias is served by every process within five seconds, and so is a model's new status, fact or
price; while the database is down the last good copy serves for a minute
(`app.services.fresh_values`). What never changes, a variant's prompt and parameters, is read once.

Nothing here asks who the caller is: that is the matter of whoever answers them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.core.canary import BUCKETS, bucket, choose
from app.core.clock import Clock
from app.core.errors import Invalid, NotFound
from app.core.lifecycle import ModelStatus, status_at
from app.core.parameters import ModelFacts, ResolvedParameters, settle_parameters
from app.core.permissions import Actor, system_actor
from app.database import AsyncSession, Database
from app.llm.types import ModelTarget, Price
from app.prompts import passthrough
from app.repositories.aliases import AliasRepository
from app.repositories.models import ModelRepository
from app.repositories.prompts import PromptRepository
from app.repositories.serving import ServingRepository
from app.repositories.variants import VariantRepository
from app.schemas.aliases import AliasSettings, AliasView, TargetRole, parse_alias
from app.schemas.models import ModelReference, ModelVersionView, parse_model_reference
from app.schemas.prompts import PromptContent
from app.schemas.variants import VariantView
from app.services.fresh_values import FreshValues, Staleness
from app.services.rendering import PromptRenderer
from app.services.variants import VariantService

__all__ = ["ServedAlias", "ServedTarget", "ServedVariant", "ServingService"]

_MOST_VARIANTS: Final = 1_000  # prompts that are kept compiled
_ACTOR: Final[Actor] = system_actor("serving")


@dataclass(frozen=True, slots=True)
class ServedVariant:
    """One variant with all that a call of it needs.

    `parameters` are the variant's own, settled by what is known of the model now (`facts`).
    `prompt` and `model` are references (`triage@3`, `openai/gpt-4.1@2`). `status` is the model
    version's at the time of reading, with a sunset that has passed counted as retired;
    `deprecated_at` and `sunset_at` are None unless they are known.
    """

    variant_id: UUID
    variant_hash: str
    prompt: str
    prompt_version_id: UUID
    content: PromptContent
    renderer: PromptRenderer
    model: str
    model_version_id: UUID
    parameters: ResolvedParameters
    facts: ModelFacts
    target: ModelTarget
    price_id: UUID | None
    status: ModelStatus
    deprecated_at: datetime | None
    sunset_at: datetime | None
    successor: str | None

    @property
    def provider(self) -> str:
        return self.target.provider

    @property
    def tools(self) -> list[dict[str, Any]] | None:
        return self.content.tools

    @property
    def tool_choice(self) -> str | dict[str, Any] | None:
        return self.content.tool_choice

    @property
    def response_format(self) -> dict[str, Any] | None:
        return self.content.response_format

    @property
    def context_window(self) -> int | None:
        """Tokens, in and out; None if nobody knows."""
        return self.facts.context_window

    @property
    def is_retired(self) -> bool:
        return self.status == "retired"


@dataclass(frozen=True, slots=True)
class ServedTarget:
    """One variant that an alias may answer with; `weight` as in `app.core.canary`."""

    variant: ServedVariant
    role: TargetRole
    weight: float


@dataclass(frozen=True, slots=True)
class ServedAlias:
    """What an alias means. With a `message` it answers with that text and calls no model."""

    id: UUID
    name: str
    deployment_id: UUID
    number: int
    settings: AliasSettings
    message: str | None
    targets: tuple[ServedTarget, ...]

    def targets_for(self, sticky: str) -> tuple[int, tuple[ServedTarget, ...]]:
        """Return the bucket of a caller, and what to answer them with: targets in the order in
        which they are to be tried, without those whose model is retired, hence maybe none."""
        caller = bucket(sticky, str(self.id))
        return caller, self._alive(choose(self.targets, caller))

    @property
    def standing(self) -> ServedTarget | None:
        """What those are answered with who meet no canary; None if every model is retired."""
        return next(iter(self._alive(choose(self.targets, BUCKETS - 1))), None)

    def _alive(self, targets: Sequence[ServedTarget]) -> tuple[ServedTarget, ...]:
        return tuple(target for target in targets if not target.variant.is_retired)


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The part of a variant that never changes."""

    variant: VariantView
    content: PromptContent
    renderer: PromptRenderer


class ServingService:
    """Resolves aliases, models and variants; one for each process, closed at its end.

    `variants` makes the variant under which a model is called directly, the first time that it is.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        variants: VariantService,
        *,
        staleness: Staleness | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._variants = variants
        used = staleness or Staleness()
        self._fixed: OrderedDict[UUID, _Fixed] = OrderedDict()
        self._aliases = FreshValues(self._read_alias, clock, used)
        self._direct = FreshValues(self._read_direct, clock, used)
        self._pinned = FreshValues(self._read_variant, clock, used, most=_MOST_VARIANTS)

    async def resolve(self, alias: str) -> ServedAlias:
        """Return what an alias means; `NotFound` if there is none of this name."""
        found = await self._aliases.get(parse_alias(alias))
        if found is None:
            raise NotFound(f"There is no alias {alias}.")
        return found

    async def resolve_model(self, reference: str) -> ServedVariant:
        """Return the variant under which a model is called directly: `passthrough@1` on it.

        The reference is `openai/gpt-4.1`, with `@2` behind it for a version, or the provider's
        own name alone (`gpt-4.1`) if only one provider has it. A retired version is returned with
        its status; so is the last one of a model that has no other. Raises `NotFound` for a model
        that is not in the catalog or still a draft, `Invalid` for a name that several have.
        """
        return await self._direct.get(reference)

    async def variant(self, variant_id: UUID) -> ServedVariant:
        """Return one variant, as a pinned conversation needs it; `NotFound` if there is none."""
        return await self._pinned.get(variant_id)

    async def close(self) -> None:
        """End what is being read; call it before the database is closed."""
        for values in (self._aliases, self._direct, self._pinned):
            await values.close()

    async def _read_alias(self, name: str) -> ServedAlias | None:
        async with self._database.read_session() as session:
            alias = await AliasRepository(session).by_name(name)
            if alias is None:
                return None
            served: dict[UUID, ServedVariant] = {}
            for target in alias.current.targets:
                if target.variant_id not in served:
                    served[target.variant_id] = await self._served(session, target.variant_id)
        return _served_alias(alias, served)

    async def _read_direct(self, text: str) -> ServedVariant:
        async with self._database.read_session() as session:
            model = await self._model(session, await _reference(session, text))
            prompt = await PromptRepository(session).by_number(
                passthrough.PROMPT.name, passthrough.VERSION
            )
        if prompt is None:
            raise NotFound(f"The built-in prompt {passthrough.PROMPT.name} is not registered.")
        variant = await self._variants.ensure(_ACTOR, prompt, model, {})
        return await self._read_variant(variant.id)

    async def _read_variant(self, variant_id: UUID) -> ServedVariant:
        async with self._database.read_session() as session:
            return await self._served(session, variant_id)

    async def _model(self, session: AsyncSession, reference: ModelReference) -> ModelVersionView:
        models = ModelRepository(session, self._clock.now())
        versions = await models.versions(reference.provider, reference.name)
        if reference.number is not None:
            versions = [version for version in versions if version.number == reference.number]
        offered = [version for version in versions if version.status != "draft"]
        alive = [version for version in offered if self._status(version) != "retired"]
        if not offered:
            raise NotFound(f"There is no model {reference}.")
        return (alive or offered)[-1]

    async def _served(self, session: AsyncSession, variant_id: UUID) -> ServedVariant:
        fixed = await self._fixed_part(session, variant_id)
        models = ModelRepository(session, self._clock.now())
        model = await models.by_id(fixed.variant.model_version_id)
        if model is None:
            raise NotFound(f"The model of the variant {variant_id} is gone.")
        deprecated_at = None
        if model.status == "deprecated":
            told = await ServingRepository(session).deprecated_at(model.id)
            deprecated_at = told or model.created_at  # declared as such from the first
        return _served_variant(fixed, model, self._status(model), deprecated_at)

    def _status(self, model: ModelVersionView) -> ModelStatus:
        return status_at(model.status, model.sunset_at, self._clock.now())

    async def _fixed_part(self, session: AsyncSession, variant_id: UUID) -> _Fixed:
        fixed = self._fixed.get(variant_id)
        if fixed is None:
            variant = await VariantRepository(session).by_id(variant_id)
            if variant is None:
                raise NotFound(f"There is no variant {variant_id}.")
            version = await PromptRepository(session).by_id(variant.prompt_version_id)
            if version is None:
                raise NotFound(f"The prompt of the variant {variant_id} is gone.")
            fixed = _Fixed(variant, version.content, PromptRenderer(version.content))
            self._fixed[variant_id] = fixed
            while len(self._fixed) > _MOST_VARIANTS:
                self._fixed.popitem(last=False)
        self._fixed.move_to_end(variant_id)
        return fixed


async def _reference(session: AsyncSession, text: str) -> ModelReference:
    """Return what a caller's name of a model stands for: a reference, or a provider's own name."""
    try:
        return parse_model_reference(text)
    except Invalid:
        found = await ServingRepository(session).models_called(text)
    if not found:
        raise NotFound(f"There is no model {text}.")
    if len(found) > 1:
        raise Invalid(
            f"Several providers have a model {text}: write {' or '.join(found)}.", path="model"
        )
    return parse_model_reference(found[0])


def _served_alias(alias: AliasView, served: Mapping[UUID, ServedVariant]) -> ServedAlias:
    current = alias.current
    return ServedAlias(
        id=alias.id,
        name=alias.name,
        deployment_id=current.id,
        number=current.number,
        settings=current.settings,
        message=current.message,
        targets=tuple(
            ServedTarget(served[target.variant_id], target.role, target.weight)
            for target in current.targets
        ),
    )


def _served_variant(
    fixed: _Fixed, model: ModelVersionView, status: ModelStatus, deprecated_at: datetime | None
) -> ServedVariant:
    variant, found = fixed.variant, model.price
    price = None
    if found is not None:
        price = Price(str(found.id), found.input, found.output, found.cached_input)
    return ServedVariant(
        variant_id=variant.id,
        variant_hash=variant.content_hash,
        prompt=variant.prompt,
        prompt_version_id=variant.prompt_version_id,
        content=fixed.content,
        renderer=fixed.renderer,
        model=variant.model,
        model_version_id=model.id,
        parameters=settle_parameters(variant.asked, variant.sources, model.facts),
        facts=model.facts,
        target=ModelTarget(model.provider, model.endpoint, model.provider_model, price),
        price_id=None if found is None else found.id,
        status=status,
        deprecated_at=deprecated_at,
        sunset_at=model.sunset_at,
        successor=model.successor,
    )
