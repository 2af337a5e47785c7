"""Retries against a server that keeps its own times."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest

from app.core.clock import SystemClock
from app.llm.errors import AuthenticationFailed, EndpointUnreachable, LLMError
from app.llm.retry import RetryPolicy
from app.llm.types import AttemptRecord
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.llm.support import (
    COMPLETION,
    Exchange,
    TinyServer,
    client_for,
    provider,
    request,
    settings,
    until,
)

PATIENT = RetryPolicy(base_s=0.01, budget_s=30)


class Refusing(TinyServer):
    """Refuses the first call with the given headers, answers later ones; notes the times."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__(self._play)
        self._headers = headers
        self.times: list[float] = []

    async def _play(self, exchange: Exchange) -> None:
        self.times.append(asyncio.get_running_loop().time())
        if len(self.times) == 1:
            await exchange.answer(b"{}", status=429, headers=self._headers)
        else:
            await exchange.answer(orjson.dumps(COMPLETION))


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    "form", [{"Retry-After": "0.25"}, {"retry-after-ms": "250", "Retry-After": "60"}]
)
async def test_no_call_comes_earlier_than_it_was_told(form: dict[str, str]) -> None:
    seen: list[AttemptRecord] = []
    async with (
        Refusing(form) as server,
        client_for(settings(server.url), retry=PATIENT) as client,
    ):
        response = await client.generate(request(), on_attempt=seen.append)

    assert server.times[1] - server.times[0] >= 0.25
    assert response.attempts == 2
    assert [(record.outcome, record.retry_after_s) for record in seen] == [
        ("rate_limited", 0.25),
        ("ok", None),
    ]


class ClockBefore(SystemClock):
    """A quarter of a second before a whole second, so that an HTTP date is near."""

    def __init__(self, date: datetime) -> None:
        self._now = date - timedelta(seconds=0.25)

    def now(self) -> datetime:
        return self._now


async def test_a_retry_after_that_is_a_date_is_obeyed() -> None:
    date = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    async with (
        Refusing({"Retry-After": http_date(date)}) as server,
        client_for(settings(server.url), retry=PATIENT, clock=ClockBefore(date)) as client,
    ):
        await client.generate(request())

    assert 0.25 <= server.times[1] - server.times[0] < 2


async def test_the_slot_is_free_while_a_call_waits() -> None:
    script = FaultScript(sequence=("429-seconds",), retry_after_s=1)
    async with (
        FakeProvider(ProviderOptions(script=script)) as server,
        client_for(settings(server.base_url), retry=PATIENT, concurrency=1) as client,
    ):
        waiting = asyncio.create_task(client.generate(request(text="waits")))
        await until(lambda: bool(server.ledger.calls))
        others = [await client.generate(request(text=str(n))) for n in range(5)]
        assert not waiting.done()
        response = await waiting

        calls = server.ledger.calls
        assert [call.attempt for call in calls] == [1, 1, 1, 1, 1, 1, 2]
        assert calls[-1].time_in - (calls[0].time_out or 0) >= 1
    assert response.attempts == 2
    assert all(other.attempts == 1 for other in others)


async def test_begun_work_is_finished_before_new_work_is_begun() -> None:
    script = FaultScript(sequence=("ok", "500"))
    async with (
        FakeProvider(ProviderOptions(latency_ms=80, script=script)) as server,
        client_for(
            settings(server.base_url), retry=RetryPolicy(base_s=0.0), concurrency=2
        ) as client,
    ):
        async with asyncio.TaskGroup() as tasks:
            for n in range(8):
                tasks.create_task(client.generate(request(text=f"work {n}")))

        attempts = [call.attempt for call in server.ledger.calls]

    # Calls 1 and 2 are first; the retry of the second is the fourth or fifth, before the rest.
    assert attempts.index(2) <= 4
    assert len(attempts) == 9


async def test_faults_at_random_lose_nothing_and_every_attempt_is_counted() -> None:
    script = FaultScript(
        seed=5,
        rates={
            "429-ms": 0.1,
            "500": 0.05,
            "reset-before-headers": 0.05,
            "malformed-json": 0.02,
            "truncated-body": 0.05,
            "close-without-reply": 0.03,
        },
        retry_after_s=0,
    )
    seen: list[AttemptRecord] = []
    async with (
        FakeProvider(ProviderOptions(script=script)) as server,
        client_for(settings(server.base_url), retry=PATIENT, concurrency=20) as client,
    ):
        results = await asyncio.gather(
            *(client.generate(request(text=f"q{n}"), on_attempt=seen.append) for n in range(300)),
            return_exceptions=True,
        )
        assert len(server.ledger.calls) == len(seen)

    errors = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(error, LLMError) for error in errors)
    assert len(errors) <= 2  # a malformed answer is tried only once more


async def test_nothing_listening_is_told_at_once_and_once() -> None:
    async with TinyServer() as server:
        url = server.url
    seen: list[AttemptRecord] = []
    async with client_for(settings(url), retry=PATIENT) as client:
        with pytest.raises(EndpointUnreachable, match="base_url"):
            await client.generate(request(), on_attempt=seen.append)

    assert len(seen) == 1


async def test_many_refused_calls_are_one_call_each() -> None:
    script = FaultScript(models={"fake-model": "401"})
    async with (
        FakeProvider(ProviderOptions(script=script)) as server,
        client_for(settings(server.base_url), retry=PATIENT) as client,
    ):
        for n in range(5):
            with pytest.raises(AuthenticationFailed, match="WORKBENCH_ENDPOINT_LAB_API_KEY"):
                await client.generate(request(text=str(n)))
        assert len(server.ledger.calls) == 5


async def test_draining_lets_a_call_in_flight_end() -> None:
    async with (
        FakeProvider(ProviderOptions(latency_ms=200)) as server,
        client_for(settings(server.base_url)) as client,
    ):
        in_flight = asyncio.create_task(client.generate(request()))
        await until(lambda: bool(server.ledger.calls))
        client.drain()

        assert (await in_flight).choices[0].message.text == "hello ☃ world"


@pytest.mark.parametrize("dialect", ["openai", "ollama"])
async def test_no_connection_and_no_task_is_left_behind(dialect: str) -> None:
    before = asyncio.all_tasks()
    script = FaultScript(
        seed=3,
        rates={"reset-mid-body": 0.2, "truncated-chunked": 0.2, "500": 0.2},
    )
    async with FakeProvider(ProviderOptions(script=script)) as server:
        url = server.ollama_url if dialect == "ollama" else server.base_url
        one = provider(settings(url, dialect))
        for n in range(40):
            wanted = request(text=f"q{n}", dialect=dialect)
            try:
                if n % 2:
                    await one.generate(wanted)
                else:
                    async with aclosing(one.stream(wanted)) as events:
                        await anext(events)  # and then the reader leaves
            except LLMError:
                pass
        await one.close()
        await until(lambda: not server.ledger.in_flight)

    assert asyncio.all_tasks() == before
