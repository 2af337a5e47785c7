"""The one retry layer: whether a failed call is made again, and after how long.

Pure: it decides, the client waits. The waiting call holds no slot meanwhile.

- A rate limit (429) is obeyed: no sooner than `Retry-After` says. It uses up no attempt, since
  the provider did nothing; the waiting budget bounds it.
- A broken connection, a 5xx and a cut stream are tried again up to `max_attempts` calls in all.
- A time-out and a malformed answer are tried again once: they may be charged, and a third try
  seldom differs.
- An endpoint that has never answered is not tried again when it cannot be reached: a wrong
  address does not heal, a restarting server has answered before.
- Everything else is final at once.

Waits grow exponentially with full jitter (a uniform draw between zero and the bound), so that
calls which failed together do not come back together. Neither stamina nor tenacity is used: they
cost 42 to 52 microseconds for every call that succeeds at once, three times what the rest of the
client's bookkeeping does, and a wait that ends early when the client drains would still be ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from app.llm.errors import (
    EndpointUnreachable,
    LLMError,
    MalformedResponse,
    RateLimited,
    Timeout,
)

__all__ = ["RetryPolicy", "RetryState"]

_TRIED_ONCE_MORE = (Timeout, MalformedResponse)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`max_attempts` bounds calls that failed other than by a rate limit; 1 never retries.

    The k-th wait (from 0) is drawn from 0 to `base_s` x 2**k seconds, at most `cap_s`. All waits
    of one generation together take at most `budget_s` seconds. A wait that the provider asked for
    is lengthened by up to `spread` of itself.
    """

    max_attempts: int = 6
    base_s: float = 0.25
    cap_s: float = 20.0
    budget_s: float = 120.0
    spread: float = 0.05


@dataclass(slots=True)
class RetryState:
    """What happened to one generation so far."""

    policy: RetryPolicy
    random: Random
    waited_s: float = 0.0
    _failures: int = 0
    _refusals: int = 0
    _once_more: set[type[LLMError]] = field(default_factory=set)

    def next_wait(self, error: LLMError, *, endpoint_answered: bool = True) -> float | None:
        """Return the seconds to wait before the next call, None if the error is final.

        `endpoint_answered` says whether the endpoint ever answered a call of this process.
        """
        if not self._may_retry(error, endpoint_answered=endpoint_answered):
            return None
        wait = self._wait(error)
        if self.waited_s + wait > self.policy.budget_s:
            return None
        self.waited_s += wait
        return wait

    def _may_retry(self, error: LLMError, *, endpoint_answered: bool) -> bool:
        if not error.retryable:
            return False
        if isinstance(error, RateLimited):
            self._refusals += 1
            return True
        if isinstance(error, EndpointUnreachable) and not endpoint_answered:
            return False
        if isinstance(error, _TRIED_ONCE_MORE):
            if type(error) in self._once_more:
                return False
            self._once_more.add(type(error))
        self._failures += 1
        return self._failures < self.policy.max_attempts

    def _wait(self, error: LLMError) -> float:
        if error.retry_after_s is not None:
            return error.retry_after_s * (1 + self.random.uniform(0, self.policy.spread))
        rounds = self._refusals if isinstance(error, RateLimited) else self._failures
        bound = min(self.policy.cap_s, self.policy.base_s * 2.0 ** (rounds - 1))
        return self.random.uniform(0, bound)
