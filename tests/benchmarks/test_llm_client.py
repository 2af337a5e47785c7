"""What one call costs this process: the client, the guard and the provider module together."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop
from pydantic import SecretStr

from app.core.clock import SystemClock
from app.core.settings import EndpointSettings
from app.llm.client import LLMClient
from app.llm.limits import AccountLimits
from app.llm.openai_provider import OpenAIProvider
from app.llm.types import AttemptRecord, LLMRequest, Message, ModelTarget
from tests.benchmarks.measure import report
from tests.fake_provider import FakeProviderProcess, ProviderOptions

pytestmark = pytest.mark.benchmark

CALLS, AT_ONCE = 3000, 50
TARGET = ModelTarget("openai", "lab", "fake-model")


async def calls(client: LLMClient, count: int) -> None:
    numbers = iter(range(count))
    seen: list[AttemptRecord] = []

    async def worker() -> None:
        for number in numbers:
            messages = (Message("system", "Route a ticket."), Message("user", f"ticket {number}"))
            request = LLMRequest(TARGET, messages, {"temperature": 0.2, "max_tokens": 8})
            await client.generate(request, on_attempt=seen.append)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    assert len(seen) == count


async def measure(url: str) -> tuple[float, float]:
    """Return CPU milliseconds a call and wall seconds, after a warm-up."""
    settings = EndpointSettings(provider="openai", base_url=url, api_key=SecretStr("sk-bench"))
    client = LLMClient(
        {"lab": lambda: OpenAIProvider("lab", settings, clock=SystemClock())},
        limits={"lab": AccountLimits(concurrency=AT_ONCE)},
    )
    await calls(client, 2 * AT_ONCE)
    cpu, wall = time.process_time(), time.perf_counter()
    await calls(client, CALLS)
    spent = time.process_time() - cpu, time.perf_counter() - wall
    await client.close()
    return spent[0] / CALLS * 1000, spent[1]


def test_a_call_costs_at_most_600_microseconds_of_cpu() -> None:
    with FakeProviderProcess(ProviderOptions(latency_ms=100)) as server:
        cpu_ms, wall_s = uvloop.run(measure(server.base_url))
    report(
        f"LLMClient.generate, {CALLS} at {AT_ONCE}, 100 ms",
        {"cpu_ms_per_call": cpu_ms, "wall_s": wall_s, "ideal_s": CALLS / AT_ONCE * 0.1},
    )
    assert cpu_ms <= 0.6
