"""The simulated provider: the same answers every time, and faults as scripted."""

from __future__ import annotations

import math

import pytest

from app.llm.errors import LLMError, RateLimited
from app.llm.providers import ProviderReply
from app.llm.simulated_provider import SimulatedFaults, SimulatedProvider
from app.llm.types import FinishReason, LLMRequest, StreamEvent
from tests.unit.llm.support import request

TICKET = "Which queue is this for: billing or bug? I was charged twice. Answer with the label only."


def provider(faults: SimulatedFaults | None = None) -> SimulatedProvider:
    return SimulatedProvider("simulated", faults=faults, speed=math.inf)


async def test_equal_requests_get_equal_answers() -> None:
    wanted = request(TICKET, temperature=0)

    first, second = [await provider().generate(wanted) for _ in range(2)]

    assert first == second
    assert first.choices[0].message.text


async def test_usage_and_model_are_reported() -> None:
    reply = await provider().generate(request(TICKET, max_tokens=50))

    assert reply.usage.input_tokens
    assert reply.usage.output_tokens
    assert reply.reported_model == "model-1"


async def test_max_tokens_cuts_the_answer() -> None:
    reply = await provider().generate(request("Tell me a story about a fox.", max_tokens=1))

    assert reply.choices[0].finish_reason is FinishReason.LENGTH


async def test_several_choices_are_several_samples() -> None:
    reply = await provider().generate(request(TICKET, temperature=1.5, n=3))

    assert len(reply.choices) == 3


async def test_a_stream_adds_up_to_the_whole_answer() -> None:
    wanted = request("Tell me a story about a fox and a hen.", temperature=0)

    events = [event async for event in provider().stream(wanted)]

    whole = events.pop()
    assert isinstance(whole, ProviderReply)
    assert whole == await provider().generate(wanted)
    texts = [event.text for event in events if isinstance(event, StreamEvent)]
    assert "".join(texts) == whole.choices[0].message.text


async def outcomes(one: SimulatedProvider, wanted: LLMRequest, tries: int) -> list[str]:
    seen = []
    for _ in range(tries):
        try:
            await one.generate(wanted)
            seen.append("ok")
        except LLMError as error:
            seen.append(error.code)
    return seen


async def test_faults_hit_their_share_whatever_the_order_of_arrival() -> None:
    faults = SimulatedFaults(rate_limited=0.3, server_error=0.2, seed=7)
    requests = [request(f"ticket {n}") for n in range(300)]
    one, other = provider(faults), provider(faults)

    forwards = {r.messages[0].text: await outcomes(one, r, 1) for r in requests}
    backwards = {r.messages[0].text: await outcomes(other, r, 1) for r in reversed(requests)}

    assert forwards == backwards
    codes = [codes[0] for codes in forwards.values()]
    assert 60 <= codes.count("rate_limited") <= 120
    assert 35 <= codes.count("server_error") <= 85


async def test_a_call_that_failed_can_succeed_when_it_is_tried_again() -> None:
    faults = SimulatedFaults(rate_limited=0.5, retry_after_s=2.5)

    seen = [await outcomes(provider(faults), request(f"ticket {n}"), 6) for n in range(30)]

    assert any(codes[0] == "rate_limited" and "ok" in codes for codes in seen)


async def test_a_rate_limit_says_how_long_to_wait() -> None:
    with pytest.raises(RateLimited) as caught:
        await provider(SimulatedFaults(rate_limited=1, retry_after_s=2.5)).generate(request())

    assert caught.value.retry_after_s == 2.5


async def test_every_model_name_can_be_probed() -> None:
    assert (await provider().probe("sim-small-1")).provider_model == "sim-small-1"
