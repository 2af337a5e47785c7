"""The hard budget without a database: never overrun, never stopped too early, never stuck."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.llm.budget import (
    BudgetReached,
    Funds,
    InMemoryLeases,
    LeasedBudget,
    charge_of_error,
    slice_of,
)
from app.llm.errors import (
    AuthenticationFailed,
    BadRequest,
    CallNotStarted,
    ConnectionFailed,
    ContentFiltered,
    EndpointUnreachable,
    LLMError,
    MalformedResponse,
    ParameterNotSupported,
    QuotaExhausted,
    RateLimited,
    ResponseTooLarge,
    ServerError,
    Timeout,
    TruncatedStream,
    UnknownModel,
)
from app.llm.pricing import CostBound
from app.llm.types import Price, Usage

BOUND = CostBound(input=Decimal("0.2"), total=Decimal(1))
PRICE = Price("p", Decimal(1), Decimal(2))


def budget(amount: int | str) -> tuple[InMemoryLeases, LeasedBudget]:
    whole = InMemoryLeases(Decimal(amount))
    return whole, LeasedBudget(whole.part(), poll_s=0.001)


async def pay(store: LeasedBudget, worst: Decimal, actual: Decimal, *, turns: int = 1) -> bool:
    """Make one call of so many turns of the loop; return whether it could be paid."""
    if not store.take(worst):
        try:
            await store.wait_for(worst)
        except BudgetReached:
            return False
    for _ in range(turns):
        await asyncio.sleep(0)
    store.settle(worst, actual)
    return True


calls = st.lists(
    st.tuples(st.integers(0, 50), st.floats(0, 1), st.integers(1, 5)), min_size=1, max_size=60
)


@settings(deadline=None)
@given(calls, st.integers(1, 400), st.integers(1, 3))
def test_a_budget_is_never_overrun_and_what_fits_in_the_end_is_paid(
    wanted: Sequence[tuple[int, float, int]], amount: int, processes: int
) -> None:
    async def run() -> None:
        whole = InMemoryLeases(Decimal(amount))
        parts = [LeasedBudget(whole.part(), poll_s=0.0005, idle_s=0.001) for _ in range(processes)]
        most = Decimal(0)

        async def call(index: int, worst: int, share: float, turns: int) -> tuple[bool, Decimal]:
            nonlocal most
            actual = (worst * Decimal(share)).quantize(Decimal("1e-10"))
            paid = await pay(parts[index % processes], Decimal(worst), actual, turns=turns)
            most = max(most, whole.spent + sum(whole.leases.values()))
            return paid, actual

        results = await asyncio.gather(*(call(i, *args) for i, args in enumerate(wanted)))
        for part in parts:
            await part.close()
        spent = sum((actual for paid, actual in results if paid), Decimal(0))
        assert most <= amount
        assert whole.spent == spent <= amount
        assert not any(whole.leases.values())
        # Who was refused did not fit what was left when all others had ended.
        left = amount - spent
        assert all(
            paid or worst > left for (paid, _), (worst, _, _) in zip(results, wanted, strict=True)
        )

    asyncio.run(run())


async def test_money_that_may_come_back_is_waited_for() -> None:
    _, store = budget(10)
    assert await pay(store, Decimal(8), Decimal(1))
    first = asyncio.create_task(pay(store, Decimal(8), Decimal(1), turns=5))
    second = asyncio.create_task(pay(store, Decimal(8), Decimal(1)))
    assert await asyncio.gather(first, second) == [True, True]
    await store.close()


async def test_what_does_not_fit_is_refused_once_nothing_is_out() -> None:
    _, store = budget(10)
    assert await pay(store, Decimal(8), Decimal(8))
    with pytest.raises(BudgetReached, match=r"may cost \$8 and \$2 is left") as refused:
        await store.wait_for(Decimal(8))
    assert (refused.value.needed, refused.value.left) == (Decimal(8), Decimal(2))
    assert await pay(store, Decimal(2), Decimal(2))
    await store.close()


async def test_nobody_overtakes_and_retries_go_first() -> None:
    _, store = budget(10)
    assert await pay(store, Decimal(10), Decimal(0))
    waiting = asyncio.ensure_future(store.wait_for(Decimal(10)))
    assert not store.take(Decimal(1))  # it would fit, but somebody waits
    retry = asyncio.ensure_future(store.wait_for(Decimal(9), urgent=True))
    await retry
    assert not waiting.done()
    store.settle(Decimal(9), Decimal(0))
    await waiting
    store.settle(Decimal(10), Decimal(10))
    await store.close()


async def test_a_cancelled_wait_leaves_the_queue() -> None:
    _, store = budget(10)
    await store.wait_for(Decimal(10))
    gone, stays = store.wait_for(Decimal(9)), store.wait_for(Decimal(8))
    gone.cancel()
    store.settle(Decimal(10), Decimal(2))
    await stays
    store.settle(Decimal(8), Decimal(8))
    await store.close()


async def test_what_costs_nothing_waits_for_nobody() -> None:
    _, store = budget("0.01")
    waiting = store.wait_for(Decimal(1))
    assert store.take(Decimal(0))
    with pytest.raises(BudgetReached):
        await waiting
    await store.close()


async def test_ample_money_is_leased_once_for_many_calls() -> None:
    whole, store = budget(1000)
    for _ in range(1000):
        assert await pay(store, Decimal("0.1"), Decimal("0.01"))
    assert whole.renewals <= 20
    await store.close()
    assert whole.spent == 10


async def test_one_process_waits_for_what_another_one_may_give_back() -> None:
    whole = InMemoryLeases(Decimal(10))
    one, two = (LeasedBudget(whole.part(), poll_s=0.001) for _ in range(2))
    await one.wait_for(Decimal(8))
    waiting = two.wait_for(Decimal(8))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    one.settle(Decimal(8), Decimal(1))
    await one.close()
    await waiting
    two.settle(Decimal(8), Decimal(8))
    await two.close()
    assert whole.spent == 9


async def test_money_that_is_not_used_goes_back_to_the_others() -> None:
    whole = InMemoryLeases(Decimal(80))
    idle, busy = (LeasedBudget(whole.part(), poll_s=0.001, idle_s=0.005) for _ in range(2))
    await idle.wait_for(Decimal(1))  # takes a slice of ten, and its call goes on
    await busy.wait_for(Decimal(79))
    busy.settle(Decimal(79), Decimal(79))
    await busy.close()
    idle.settle(Decimal(1), Decimal(1))
    await idle.close()
    assert whole.spent == 80


async def test_a_lease_that_nobody_settles_is_not_waited_for_without_end() -> None:
    whole = InMemoryLeases(Decimal(10))
    killed, left = (LeasedBudget(whole.part(), poll_s=0.001, patience_s=0.01) for _ in range(2))
    await killed.wait_for(Decimal(8))
    with pytest.raises(BudgetReached):
        await left.wait_for(Decimal(8))
    await left.close()


async def test_who_waits_is_sent_away_when_the_budget_closes() -> None:
    _, store = budget(10)
    await store.wait_for(Decimal(10))
    waiting = store.wait_for(Decimal(10))
    await store.close()
    with pytest.raises(CallNotStarted):
        await waiting


async def test_what_is_still_reserved_at_the_end_counts_as_spent() -> None:
    whole, store = budget(10)
    await store.wait_for(Decimal(4))
    await store.close()
    assert whole.spent == store.spent == 4


async def test_a_database_that_refuses_is_told_to_all_who_wait() -> None:
    class Broken:
        async def renew(self, *, spent: Decimal, reserved: Decimal, needed: Decimal) -> Funds:
            raise OSError("disk full")

    store = LeasedBudget(Broken())
    waiting = [store.wait_for(Decimal(1)) for _ in range(3)]
    for turn in waiting:
        with pytest.raises(OSError, match="disk full"):
            await turn


async def test_a_provider_that_charges_more_than_its_bound_is_counted_in_full() -> None:
    whole, store = budget(10)
    assert await pay(store, Decimal(4), Decimal(9))
    with pytest.raises(BudgetReached):
        await store.wait_for(Decimal(4))
    await store.close()
    assert whole.spent == 9


@given(st.decimals("0.0001", 100, places=4), st.decimals(0, 1000, places=4))
def test_a_slice_is_enough_for_the_call_and_leaves_most_for_others(
    needed: Decimal, free: Decimal
) -> None:
    taken = slice_of(needed, free)
    assert taken <= free
    assert taken == 0 if needed > free else taken >= needed
    assert taken <= max(needed, free / 8)


@pytest.mark.parametrize(
    ("error", "charge"),
    [
        (RateLimited("no", http_status=429), 0),
        (QuotaExhausted("no", http_status=402), 0),
        (AuthenticationFailed("no", http_status=401), 0),
        (UnknownModel("no", http_status=404), 0),
        (EndpointUnreachable("no"), 0),
        (BadRequest("no", http_status=400), BOUND.input),
        (ParameterNotSupported("no", http_status=400), BOUND.input),
        (ContentFiltered("no", http_status=400), BOUND.input),
        (ContentFiltered("no", http_status=200), BOUND.total),
        (Timeout("no", http_status=408), BOUND.total),
        (ConnectionFailed("no"), BOUND.total),
        (ServerError("no", http_status=500), BOUND.total),
        (MalformedResponse("no", http_status=200), BOUND.total),
        (ResponseTooLarge("no", http_status=200), BOUND.total),
        (TruncatedStream("no", partial_text="half"), BOUND.total),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, LLMError) else None,
)
def test_an_error_is_charged_by_what_the_provider_can_have_done(
    error: LLMError, charge: Decimal
) -> None:
    assert charge_of_error(error, BOUND, PRICE) == charge


def test_what_the_provider_reports_counts_even_with_an_error() -> None:
    error = ContentFiltered("no", http_status=200, usage=Usage(1_000, 100))
    assert charge_of_error(error, BOUND, PRICE) == Decimal("0.0012")


async def test_the_same_calls_in_any_order_are_never_refused_if_their_bounds_fit() -> None:
    random = Random(7)
    worst = [Decimal(random.randint(1, 20)) for _ in range(200)]
    _, store = budget(str(sum(worst)))
    paid = await asyncio.gather(*(pay(store, w, w, turns=random.randint(1, 9)) for w in worst))
    assert all(paid)
    await store.close()
