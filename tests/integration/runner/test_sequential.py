"""A sequential plan on the whole path: it stops, it says where, and nothing beyond is wanted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from app.bootstrap import Services
from app.core.errors import Conflict, Invalid
from app.core.ids import cell_id
from app.core.permissions import Actor
from app.llm.types import NO_USAGE
from app.schemas.datasets import ExampleInput
from app.schemas.experiments import ExperimentView, Plan
from app.schemas.generations import Outcome, Provenance
from app.schemas.prompts import PromptContent
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.runner.conftest import (
    ASK,
    ASK_POLITELY,
    OpenServices,
    make_experiment,
    questions,
)
from workbench.runner.generation.execute import ExecutionOptions, execute, may_stop_early
from workbench.runner.generation.executor import ExecutionReport, Executor, Progress
from workbench.runner.generation.following import run_sequentially
from workbench.runner.generation.order import example_order, keys_in_use
from workbench.runner.generation.processes import ProcessGroup

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
RIGHT = ProviderOptions(answer="arithmetic", latency_ms=10)
FEW = ExecutionOptions(concurrency=4)
ASK_WRONGLY = PromptContent.model_validate(
    {
        "messages": [{"role": "user", "content": "{{ question }} No: what is 0 + 0?"}],
        "variables": {"question": {}},
        "parameters": {"temperature": 0, "max_tokens": 16},
    }
)


async def experiment_of(
    services: Services,
    actor: Actor,
    *,
    prompts: tuple[PromptContent, ...] = (ASK_WRONGLY, ASK),
    count: int = 300,
    plan: Plan | None = None,
) -> ExperimentView:
    return await make_experiment(
        services,
        actor,
        examples=questions(count),
        prompts=prompts,
        plan=plan or Plan(mode="sequential", margin=0.1, seed=5),
    )


async def reread(services: Services, experiment: ExperimentView) -> ExperimentView:
    return await services.experiments.by_id(experiment.id)


async def test_the_experiment_stops_as_soon_as_the_candidate_is_shown_to_be_better(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(RIGHT) as server, open_for(server) as services:
        experiment = await experiment_of(services, actor)
        report = await execute(services, actor, experiment, FEW)
        ended = await reread(services, experiment)
        assert ended.sequential is not None
        assert ended.sequential.decided
        assert [c.verdict for c in ended.sequential.candidates] == ["superior"]
        assert (ended.sequential.n_used, ended.sequential.n_max) == (20, 300)
        assert not report.stopped
        assert ended.wanted == 40 <= report.progress.done < experiment.wanted == 600
        assert server.ledger.summary()["received"] == report.progress.done


async def test_the_first_examples_of_the_seeded_order_are_the_evidence(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(RIGHT) as server, open_for(server) as services:
        experiment = await experiment_of(services, actor)
        order = await example_order(services, experiment)
        assert order is not None
        assert await keys_in_use(services, experiment) is None
        await execute(services, actor, experiment, FEW)
        ended = await reread(services, experiment)
        keys = await keys_in_use(services, ended)
        assert keys == frozenset(f"sum-{position:05d}" for position in order[:20])
        for run in ended.runs:
            told = await services.generations.stories(run.id, limit=1000)
            assert keys <= {story.key for story in told}


@SQLITE
async def test_where_it_ends_depends_neither_on_concurrency_nor_on_interruptions(
    open_for: OpenServices, actor: Actor
) -> None:
    options = ProviderOptions(answer="arithmetic", latency_ms=2, right_share=0.8)
    plan = Plan(mode="sequential", seed=2)
    async with FakeProvider(options) as server, open_for(server) as services:
        ends = []
        for concurrency in (2, 8):
            made = await experiment_of(services, actor, prompts=(ASK, ASK_POLITELY), plan=plan)
            await execute(services, actor, made, ExecutionOptions(concurrency=concurrency))
            ends.append((await reread(services, made)).sequential)
        made = await experiment_of(services, actor, prompts=(ASK, ASK_POLITELY), plan=plan)
        for stop_after in (25, 70, 10_000):
            await _execute_until(services, actor, made, stop_after)
            made = await reread(services, made)
        ends.append(made.sequential)
        comparable = [
            end and (end.n_used, end.looks, end.decided, [c.e_value for c in end.candidates])
            for end in ends
        ]
        assert comparable[0] is not None
        assert comparable == [comparable[0]] * 3


async def _execute_until(
    services: Services, actor: Actor, experiment: ExperimentView, done: int
) -> None:
    """Execute and stop as somebody at the keyboard would after some outcomes."""
    executors: list[Executor] = []
    work = asyncio.create_task(execute(services, actor, experiment, FEW, on_start=executors.append))
    while not work.done():
        await asyncio.wait({work}, timeout=0.005)
        if executors and executors[0].progress.done >= done:
            executors[0].stop()
    await work


@SQLITE
async def test_an_ended_experiment_has_nothing_left_to_do(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(RIGHT) as server, open_for(server) as services:
        experiment = await experiment_of(services, actor)
        await execute(services, actor, experiment, FEW)
        ended = await reread(services, experiment)
        made = server.ledger.summary()["received"]
        assert not may_stop_early(ended)
        report = await execute(services, actor, ended, FEW)
        assert (report.progress.done, server.ledger.summary()["received"]) == (0, made)
        with pytest.raises(Conflict, match="has ended already"):
            await services.experiments.record_sequential_end(actor, ended, ended.sequential)


@SQLITE
async def test_stored_outcomes_that_decide_already_end_it_without_a_call(
    open_for: OpenServices, actor: Actor
) -> None:
    """As after a process was killed between its last outcome and the look at it."""
    async with FakeProvider(RIGHT) as server, open_for(server) as services:
        experiment = await experiment_of(services, actor)
        order = await example_order(services, experiment)
        assert order is not None
        await _store(services, actor, experiment, order[:20])
        report = await execute(services, actor, experiment, FEW)
        assert (await reread(services, experiment)).wanted == 40
        assert report.progress.done == 0
        assert server.ledger.summary()["received"] == 0


@SQLITE
async def test_examples_that_were_fast_do_not_count_before_those_in_front_of_them(
    open_for: OpenServices, actor: Actor
) -> None:
    """Two hundred wins are stored, but the second example of the order is missing in one run."""
    async with FakeProvider(RIGHT) as server, open_for(server) as services:
        experiment = await experiment_of(services, actor)
        order = await example_order(services, experiment)
        assert order is not None
        await _store(services, actor, experiment, [*order[:1], *order[2:202]])
        await _store(services, actor, experiment, order[1:2], runs=1)
        work = _NoWork()
        report = await run_sequentially(services, actor, experiment, work)
        assert (await reread(services, experiment)).sequential is None
        assert not work.stopped
        assert report == ExecutionReport(work.progress, stopped=False)


@dataclass
class _NoWork:
    """Work that finds nothing to do."""

    progress: Progress = field(default_factory=Progress)
    stopped: bool = False

    def stop(self) -> None:
        self.stopped = True

    async def run(self) -> ExecutionReport:
        return ExecutionReport(self.progress, stopped=False)


async def _store(
    services: Services,
    actor: Actor,
    experiment: ExperimentView,
    positions: list[int],
    *,
    runs: int = 2,
) -> None:
    """Store outcomes: of the first run wrong ones, of the second right ones."""
    examples = await services.datasets.examples_at(experiment.dataset_version_id, positions)
    answers = [
        (run.id, example.id, "wrong" if run.position == 0 else example.expected_output)
        for run in experiment.runs[:runs]
        for example in examples
    ]
    provenance = {
        run.id: await _provenance(services, run.id, run.variant_id) for run in experiment.runs
    }
    now = services.clock.now()
    await services.generations.record(
        actor,
        [
            Outcome(
                id=cell_id(run_id, example_id, 0),
                provenance=provenance[run_id],
                example_id=example_id,
                repetition=0,
                status="completed",
                usage=NO_USAGE,
                started_at=now,
                finished_at=now,
                latency_ms=1.0,
                attempt_count=1,
                output={"role": "assistant", "content": answer},
            )
            for run_id, example_id, answer in answers
        ],
        [],
    )


async def _provenance(services: Services, run_id: UUID, variant_id: UUID | None) -> Provenance:
    assert variant_id is not None
    variant = await services.variants.get(variant_id)
    return Provenance(
        run_id=run_id,
        variant_id=variant_id,
        prompt_version_id=variant.prompt_version_id,
        model_version_id=variant.model_version_id,
        provider="openai",
    )


@SQLITE
async def test_calls_that_fail_do_not_hold_it_up_and_are_no_evidence(
    open_for: OpenServices, actor: Actor
) -> None:
    script = FaultScript(seed=4, rates={"400": 0.2})
    options = ProviderOptions(answer="arithmetic", latency_ms=2, script=script)
    async with FakeProvider(options) as server, open_for(server) as services:
        experiment = await experiment_of(services, actor)
        await execute(services, actor, experiment, FEW)
        end = (await reread(services, experiment)).sequential
        assert end is not None
        assert end.candidates[0].verdict == "superior"
        assert 20 <= end.candidates[0].n_pairs < end.n_used


@SQLITE
async def test_equals_are_asked_to_the_end_and_the_record_says_so(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(RIGHT) as server, open_for(server) as services:
        plan = Plan(mode="sequential", n=40)
        experiment = await experiment_of(services, actor, prompts=(ASK, ASK_POLITELY), plan=plan)
        assert experiment.wanted == 80
        report = await execute(services, actor, experiment, FEW)
        end = (await reread(services, experiment)).sequential
        assert end is not None
        assert (end.decided, end.n_used, end.n_max) == (False, 40, 40)
        assert report.progress.done == 80


@SQLITE
async def test_several_processes_stop_together(open_for: OpenServices, actor: Actor) -> None:
    async with FakeProvider(RIGHT) as server, open_for(server) as services:
        experiment = await experiment_of(services, actor, count=600)
        group = ProcessGroup(services.settings, actor, experiment, FEW, 2)
        report = await run_sequentially(services, actor, experiment, group)
        ended = await reread(services, experiment)
        assert ended.sequential is not None
        assert (ended.sequential.n_used, report.stopped) == (20, False)
        assert report.progress.done < experiment.wanted


@SQLITE
async def test_a_plan_that_no_look_could_decide_is_refused(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(RIGHT) as server, open_for(server) as services:
        with pytest.raises(Invalid, match="needs a scorer, and a baseline with a candidate"):
            await experiment_of(services, actor, prompts=(ASK,))
        documents = [
            ExampleInput(key=f"k{i}", input={"question": f"What is {i} + 1?"}, cluster=f"c{i // 2}")
            for i in range(30)
        ]
        with pytest.raises(Invalid, match="come in clusters"):
            await make_experiment(
                services,
                actor,
                examples=documents,
                prompts=(ASK, ASK_POLITELY),
                plan=Plan(mode="sequential"),
            )
