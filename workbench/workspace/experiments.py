"""From what a person wrote to an experiment that can be stored: every reference resolved.

Everything that can be wrong is found here, before the first call: unknown prompts, models
and scorers, parameters out of bounds, variables without a column.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.permissions import Actor
from app.llm.errors import LLMError
from app.llm.types import ModelTarget
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import NewExperiment, RequestedVariant, check_margin
from app.schemas.models import ModelVersionView
from app.schemas.prompts import PromptVersionView
from workbench.scorers import parse_scorer
from workbench.workspace.binding import bind_variables
from workbench.workspace.experiment_files import ExperimentFile
from workbench.workspace.prompt_files import is_prompt_file, read_prompt_file

__all__ = ["resolve_experiment", "resolve_prompt"]

Note = Callable[[str], None]


async def resolve_experiment(
    services: Services,
    actor: Actor,
    asked: ExperimentFile,
    dataset: DatasetVersionView,
    note: Note,
) -> NewExperiment:
    """Return the experiment to be created; `note` is told what was done by itself."""
    prompts = [await resolve_prompt(services, actor, text, note) for text in asked.prompts]
    models = [await _model(services, actor, text, note) for text in asked.models]
    variants = tuple(
        RequestedVariant(
            prompt=prompt,
            model=model,
            parameters=parameters,
            binding=bind_variables(
                prompt.reference,
                prompt.content,
                dataset.reference,
                dataset.input_names,
                asked.map,
            ),
        )
        for model in models
        for prompt in prompts
        for parameters in asked.parameter_sets
    )
    _check_mapping(asked, prompts)
    scorers = [parse_scorer(spec) for spec in asked.scorers]
    primary = asked.plan.scorer
    if primary is not None and primary not in {scorer.name for scorer in scorers}:
        raise Invalid(
            f"plan.scorer is {primary!r}, which is not among the scorers.", path="plan.scorer"
        )
    if scorers:
        decisive = next((scorer for scorer in scorers if scorer.name == primary), scorers[0])
        check_margin(asked.plan.margin, decisive.range)
    return NewExperiment(
        name=asked.name,
        dataset=dataset,
        variants=variants,
        repetitions=asked.repetitions,
        example_limit=asked.limit,
        scorers=tuple(dict(scorer.identity()) for scorer in scorers),
        baseline=_baseline(asked, variants, prompts),
        plan=asked.plan,
    )


async def resolve_prompt(
    services: Services, actor: Actor, text: str, note: Note
) -> PromptVersionView:
    """Return a registered version for a reference, or for a file.

    A file with a version is registered under it; a draft is stored without a number.
    """
    if not is_prompt_file(text):
        return await services.prompts.get(text)
    file = read_prompt_file(Path(text))
    registered = await services.prompts.register(
        actor,
        file.name,
        file.content,
        number=file.number,
        description=file.description,
        message=file.message,
    )
    version = registered.version
    if file.number is None:
        known = "" if version.number is None else f", the same text as {version.reference}"
        note(f"{text}: draft{known or f' {version.reference}'}.")
    elif registered.created:
        note(f"{text}: registered as {version.reference}.")
    return version


async def _model(services: Services, actor: Actor, text: str, note: Note) -> ModelVersionView:
    model, added = await services.models.resolve(actor, text, add_missing=True)
    if added:
        note(added)
    return await _pinned(services, actor, model) if model.provider == "ollama" else model


async def _pinned(services: Services, actor: Actor, model: ModelVersionView) -> ModelVersionView:
    """Return the version with the digest that the server has now.

    A server that does not answer is left to the run, which says what to do about it.
    """
    target = ModelTarget(model.provider, model.endpoint, model.provider_model)
    client = services.llm_client({model.endpoint})
    try:
        report = await client.probe(target)
    except LLMError:
        return model
    finally:
        await client.close()
    return (await services.models.record_report(actor, model, report)).version


def _check_mapping(asked: ExperimentFile, prompts: list[PromptVersionView]) -> None:
    known = {name for prompt in prompts for name in prompt.content.variables}
    if unknown := sorted(set(asked.map) - known):
        raise Invalid(
            f"--map {unknown[0]}={asked.map[unknown[0]]}: no prompt has a variable "
            f"{unknown[0]!r}; variables are {', '.join(sorted(known)) or 'none'}.",
            path="map",
        )


def _baseline(
    asked: ExperimentFile,
    variants: tuple[RequestedVariant, ...],
    prompts: list[PromptVersionView],
) -> int:
    """Return the first variant of the baseline prompt; its name is as it was given above."""
    if asked.baseline is None:
        return 0
    by_text = dict(zip(asked.prompts, prompts, strict=True))
    prompt = by_text.get(asked.baseline)
    for index, variant in enumerate(variants):
        if variant.prompt is prompt or variant.prompt.reference == asked.baseline:
            return index
    raise Invalid(
        f"The baseline {asked.baseline!r} is not among the prompts: {', '.join(asked.prompts)}.",
        path="baseline",
    )
