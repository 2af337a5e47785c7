"""Variants: prompt version + model version + generation parameters, each stored once.

A variant is identified by what it means: the prompt's name and content, the model version
and what it calls, the values asked for after all layers were merged, and which of them the
experiment or request itself insisted on, because those are refused and never left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Invalid, NotFound
from app.core.hashing import JSON, content_hash
from app.core.ids import new_id
from app.core.parameters import REQUEST, ResolvedParameters, resolve_parameters
from app.core.permissions import Actor, Permission, require
from app.database import AsyncSession, Database
from app.repositories.audit import AuditRepository
from app.repositories.variants import VariantRepository
from app.schemas.models import ModelVersionView
from app.schemas.pages import Page, decode_id, page_of
from app.schemas.prompts import PromptVersionView
from app.schemas.variants import VariantView
from app.services import audit

__all__ = ["Made", "VariantService"]

_SHORTEST_PREFIX = 6  # hexadecimal digits


@dataclass(frozen=True)
class Made:
    """The variant, and whether this call made it (False: it was there already)."""

    variant: VariantView
    created: bool


class VariantService:
    """Use cases of variants."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def ensure(
        self,
        actor: Actor,
        prompt: PromptVersionView,
        model: ModelVersionView,
        request_parameters: Mapping[str, JSON],
    ) -> VariantView:
        """Return the variant of these three, stored if it is new; see `ensure_in`."""
        return (await self.make(actor, prompt, model, request_parameters)).variant

    async def ensure_in(
        self,
        session: AsyncSession,
        actor: Actor,
        prompt: PromptVersionView,
        model: ModelVersionView,
        request_parameters: Mapping[str, JSON],
    ) -> VariantView:
        """As `ensure`, inside a transaction that the caller commits; raises as `make_in`."""
        return (await self.make_in(session, actor, prompt, model, request_parameters)).variant

    async def make(
        self,
        actor: Actor,
        prompt: PromptVersionView,
        model: ModelVersionView,
        request_parameters: Mapping[str, JSON],
    ) -> Made:
        """As `ensure`, and tell whether the variant is new."""
        async with self._database.write_session() as session:
            made = await self.make_in(session, actor, prompt, model, request_parameters)
            await session.commit()
        return made

    async def make_in(
        self,
        session: AsyncSession,
        actor: Actor,
        prompt: PromptVersionView,
        model: ModelVersionView,
        request_parameters: Mapping[str, JSON],
    ) -> Made:
        """As `make`, inside a transaction that the caller commits.

        Raises `Invalid` with path `parameters.<name>` for parameters that are wrong, out of
        bounds, or asked for by the request and not taken by the model.
        """
        require(actor, Permission.EXPERIMENT_RUN, prompt.name)
        return await self._make(session, actor, prompt, model, request_parameters)

    async def ensure_to_try(
        self,
        actor: Actor,
        prompt: PromptVersionView,
        model: ModelVersionView,
        request_parameters: Mapping[str, JSON],
    ) -> VariantView:
        """As `ensure`, for whoever writes the prompt and may call models, to try one example."""
        require(actor, Permission.MODEL_DIRECT)
        require(actor, Permission.PROMPT_WRITE, prompt.name)
        async with self._database.write_session() as session:
            made = await self._make(session, actor, prompt, model, request_parameters)
            await session.commit()
        return made.variant

    async def _make(
        self,
        session: AsyncSession,
        actor: Actor,
        prompt: PromptVersionView,
        model: ModelVersionView,
        request_parameters: Mapping[str, JSON],
    ) -> Made:
        resolved = resolve_parameters(request_parameters, prompt.content.parameters, model.facts)
        variants = VariantRepository(session)
        identity = content_hash(_identity(prompt, model, resolved))
        # Taken before the row and not only with its audit event: of two experiments with the same
        # variants in other orders, one would wait for a row and the other for the chain.
        await AuditRepository(session).lock()
        created = await variants.add_if_new(
            {
                "id": new_id(),
                "prompt_version_id": prompt.id,
                "model_version_id": model.id,
                "parameters": dict(resolved.asked),
                "sources": dict(resolved.sources),
                "content_hash": identity,
                "created_at": self._clock.now(),
                "created_by": str(actor),
            }
        )
        variant = _only(await variants.by_hash_prefix(identity), identity)
        if created:
            await audit.record(
                session,
                self._clock,
                actor,
                "variant.created",
                "variant",
                str(variant.id),
                f"{variant.prompt}+{variant.model}",
                {"content_hash": identity},
            )
        return Made(variant, created)

    async def page(
        self, actor: Actor, *, prompt: str | None = None, cursor: str | None, limit: int
    ) -> Page[VariantView]:
        """Return variants of prompts that the actor may read, newest first."""
        prefixes = actor.prefixes(Permission.PROMPT_READ)
        before = None if cursor is None else decode_id(cursor)
        async with self._database.read_session() as session:
            found, total = await VariantRepository(session).page(
                prefixes, prompt=prompt, before=before, limit=limit + 1
            )
        return page_of(found, limit=limit, total=total, position=lambda v: (str(v.id),))

    async def read(self, actor: Actor, reference: UUID | str) -> VariantView:
        """Return a variant as `get` does, if the actor may read its prompt."""
        require(actor, Permission.PROMPT_READ)
        variant = await self.get(reference)
        require(actor, Permission.PROMPT_READ, variant.prompt.partition("@")[0])
        return variant

    async def get(self, reference: UUID | str) -> VariantView:
        """Return a variant by its id or by at least six digits of its hash."""
        async with self._database.read_session() as session:
            variants = VariantRepository(session)
            variant_id = _as_id(reference)
            if variant_id is not None:
                found = await variants.by_id(variant_id)
                if found is None:
                    raise NotFound(f"There is no variant {variant_id}.", hint=_SEE)
                return found
            return _only(await variants.by_hash_prefix(_prefix(str(reference))), str(reference))

    async def list(self, *, limit: int = 50) -> Sequence[VariantView]:
        """Return the newest variants, newest first."""
        async with self._database.read_session() as session:
            return await VariantRepository(session).newest(limit=limit)


_SEE = "See `workbench variants list`."


def _identity(
    prompt: PromptVersionView, model: ModelVersionView, resolved: ResolvedParameters
) -> dict[str, JSON]:
    """Return what a variant's hash covers; changing this form changes every hash."""
    return {
        "prompt": prompt.name,
        "prompt_hash": prompt.content_hash,
        "model": {
            "reference": model.reference,
            "provider_model": model.provider_model,
            "endpoint": model.endpoint,
            "digest": model.digest,
        },
        "parameters": dict(resolved.asked),
        "requested": sorted(n for n, layer in resolved.sources.items() if layer == REQUEST),
    }


def _as_id(reference: UUID | str) -> UUID | None:
    if isinstance(reference, UUID):
        return reference
    return (
        UUID(reference)
        if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", reference)
        else None
    )


def _prefix(reference: str) -> str:
    digits = reference.removeprefix("sha256:")
    if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST_PREFIX},64}}", digits):
        raise Invalid(
            f"{reference!r} is no variant: use at least {_SHORTEST_PREFIX} digits of its hash.",
            path="variant",
            hint=_SEE,
        )
    return f"sha256:{digits}"


def _only(found: Sequence[VariantView], reference: str) -> VariantView:
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{reference!r} is the beginning of several variants: use more digits.")
    raise NotFound(f"There is no variant {reference}.", hint=_SEE)
