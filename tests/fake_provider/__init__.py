"""A provider that never fails by accident: a fake for tests and benchmarks.

It speaks the OpenAI chat protocol under `/v1` and the Ollama protocol under `/api`, answers as a
deterministic function of the request, shows any of some fifty named faults on demand or at a
seeded rate, and keeps a ledger of its own, so that a test can hold the client's count against it.
In this process, on the running event loop:

    async with FakeProvider(ProviderOptions(latency_ms=100)) as server:
        client = AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0)
        ...
        assert server.ledger.summary()["answered"] == 1

As a process of its own, with or without an event loop: `with FakeProviderProcess(...) as server`,
or `python -m tests.fake_provider --help`. A model called `fault-NAME` shows that fault every time,
`fault-NAME-once` on the first attempt of each request. `simulate` computes what a perfect client
could reach against the same fault script.
"""

from tests.fake_provider.answers import Arithmetic
from tests.fake_provider.faults import FAULTS, Fault, FaultScript, Meaning, find_fault
from tests.fake_provider.hashing import request_identity
from tests.fake_provider.ledger import Call, Ledger, LedgerSummary, key_label
from tests.fake_provider.options import Drift, ProviderOptions
from tests.fake_provider.process import FakeProviderProcess
from tests.fake_provider.server import FakeProvider
from tests.fake_provider.simulation import Ending, RetryPolicy, Simulation, simulate

__all__ = [
    "FAULTS",
    "Arithmetic",
    "Call",
    "Drift",
    "Ending",
    "FakeProvider",
    "FakeProviderProcess",
    "Fault",
    "FaultScript",
    "Ledger",
    "LedgerSummary",
    "Meaning",
    "ProviderOptions",
    "RetryPolicy",
    "Simulation",
    "find_fault",
    "key_label",
    "request_identity",
    "simulate",
]
