"""From what a person wrote to an experiment that can be stored: every reference resolved.

Everything that can be wrong is found here, before the first call: unknown prompts, models
and scorers, parameters out of bounds, variables without a column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.permissions import Actor, Permission, require, system_actor
from app.llm.errors import LLMError
from app.llm.types import ModelTarget
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import ExperimentSpec, NewExperiment, RequestedVariant
from app.schemas.models import ModelVersionView
from app.schemas.prompts import PromptVersionView
from app.services.binding import bind_variables
from workbench.scorers import AnyScorer, ScorerConfig, parse_scorer
from workbench.scorers.judges import AnyJudge, Judge
from workbench.team_scorers import workspace_scorer
from workbench.workspace.baselines import Question, resolve_baseline
from workbench.workspace.plan_check import check_plan
from workbench.workspace.prompt_files import is_prompt_file, read_prompt_file

__all__ = ["resolve_experiment", "resolve_prompt", "resolve_scorer"]

Note = Callable[[str], None]


async def resolve_experiment(
    services: Services,
    actor: Actor,
    asked: ExperimentSpec,
    dataset: DatasetVersionView,
    note: Note,
    *,
    gate: bool = False,
    files: bool = True,
) -> NewExperiment:
    """Return the experiment to be created; `note` is told what was done by itself.

    `gate` says that a gate is asked for: the plan must then declare what it decides by. Without
    `files` prompts are registered versions only: whoever asked may not read this machine's files.
    """
    prompts = [
        await resolve_prompt(services, actor, text, note, files=files) for text in asked.prompts
    ]
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
    scorers = [
        await resolve_scorer(services, actor, spec, note, files=files) for spec in asked.scorers
    ]
    examples = min(dataset.example_count, asked.limit or dataset.example_count)
    check_plan(asked.plan, scorers, examples=examples, gate=gate)
    question = Question(
        dataset=dataset,
        variants=variants,
        prompts=dict(zip(asked.prompts, prompts, strict=True)),
        repetitions=asked.repetitions,
        limit=asked.limit,
        map=asked.map,
    )
    baseline = await resolve_baseline(services, actor, asked.baseline, question, note)
    if gate and baseline.run is None and len(baseline.variants) < 2:
        raise Invalid(
            "A gate needs something to compare with, and there is one variant.",
            path="baseline",
            hint="Name a second prompt, or a --baseline: a stored run or NAME@production.",
        )
    return NewExperiment(
        name=asked.name,
        dataset=dataset,
        variants=baseline.variants,
        repetitions=asked.repetitions,
        example_limit=asked.limit,
        scorers=tuple(dict(scorer.identity()) for scorer in scorers),
        baseline=baseline.index,
        baseline_run=baseline.run,
        baseline_alias=baseline.alias,
        plan=asked.plan,
    )


async def resolve_prompt(
    services: Services, actor: Actor, text: str, note: Note, *, files: bool = True
) -> PromptVersionView:
    """Return a registered version for a reference, or for a file.

    A file with a version is registered under it; a draft is stored without a number. `NotFound`
    for a prompt that the actor may not read; those that come with the product all may.
    """
    if not is_prompt_file(text):
        found = await services.prompts.get(text)
        if found.origin != "builtin":
            require(actor, Permission.PROMPT_READ, found.name)
        return found
    if not files:
        raise Invalid(f"{text} is a file: name a registered version, as in NAME@2.", path="prompts")
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


async def resolve_scorer(
    services: Services,
    actor: Actor,
    spec: str | Mapping[str, JSON],
    note: Note,
    *,
    files: bool = True,
) -> AnyScorer[ScorerConfig]:
    """Return the scorer that a text or a mapping names; a judge's prompt and models become
    versions, and what it is asked with becomes a variant for each of its seats.

    Raises `ScorerConfigError` for options that cannot work, `Invalid` for a prompt that is none
    for this judge and for parameters that a model does not take.
    """
    scorer = workspace_scorer(services.settings.workspace, spec)
    if not isinstance(scorer, Judge) or scorer.is_pinned:
        return scorer
    prompt = await resolve_prompt(services, actor, scorer.prompt, note, files=files)
    _check_judge_prompt(scorer, prompt)
    models = [await _model(services, actor, text, note) for text in scorer.config.seats]
    parameters = scorer.config.requested_parameters
    variants = [
        await services.variants.ensure(actor, prompt, model, parameters) for model in models
    ]
    return parse_scorer(
        scorer.pinned_spec(
            prompt.reference,
            prompt.content_hash,
            [model.reference for model in models],
            [variant.content_hash for variant in variants],
        )
    )


def _check_judge_prompt(judge: AnyJudge, prompt: PromptVersionView) -> None:
    used = set(prompt.content.variables)
    if unknown := sorted(used - judge.variables):
        raise Invalid(
            f"{judge.name} cannot fill the variable {unknown[0]!r} of {prompt.reference}; it has "
            f"{', '.join(sorted(judge.variables))}.",
            path="prompt",
        )
    if missing := sorted(judge.required_variables - used):
        raise Invalid(
            f"{prompt.reference} is no prompt for {judge.name}: it does not use the variable "
            f"{missing[0]!r}.",
            path="prompt",
        )
    if prompt.content.response_format is not None or prompt.content.tools is not None:
        raise Invalid(
            f"{prompt.reference} has tools or a response format of its own; the form of a judge's "
            "reply is set by the judge. Take them out.",
            path="prompt",
        )


async def _model(services: Services, actor: Actor, text: str, note: Note) -> ModelVersionView:
    may_write = actor.may(Permission.MODEL_WRITE)
    model, added = await services.models.resolve(actor, text, add_missing=may_write)
    if added:
        note(added)
    return await _pinned(services, actor, model) if model.provider == "ollama" else model


async def _pinned(services: Services, actor: Actor, model: ModelVersionView) -> ModelVersionView:
    """Return the version with the digest that the server has now.

    A server that does not answer is left to the run, which says what to do about it. The digest is
    what the server says and nothing that the actor decides on.
    """
    target = ModelTarget(model.provider, model.endpoint, model.provider_model)
    client = services.llm_client({model.endpoint})
    try:
        report = await client.probe(target)
    except LLMError:
        return model
    finally:
        await client.close()
    recorder = actor if actor.may(Permission.MODEL_WRITE) else system_actor("model report")
    return (await services.models.record_report(recorder, model, report)).version


def _check_mapping(asked: ExperimentSpec, prompts: list[PromptVersionView]) -> None:
    known = {name for prompt in prompts for name in prompt.content.variables}
    if unknown := sorted(set(asked.map) - known):
        raise Invalid(
            f"--map {unknown[0]}={asked.map[unknown[0]]}: no prompt has a variable "
            f"{unknown[0]!r}; variables are {', '.join(sorted(known)) or 'none'}.",
            path="map",
        )
