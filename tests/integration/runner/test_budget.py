"""A hard budget against the fake provider, whose ledger is the truth of what was spent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest

from app.bootstrap import Services
from app.core.errors import Conflict, Invalid
from app.core.permissions import Actor
from app.schemas.budgets import BudgetView
from app.schemas.datasets import ExampleInput
from app.schemas.experiments import ExperimentView
from app.schemas.models import PriceDeclaration
from app.services.audit import first_broken_entry
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.runner.conftest import ASK, OpenServices, make_experiment
from workbench.runner.generation.execute import ExecutionOptions, execute
from workbench.runner.generation.executor import ExecutionReport
from workbench.runner.generation.processes import ProcessGroup

# Every question has 40 characters and every answer 16, so a call costs 10 and 4 tokens; its
# worst case is some 150 bytes of request and 16 tokens of answer.
QUESTION = "Question {:06d}, how many are {:06d}?"
ANSWER = "fixed:sixteen letters."
INPUT, OUTPUT = Decimal(10), Decimal(40)
COST = (10 * INPUT + 4 * OUTPUT) / 1_000_000
FAULTS = {"429-ms": 0.1, "500": 0.1, "reset-mid-body": 0.05, "400": 0.05, "absent-usage": 0.05}
NIGHTLY = pytest.mark.nightly


def questions(count: int) -> list[ExampleInput]:
    return [
        ExampleInput(
            key=f"q-{i:05d}", input={"question": QUESTION.format(i, i)}, expected_output="16"
        )
        for i in range(count)
    ]


def provider(seed: int, *, faults: bool = False, latency_ms: float = 4) -> ProviderOptions:
    script = FaultScript(seed=seed, rates=FAULTS if faults else {}, retry_after_s=0)
    return ProviderOptions(answer=ANSWER, latency_ms=latency_ms, seed=seed, script=script)


@asynccontextmanager
async def priced(
    open_for: OpenServices, actor: Actor, server: FakeProvider, cells: int
) -> AsyncIterator[tuple[Services, ExperimentView]]:
    """Open the services with a price for the model, and an experiment of so many cells."""
    async with open_for(server) as services:
        model, _ = await services.models.resolve(actor, "openai/fake-model", add_missing=True)
        price = PriceDeclaration(
            valid_from=datetime(2020, 1, 1, tzinfo=UTC), input=INPUT, output=OUTPUT
        )
        await services.models.add_price(actor, model.reference, price)
        yield (
            services,
            await make_experiment(services, actor, examples=questions(cells), prompts=(ASK,)),
        )


async def carry_out(
    services: Services, actor: Actor, experiment: ExperimentView, *, processes: int = 1
) -> ExecutionReport:
    options = ExecutionOptions(concurrency=50)
    if processes == 1:
        return await execute(services, actor, experiment, options)
    return await ProcessGroup(services.settings, actor, experiment, options, processes).run()


async def allow(
    services: Services, actor: Actor, experiment: ExperimentView, amount: str | Decimal
) -> BudgetView:
    return await services.budgets.set(actor, experiment.id, experiment.number, Decimal(amount))


async def view(services: Services, experiment: ExperimentView) -> BudgetView:
    budget = await services.budgets.get(experiment.id)
    assert budget is not None
    return budget


def spent_at(server: FakeProvider) -> Decimal:
    """What the provider may charge: for every call but those that it refused at once."""
    return COST * sum(not 400 <= call.status < 500 for call in server.ledger.calls)


def answered_twice(server: FakeProvider) -> int:
    good = [call.identity for call in server.ledger.calls if call.outcome == "answered"]
    return len(good) - len(set(good))


async def finish_in_steps(
    open_for: OpenServices, actor: Actor, seed: int, *, processes: int, faults: bool
) -> None:
    """Run with a budget that is too small, hold it against the provider, raise it, and again."""
    random = Random(seed)
    cells = 150
    options = provider(seed, faults=faults, latency_ms=random.uniform(0, 8))
    async with (
        FakeProvider(options) as server,
        priced(open_for, actor, server, cells) as (services, experiment),
    ):
        amount = COST * random.randint(10, 60)
        await allow(services, actor, experiment, amount)
        report = await carry_out(services, actor, experiment, processes=processes)
        steps = 0
        while report.progress.unpaid:
            steps += 1
            budget = await view(services, experiment)
            assert spent_at(server) <= budget.spent <= budget.amount == amount
            assert not budget.leased
            amount += COST * 500
            await allow(services, actor, experiment, amount)
            report = await carry_out(services, actor, experiment, processes=processes)
        run = experiment.runs[0].id
        totals = (await services.generations.totals([run]))[run]
        assert steps >= 1
        assert sum(totals.by_status.values()) == cells
        assert answered_twice(server) == 0
        received = server.ledger.summary()["received"]
        assert await services.generations.attempt_count([run]) == received
        assert spent_at(server) <= (await view(services, experiment)).spent <= amount


SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.mark.parametrize("faults", [False, True], ids=["no faults", "faults"])
async def test_at_concurrency_50_a_budget_is_never_exceeded_and_raising_it_finishes_the_run(
    open_for: OpenServices, actor: Actor, faults: bool
) -> None:
    await finish_in_steps(open_for, actor, seed=1, processes=1, faults=faults)


async def test_two_processes_share_one_budget(open_for: OpenServices, actor: Actor) -> None:
    await finish_in_steps(open_for, actor, seed=2, processes=2, faults=True)


@NIGHTLY
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("processes", [1, 2])
async def test_twenty_seeds_never_exceed_their_budget(
    open_for: OpenServices, actor: Actor, processes: int
) -> None:
    for seed in range(20):
        await finish_in_steps(
            open_for, actor, seed=100 + seed, processes=processes, faults=seed % 2 == 1
        )


@SQLITE
async def test_a_budget_that_is_enough_in_the_end_stops_nothing(
    open_for: OpenServices, actor: Actor
) -> None:
    async with (
        FakeProvider(provider(3)) as server,
        priced(open_for, actor, server, 200) as (services, experiment),
    ):
        # What all calls cost and the worst case of one: never more than one may be in doubt.
        await allow(services, actor, experiment, COST * 200 + Decimal("0.0025"))
        report = await carry_out(services, actor, experiment)
        assert report.progress.done == 200
        assert report.progress.unpaid == 0
        assert (await view(services, experiment)).spent == spent_at(server) == COST * 200


@SQLITE
async def test_nothing_is_sent_that_cannot_be_paid(open_for: OpenServices, actor: Actor) -> None:
    async with (
        FakeProvider(provider(4)) as server,
        priced(open_for, actor, server, 20) as (services, experiment),
    ):
        await allow(services, actor, experiment, "0.0001")
        report = await carry_out(services, actor, experiment)
        assert report.stopped
        assert report.progress.unpaid >= 1
        assert server.ledger.summary()["received"] == 0


@SQLITE
async def test_a_cancelled_call_counts_at_its_worst_case(
    open_for: OpenServices, actor: Actor
) -> None:
    async with (
        FakeProvider(provider(5, latency_ms=10_000)) as server,
        priced(open_for, actor, server, 5) as (services, experiment),
    ):
        await allow(services, actor, experiment, 1)
        arrived = asyncio.Event()
        server.ledger.watchers.append(arrived.set)
        work = asyncio.create_task(carry_out(services, actor, experiment))
        await arrived.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        budget = await view(services, experiment)
        calls = server.ledger.summary()["received"]
        assert budget.leased == 0
        assert budget.spent >= calls * 8 * COST


@SQLITE
async def test_a_model_without_a_price_is_not_called_under_a_budget(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider(provider(6)) as server, open_for(server) as services:
        experiment = await make_experiment(services, actor, examples=questions(5))
        await allow(services, actor, experiment, 1)
        await carry_out(services, actor, experiment)
        assert server.ledger.summary()["received"] == 0


@SQLITE
async def test_a_simulated_model_fits_any_budget(open_for: OpenServices, actor: Actor) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        experiment = await make_experiment(
            services, actor, examples=questions(5), models=("simulated/small",)
        )
        await allow(services, actor, experiment, "0.0000000001")
        report = await carry_out(services, actor, experiment)
        assert report.progress.done == 5


async def test_a_lost_lease_counts_as_spent_in_full(open_for: OpenServices, actor: Actor) -> None:
    async with (
        FakeProvider(provider(7)) as server,
        priced(open_for, actor, server, 5) as (services, experiment),
    ):
        await allow(services, actor, experiment, 8)
        async with services.budgets.open(actor, experiment.id, "killed") as killed:
            assert killed is not None
            await killed.wait_for(Decimal("0.5"))
            during = await view(services, experiment)
            assert during.leased == 1  # the call and the rest of its slice
            lost = await services.budgets.settle_lost(actor, experiment.id)
            assert lost == 1
        budget = await view(services, experiment)
        assert (budget.spent, budget.leased) == (1, 0)


async def test_a_budget_is_set_once_raised_and_never_below_what_is_spent(
    open_for: OpenServices, actor: Actor
) -> None:
    async with (
        FakeProvider(provider(8)) as server,
        priced(open_for, actor, server, 5) as (services, experiment),
    ):
        await carry_out(services, actor, experiment)
        first = await allow(services, actor, experiment, 5)
        assert first.spent == spent_at(server) == COST * 5  # what the ledger knows already
        assert (await allow(services, actor, experiment, "7.5")).amount == Decimal("7.5")
        with pytest.raises(Conflict, match=r"has spent \$0\.0013 already"):
            await allow(services, actor, experiment, "0.001")
        with pytest.raises(Invalid, match="US dollars above 0"):
            await allow(services, actor, experiment, "NaN")
        assert (await view(services, experiment)).amount == Decimal("7.5")
        async with services.database.read_session() as session:
            assert await first_broken_entry(session) is None
