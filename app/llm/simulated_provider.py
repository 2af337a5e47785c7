"""The simulated model as a provider: needs no network and no key, and costs nothing.

The answers are the engine's (`app.llm.simulated`): a pure function of the request, so every run
of the same experiment gives the same results. This module adds what a provider does around them:
it takes as long as the engine says, streams in pieces, and fails as its script says. Whatever
comes from here is marked simulated by its provider name, `simulated`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from app.core.hashing import JSON, canonical_json
from app.llm.errors import LLMError, RateLimited, ServerError
from app.llm.parsing import finish_reason_of, mapping
from app.llm.pricing import choice_count, output_token_bound
from app.llm.providers import ModelReport, ProviderReply
from app.llm.simulated import SimulatedAnswer, answer
from app.llm.types import Choice, LLMRequest, Message, StreamEvent, Usage

__all__ = ["SimulatedFaults", "SimulatedProvider"]

_PIECES = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True)
class SimulatedFaults:
    """Shares of calls that fail, each between 0 and 1 and together at most 1.

    Which calls those are follows from `seed`, the request and how often it was tried, not from
    the order of arrival. A rate limit asks to wait `retry_after_s` seconds.
    """

    rate_limited: float = 0.0
    server_error: float = 0.0
    retry_after_s: float = 1.0
    seed: int = 0


class SimulatedProvider:
    """`speed` divides all latencies: 1 is the engine's, infinity answers at once."""

    def __init__(
        self, endpoint: str, *, faults: SimulatedFaults | None = None, speed: float = 1.0
    ) -> None:
        self._endpoint = endpoint
        self._faults = faults or SimulatedFaults()
        self._fails = self._faults.rate_limited + self._faults.server_error > 0
        self._speed = speed
        self._tries: Counter[bytes] = Counter()

    async def generate(self, request: LLMRequest) -> ProviderReply:
        """Answer after the simulated latency."""
        answers = self._answers(request)
        self._maybe_fail(request)
        await self._sleep(max(one.latency_ms for one in answers))
        return _reply(request, answers)

    async def stream(
        self, request: LLMRequest
    ) -> AsyncGenerator[StreamEvent | ProviderReply, None]:
        """Answer word by word, evenly over the simulated time."""
        answers = self._answers(request)
        self._maybe_fail(request)
        first = answers[0]
        await self._sleep(first.first_token_ms)
        pieces = _PIECES.findall(first.text)
        step_ms = (first.latency_ms - first.first_token_ms) / max(1, len(pieces))
        for piece in pieces:
            yield StreamEvent(piece)
            await self._sleep(step_ms)
        yield _reply(request, answers)

    async def probe(self, provider_model: str) -> ModelReport:
        """Report the model: any name is one."""
        return ModelReport(provider_model)

    async def close(self) -> None:
        """Nothing is open."""

    def _answers(self, request: LLMRequest) -> list[SimulatedAnswer]:
        messages: list[dict[str, JSON]] = [message.to_json() for message in request.messages]
        temperature, seed = request.parameters.get("temperature"), request.parameters.get("seed")
        return [
            answer(
                messages,
                model=request.target.provider_model,
                temperature=temperature if isinstance(temperature, (int, float)) else None,
                max_tokens=output_token_bound(request),
                seed=seed if isinstance(seed, int) else None,
                repetition_nonce=f"{request.repetition}/{index}",
                response_format=mapping(request.response_format),
            )
            for index in range(choice_count(request))
        ]

    def _maybe_fail(self, request: LLMRequest) -> None:
        if not self._fails:
            return
        cell = canonical_json([request.request_shape, request.repetition, self._faults.seed])
        key = hashlib.sha256(cell).digest()
        self._tries[key] += 1
        draw = _unit(key, self._tries[key])
        error = self._fault(draw)
        if error is not None:
            raise error
        del self._tries[key]

    def _fault(self, draw: float) -> LLMError | None:
        faults = self._faults
        what = f"Endpoint {self._endpoint!r} simulates"
        if draw < faults.rate_limited:
            return RateLimited(
                f"{what} a rate limit.", http_status=429, retry_after_s=faults.retry_after_s
            )
        if draw < faults.rate_limited + faults.server_error:
            return ServerError(f"{what} a failure.", http_status=500)
        return None

    async def _sleep(self, milliseconds: float) -> None:
        await asyncio.sleep(milliseconds / 1000 / self._speed)


def _unit(key: bytes, attempt: int) -> float:
    """Return a number in [0, 1) that belongs to this attempt."""
    digest = hashlib.sha256(key + attempt.to_bytes(4, "big")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _reply(request: LLMRequest, answers: list[SimulatedAnswer]) -> ProviderReply:
    return ProviderReply(
        choices=tuple(
            Choice(
                Message("assistant", one.text),
                finish_reason_of(one.finish_reason),
                one.finish_reason,
            )
            for one in answers
        ),
        usage=Usage(answers[0].input_tokens, sum(one.output_tokens for one in answers), 0, 0),
        reported_model=request.target.provider_model,
    )
