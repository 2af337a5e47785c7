"""The runner against the fake provider: every cell one outcome, every ended call on the ledger."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.core.permissions import Actor
from app.database import DatabaseError
from app.schemas.datasets import ExampleInput
from app.schemas.prompts import PromptContent, Variable
from tests.fake_provider import Drift, FakeProvider, FaultScript, ProviderOptions
from tests.integration.runner.conftest import (
    ASK,
    ASK_POLITELY,
    OpenServices,
    make_experiment,
    questions,
)
from workbench.runner.generation.execute import ExecutionOptions, execute
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


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_failed_write_stops_the_run_and_keeps_what_was_committed(
    open_for: OpenServices, actor: Actor
) -> None:
    options = ProviderOptions(answer="arithmetic", latency_ms=5)
    async with FakeProvider(options) as server, open_for(server) as services:
        experiment = await make_experiment(services, actor, examples=questions(800))
        async with services.database.write_session() as session:
            await session.execute(
                text(
                    "CREATE TRIGGER full BEFORE INSERT ON generation"
                    " WHEN (SELECT count(*) FROM generation) >= 100"
                    " BEGIN SELECT RAISE(ABORT, 'no room left'); END"
                )
            )
            await session.commit()
        with pytest.raises(DatabaseError, match="no room left"):
            await execute(services, actor, experiment, ExecutionOptions(concurrency=8))
        ids = [run.id for run in experiment.runs]
        totals = await services.generations.totals(ids)
        assert 0 < totals[ids[0]].by_status["completed"] <= 100
        assert server.ledger.summary()["received"] < 400


async def test_an_example_that_does_not_fit_the_prompt_fails_without_a_call(
    open_for: OpenServices, actor: Actor
) -> None:
    strict = ASK.model_copy(update={"variables": {"question": Variable(type="integer")}})
    async with FakeProvider() as server, open_for(server) as services:
        experiment = await make_experiment(
            services, actor, examples=questions(5), prompts=(strict,)
        )
        await execute(services, actor, experiment, ExecutionOptions(concurrency=2))
        ids = [run.id for run in experiment.runs]
        totals = await services.generations.totals(ids)
        assert totals[ids[0]].by_error == {"invalid_input": 5}
        assert server.ledger.summary()["received"] == 0


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_model_that_changes_its_name_during_a_run_is_a_drift_warning(
    open_for: OpenServices, actor: Actor
) -> None:
    options = ProviderOptions(
        answer="arithmetic", drift=Drift(after=30, fingerprint="fp-other", model="fake-model-b")
    )
    async with FakeProvider(options) as server, open_for(server) as services:
        experiment = await make_experiment(
            services, actor, examples=questions(40), prompts=(ASK, ASK_POLITELY)
        )
        await execute(services, actor, experiment, ExecutionOptions(concurrency=4))
        await score_all(services, actor, experiment)
        (comparison,) = await compare_all(services, actor, experiment)
        drift = [w for w in comparison.result["warnings"] if w["code"] == "drift"]
        assert drift
        assert all(warning["blocking"] for warning in drift)
        assert "fake-model-b" in drift[0]["text"]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_requests_refused_among_the_first_calls_are_outcomes_once_a_call_is_answered(
    open_for: OpenServices, actor: Actor
) -> None:
    script = FaultScript(seed=11, rates={"400": 0.3, "500": 0.1})
    options = ProviderOptions(answer="arithmetic", latency_ms=3, script=script)
    async with FakeProvider(options) as server, open_for(server) as services:
        for _ in range(5):
            experiment = await make_experiment(services, actor, examples=questions(60))
            report = await execute(services, actor, experiment, ExecutionOptions(concurrency=20))
            assert report.fatal is None
            assert report.progress.done == 60


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_resumed_run_takes_a_refused_request_for_what_it_is(
    open_for: OpenServices, actor: Actor
) -> None:
    async with (
        FakeProvider(ProviderOptions(answer="arithmetic")) as server,
        open_for(server) as services,
    ):
        experiment = await make_experiment(services, actor, examples=questions(10))
        await execute(services, actor, experiment, ExecutionOptions(concurrency=2))
        server.set_script(FaultScript.from_spec("400=1.0"))
        more = await make_experiment(
            services, actor, examples=questions(10), repetitions=2, prompts=(ASK,)
        )
        first = await execute(services, actor, more, ExecutionOptions(concurrency=2))
        assert first.fatal is not None
        server.set_script(FaultScript())
        await execute(services, actor, more, ExecutionOptions(concurrency=2))
        ids = [run.id for run in more.runs]
        assert (await services.generations.totals(ids))[ids[0]].by_status == {"completed": 20}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_a_chat_is_sent_whole_by_a_prompt_without_variables(
    open_for: OpenServices, actor: Actor
) -> None:
    passthrough = PromptContent.model_validate({"messages": [{"placeholder": "history"}]})
    chat = [
        ExampleInput.model_validate(
            {
                "key": f"chat-{i}",
                "input": {"message": f"What is {i} + 1?"},
                "messages": [{"role": "user", "content": "Hello"}] if i else None,
                "expected_output": str(i + 1),
            }
        )
        for i in range(3)
    ]
    async with (
        FakeProvider(ProviderOptions(answer="arithmetic")) as server,
        open_for(server) as services,
    ):
        experiment = await make_experiment(
            services, actor, examples=chat, prompts=(passthrough,), binding={}
        )
        await execute(services, actor, experiment, ExecutionOptions(concurrency=2))
        stories = await services.generations.stories(experiment.runs[0].id, limit=3)
        sent = [[m["content"] for m in story.request["messages"]] for story in stories]
        assert sent == [
            ["What is 0 + 1?"],
            ["Hello", "What is 1 + 1?"],
            ["Hello", "What is 2 + 1?"],
        ]
