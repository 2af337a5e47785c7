"""The client under a budget: every attempt is reserved before and settled after."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from random import Random

import pytest

from app.llm.budget import BudgetReached, InMemoryLeases, LeasedBudget
from app.llm.client import LLMClient
from app.llm.errors import BadRequest, CallNotStarted, LLMError, RateLimited, ServerError
from app.llm.limits import AccountLimits
from app.llm.pricing import cost_bound
from app.llm.retry import RetryPolicy
from app.llm.types import LLMRequest, Price
from tests.unit.llm.support import ScriptedProvider, request

PRICE = Price("p", Decimal(10), Decimal(40))
ASKED = request(price=PRICE, max_tokens=16)
BOUND = cost_bound(ASKED, PRICE)
assert BOUND is not None
WORST = BOUND.total
COST = Decimal("0.00018")  # ten tokens in, two out


def client_with(
    amount: Decimal, script: Sequence[str | LLMError] = ("fine",), *, hold: bool = False
) -> tuple[LLMClient, LeasedBudget, ScriptedProvider]:
    provider = ScriptedProvider(script, hold=hold)
    budget = LeasedBudget(InMemoryLeases(amount).part(), poll_s=0.001)
    client = LLMClient(
        {"lab": lambda: provider},
        limits={"lab": AccountLimits(concurrency=2)},
        retry=RetryPolicy(base_s=0.0, spread=0.0),
        random=Random(1),
        budget=budget,
    )
    return client, budget, provider


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_answer_is_settled_at_what_it_cost() -> None:
    client, budget, _ = client_with(Decimal(1))
    await client.generate(ASKED)
    assert budget.spent == COST


async def test_every_attempt_is_charged_by_what_it_can_have_done() -> None:
    script = [ServerError("no"), RateLimited("later", retry_after_s=0), "fine"]
    client, budget, _ = client_with(Decimal(1), script)
    await client.generate(ASKED)
    assert budget.spent == WORST + COST


async def test_a_retry_that_cannot_be_paid_is_not_made() -> None:
    client, budget, provider = client_with(WORST, [ServerError("no"), "fine"])
    with pytest.raises(BudgetReached) as reached:
        await client.generate(ASKED)
    assert (len(provider.calls), reached.value.attempts, budget.spent) == (1, 1, WORST)


async def test_a_cancelled_call_is_charged_its_worst_case() -> None:
    client, budget, _ = client_with(Decimal(1), hold=True)
    call = asyncio.create_task(client.generate(ASKED))
    await turns()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert budget.spent == WORST


async def test_who_waits_for_money_holds_no_slot_and_goes_when_the_client_drains() -> None:
    client, budget, provider = client_with(WORST, hold=True)
    calls = [asyncio.create_task(client.generate(ASKED)) for _ in range(3)]
    await turns()
    free = asyncio.create_task(client.generate(request(price=Price("0", *(Decimal(0),) * 2))))
    await turns()
    assert provider.in_flight == 2  # the one that was paid and the one that costs nothing
    client.drain()
    provider.let_go()
    results = await asyncio.gather(*calls, free, return_exceptions=True)
    assert sum(isinstance(result, CallNotStarted) for result in results) == 2
    assert budget.spent == COST


@pytest.mark.parametrize(
    "unbounded", [request(max_tokens=16), request(price=PRICE)], ids=["no price", "no max_tokens"]
)
async def test_what_has_no_bound_is_not_sent(unbounded: LLMRequest) -> None:
    client, _, provider = client_with(Decimal(1))
    with pytest.raises(BadRequest, match="Nothing bounds what a call"):
        await client.generate(unbounded)
    assert not provider.calls


async def test_a_stream_is_charged_like_any_other_call() -> None:
    client, budget, _ = client_with(Decimal(1))
    async for _ in client.stream(ASKED):
        pass
    assert budget.spent == COST
