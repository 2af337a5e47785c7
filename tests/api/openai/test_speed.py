"""What reading a request and writing its answer costs in CPU time; run by `make bench`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest

from app.api.openai.replies import completion, served_headers
from app.api.openai.requests import parse_completion_request
from app.llm.types import Choice, FinishReason, LLMResponse, Message, Usage
from app.schemas.chat import ChatResult, ServedBy

MOST_S = 0.0005
CALLS = 300

BODY = orjson.dumps(
    {
        "model": "support-bot@production",
        "user": "customer-4711",
        "metadata": {"ticket": "A-17"},
        "messages": [
            {"role": "user" if n % 2 == 0 else "assistant", "content": "x" * 240} for n in range(7)
        ],
    }
)


def answer() -> ChatResult:
    now, nobody = datetime.now(UTC), UUID(int=0)
    served = ServedBy("support-bot@production", nobody, nobody, 1, "primary", 1, nobody,
                      "sha256:ab", "support-bot@1", "openai/m@1", "openai", True)  # fmt: skip
    choice = Choice(Message("assistant", "x" * 800), FinishReason.STOP)
    response = LLMResponse((choice,), Usage(500, 200), None, 1.0, None, now, 1)
    return ChatResult(nobody, served, response, "completed", now)


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU time of one call: the least of several rounds, which others disturb."""
    rounds = []
    for _ in range(7):
        began = time.process_time()
        for _ in range(CALLS):
            work()
        rounds.append((time.process_time() - began) / CALLS)
    return min(rounds)


@pytest.mark.benchmark
def test_the_wire_costs_less_than_half_a_millisecond() -> None:
    result = answer()

    def reply() -> None:
        orjson.dumps(completion(result, "r1"))
        served_headers(result.served, result.generation_id)

    reading = cpu_s(lambda: parse_completion_request(BODY, request_id="r1"))
    writing = cpu_s(reply)
    print(f"\nrequest of {len(BODY)} bytes: {reading * 1e6:.0f} us, reply: {writing * 1e6:.0f} us")
    assert reading + writing <= MOST_S
