"""What an alias is to mean from now on: one move, made from what it meant before (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.schemas.aliases import (
    AliasSettings,
    AliasView,
    DeploymentKind,
    DeploymentView,
    DisableRequest,
    MoveRequest,
    SettingsRequest,
    TargetRole,
)
from app.schemas.variants import VariantView

__all__ = [
    "Target",
    "Wanted",
    "changed_settings",
    "described",
    "disabled",
    "is_same",
    "move_targets",
    "serves_same",
    "simulated_refused",
    "targets_of",
    "weighed",
]


@dataclass(frozen=True, slots=True)
class Target:
    """One variant that a deployment is to point to."""

    variant_id: UUID
    variant_hash: str
    role: TargetRole
    weight: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an alias is to mean from now on."""

    kind: DeploymentKind
    reason: str
    targets: tuple[Target, ...]
    settings: AliasSettings
    message: str | None = None


def move_targets(request: MoveRequest, variants: Mapping[str, VariantView]) -> Iterator[Target]:
    """Yield what a move points to, the primary first; `Invalid` for a variant named twice."""
    named: list[tuple[str, TargetRole, float]] = [
        (request.variant, "primary", 1.0),
        *((canary.variant, "canary", canary.weight) for canary in request.canaries),
        *((text, "fallback", place) for place, text in enumerate(request.fallbacks, start=1)),
    ]
    seen: set[UUID] = set()
    for text, role, weight in named:
        variant = variants[text]
        if variant.id in seen:
            raise Invalid(
                f"{described(variant)} is named twice: each target is another variant.",
                path="variant",
            )
        seen.add(variant.id)
        yield Target(variant.id, variant.content_hash, role, weight)


def weighed(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Return the targets with the primary's weight as what the canaries leave to it."""
    given = tuple(targets)
    left = 1 - sum(target.weight for target in given if target.role == "canary")
    return tuple(
        replace(target, weight=round(left, 4)) if target.role == "primary" else target
        for target in given
    )


def changed_settings(before: AliasView, request: SettingsRequest) -> Wanted:
    """Return the same targets and text with other settings; `Conflict` if they are no others."""
    current = before.current
    settings = current.settings.changed(request.settings)
    if settings == current.settings:
        raise Conflict(f"{before.name} has these settings already.")
    return Wanted("settings", request.reason, targets_of(current), settings, current.message)


def disabled(before: AliasView, request: DisableRequest) -> Wanted:
    """Return a fixed text before the same targets; `Conflict` if it stands there already."""
    current = before.current
    if current.message == request.message:
        raise Conflict(f"{before.name} answers with this text already.")
    return Wanted("disable", request.reason, targets_of(current), current.settings, request.message)


def targets_of(deployment: DeploymentView) -> tuple[Target, ...]:
    """Return what a deployment points to, the primary first."""
    return tuple(
        Target(target.variant_id, target.variant_hash, target.role, target.weight)
        for target in deployment.targets
    )


def serves_same(one: DeploymentView, other: DeploymentView) -> bool:
    """Whether callers get the same of two deployments, whatever they may do."""
    return targets_of(one) == targets_of(other) and one.message == other.message


def is_same(current: DeploymentView, wanted: Wanted) -> bool:
    """Whether a move would change nothing."""
    return (
        set(targets_of(current)) == set(wanted.targets)
        and current.settings == wanted.settings
        and current.message == wanted.message
    )


def simulated_refused(variant: VariantView) -> Invalid:
    """Return why an alias stands for no simulated model unless that is asked for."""
    return Invalid(
        f"{variant.model} is simulated: no real model would answer.",
        path="variant",
        hint="To try aliases out all the same: --allow-simulated",
    )


def described(variant: VariantView) -> str:
    """Return a variant as people tell it from others."""
    return f"{variant.prompt} on {variant.model} ({variant.short_hash})"
