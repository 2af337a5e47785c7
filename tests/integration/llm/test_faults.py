"""Every fault that the fake provider can show ends in the right class, and every call counts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from app.llm.client import LLMClient
from app.llm.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectionFailed,
    ContentFiltered,
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
from app.llm.retry import RetryPolicy
from app.llm.types import AttemptRecord, LLMRequest, LLMResponse, UsageSource
from tests.fake_provider import FAULTS, FakeProvider, Fault, FaultScript, Meaning, ProviderOptions
from tests.integration.llm.support import (
    ONCE_MORE,
    QUICK,
    client_for,
    request,
    settings,
    url_of,
)

ONE_RATE_LIMIT = RetryPolicy(base_s=0.0, cap_s=0.0, spread=0.0, budget_s=-1.0)
"""No waiting budget at all: the first 429 is final."""

SCRIPT = FaultScript(retry_after_s=0, drip_interval_s=0.02, oversized_bytes=64 << 20)

CLASSES: Mapping[Meaning, type[LLMError]] = {
    "authentication": AuthenticationFailed,
    "bad_request": BadRequest,
    "connection": ConnectionFailed,
    "content_filtered": ContentFiltered,
    "malformed_response": MalformedResponse,
    "parameter_not_supported": ParameterNotSupported,
    "rate_limited": RateLimited,
    "server": ServerError,
    "timeout": Timeout,
    "truncated_stream": TruncatedStream,
    "unknown_model": UnknownModel,
}

# What the catalogue calls by a wider name.
SPECIAL: Mapping[str, type[LLMError]] = {
    "429-quota": QuotaExhausted,
    "oversized-body": ResponseTooLarge,
    "gzip-bomb": ResponseTooLarge,
}

CASES = [
    pytest.param(fault, dialect, stream, id=f"{dialect}-{'stream' if stream else 'plain'}-{name}")
    for dialect in ("openai", "ollama")
    for stream in (False, True)
    for name, fault in FAULTS.items()
    if fault.applies_to(dialect, stream=stream)
]


async def ask(
    client: LLMClient, wanted: LLMRequest, seen: list[AttemptRecord], *, stream: bool
) -> LLMResponse:
    if not stream:
        return await client.generate(wanted, on_attempt=seen.append)
    response = None
    async for event in client.stream(wanted, on_attempt=seen.append):
        response = event.response
    assert response is not None
    return response


def test_there_are_enough_faults() -> None:
    assert len({case.id for case in CASES}) == len(CASES) > 100
    assert len(FAULTS) >= 24


@pytest.mark.parametrize(("fault", "dialect", "stream"), CASES)
async def test_a_fault_has_its_class_and_every_call_is_on_the_ledger(
    fault: Fault, dialect: str, stream: bool
) -> None:
    seen: list[AttemptRecord] = []
    wanted = request(f"fault-{fault.name}", dialect=dialect)
    async with (
        FakeProvider(ProviderOptions(script=SCRIPT)) as server,
        client_for(
            settings(url_of(server, dialect), dialect, limits=QUICK),
            retry=ONCE_MORE if fault.meaning != "rate_limited" else ONE_RATE_LIMIT,
        ) as client,
    ):
        if fault.meaning == "usable":
            response = await ask(client, wanted, seen, stream=stream)
            check_usable(fault, response)
        else:
            kind = SPECIAL.get(fault.name) or CLASSES[fault.meaning]
            with pytest.raises(kind) as caught:
                await ask(client, wanted, seen, stream=stream)
            assert type(caught.value) is kind
            assert caught.value.attempts == len(seen)
            assert {record.outcome for record in seen} == {kind.code}
        assert len(server.ledger.calls) == len(seen)


def check_usable(fault: Fault, response: LLMResponse) -> None:
    """An odd answer is taken for what it is worth."""
    message = response.choices[0].message
    if fault.name == "refusal":
        assert message.refusal == "I would rather not."
    elif fault.name == "awkward-text":
        assert message.text.startswith("a\x00b\ufffdc")
        message.text.encode()
    elif fault.name == "split-utf8":
        assert message.text.endswith("é 漢字 🙂")
    else:
        assert message.text == "hello ☃ world"
    if "usage" in fault.name or "counts" in fault.name:
        assert response.usage.source is UsageSource.UNREPORTED
        assert response.usage.input_tokens is None
