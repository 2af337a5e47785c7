"""Aliases for services that call a provider themselves.

They fetch what an alias stands for, keep the last good copy, and report what they were answered
(`app.services.reported_generations`). It is as fresh as what is served, since it is the same.
"""

from __future__ import annotations

from app.core.errors import NotFound, Retired
from app.core.permissions import Actor, Permission, require
from app.schemas.aliases import parse_alias
from app.schemas.published_aliases import PublishedAlias, PublishedModel
from app.services.serving import ServedAlias, ServedTarget, ServingService

__all__ = ["PublishedAliasService"]


class PublishedAliasService:
    """Publishes what aliases stand for."""

    def __init__(self, serving: ServingService) -> None:
        self._serving = serving

    async def get(self, actor: Actor, alias: str) -> PublishedAlias:
        """Return what an alias stands for.

        Raises `NotFound` for one that is not there or not the actor's to use, `Retired` if none
        of its models can be called any more.
        """
        require(actor, Permission.ALIAS_READ, parse_alias(alias))
        if not actor.may_use_alias(alias):
            raise NotFound(f"There is no alias {alias}.")
        served = await self._serving.resolve(alias)
        target = served.standing
        if target is None:
            primary = served.targets[0].variant
            follows = f": its successor is {primary.successor}" if primary.successor else ""
            raise Retired(f"{primary.model} is retired{follows}.", successor=primary.successor)
        return _published(served, target)


def _published(served: ServedAlias, target: ServedTarget) -> PublishedAlias:
    variant = target.variant
    return PublishedAlias(
        alias=served.name,
        deployment=served.number,
        deployment_id=served.deployment_id,
        role=target.role,
        variant_id=variant.variant_id,
        variant_hash=variant.variant_hash,
        prompt=variant.prompt,
        content=variant.content,
        model=PublishedModel(
            reference=variant.model,
            provider=variant.provider,
            provider_model=variant.target.provider_model,
            status=variant.status,
            sunset_at=variant.sunset_at,
            successor=variant.successor,
        ),
        parameters=dict(variant.parameters.applied),
        settings=served.settings,
        message=served.message,
    )
