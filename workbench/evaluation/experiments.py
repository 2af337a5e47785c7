"""Prompts on models: an experiment, or the one that was begun with the same question."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import ExperimentView, NewExperiment
from app.services.experiments import UnfinishedExperiment
from workbench.evaluation.desk import Desk
from workbench.evaluation.question import Question, checked_plan, in_a_sentence
from workbench.evaluation.result import Evaluation, RunStopped, Status
from workbench.runner.carrying_out import CarriedOut, Ending, conclude, generate
from workbench.runner.generation.lock import experiment_lock
from workbench.workspace.experiment_files import ExperimentFile
from workbench.workspace.experiments import resolve_experiment

__all__ = ["measure_prompts"]


async def measure_prompts(desk: Desk, dataset: DatasetVersionView) -> Evaluation:
    """Carry out an experiment, or the one that was begun with the same question."""
    services, actor, question = desk.services, desk.actor, desk.question
    file = _experiment_file(
        question,
        dataset.reference,
        prompts=[await desk.reference(prompt) for prompt in question.prompts],
        baseline=await _baseline(desk),
    )
    new = await resolve_experiment(services, actor, file, dataset, desk.notes.append)
    experiment = await _created(desk, new)
    if question.budget is not None:
        await services.budgets.set(actor, experiment.id, experiment.number, question.budget)
    with experiment_lock(desk.root, experiment.number):
        await services.budgets.settle_lost(actor, experiment.id)
        report = await generate(services, actor, experiment, question.options)
        done = await conclude(services, actor, experiment, report)
    desk.notes.extend(done.notes)
    counts = {
        run.name: total.by_status
        for run, total in zip(done.experiment.runs, done.totals, strict=True)
    }
    if (why := _unfinished(done)) is not None:
        desk.notes.append(why)
    status: Status = "completed" if why is None else "stopped"
    return desk.evaluation(status, experiment.number, counts, done.comparisons)


async def _baseline(desk: Desk) -> str | None:
    baseline = desk.question.baseline
    return None if baseline is None else await desk.reference(baseline)


async def _created(desk: Desk, new: NewExperiment) -> ExperimentView:
    experiments = desk.services.experiments
    try:
        return await experiments.create(desk.actor, new, again=desk.question.new)
    except UnfinishedExperiment as unfinished:
        desk.notes.append(f"Going on with experiment {unfinished.number}.")
        return await experiments.get(str(unfinished.number))


def _unfinished(done: CarriedOut) -> str | None:
    """Say why there is work left, None if there is none.

    Raises `RunStopped` for an error that no further call could get round.
    """
    match done.ending:
        case Ending.COMPLETED:
            return None
        case Ending.FATAL:
            assert done.report.fatal is not None  # noqa: S101 - it is what the ending says
            raise RunStopped(
                done.report.fatal.message,
                hint="Put that right, then ask the same again: experiment "
                f"{done.experiment.number} goes on where it stopped.",
            )
        case Ending.BUDGET_REACHED:
            return "The budget is reached: ask the same again with a larger one to go on."
        case Ending.CANCELLED:
            return "The experiment was cancelled; its outcomes stay."
        case Ending.STOPPED:
            return f"{done.open_cells:,} cells have no outcome yet."


def _experiment_file(
    question: Question, dataset: str, *, prompts: list[str], baseline: str | None
) -> ExperimentFile:
    parameters = question.parameters
    try:
        return ExperimentFile(
            name=question.name,
            dataset=dataset,
            prompts=prompts,
            models=list(question.models),
            parameters=dict(parameters)
            if isinstance(parameters, Mapping)
            else [dict(chosen) for chosen in parameters],
            repetitions=question.repetitions,
            limit=question.limit,
            scorers=question.scorers,
            baseline=baseline,
            map=dict(question.bind),
            plan=checked_plan(question.plan),
        )
    except ValidationError as error:
        raise in_a_sentence(error) from None
