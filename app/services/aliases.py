"""Aliases: movable names of variants, and the one function through which every move goes.

An alias means what its last deployment points to. Deployments are only ever added: who moved
it, when, why, and from where stays on record. Another variant, a canary, other settings, a fixed
text, going back: each is one more move, and `deploy` makes them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, Invalid, NotFound, WorkbenchError
from app.core.hashing import JSON, content_hash
from app.core.ids import new_id
from app.core.lifecycle import status_at
from app.core.permissions import Actor, Permission, require
from app.database import AsyncSession, Database
from app.repositories.aliases import AliasRepository
from app.repositories.audit import AuditRepository
from app.repositories.models import ModelRepository
from app.repositories.prompts import PromptRepository
from app.repositories.variants import VariantRepository
from app.schemas.aliases import (
    AliasSettings,
    AliasView,
    DeploymentKind,
    DeploymentRequest,
    DeploymentTargetView,
    DeploymentView,
    DisableRequest,
    MoveRequest,
    RollbackPlan,
    RollbackRequest,
    SettingsRequest,
    parse_alias,
    read_deployment_request,
)
from app.schemas.pages import Page, decode_cursor, decode_id, encode_cursor, page_of
from app.schemas.prompts import PromptDeployment
from app.schemas.variants import VariantView
from app.services import audit
from app.services.alias_moves import (
    Wanted,
    changed_settings,
    described,
    disabled,
    is_same,
    move_targets,
    serves_same,
    simulated_refused,
    targets_of,
    weighed,
)
from app.services.variants import VariantService

__all__ = ["AliasService"]

_FIRST_YEAR, _LAST_YEAR = 1970, 9998  # what any zone and database can hold
_ACTIONS: Final[Mapping[DeploymentKind, str]] = {
    "move": "alias.moved",
    "settings": "alias.settings_changed",
    "rollback": "alias.rolled_back",
    "disable": "alias.disabled",
}


class AliasService:
    """Use cases of aliases."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._variants = VariantService(database, clock)

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

    async def view(self, actor: Actor, name: str) -> AliasView:
        """Return an alias to somebody who may see it; `NotFound` for one that they may not."""
        require(actor, Permission.ALIAS_READ, parse_alias(name))
        if not actor.may_use_alias(name):
            raise NotFound(f"There is no {name}.")
        return await self.get(name)

    async def list(self) -> Sequence[AliasView]:
        """Return every alias by name."""
        async with self._database.read_session() as session:
            return await AliasRepository(session).list()

    async def page(self, actor: Actor, *, limit: int, cursor: str | None = None) -> Page[AliasView]:
        """Return a page of the aliases that somebody may see, by name."""
        require(actor, Permission.ALIAS_READ)
        after = str(decode_cursor(cursor, str)[0]) if cursor else None
        prefixes = actor.prefixes(Permission.ALIAS_READ)
        async with self._database.read_session() as session:
            aliases = AliasRepository(session)
            found = await aliases.page(prefixes, only=actor.aliases, after=after, limit=limit + 1)
            count = await aliases.count(prefixes, only=actor.aliases)
        more = len(found) > limit
        return Page(
            items=found[:limit],
            next_cursor=encode_cursor(found[limit - 1].name) if more else None,
            total_estimate=count,
        )

    async def history(self, name: str) -> Sequence[DeploymentView]:
        """Return every deployment of an alias, newest first; `NotFound` for no alias."""
        alias = await self.get(name)
        async with self._database.read_session() as session:
            return await AliasRepository(session).history(alias.id)

    async def history_page(
        self, actor: Actor, name: str, *, limit: int, cursor: str | None = None
    ) -> Page[DeploymentView]:
        """Return a page of an alias' deployments, newest first."""
        alias = await self.view(actor, name)
        before = _number(decode_cursor(cursor, int)[0]) if cursor else None
        async with self._database.read_session() as session:
            found = await AliasRepository(session).history(alias.id, before=before, limit=limit + 1)
        more = len(found) > limit
        return Page(
            items=found[:limit],
            next_cursor=encode_cursor(found[limit - 1].number) if more else None,
            total_estimate=alias.current.number,  # they are counted without gaps
        )

    async def of_prompt(
        self, actor: Actor, prompt: str, *, cursor: str | None, limit: int
    ) -> Page[PromptDeployment]:
        """Return the deployments that served versions of a prompt, newest first, of aliases that
        the actor may see."""
        require(actor, Permission.PROMPT_READ, prompt)
        require(actor, Permission.ALIAS_READ)
        before = None if cursor is None else decode_id(cursor)
        async with self._database.read_session() as session:
            if not await PromptRepository(session).exists(prompt):
                raise NotFound(f"There is no prompt {prompt}.")
            found, total = await AliasRepository(session).of_prompt(
                prompt,
                actor.prefixes(Permission.ALIAS_READ),
                only=actor.aliases,
                before=before,
                limit=limit + 1,
            )
        return page_of(found, limit=limit, total=total, position=lambda it: (str(it.id),))

    async def at(self, actor: Actor, name: str, time: datetime) -> DeploymentView:
        """Return the deployment that served at a time; `NotFound` before the first one."""
        alias = await self.view(actor, name)
        if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
            raise Invalid(f"Choose a time in {_FIRST_YEAR} to {_LAST_YEAR}.", path="time")
        async with self._database.read_session() as session:
            found = await AliasRepository(session).at(alias.id, time)
        if found is None:
            raise NotFound(f"{name} did not exist yet: it was made {_when(alias.created_at)}.")
        return found

    async def deployment(self, actor: Actor, name: str, number: int) -> DeploymentView:
        """Return one deployment of an alias by its number."""
        alias = await self.view(actor, name)
        async with self._database.read_session() as session:
            return await _numbered(session, alias, number)

    async def move(
        self,
        actor: Actor,
        name: str,
        variant_id: UUID,
        *,
        reason: str,
        allow_simulated: bool = False,
    ) -> AliasView:
        """Let an alias mean one variant alone from now on; see `deploy`."""
        request = read_deployment_request(
            {
                "kind": "move",
                "variant": str(variant_id),
                "reason": reason,
                "allow_simulated": allow_simulated,
            }
        )
        return await self.deploy(actor, name, request)

    async def deploy(self, actor: Actor, name: str, request: DeploymentRequest) -> AliasView:
        """Move an alias; one that is new is made, if it is moved to a variant.

        Everybody who may read the alias gets what it means, so its variants are those of prompts
        that the actor may read.

        Raises `Invalid` for a name that is none and for a variant that nobody should depend on: a
        draft, a retired model, a simulated one unless it is allowed, or one without an output
        schema where a regulated alias has no output guard either; `Conflict` if nothing would
        change; `NotFound` for an alias, a variant or a deployment that is not there.
        """
        require(actor, Permission.ALIAS_MOVE, parse_alias(name))
        if not actor.may_use_alias(name):
            raise NotFound(f"There is no {name}.")
        variants = await self._variants_of(actor, request)
        async with self._database.write_session() as session:
            # Two moves of one alias would otherwise both follow the same deployment.
            await AuditRepository(session).lock()
            before = await AliasRepository(session).by_name(name)
            wanted = await self._wanted(session, name, before, request, variants)
            await self._require_regulated(session, wanted)
            await self._write(session, actor, name, before, wanted)
            moved = await AliasRepository(session).by_name(name)
            await session.commit()
        if moved is None:
            raise NotFound(f"There is no alias {name}.")
        return moved

    async def plan_rollback(self, actor: Actor, name: str, to: int | None = None) -> RollbackPlan:
        """Return what a rollback would do, and whether it can be done; nothing is changed."""
        alias = await self.view(actor, name)
        async with self._database.read_session() as session:
            deployment = await _rollback_target(session, alias, to)
            problems = await self._problems(session, deployment.targets)
            following, pinned = await AliasRepository(session).conversations(alias.id)
        primary = deployment.primary.variant_id
        return RollbackPlan(
            alias=name,
            now=alias.current.number,
            to=deployment,
            problem=problems.get(primary),
            left_out=tuple(told for variant, told in problems.items() if variant != primary),
            following=following,
            pinned=pinned,
        )

    async def _variants_of(
        self, actor: Actor, request: DeploymentRequest
    ) -> Mapping[str, VariantView]:
        """Return the variants that a request names, by what it calls them."""
        if not isinstance(request, MoveRequest):
            return {}
        return {
            text: await self._variants.read(actor, text)
            for text in (
                request.variant,
                *(canary.variant for canary in request.canaries),
                *request.fallbacks,
            )
        }

    async def _wanted(
        self,
        session: AsyncSession,
        name: str,
        before: AliasView | None,
        request: DeploymentRequest,
        variants: Mapping[str, VariantView],
    ) -> Wanted:
        if isinstance(request, MoveRequest):
            return await self._wanted_move(session, name, before, request, variants)
        if before is None:
            raise NotFound(f"There is no {name}.")
        match request:
            case SettingsRequest():
                return changed_settings(before, request)
            case RollbackRequest():
                return await self._wanted_rollback(session, before, request)
            case DisableRequest():
                return disabled(before, request)

    async def _wanted_move(
        self,
        session: AsyncSession,
        name: str,
        before: AliasView | None,
        request: MoveRequest,
        variants: Mapping[str, VariantView],
    ) -> Wanted:
        targets = weighed(move_targets(request, variants))
        for target in targets:
            if told := await self._problem(session, target.variant_id):
                raise told
            variant = next(v for v in variants.values() if v.id == target.variant_id)
            if variant.model.startswith("simulated/") and not request.allow_simulated:
                raise simulated_refused(variant)
        current = before.current if before is not None else None
        settings = AliasSettings() if current is None else current.settings
        wanted = Wanted(
            "move",
            request.reason,
            targets,
            settings if request.settings is None else settings.changed(request.settings),
        )
        if current is not None and is_same(current, wanted):
            raise Conflict(f"{name} means {described(variants[request.variant])} already.")
        return wanted

    async def _wanted_rollback(
        self, session: AsyncSession, before: AliasView, request: RollbackRequest
    ) -> Wanted:
        deployment = await _rollback_target(session, before, request.to)
        problems = await self._problems(session, deployment.targets)
        if told := problems.get(deployment.primary.variant_id):
            raise Conflict(
                f"{before.name} cannot go back to deployment {deployment.number}: {told}"
            )
        servable = [t for t in targets_of(deployment) if t.variant_id not in problems]
        wanted = Wanted("rollback", request.reason, weighed(servable), before.current.settings)
        if is_same(before.current, wanted):
            raise Conflict(f"{before.name} means what deployment {deployment.number} was already.")
        return wanted

    async def _problems(
        self, session: AsyncSession, targets: Sequence[DeploymentTargetView]
    ) -> Mapping[UUID, str]:
        """Return why targets of long ago cannot be served any more, by variant."""
        found: dict[UUID, str] = {}
        for target in targets:
            if told := await self._problem(session, target.variant_id):
                found[target.variant_id] = told.message
        return found

    async def _problem(self, session: AsyncSession, variant_id: UUID) -> WorkbenchError | None:
        """Return why nobody should depend on a variant; None if nothing speaks against it."""
        variant = await VariantRepository(session).by_id(variant_id)
        if variant is None:
            return NotFound(
                f"There is no variant {variant_id}.", hint="See workbench variants list"
            )
        prompt = await PromptRepository(session).by_id(variant.prompt_version_id)
        if prompt is None or prompt.number is None:
            return Invalid(
                f"{variant.prompt} is a draft: an alias stands for a numbered version.",
                path="variant",
                hint="Give it a number: workbench prompts publish FILE",
            )
        now = self._clock.now()
        model = await ModelRepository(session, now).by_id(variant.model_version_id)
        if model is None or status_at(model.status, model.sunset_at, now) == "retired":
            follows = f" Its successor is {model.successor}." if model and model.successor else ""
            return Invalid(f"The model {variant.model} is retired.{follows}", path="variant")
        return None

    async def _require_regulated(self, session: AsyncSession, wanted: Wanted) -> None:
        """Refuse free text where the alias is regulated: every target's answer has a schema, or
        what comes out is guarded."""
        if not wanted.settings.regulated or wanted.settings.guards.output:
            return
        for target in wanted.targets:
            variant = await VariantRepository(session).by_id(target.variant_id)
            prompt = variant and await PromptRepository(session).by_id(variant.prompt_version_id)
            form = prompt.content.response_format if prompt else None
            if variant and (form is None or form.get("type") != "json_schema"):
                raise Invalid(
                    f"The alias is regulated and {variant.prompt} has no output schema: give the "
                    "prompt a response_format of type json_schema, or the alias an output guard.",
                    path="settings.regulated",
                )

    async def _write(
        self,
        session: AsyncSession,
        actor: Actor,
        name: str,
        before: AliasView | None,
        wanted: Wanted,
    ) -> None:
        """Add the deployment, with the alias if it is new, and the audit event."""
        aliases, now = AliasRepository(session), self._clock.now()
        made = {"created_at": now, "created_by": str(actor)}
        alias_id = before.id if before is not None else new_id()
        if before is None:
            await aliases.add({"id": alias_id, "name": name, **made})
        previous = None if before is None else before.current
        number = 1 if previous is None else previous.number + 1
        settings = wanted.settings.model_dump(mode="json")
        await aliases.add_deployment(
            {
                "id": new_id(),
                "alias_id": alias_id,
                "number": number,
                "kind": wanted.kind,
                "reason": wanted.reason,
                "previous_id": None if previous is None else previous.id,
                "settings": settings,
                "message": wanted.message,
                **made,
            },
            [
                {"variant_id": target.variant_id, "role": target.role, "weight": target.weight}
                for target in wanted.targets
            ],
        )
        detail: dict[str, JSON] = {
            "deployment": number,
            "variant_hash": wanted.targets[0].variant_hash,
            "previous_variant_hash": None if previous is None else previous.primary.variant_hash,
            "targets": [[t.role, t.variant_hash, t.weight] for t in wanted.targets],
            "settings_hash": content_hash(settings),
            "is_disabled": wanted.message is not None,
        }
        action = _ACTIONS[wanted.kind]
        await audit.record(
            session, self._clock, actor, action, "alias", str(alias_id), name, detail
        )


def _number(position: JSON) -> int:
    """Return a cursor's number within what the column holds."""
    return min(position, 2**31 - 1) if isinstance(position, int) else 0


async def _rollback_target(
    session: AsyncSession, alias: AliasView, to: int | None
) -> DeploymentView:
    """Return the deployment whose targets come back; `Conflict` if there is none to go back to."""
    if to is not None:
        found = await _numbered(session, alias, to)
        if found.message is not None:
            raise Conflict(f"Deployment {to} disabled {alias.name}: it served nothing.")
        return found
    for earlier in (await AliasRepository(session).history(alias.id))[1:]:
        if earlier.message is None and not serves_same(alias.current, earlier):
            return earlier
    raise Conflict(f"{alias.name} has never meant anything else: there is nothing to go back to.")


async def _numbered(session: AsyncSession, alias: AliasView, number: int) -> DeploymentView:
    found = await AliasRepository(session).by_number(alias.id, number)
    if found is None:
        raise NotFound(f"{alias.name} has the deployments 1 to {alias.current.number}.")
    return found


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
