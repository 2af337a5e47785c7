"""The provider's own account of what it was asked and how it replied.

The ledger is the outside witness of a test: a client's count of its attempts has to equal this
one. Only chat calls are calls; other requests are counted by path alone. Times are of the
monotonic clock in seconds, which on Linux all processes of a machine share, so a benchmark in
another process may compare them with its own.

With a file, one JSON line is written for every call received and is flushed before its reply is
sent: whatever a killed client has seen, the file has too.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self, TypedDict

import orjson

from tests.fake_provider.hashing import hash_text

__all__ = ["Call", "Ledger", "LedgerSummary", "Outcome", "key_label"]

Outcome = Literal["in_flight", "answered", "fault", "refused", "client_gone"]


@dataclass(slots=True)
class Call:
    """One chat call.

    `n` counts calls from 1. `attempt` counts the calls of one identity from 1. `key` is a label of
    the API key (`key_label`), "" without one. `fault` is the name of the fault that was served.
    `status` is 0 while no reply is decided and for replies without a status. `in_flight` is the
    number of calls open at arrival, this one included. `time_out` is when the last byte was
    handed to the operating system or the client was gone; None before that.
    """

    n: int
    path: str
    identity: str
    attempt: int
    model: str
    stream: bool
    key: str
    in_flight: int
    time_in: float
    fault: str | None = None
    status: int = 0
    time_out: float | None = None
    client_gone: bool = False

    @property
    def outcome(self) -> Outcome:
        """What became of the call. A fault is a fault even if the client then left."""
        if self.fault is not None:
            return "fault"
        if self.client_gone:
            return "client_gone"
        if self.time_out is None:
            return "in_flight"
        return "answered" if self.status == 200 else "refused"


class LedgerSummary(TypedDict):
    """The counts of a ledger, as `GET /_ledger` sends them.

    `received` are calls; `answered` are those that got a whole good reply. `by_path` counts every
    request but the control paths. `reset_connections` were reset before a request. `cpu_s` is the
    processor time of the server's process since it began.
    """

    received: int
    answered: int
    by_outcome: dict[str, int]
    by_fault: dict[str, int]
    by_status: dict[str, int]
    by_path: dict[str, int]
    by_key: dict[str, int]
    in_flight: int
    max_in_flight: int
    reset_connections: int
    first_in: float | None
    last_in: float | None
    last_out: float | None
    cpu_s: float


def key_label(authorization: str) -> str:
    """Return a label for the key in an Authorization header: a hash, since ledgers get shared."""
    return hash_text(authorization.encode())[:8] if authorization else ""


class Ledger:
    """Calls in order of arrival, and the file that outlives the process if one is given.

    Every function in `watchers` is called after each arrival and each end of a call.
    """

    def __init__(
        self, path: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._file: BinaryIO | None = path.open("ab") if path else None
        self._unflushed = False
        self._labels: dict[str, str] = {}
        self.watchers: list[Callable[[], None]] = []
        self.in_flight = 0
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def reset(self) -> None:
        """Forget every call and count; calls still open stay in flight. The file is kept."""
        self.calls: list[Call] = []
        self.attempts: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.reset_connections = 0
        self.max_in_flight = self.in_flight

    def receive(
        self, *, path: str, identity: str, model: str, stream: bool, authorization: str
    ) -> Call:
        """Open a call, with the next number and the next attempt of its identity."""
        self.attempts[identity] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        key = self._labels.get(authorization)
        if key is None:
            key = self._labels[authorization] = key_label(authorization)
        call = Call(
            len(self.calls) + 1,
            path,
            identity,
            self.attempts[identity],
            model,
            stream,
            key,
            self.in_flight,
            self._clock(),
        )
        self.calls.append(call)
        self._notify()
        return call

    def decide(self, call: Call, *, fault: str | None, status: int) -> None:
        """Note which reply the call will get, and write its line."""
        call.fault, call.status = fault, status
        if self._file:
            line = orjson.dumps(_fields(call, _RECEIVED), option=orjson.OPT_APPEND_NEWLINE)
            self._file.write(line)
            self._unflushed = True

    def flush(self) -> None:
        """Hand written lines to the operating system; to be called before a reply is sent."""
        if self._unflushed and self._file:
            self._file.flush()
            self._unflushed = False

    def finish(self, call: Call, *, client_gone: bool) -> None:
        """Close a call."""
        call.time_out = self._clock()
        call.client_gone = client_gone
        self.in_flight -= 1
        self._notify()

    def _notify(self) -> None:
        for notify in self.watchers:
            notify()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def records(self) -> list[dict[str, object]]:
        """Return every call as `GET /_ledger/calls` sends it: its fields and its outcome."""
        names = Call.__slots__
        return [{**_fields(call, names), "outcome": call.outcome} for call in self.calls]

    def summary(self) -> LedgerSummary:
        """Return the counts as they stand."""
        calls = self.calls
        outcomes = Counter[str](call.outcome for call in calls)
        ends = [call.time_out for call in calls if call.time_out is not None]
        return LedgerSummary(
            received=len(calls),
            answered=outcomes["answered"],
            by_outcome=dict(outcomes),
            by_fault=dict(Counter(call.fault for call in calls if call.fault is not None)),
            by_status=dict(Counter(str(call.status) for call in calls)),
            by_path=dict(self.requests),
            by_key=dict(Counter(call.key for call in calls)),
            in_flight=self.in_flight,
            max_in_flight=self.max_in_flight,
            reset_connections=self.reset_connections,
            first_in=calls[0].time_in if calls else None,
            last_in=calls[-1].time_in if calls else None,
            last_out=max(ends, default=None),
            cpu_s=time.process_time(),
        )


# What is known of a call when its reply is decided, and so what its line in the file says.
_RECEIVED = tuple(name for name in Call.__slots__ if name not in ("time_out", "client_gone"))


def _fields(call: Call, names: Iterable[str]) -> dict[str, object]:
    return {name: getattr(call, name) for name in names}
