"""What is possible against a fault script, computed, and held against a real run."""

import asyncio
import math
import time
from collections import Counter, deque

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_provider import (
    FakeProvider,
    FaultScript,
    ProviderOptions,
    RetryPolicy,
    Simulation,
    request_identity,
    simulate,
)

BENCH_RATES = {"429-seconds": 0.1, "500": 0.01, "reset-before-headers": 0.01}


def run(
    count: int, script: FaultScript, *, slots: int = 10, policy: RetryPolicy | None = None
) -> Simulation:
    """Simulate `count` pieces of work that take 0.1 s each."""
    return simulate(
        [f"work {n}" for n in range(count)],
        script=script,
        concurrency=slots,
        latency_s=0.1,
        policy=policy or RetryPolicy(max_attempts=50),
    )


@pytest.mark.parametrize(
    ("count", "slots", "last_s"), [(0, 10, 0.0), (1, 10, 0.1), (10, 10, 0.1), (11, 10, 0.2)]
)
def test_without_faults_the_time_is_rounds_times_latency(
    count: int, slots: int, last_s: float
) -> None:
    simulation = run(count, FaultScript(), slots=slots)
    assert simulation.last_s == pytest.approx(last_s)
    assert simulation.calls == count


MIXED = FaultScript(rates={"429-seconds": 0.25, "500": 0.25, "slow-first-byte": 0.25})


def identity_that_meets(*faults: str | None) -> str:
    """Return an identity whose attempts meet these faults of `MIXED` in this order."""
    for n in range(100_000):
        drawn = [MIXED.fault_for(f"work {n}", attempt + 1) for attempt in range(len(faults))]
        if [fault.name if fault else None for fault in drawn] == list(faults):
            return f"work {n}"
    raise AssertionError(f"No identity in 100,000 meets {faults}.")


def ends(identities: list[str], *, slots: int, policy: RetryPolicy) -> list[float]:
    """Return the times at which work of a quarter second each ends: exact in binary."""
    simulation = simulate(
        identities, script=MIXED, concurrency=slots, latency_s=0.25, policy=policy
    )
    return [ending.at_s for ending in simulation.endings]


def test_waiting_gives_the_slot_back_and_the_retry_goes_before_new_work() -> None:
    # One slot: the first fails at 0.25 and may return at 0.5; the second runs meanwhile; then the
    # retry goes before the third.
    good = identity_that_meets(None, None)
    work = [identity_that_meets("500", None), good, good]
    policy = RetryPolicy(backoff_s=lambda failed_attempt: 0.25 * failed_attempt)
    assert ends(work, slots=1, policy=policy) == [0.75, 0.5, 1.0]


def test_retry_that_becomes_ready_as_a_slot_gets_free_goes_before_new_work() -> None:
    # The first holds its slot until 0.875, by an event written down before that of the retry of
    # the second, which failed at 0.25 and is ready at 0.875 too. The other slot is busy then.
    good = identity_that_meets(*[None] * 4)
    work = [identity_that_meets("slow-first-byte"), identity_that_meets("500", None), *[good] * 4]
    policy = RetryPolicy(
        backoff_s=lambda failed_attempt: 0.625, retryable=frozenset({"server"}), time_limit_s=0.875
    )
    assert ends(work, slots=2, policy=policy) == [0.875, 1.125, 0.5, 0.75, 1.0, 1.25]


def test_retry_after_is_obeyed_in_place_of_the_back_off() -> None:
    work = [identity_that_meets("429-seconds", None), identity_that_meets(None)]
    policy = RetryPolicy(backoff_s=lambda failed_attempt: 99.0)
    # A quarter second to fail, one second told, a quarter second again.
    assert ends(work, slots=1, policy=policy) == [1.5, 0.5]


def test_work_ends_with_its_fault_when_no_attempt_is_left_or_none_would_help() -> None:
    tired = run(5, FaultScript(rates={"500": 1.0}), policy=RetryPolicy(max_attempts=3))
    assert {(ending.outcome, ending.attempts) for ending in tired.endings} == {("500", 3)}
    refused = run(5, FaultScript(rates={"401": 1.0}))
    assert {(ending.outcome, ending.attempts) for ending in refused.endings} == {("401", 1)}
    harmless = run(5, FaultScript(rates={"absent-usage": 1.0}))
    assert {(ending.outcome, ending.attempts) for ending in harmless.endings} == {("ok", 1)}


def test_endless_reply_holds_its_slot_for_the_time_limit() -> None:
    script = FaultScript(rates={"slow-first-byte": 1.0})
    limited = run(1, script, policy=RetryPolicy(max_attempts=2, time_limit_s=5.0))
    assert limited.last_s == pytest.approx(10.0)
    with pytest.raises(ValueError, match="time limit"):
        run(1, script)


@pytest.mark.parametrize(
    "script", [FaultScript(sequence=("500",)), FaultScript(reset_connections=1)]
)
def test_only_rates_can_be_simulated(script: FaultScript) -> None:
    with pytest.raises(ValueError, match="rates"):
        run(1, script)


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        run(1, FaultScript()).share_done_s(share)


def test_share_done_counts_whole_pieces_of_work() -> None:
    simulation = run(100, FaultScript(), slots=1)
    assert simulation.share_done_s(0.99) == pytest.approx(9.9)
    assert simulation.share_done_s(1) == simulation.last_s == pytest.approx(10.0)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 120), st.integers(1, 30))
def test_no_run_is_shorter_than_its_work_and_its_longest_wait(
    seed: int, count: int, slots: int
) -> None:
    script = FaultScript(seed=seed, rates=BENCH_RATES)
    simulation = run(count, script, slots=slots)
    assert simulation.last_s >= 0.1 * math.ceil(simulation.calls / slots) - 1e-9
    for index, ending in enumerate(simulation.endings):
        faults = [script.fault_for(f"work {index}", n) for n in range(1, ending.attempts + 1)]
        assert faults[-1] is None
        assert None not in faults[:-1]
        waits = sum(script.told_wait_s(fault) or 0 for fault in faults if fault)
        assert ending.at_s >= 0.1 * ending.attempts + waits - 1e-9


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_equal_work_shares_its_attempts_as_at_the_server(seed: int, copies: int) -> None:
    script = FaultScript(seed=seed, rates={"500": 0.3})
    simulation = simulate(
        ["same"] * copies,
        script=script,
        concurrency=7,
        latency_s=0.1,
        policy=RetryPolicy(max_attempts=1000),
    )
    faults = [script.fault_for("same", attempt) for attempt in range(1, simulation.calls + 1)]
    assert faults.count(None) == copies
    assert faults[-1] is None


def test_benchmark_case_is_near_the_sum_of_its_parts() -> None:
    # 1,000 at 50 take 2.0 s without faults; some 140 calls more, and waits of 1 s beside the work.
    script = FaultScript(seed=1, rates=BENCH_RATES)
    simulation = run(1000, script, slots=50)
    assert 1100 < simulation.calls < 1180
    assert 2.2 < simulation.share_done_s(0.99) < 3.6
    assert {ending.outcome for ending in simulation.endings} == {"ok"}


async def plain_client(server: FakeProvider, questions: list[str], slots: int) -> None:
    """Do what the simulation assumes: waits outside the slots, retries before new work."""
    new, ready = deque(questions), deque[str]()
    waiting: set[asyncio.Task[None]] = set()
    free, changed, open_work = asyncio.Semaphore(slots), asyncio.Event(), len(questions)

    async def come_back(question: str, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        ready.append(question)
        changed.set()

    async def attempt(http: aiohttp.ClientSession, question: str) -> None:
        nonlocal open_work
        wait_s: float | None = 0.0
        body = {"model": "m", "messages": [{"role": "user", "content": question}]}
        try:
            async with http.post(f"{server.base_url}/chat/completions", json=body) as reply:
                await reply.read()
                told = reply.headers.get("Retry-After", "0")
                wait_s = None if reply.status == 200 else float(told)
        except aiohttp.ClientError:
            wait_s = 0.0
        free.release()
        if wait_s is None:
            open_work -= 1
            changed.set()
        else:
            task = asyncio.create_task(come_back(question, wait_s))
            waiting.add(task)
            task.add_done_callback(waiting.discard)

    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
        while open_work:
            if not (ready or new):
                changed.clear()
                await changed.wait()
                continue
            await free.acquire()
            question = ready.popleft() if ready else new.popleft()
            group.create_task(attempt(http, question))


async def test_real_run_meets_the_same_faults_in_about_the_same_time() -> None:
    questions = [f"question {n}" for n in range(60)]
    identities = [request_identity("m", [{"role": "user", "content": text}]) for text in questions]
    script = FaultScript(seed=4, rates=BENCH_RATES)
    expected = simulate(
        identities,
        script=script,
        concurrency=10,
        latency_s=0.03,
        policy=RetryPolicy(max_attempts=50),
    )
    async with FakeProvider(ProviderOptions(latency_ms=30, script=script)) as server:
        begun = time.monotonic()
        await plain_client(server, questions, slots=10)
        took_s = time.monotonic() - begun
        calls = server.ledger.calls
    seen = Counter(call.identity for call in calls)
    assert [seen[identity] for identity in identities] == [
        ending.attempts for ending in expected.endings
    ]
    for call in calls:
        fault = script.fault_for(call.identity, call.attempt)
        assert call.fault == (fault.name if fault else None)
    assert {call.fault for call in calls} == {None, *BENCH_RATES}
    # Never faster than is possible; how much slower depends on the machine.
    assert expected.last_s <= took_s < 3 * expected.last_s
