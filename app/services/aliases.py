"""Aliases: movable names of variants, and the one function through which every move goes.

An alias means what its last deployment points to. Deployments are only ever added: who moved
it, when, why, and from where stays on record, and going back is one more move.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, Invalid, NotFound
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import AsyncSession, Database
from app.repositories.aliases import AliasRepository
from app.repositories.audit import AuditRepository
from app.repositories.models import ModelRepository
from app.repositories.prompts import PromptRepository
from app.repositories.variants import VariantRepository
from app.schemas.aliases import AliasView, DeploymentView, parse_alias
from app.schemas.variants import VariantView
from app.services import audit

__all__ = ["AliasService"]

_LONGEST_REASON = 2_000


class AliasService:
    """Use cases of aliases."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, name: str) -> AliasView:
        """Return an alias with what it means now; `NotFound` says which there are."""
        async with self._database.read_session() as session:
            aliases = AliasRepository(session)
            found = await aliases.by_name(parse_alias(name))
            if found is not None:
                return found
            known = ", ".join(alias.name for alias in await aliases.list())
        raise NotFound(
            f"There is no alias {name}; " + (f"there are {known}." if known else "there is none."),
            hint=f"Make it: workbench aliases set {name} VARIANT --reason TEXT",
        )

    async def list(self) -> Sequence[AliasView]:
        """Return every alias by name."""
        async with self._database.read_session() as session:
            return await AliasRepository(session).list()

    async def history(self, name: str) -> Sequence[DeploymentView]:
        """Return every deployment of an alias, newest first; `NotFound` for no alias."""
        alias = await self.get(name)
        async with self._database.read_session() as session:
            return await AliasRepository(session).history(alias.id)

    async def move(
        self,
        actor: Actor,
        name: str,
        variant_id: UUID,
        *,
        reason: str,
        allow_simulated: bool = False,
    ) -> AliasView:
        """Let an alias mean this variant from now on; an alias that is new is made.

        Raises `Invalid` for a name that is none, for no reason and for a variant that nobody
        should depend on: a draft, a retired model, or, unless it is allowed, a simulated one;
        `Conflict` if the alias means the variant already.
        """
        require(actor, Permission.ALIAS_MOVE)
        parse_alias(name)
        said = _checked_reason(reason)
        async with self._database.write_session() as session:
            # Two moves of one alias would otherwise both follow the same deployment.
            await AuditRepository(session).lock()
            variant = await self._servable(session, variant_id, allow_simulated=allow_simulated)
            before = await AliasRepository(session).by_name(name)
            if before is not None and before.current.primary.variant_id == variant.id:
                raise Conflict(f"{name} means {_told(variant)} already.")
            await self._deploy(session, actor, name, before, variant, said)
            moved = await AliasRepository(session).by_name(name)
            await session.commit()
        if moved is None:
            raise NotFound(f"There is no alias {name}.")
        return moved

    async def _servable(
        self, session: AsyncSession, variant_id: UUID, *, allow_simulated: bool
    ) -> VariantView:
        variant = await VariantRepository(session).by_id(variant_id)
        if variant is None:
            raise NotFound(f"There is no variant {variant_id}.", hint="See workbench variants list")
        prompt = await PromptRepository(session).by_id(variant.prompt_version_id)
        model = await ModelRepository(session, self._clock.now()).by_id(variant.model_version_id)
        if prompt is None or prompt.number is None:
            raise Invalid(
                f"{variant.prompt} is a draft: an alias stands for a numbered version.",
                path="variant",
                hint="Give it a number: workbench prompts publish FILE",
            )
        if model is None or model.status == "retired":
            raise Invalid(f"The model {variant.model} is retired.", path="variant")
        if model.provider == "simulated" and not allow_simulated:
            raise Invalid(
                f"{variant.model} is simulated: no real model would answer.",
                path="variant",
                hint="To try aliases out all the same: --allow-simulated",
            )
        return variant

    async def _deploy(
        self,
        session: AsyncSession,
        actor: Actor,
        name: str,
        before: AliasView | None,
        variant: VariantView,
        reason: str,
    ) -> None:
        aliases, now = AliasRepository(session), self._clock.now()
        made = {"created_at": now, "created_by": str(actor)}
        alias_id = before.id if before is not None else new_id()
        if before is None:
            await aliases.add({"id": alias_id, "name": name, **made})
        number = 1 if before is None else before.current.number + 1
        previous = None if before is None else before.current
        await aliases.add_deployment(
            {
                "id": new_id(),
                "alias_id": alias_id,
                "number": number,
                "reason": reason,
                "previous_id": None if previous is None else previous.id,
                **made,
            },
            [{"variant_id": variant.id, "role": "primary", "weight": 1.0}],
        )
        await audit.record(
            session,
            self._clock,
            actor,
            "alias.moved",
            "alias",
            str(alias_id),
            name,
            {
                "deployment": number,
                "variant_hash": variant.content_hash,
                "previous_variant_hash": None
                if previous is None
                else previous.primary.variant_hash,
            },
        )


def _checked_reason(reason: str) -> str:
    said = reason.strip()
    if not said:
        raise Invalid("Say why the alias is moved.", path="reason", hint="--reason TEXT")
    if len(said) > _LONGEST_REASON:
        raise Invalid(f"The reason is longer than {_LONGEST_REASON:,} characters.", path="reason")
    return said


def _told(variant: VariantView) -> str:
    return f"{variant.prompt} on {variant.model} ({variant.short_hash})"
