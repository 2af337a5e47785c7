"""The main flow: whatever ends it is said, and what was answered until then is kept and scored."""

from __future__ import annotations

import pytest

from app.core.permissions import Actor
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.runner.conftest import (
    ASK,
    ASK_POLITELY,
    OpenServices,
    make_experiment,
    questions,
)
from tests.integration.runner.test_budget import COST, priced
from workbench.runner.carrying_out import Ending, conclude, generate
from workbench.runner.generation.execute import ExecutionOptions
from workbench.runner.generation.executor import Work

ONE_DATABASE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
OPTIONS = ExecutionOptions(concurrency=8)


async def test_answers_are_generated_scored_and_compared(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        experiment = await make_experiment(
            services, actor, examples=questions(20), prompts=(ASK, ASK_POLITELY)
        )
        report = await generate(services, actor, experiment, OPTIONS)
        done = await conclude(services, actor, experiment, report)
        assert (done.ending, done.done, done.open_cells, done.failed) == (
            Ending.COMPLETED, 40, 0, 0
        )  # fmt: skip
        assert done.experiment.status == "completed"
        assert [result["n_pairs"] for result in done.comparisons] == [20]
        assert [job.status for job in await services.jobs.of_experiment(experiment.id)] == ["done"]


@ONE_DATABASE
async def test_work_that_is_stopped_keeps_the_experiment_open(
    open_for: OpenServices, actor: Actor
) -> None:
    def stop(work: Work) -> None:
        work.stop()

    async with FakeProvider() as server, open_for(server) as services:
        experiment = await make_experiment(services, actor, examples=questions(20))
        report = await generate(services, actor, experiment, OPTIONS, on_start=stop)
        done = await conclude(services, actor, experiment, report)
        assert (done.ending, done.experiment.status) == (Ending.STOPPED, "open")
        assert done.open_cells == 20 and not done.comparisons

        report = await generate(services, actor, experiment, OPTIONS)
        assert (await conclude(services, actor, experiment, report)).ending is Ending.COMPLETED
        jobs = await services.jobs.of_experiment(experiment.id)
        assert [job.status for job in jobs] == ["stopped", "done"]


@ONE_DATABASE
async def test_a_budget_that_is_reached_is_told_apart_from_an_interrupt(
    open_for: OpenServices, actor: Actor
) -> None:
    async with (
        FakeProvider() as server,
        priced(open_for, actor, server, 50) as (services, experiment),
    ):
        await services.budgets.set(actor, experiment.id, experiment.number, COST * 10)
        report = await generate(services, actor, experiment, OPTIONS)
        done = await conclude(services, actor, experiment, report)
        assert done.ending is Ending.BUDGET_REACHED
        assert done.budget is not None and done.budget.spent <= done.budget.amount
        scored = await services.scores.summary(
            experiment.runs[0].id,
            (await services.scores.scorers_of(experiment.runs[0].id))[0].id,
        )
        assert sum(scored.by_status.values()) == done.done > 0


@ONE_DATABASE
async def test_after_an_error_that_every_call_would_meet_nothing_is_scored(
    open_for: OpenServices, actor: Actor
) -> None:
    options = ProviderOptions(script=FaultScript(rates={"401": 1.0}))
    async with FakeProvider(options) as server, open_for(server) as services:
        experiment = await make_experiment(services, actor, examples=questions(20))
        report = await generate(services, actor, experiment, OPTIONS)
        done = await conclude(services, actor, experiment, report)
        assert done.ending is Ending.FATAL
        assert done.report.fatal is not None and done.report.fatal.code == "authentication"
        assert await services.scores.scorers_of(experiment.runs[0].id) == []
        jobs = await services.jobs.of_experiment(experiment.id)
        assert [job.status for job in jobs] == ["stopped"]
