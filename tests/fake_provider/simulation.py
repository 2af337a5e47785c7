"""How fast a perfect client could be against a fault script: a discrete-event simulation.

The model: `concurrency` slots; a call holds a slot for the latency and does nothing else; a client
that costs no time. A call that met a retryable fault gives its slot back, waits as long as it was
told (or as the back-off says), and then goes before all work that has not begun. Faults come from
the same pure `FaultScript` as in the server, attempt by attempt, so the calls are exactly those
that the server would see, and the last ending is the time that is possible for this policy.
"""

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.fake_provider.faults import OK, Fault, FaultScript, Meaning

__all__ = ["RETRYABLE", "Ending", "RetryPolicy", "Simulation", "simulate"]

RETRYABLE: frozenset[Meaning] = frozenset({"rate_limited", "server", "connection", "timeout"})


def _no_wait(failed_attempt: int) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """What the client does after a fault.

    At most `max_attempts` calls for one piece of work. A fault that names a waiting time is obeyed
    to the letter; after any other one, `backoff_s` gives the seconds to wait after the n-th failed
    attempt (from 1). Faults whose meaning is not in `retryable` end the work at once. A fault that
    never ends by itself holds its slot for `time_limit_s`.
    """

    max_attempts: int = 6
    backoff_s: Callable[[int], float] = _no_wait
    retryable: frozenset[Meaning] = RETRYABLE
    time_limit_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Ending:
    """How one piece of work ended: when, in seconds from the start; after how many attempts; with
    which fault, or `ok`."""

    at_s: float
    attempts: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Simulation:
    """The endings, in the order of the work that was given."""

    endings: tuple[Ending, ...]

    @property
    def last_s(self) -> float:
        """Seconds from the start to the last ending; 0 without work."""
        return max((ending.at_s for ending in self.endings), default=0.0)

    @property
    def calls(self) -> int:
        """Calls that the provider receives."""
        return sum(ending.attempts for ending in self.endings)

    def share_done_s(self, share: float) -> float:
        """Return the seconds until at least `share` (in (0, 1]) of the work has ended.

        Raises:
            ValueError: the share is outside (0, 1], or there was no work.
        """
        if not 0 < share <= 1 or not self.endings:
            raise ValueError("Ask for a share in (0, 1] of at least one piece of work.")
        times = sorted(ending.at_s for ending in self.endings)
        # The small term keeps 0.99 x 100 from being 99.00000000000001.
        return times[math.ceil(share * len(times) - 1e-9) - 1]


def simulate(
    identities: Sequence[str],
    *,
    script: FaultScript,
    concurrency: int,
    latency_s: float,
    policy: RetryPolicy,
) -> Simulation:
    """Return when each piece of work ends; work begins in the order given.

    Equal identities share their attempt numbers, as they do at the server.

    Raises:
        ValueError: the script does more than rates, concurrency is below 1, the latency is
            negative, or a fault that never ends meets a policy without a time limit.
    """
    if not script.rates_only:
        raise ValueError("Only scripts that consist of rates can be simulated.")
    if concurrency < 1 or latency_s < 0 or policy.max_attempts < 1:
        raise ValueError("Concurrency and attempts start at 1, latency at 0 seconds.")
    run = _Run(identities, script, concurrency, latency_s, policy)
    run.play()
    return Simulation(tuple(run.endings[index] for index in range(len(identities))))


@dataclass(frozen=True, slots=True, order=True)
class _Event:
    """Something that happens to the work `index`: its call ended, or else its wait is over."""

    at_s: float
    order: int
    index: int
    call_ended: bool


class _Run:
    """One simulation under way."""

    def __init__(
        self,
        identities: Sequence[str],
        script: FaultScript,
        concurrency: int,
        latency_s: float,
        policy: RetryPolicy,
    ) -> None:
        self.endings: dict[int, Ending] = {}
        self._identities = identities
        self._script = script
        self._free_slots = concurrency
        self._latency_s = latency_s
        self._policy = policy
        self._now_s = 0.0
        self._new = deque(range(len(identities)))
        self._ready: deque[int] = deque()
        self._events: list[_Event] = []
        self._event_count = 0
        self._identity_calls: Counter[str] = Counter()
        self._attempts: Counter[int] = Counter()
        self._faults: dict[int, Fault | None] = {}

    def play(self) -> None:
        self._start_calls()
        while self._events:
            self._now_s = self._events[0].at_s
            # All that happens at one instant comes first: a retry that is ready right now goes
            # before new work, whichever of the two events was written down earlier.
            while self._events and self._events[0].at_s == self._now_s:
                self._happen(heapq.heappop(self._events))
            self._start_calls()

    def _start_calls(self) -> None:
        while self._free_slots and (self._ready or self._new):
            self._free_slots -= 1
            self._start_call(self._ready.popleft() if self._ready else self._new.popleft())

    def _start_call(self, index: int) -> None:
        identity = self._identities[index]
        self._identity_calls[identity] += 1
        self._attempts[index] += 1
        fault = self._script.fault_for(identity, self._identity_calls[identity])
        self._faults[index] = fault
        held_s = self._policy.time_limit_s if fault and fault.endless else self._latency_s
        if math.isinf(held_s):
            raise ValueError("A fault never ends here: give the policy a time limit.")
        self._plan(held_s, index, call_ended=True)

    def _plan(self, delay_s: float, index: int, *, call_ended: bool) -> None:
        self._event_count += 1
        event = _Event(self._now_s + delay_s, self._event_count, index, call_ended)
        heapq.heappush(self._events, event)

    def _happen(self, event: _Event) -> None:
        if not event.call_ended:
            self._ready.append(event.index)
            return
        self._free_slots += 1
        wait_s = self._wait_s(event.index)
        if wait_s is None:
            fault = self._faults[event.index]
            outcome = fault.name if fault and fault.meaning != "usable" else OK
            ending = Ending(self._now_s, self._attempts[event.index], outcome)
            self.endings[event.index] = ending
        else:
            self._plan(wait_s, event.index, call_ended=False)

    def _wait_s(self, index: int) -> float | None:
        """Return the seconds to wait before the next attempt, None if there is to be none."""
        fault, attempts = self._faults[index], self._attempts[index]
        if fault is None or fault.meaning not in self._policy.retryable:
            return None
        if attempts >= self._policy.max_attempts:
            return None
        told_s = self._script.told_wait_s(fault)
        return self._policy.backoff_s(attempts) if told_s is None else told_s
