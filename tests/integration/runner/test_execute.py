"""The runner against the fake provider: every cell one outcome, every ended call on the ledger."""

from __future__ import annotations

from app.core.permissions import Actor
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.runner.conftest import (
    ASK,
    ASK_POLITELY,
    OpenServices,
    make_experiment,
    questions,
)
from workbench.runner.execute import ExecutionOptions, execute
from workbench.runner.pipeline import compare_all, score_all


async def test_every_cell_gets_one_outcome_and_every_call_is_on_the_ledger(
    open_for: OpenServices, actor: Actor
) -> None:
    async with (
        FakeProvider(ProviderOptions(answer="arithmetic")) as server,
        open_for(server) as services,
    ):
        experiment = await make_experiment(
            services, actor, examples=questions(40), prompts=(ASK, ASK_POLITELY), repetitions=2
        )
        report = await execute(services, actor, experiment, ExecutionOptions(concurrency=8))
        ids = [run.id for run in experiment.runs]
        totals = await services.generations.totals(ids)
        assert report.progress.done == experiment.wanted == 160
        assert [totals[i].by_status for i in ids] == [{"completed": 80}, {"completed": 80}]
        assert await services.generations.attempt_count(ids) == server.ledger.summary()["received"]


async def test_scores_and_a_comparison_follow_from_what_is_stored(
    open_for: OpenServices, actor: Actor
) -> None:
    async with (
        FakeProvider(ProviderOptions(answer="arithmetic")) as server,
        open_for(server) as services,
    ):
        experiment = await make_experiment(
            services, actor, examples=questions(60), prompts=(ASK, ASK_POLITELY)
        )
        await execute(services, actor, experiment, ExecutionOptions(concurrency=8))
        calls = server.ledger.summary()["received"]
        await score_all(services, actor, experiment)
        (comparison,) = await compare_all(services, actor, experiment)
        assert comparison.result["n_pairs"] == 60
        assert server.ledger.summary()["received"] == calls


async def test_faults_end_as_outcomes_and_nothing_is_lost(
    open_for: OpenServices, actor: Actor
) -> None:
    script = FaultScript(seed=7, rates={"500": 0.05, "reset-before-headers": 0.05})
    options = ProviderOptions(answer="arithmetic", script=script)
    async with FakeProvider(options) as server, open_for(server) as services:
        experiment = await make_experiment(services, actor, examples=questions(60))
        report = await execute(services, actor, experiment, ExecutionOptions(concurrency=8))
        ids = [run.id for run in experiment.runs]
        assert report.progress.done == 60
        assert await services.generations.attempt_count(ids) == server.ledger.summary()["received"]
