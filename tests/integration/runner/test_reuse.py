"""Stored answers used again: by the cache, and by an experiment that carries another one on."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.bootstrap import Services
from app.core.errors import Conflict, Invalid
from app.core.parameters import ParameterFact
from app.core.permissions import Actor
from app.schemas.datasets import ExampleInput
from app.schemas.experiments import ExperimentView, Plan
from app.schemas.generations import GenerationView, ImportedOutput
from app.schemas.models import ModelDeclaration
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.runner.conftest import (
    ASK,
    ASK_POLITELY,
    OpenServices,
    make_experiment,
    questions,
)
from workbench.runner.generation.execute import ExecutionOptions, execute
from workbench.runner.generation.extending import extend

ARITHMETIC = ProviderOptions(answer="arithmetic")
FRESH = ExecutionOptions(concurrency=4)
CACHED = ExecutionOptions(concurrency=4, cache=True)
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


async def stories(services: Services, experiment: ExperimentView) -> list[GenerationView]:
    return [
        story
        for run in experiment.runs
        for story in await services.generations.stories(run.id, limit=1000)
    ]


def calls(server: FakeProvider) -> int:
    return server.ledger.summary()["received"]


# --- the cache ------------------------------------------------------------------------------------


async def test_a_stored_answer_to_an_equal_request_is_used_again_without_a_call(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        first = await make_experiment(services, actor, examples=questions(30), repetitions=2)
        await execute(services, actor, first, FRESH)
        made = calls(server)
        second = await make_experiment(
            services, actor, examples=questions(40), prompts=(ASK, ASK_POLITELY), repetitions=2
        )
        report = await execute(services, actor, second, CACHED)
        assert calls(server) - made == second.wanted - 60
        assert report.progress.reused == 60
        totals = await services.generations.totals([run.id for run in second.runs])
        asked, polite = (totals[run.id] for run in second.runs)
        assert (asked.by_status, asked.reused) == ({"completed": 80}, 60)
        assert (polite.by_status, polite.reused) == ({"completed": 80}, 0)


async def test_what_is_used_again_is_the_same_answer_and_points_to_its_original(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        first, second, third = [
            await make_experiment(services, actor, examples=questions(5)) for _ in range(3)
        ]
        for experiment in (first, second, third):
            await execute(services, actor, experiment, CACHED)
        assert calls(server) == 5
        originals = await stories(services, first)
        for experiment in (second, third):
            again = await stories(services, experiment)
            assert [s.reused_from_id for s in again] == [s.id for s in originals]
            for field in ("output", "request_hash", "request", "input_tokens", "latency_ms"):
                assert [getattr(s, field) for s in again] == [getattr(s, field) for s in originals]
            assert await services.generations.attempt_count([experiment.runs[0].id]) == 0


@SQLITE
async def test_without_the_option_everything_is_asked_anew(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        for _ in range(2):
            experiment = await make_experiment(services, actor, examples=questions(5))
            await execute(services, actor, experiment, FRESH)
        assert calls(server) == 10


@SQLITE
async def test_equal_examples_of_one_experiment_share_no_answer(
    open_for: OpenServices, actor: Actor
) -> None:
    """Each is a sample of its own, whether or not another one was answered before it."""
    same = [ExampleInput(key=f"k{i}", input={"question": "What is 1 + 1?"}) for i in range(20)]
    options = ProviderOptions(answer="arithmetic", script=FaultScript(seed=3, rates={"400": 0.4}))
    async with FakeProvider(options) as server, open_for(server) as services:
        experiment = await make_experiment(services, actor, examples=same)
        failed = (await execute(services, actor, experiment, CACHED)).progress.failed
        assert 0 < failed < 20
        server.set_script(FaultScript())
        retry = ExecutionOptions(concurrency=4, cache=True, reopen=("*",))
        report = await execute(services, actor, experiment, retry)
        assert (report.progress.completed, report.progress.reused) == (failed, 0)


@SQLITE
async def test_failed_and_refused_answers_are_asked_again(
    open_for: OpenServices, actor: Actor
) -> None:
    script = FaultScript(seed=3, rates={"400": 0.2, "refusal": 0.2})
    options = ProviderOptions(answer="arithmetic", script=script)
    async with FakeProvider(options) as server, open_for(server) as services:
        first = await make_experiment(services, actor, examples=questions(40))
        await execute(services, actor, first, FRESH)
        totals = (await services.generations.totals([first.runs[0].id]))[first.runs[0].id]
        assert set(totals.by_status) == {"completed", "failed", "refused"}
        server.set_script(FaultScript())
        second = await make_experiment(services, actor, examples=questions(40))
        report = await execute(services, actor, second, CACHED)
        assert report.progress.reused == totals.by_status["completed"]
        assert report.progress.completed == 40


@SQLITE
async def test_an_answer_made_elsewhere_is_never_used(open_for: OpenServices, actor: Actor) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        experiment = await make_experiment(services, actor, examples=questions(3))
        version = await services.datasets.get("sums@1")
        examples = await services.datasets.examples(version.id)
        outputs = [ImportedOutput(example.id, "17") for example in examples]
        await services.experiments.import_run(
            actor, version, name="elsewhere", source="x.csv", outputs=outputs
        )
        report = await execute(services, actor, experiment, CACHED)
        assert report.progress.reused == 0
        assert calls(server) == 3


@SQLITE
async def test_an_erased_answer_is_asked_again(open_for: OpenServices, actor: Actor) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        first = await make_experiment(services, actor, examples=questions(3))
        await execute(services, actor, first, FRESH)
        async with services.database.write_session() as session:
            await session.execute(
                text(
                    "UPDATE content SET body = NULL, salt = NULL, erased_at = created_at"
                    " WHERE id IN (SELECT output_content_id FROM generation)"
                )
            )
            await session.commit()
        second = await make_experiment(services, actor, examples=questions(3))
        report = await execute(services, actor, second, CACHED)
        assert report.progress.reused == 0


@SQLITE
async def test_answers_of_simulated_models_never_stand_for_those_of_real_ones(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        simulated = await make_experiment(
            services, actor, examples=questions(5), models=("simulated/small",)
        )
        await execute(services, actor, simulated, FRESH)
        again = await make_experiment(
            services, actor, examples=questions(5), models=("simulated/small", "openai/fake-model")
        )
        report = await execute(services, actor, again, CACHED)
        assert report.progress.reused == 5
        assert calls(server) == 5


@SQLITE
async def test_what_was_paid_before_is_not_spent_again(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        for _ in range(2):
            experiment = await make_experiment(
                services, actor, examples=questions(5), models=("openai/gpt-4.1-mini",)
            )
            report = await execute(services, actor, experiment, CACHED)
        run = experiment.runs[0].id
        totals = (await services.generations.totals([run]))[run]
        assert report.progress.cost == 0.0
        assert (totals.cost, totals.input_tokens, totals.reused) == (None, None, 5)
        assert all(story.cost for story in await stories(services, experiment))


# --- extensions -----------------------------------------------------------------------------------


def newer(count: int, *, changed: int = 0) -> list[ExampleInput]:
    """Return the questions with some of the first ones worded otherwise."""
    return [
        example.model_copy(update={"input": {"question": f"Tell me: {example.input['question']}"}})
        if number < changed
        else example
        for number, example in enumerate(questions(count))
    ]


async def completed(services: Services, actor: Actor, experiment: ExperimentView) -> ExperimentView:
    await execute(services, actor, experiment, FRESH)
    await services.experiments.set_status(actor, experiment, "completed")
    return await services.experiments.by_id(experiment.id)


async def test_an_extension_asks_only_what_is_new_or_changed(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        parent = await completed(
            services,
            actor,
            await make_experiment(
                services, actor, examples=questions(30), prompts=(ASK, ASK_POLITELY), repetitions=2
            ),
        )
        made = calls(server)
        await services.datasets.import_version(actor, "sums", newer(37, changed=3), source="test")
        extension = await extend(services, str(parent.number), None)
        assert extension.sentence == (
            f"extends experiment {parent.number} (sums@1): 10 of 37 examples are new."
        )
        child = await services.experiments.create(actor, extension.new)
        assert (child.extends_id, child.dataset) == (parent.id, "sums@2")
        assert child.plan == parent.plan
        assert [run.variant_id for run in child.runs] == [run.variant_id for run in parent.runs]
        report = await execute(services, actor, child, FRESH)
        assert calls(server) - made == 10 * 2 * 2
        assert report.progress.done == child.wanted
        assert report.progress.reused == 27 * 2 * 2
        assert await services.generations.attempt_count([r.id for r in parent.runs]) == made


@SQLITE
async def test_cells_of_the_parent_that_failed_are_asked_again(
    open_for: OpenServices, actor: Actor
) -> None:
    script = FaultScript(seed=3, rates={"400": 0.3})
    options = ProviderOptions(answer="arithmetic", script=script)
    async with FakeProvider(options) as server, open_for(server) as services:
        made = await make_experiment(services, actor, examples=questions(20))
        parent = await completed(services, actor, made)
        run = parent.runs[0].id
        good = (await services.generations.totals([run]))[run].by_status["completed"]
        assert good < 20
        server.set_script(FaultScript())
        await services.datasets.import_version(actor, "sums", questions(21), source="test")
        extension = await extend(services, "latest", "sums@2")
        child = await services.experiments.create(actor, extension.new)
        report = await execute(services, actor, child, FRESH)
        assert (report.progress.reused, report.progress.completed) == (good, 21)


@SQLITE
async def test_an_answer_to_what_would_be_sent_otherwise_today_is_not_taken_over(
    open_for: OpenServices, actor: Actor
) -> None:
    """The catalog has learnt that the model takes no temperature: the requests differ."""
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        made = await make_experiment(services, actor, examples=questions(5))
        parent = await completed(services, actor, made)
        await services.models.declare(
            actor,
            ModelDeclaration(
                model="openai/fake-model",
                parameters={"temperature": ParameterFact(unsupported=True)},
            ),
        )
        await services.datasets.import_version(actor, "sums", questions(6), source="test")
        extension = await extend(services, str(parent.number), None)
        child = await services.experiments.create(actor, extension.new)
        report = await execute(services, actor, child, FRESH)
        assert (report.progress.reused, report.progress.completed) == (0, 6)


@SQLITE
async def test_an_extension_of_an_extension_points_to_the_first_answer(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        made = await make_experiment(services, actor, examples=questions(5))
        first = current = await completed(services, actor, made)
        for count in (6, 7):
            await services.datasets.import_version(actor, "sums", questions(count), source="test")
            extension = await extend(services, "latest", None)
            child = await services.experiments.create(actor, extension.new)
            current = await completed(services, actor, child)
        assert calls(server) == 7
        originals = {story.id for story in await stories(services, first)}
        assert originals < {s.reused_from_id for s in await stories(services, current)}


@SQLITE
async def test_what_cannot_be_extended_is_refused_in_a_sentence(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        made = await make_experiment(services, actor, examples=questions(5))
        with pytest.raises(Conflict, match="only a completed one") as unfinished:
            await extend(services, "latest", None)
        assert "workbench resume 1" in str(unfinished.value.hint)
        await completed(services, actor, made)
        with pytest.raises(Invalid, match="not newer than sums@1"):
            await extend(services, "latest", None)
        await services.datasets.import_version(actor, "other", questions(6), source="test")
        with pytest.raises(Invalid, match="is another dataset"):
            await extend(services, "latest", "other@1")
        lost = [ExampleInput(input={"text": "What is 1 + 1?"}, expected_output="2")]
        await services.datasets.import_version(actor, "sums", lost, source="test")
        with pytest.raises(Invalid, match="no column 'question'"):
            await extend(services, "latest", None)


@SQLITE
async def test_a_sequential_experiment_is_not_extended(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(ARITHMETIC) as server, open_for(server) as services:
        made = await make_experiment(
            services,
            actor,
            examples=questions(5),
            prompts=(ASK, ASK_POLITELY),
            plan=Plan(mode="sequential"),
        )
        await completed(services, actor, made)
        with pytest.raises(Conflict, match="sequential plan"):
            await extend(services, "latest", None)
