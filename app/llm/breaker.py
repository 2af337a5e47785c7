"""A circuit breaker: an endpoint that keeps failing is left alone for a while.

A pure state machine; whoever uses it says what the time is (seconds of a monotonic clock). It is
closed while calls succeed. Failures in a row, or a share of failures among the calls of a window,
open it. After a pause one call, the probe, may try: its success closes the breaker, its failure
opens it for twice as long. Every call that `admit` let through ends in exactly one of `succeeded`,
`failed` and `released`, with the permit that it got. A permit is void once the breaker opens or
closes or another probe begins: a call from before says nothing of the endpoint's state now.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from app.llm.errors import CallNotStarted

__all__ = ["Breaker", "BreakerPolicy", "CircuitOpen"]


class CircuitOpen(CallNotStarted):
    """The endpoint failed too often lately: nothing was sent to it."""

    code = "circuit_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open, and for how long.

    `in_a_row` failures open at once; so does a `share` of failures among at least `least` calls of
    the last `window_s` seconds. The pause is `pause_s` at first, doubles with each failed probe and
    is at most `longest_s`.
    """

    in_a_row: int = 5
    share: float = 0.5
    least: int = 20
    window_s: float = 30.0
    pause_s: float = 5.0
    longest_s: float = 60.0


class Breaker:
    """The state of one endpoint."""

    def __init__(self, policy: BreakerPolicy | None = None) -> None:
        self._policy = policy or BreakerPolicy()
        self._calls: deque[tuple[float, bool]] = deque()  # (when it ended, whether it failed)
        self._failed = 0  # of those
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._pause_s = self._policy.pause_s
        self._probing = False
        self._permit = 1  # the one that counts now

    def wait_s(self, now: float) -> float:
        """Return in how many seconds a call may be let through; 0 if one may be now."""
        if self._opened_at is None:
            return 0.0
        if self._probing:
            return self._pause_s  # nobody knows when the probe ends; this long if it fails
        return max(0.0, self._pause_s - (now - self._opened_at))

    def admit(self, now: float) -> int | None:
        """Return the permit for a call now, None if none may be made.

        Of an open breaker's calls one may be, as its probe.
        """
        if self.wait_s(now) > 0:
            return None
        if self._opened_at is not None:
            self._probing = True
            self._permit += 1
        return self._permit

    def succeeded(self, permit: int, now: float) -> None:
        """The endpoint answered; that it refused the request is an answer too."""
        if permit != self._permit:
            return
        self._in_a_row = 0
        if self._opened_at is None:
            self._count(now, failed=False)
        else:
            self._close()

    def failed(self, permit: int, now: float) -> None:
        """The endpoint failed in a way that passes."""
        if permit != self._permit:
            return
        self._in_a_row += 1
        if self._opened_at is None:
            self._count(now, failed=True)
            if self._is_too_much():
                self._open(now)
        else:
            self._pause_s = min(2 * self._pause_s, self._policy.longest_s)
            self._open(now)

    def released(self, permit: int) -> None:
        """The call ended without saying anything about the endpoint."""
        if permit == self._permit:
            self._probing = False

    def _count(self, now: float, *, failed: bool) -> None:
        self._calls.append((now, failed))
        self._failed += failed
        while self._calls[0][0] < now - self._policy.window_s:
            self._failed -= self._calls.popleft()[1]

    def _is_too_much(self) -> bool:
        policy, count = self._policy, len(self._calls)
        return self._in_a_row >= policy.in_a_row or (
            count >= policy.least and self._failed >= policy.share * count
        )

    def _open(self, now: float) -> None:
        self._opened_at = now
        self._probing = False
        self._permit += 1

    def _close(self) -> None:
        self._permit += 1
        self._calls.clear()
        self._failed = 0
        self._opened_at = None
        self._probing = False
        self._pause_s = self._policy.pause_s
