"""What generated answers rest on: prompts, models, datasets and aliases, made by the services."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from app.bootstrap import Services
from app.core.clock import SystemClock
from app.core.permissions import Actor
from app.schemas.aliases import DeploymentView, read_deployment_request
from app.schemas.datasets import DatasetVersionView, ExampleInput, ExampleView
from app.schemas.models import ModelVersionView, PriceDeclaration
from app.schemas.prompts import PromptContent, PromptVersionView
from app.schemas.variants import VariantView
from app.services.builtin_prompts import register_builtin_prompts

__all__ = ["ALIASES", "DATASETS", "DAYS", "Served", "SetClock", "World", "make_world"]

DAYS: Final = 90
_PRICED: Final = {"openai/gpt-4.1": ("2", "8"), "openai/gpt-4.1-mini": ("0.4", "1.6")}
_MODELS: Final = (*_PRICED, "openai/house-model", "ollama/llama3.2")
_TASKS: Final = ("support-triage", "payments/dispute-reasons", "word-problems", "summaries")
DATASETS: Final = ("tickets", "payments/disputes", "sums", "articles")
ALIASES: Final[Mapping[str, float]] = {
    "support-bot@production": 0.46,
    "payments/refund-bot@production": 0.27,
    "search-helper@production": 0.17,
    "support-bot@staging": 0.07,
    "onboarding@production": 0.03,
}
"""The aliases with the parts of the traffic that come through them."""


class SetClock(SystemClock):
    """A clock that stands where it was set."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


@dataclass(frozen=True)
class Served:
    """An alias and all that it ever meant, oldest first."""

    id: UUID
    name: str
    history: Sequence[DeploymentView]


@dataclass(frozen=True)
class World:
    """Everything by its name or id."""

    models: Mapping[UUID, ModelVersionView]
    tasks: Mapping[str, Sequence[PromptVersionView]]
    datasets: Mapping[str, tuple[DatasetVersionView, Sequence[ExampleView]]]
    variants: Mapping[UUID, VariantView]
    aliases: Sequence[Served]


async def make_world(
    services: Services, actor: Actor, clock: SetClock, *, cells: int, seed: int
) -> World:
    """Make it all, some three months before the clock's time; datasets have `cells` examples."""
    until, rng = clock.moment, random.Random(seed)
    clock.moment = until - timedelta(days=DAYS + 5)
    await register_builtin_prompts(services.prompts)
    models = [await _model(services, actor, name, clock.moment) for name in _MODELS]
    tasks = {name: await _prompts(services, actor, name, 4, chats=False) for name in _TASKS}
    datasets = {name: await _dataset(services, actor, name, cells) for name in DATASETS}
    variants: dict[UUID, VariantView] = {}
    aliases = []
    for alias in ALIASES:
        clock.moment = until - timedelta(days=DAYS + 4)
        name = alias.partition("@")[0]
        prompts = await _prompts(services, actor, name, 5, chats=True)
        offered = [
            await services.variants.ensure(actor, prompt, model, {})
            for prompt in prompts
            for model in models
        ]
        variants.update((variant.id, variant) for variant in offered)
        await _deployments(services, actor, clock, alias, offered, until, rng)
        found = await services.aliases.get(alias)
        history = await services.aliases.history(alias)
        aliases.append(Served(found.id, alias, tuple(reversed(history))))
    clock.moment = until
    return World({it.id: it for it in models}, tasks, datasets, variants, aliases)


async def _model(services: Services, actor: Actor, name: str, since: datetime) -> ModelVersionView:
    made, _ = await services.models.resolve(actor, name, add_missing=True)
    if name not in _PRICED:
        return made
    price = dict(zip(("input", "output"), map(Decimal, _PRICED[name]), strict=True))
    return await services.models.add_price(
        actor, made.reference, PriceDeclaration(valid_from=since, **price)
    )


async def _prompts(
    services: Services, actor: Actor, name: str, count: int, *, chats: bool
) -> list[PromptVersionView]:
    said: dict[str, Any] = (
        {"placeholder": "history"} if chats else {"role": "user", "content": "{{ text }}"}
    )
    versions = []
    for number in range(1, count + 1):
        system = {"role": "system", "content": f"You are {name}. Rule {number}: be brief."}
        content = PromptContent.model_validate(
            {"messages": [system, said], "variables": {} if chats else {"text": {}}}
        )
        registered = await services.prompts.register(
            actor, name, content, number=number, message=f"rule {number}"
        )
        versions.append(registered.version)
    return versions


async def _dataset(
    services: Services, actor: Actor, name: str, count: int
) -> tuple[DatasetVersionView, Sequence[ExampleView]]:
    imported = await services.datasets.import_version(
        actor, name, _examples(name, count), source="generated"
    )
    found = await services.datasets.examples(imported.version.id, after_position=-1, limit=count)
    return imported.version, found


def _examples(name: str, count: int) -> Iterable[ExampleInput]:
    for index in range(count):
        yield ExampleInput(
            key=f"{name}-{index:05d}",
            input={"text": f"Question {index} of {name}: what is to be done?"},
            expected_output=f"answer {index % 17}",
            metadata={"difficulty": ("easy", "medium", "hard")[index % 3]},
        )


async def _deployments(
    services: Services,
    actor: Actor,
    clock: SetClock,
    alias: str,
    offered: Sequence[VariantView],
    until: datetime,
    rng: random.Random,
) -> None:
    """Move an alias about every ten days: a canary first, then all, and now and then back."""

    async def deploy(at: datetime, **request: Any) -> None:
        clock.moment = at
        await services.aliases.deploy(actor, alias, read_deployment_request(request))

    current = offered[0]
    await deploy(clock.moment, kind="move", variant=str(current.id), reason="first deployment")
    day = 5.0 + rng.random() * 5
    while day < DAYS - 1:
        begin = until - timedelta(days=DAYS - day)
        following = rng.choice([one for one in offered if one.id != current.id])
        spare = offered[1].id
        await deploy(
            begin,
            kind="move",
            variant=str(current.id),
            canaries=[{"variant": str(following.id), "weight": 0.1}],
            fallbacks=[] if spare in (current.id, following.id) else [str(spare)],
            reason="a tenth of the callers first",
        )
        whole = begin + timedelta(hours=20)
        await deploy(whole, kind="move", variant=str(following.id), reason="the canary did well")
        if rng.random() < 0.25:
            await deploy(whole + timedelta(hours=5), kind="rollback", reason="complaints")
        else:
            current = following
        day += 8 + rng.random() * 5
    await deploy(
        until - timedelta(hours=20),
        kind="settings",
        reason="more history",
        settings={"history": {"messages": 40}},
    )
    if alias == "support-bot@staging":
        stop = until - timedelta(hours=9)
        await deploy(stop, kind="disable", message="We are back soon.", reason="maintenance")
        await deploy(stop + timedelta(hours=2), kind="rollback", to=1, reason="done")
