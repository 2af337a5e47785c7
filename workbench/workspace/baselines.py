"""What an experiment's candidates are held against, from the words that a person wrote.

- one of the experiment's prompts: its first variant;
- a stored run, by its name or a unique beginning of it: its outputs are used as they are;
- an alias, as in `support-bot@production`, or only `@production` for the alias named after the
  experiment's one prompt: its variant's newest whole run over the same dataset version is used
  again; if there is none, the variant is run along with the candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.bootstrap import Services
from app.core.errors import Invalid, NotFound
from app.core.parameters import REQUEST, resolve_parameters
from app.core.permissions import Actor, Permission, require
from app.schemas.aliases import is_alias
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import RequestedVariant, RunView
from app.schemas.prompts import PromptVersionView
from app.schemas.variants import VariantView
from app.services.binding import bind_variables

__all__ = ["Baseline", "Question", "resolve_baseline"]


@dataclass(frozen=True)
class Question:
    """The part of an experiment that a baseline has to fit."""

    dataset: DatasetVersionView
    variants: tuple[RequestedVariant, ...]
    prompts: Mapping[str, PromptVersionView]
    repetitions: int
    limit: int | None
    map: Mapping[str, str]


@dataclass(frozen=True)
class Baseline:
    """A stored run; or the variant at `index` of `variants`, which may hold one more. `alias` is
    the one that it was named by."""

    variants: tuple[RequestedVariant, ...]
    index: int = 0
    run: RunView | None = None
    alias: str | None = None


async def resolve_baseline(
    services: Services,
    actor: Actor,
    text: str | None,
    asked: Question,
    note: Callable[[str], None],
) -> Baseline:
    """Return what the text means among what the actor may read; None means the first variant.

    `note` is told what an alias stands for and which stored run is used, with its age. Raises
    `Invalid` if the text means nothing of the three kinds, `NotFound` for an alias that is not
    there.
    """
    if text is None:
        return Baseline(asked.variants)
    index = _own_variant(text, asked)
    if index is not None:
        return Baseline(asked.variants, index)
    alias = _alias_name(text, asked)
    if alias is not None:
        return await _of_alias(services, actor, alias, asked, note)
    try:
        run = await services.experiments.run(text, reader=actor)
    except NotFound as error:
        raise Invalid(
            f"The baseline {text!r} is not among the prompts ({', '.join(asked.prompts)}) and "
            f"means no stored run: {error.message}",
            path="baseline",
            hint="Write a prompt of the experiment, a run, or an alias such as NAME@production.",
        ) from None
    if run.dataset.partition("@")[0] != asked.dataset.name:
        raise Invalid(
            f"The baseline {run.name} ran on {run.dataset}, which shares no example with "
            f"{asked.dataset.reference}.",
            path="baseline",
        )
    note(f"The baseline is the stored run {run.name}, {await _age(services, run)}.")
    return Baseline(asked.variants, run=run)


def _own_variant(text: str, asked: Question) -> int | None:
    """Return the first variant of the prompt of this reference or file, as it was written."""
    prompt = asked.prompts.get(text)
    for index, variant in enumerate(asked.variants):
        if variant.prompt is prompt or variant.prompt.reference == text:
            return index
    return None


def _alias_name(text: str, asked: Question) -> str | None:
    if not text.startswith("@"):
        return text if is_alias(text) else None
    names = sorted({variant.prompt.name for variant in asked.variants})
    if len(names) > 1:
        raise Invalid(
            f"The baseline {text} is short for the alias of the experiment's one prompt, and "
            f"there are {', '.join(names)}.",
            path="baseline",
            hint=f"Write the whole alias, as in {names[0]}{text}.",
        )
    return f"{names[0]}{text}"


async def _of_alias(
    services: Services, actor: Actor, alias: str, asked: Question, note: Callable[[str], None]
) -> Baseline:
    require(actor, Permission.ALIAS_READ, alias)
    if not actor.may_use_alias(alias):
        raise NotFound(f"There is no alias {alias}.")
    target = (await services.aliases.get(alias)).current.primary
    variant = await services.variants.get(target.variant_id)
    require(actor, Permission.PROMPT_READ, variant.prompt.partition("@")[0])
    told = f"The baseline {alias} is {variant.prompt} on {variant.model}"
    own = await _requested(services, variant, asked)
    for index, requested in enumerate(asked.variants):
        if _same(requested, own, variant):
            note(f"{told}, which is among the variants.")
            return Baseline(asked.variants, index, alias=alias)
    name = await services.gates.whole_run(
        variant.id, asked.dataset.id, repetitions=asked.repetitions, examples=asked.limit
    )
    if name is None:
        note(f"{told}; no whole run of it is stored for this question, so it is run too.")
        return Baseline((*asked.variants, own), len(asked.variants), alias=alias)
    run = await services.experiments.run(name)
    note(f"{told}; the stored run {run.name} is used, {await _age(services, run)}.")
    return Baseline(asked.variants, run=run, alias=alias)


async def _requested(services: Services, variant: VariantView, asked: Question) -> RequestedVariant:
    """Return the alias's variant as an experiment asks for one."""
    prompt = await services.prompts.get(variant.prompt)
    return RequestedVariant(
        prompt=prompt,
        model=await services.models.by_id(variant.model_version_id),
        parameters={n: v for n, v in variant.asked.items() if variant.sources[n] == REQUEST},
        binding=bind_variables(
            prompt.reference,
            prompt.content,
            asked.dataset.reference,
            asked.dataset.input_names,
            asked.map,
        ),
    )


def _same(requested: RequestedVariant, own: RequestedVariant, variant: VariantView) -> bool:
    """Whether a requested variant is the alias's: prompt, model and every value asked for."""
    if (requested.prompt.id, requested.model.id) != (own.prompt.id, own.model.id):
        return False
    resolved = resolve_parameters(
        requested.parameters, requested.prompt.content.parameters, requested.model.facts
    )
    return (dict(resolved.asked), dict(resolved.sources)) == (variant.asked, variant.sources)


async def _age(services: Services, run: RunView) -> str:
    """Say how old a run is, or the oldest answer that it used again."""
    since = await services.gates.answers_since(run)
    days = (services.clock.now() - since).days
    told = f"{days} day{'' if days == 1 else 's'} ago" if days else "today"
    return f"made {told}" if since == run.created_at else f"with answers from {told}"
