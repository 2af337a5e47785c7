"""A hard budget: the worst case of every call is reserved before it and settled after it.

The client talks to a `BudgetStore`. `LeasedBudget` is one: the part of one process. It spends
from a lease, a slice of the budget that a `LeaseStore` has deducted before any of it is spent,
so that processes share one budget without asking each other for every call. The invariants:

- What is spent and what is reserved never exceed the lease, and the leases never exceed the
  budget, however many calls and processes there are.
- A call waits as long as its money may come back: from calls in flight here, or from leases of
  other processes. Only when nothing is out anywhere and its worst case still does not fit does
  it get `BudgetReached`.
- Who waits is served in order, retries first, and nobody overtakes: small calls cannot starve a
  large one.
- With money in the lease, reserving and settling are a few sums and touch no database.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Final, Protocol

from app.llm.errors import (
    AuthenticationFailed,
    BadRequest,
    CallNotStarted,
    ContentFiltered,
    EndpointUnreachable,
    LLMError,
    RateLimited,
    UnknownModel,
)
from app.llm.pricing import CostBound, cost
from app.llm.types import Price

__all__ = [
    "BudgetReached",
    "BudgetStore",
    "Funds",
    "InMemoryLeases",
    "LeaseStore",
    "LeasedBudget",
    "charge_of_error",
    "in_memory_budget",
    "slice_of",
]

_ZERO: Final = Decimal(0)
_QUANTUM: Final = Decimal("1e-10")
_POLL_S = 0.1
_IDLE_S = 0.25
_PATIENCE_S = 900.0

_CALLS_IN_A_SLICE = 64
_SLICES_LEFT = 8

_NOTHING_DONE = (RateLimited, AuthenticationFailed, UnknownModel, EndpointUnreachable)
_INPUT_READ = (BadRequest, ContentFiltered)


class BudgetReached(CallNotStarted):
    """The worst case of the call does not fit what is left of the budget; nothing was sent.

    A larger budget lets the same work go on.
    """

    code = "budget_reached"

    def __init__(self, needed: Decimal, left: Decimal) -> None:
        super().__init__(
            f"The budget is reached: the next call may cost ${needed:f} and ${left:f} is left."
        )
        self.needed = needed
        self.left = left


class BudgetStore(Protocol):
    """What may be spent, as the client sees it. Amounts are US dollars, zero or more."""

    def take(self, amount: Decimal) -> bool:
        """Reserve at once if it fits and nobody waits; return whether it was reserved."""
        ...

    def wait_for(self, amount: Decimal, *, urgent: bool = False) -> asyncio.Future[None]:
        """Queue for a reservation; `urgent` ones go first.

        The future is done as soon as the amount is reserved, or raises `BudgetReached`.
        Cancelling it leaves the queue.
        """
        ...

    def settle(self, reserved: Decimal, spent: Decimal) -> None:
        """Replace a reservation by what was spent; 0 gives all of it back."""
        ...


def charge_of_error(error: LLMError, bound: CostBound, price: Price | None) -> Decimal:
    """Return what a call that ended with this error is charged.

    What the provider reported counts. Otherwise, by what it can have done:

    - nothing, for refusals before any work: 429, a refused key, an unknown model, and an
      endpoint that could not be reached;
    - read the input, for 4xx refusals of the request: some providers charge for the tokens of a
      prompt that they filtered or found too long;
    - everything, for all else: a time-out, a broken connection, a 5xx and an answer that
      cannot be read may each hide a whole answer.
    """
    reported = cost(error.usage, price) if error.usage is not None else None
    if reported is not None:
        return reported
    if isinstance(error, _NOTHING_DONE):
        return _ZERO
    if isinstance(error, _INPUT_READ) and error.http_status != 200:
        return bound.input
    return bound.total


def slice_of(needed: Decimal, free: Decimal) -> Decimal:
    """Return how much of the free money a process takes when its next call needs `needed`.

    The money of some 64 calls, so that the database is asked once for many, and at most an eighth
    of what is free, so that no process sits on what another one needs near the end. Nothing if
    the call does not fit.
    """
    if needed > free:
        return _ZERO
    share = (free / _SLICES_LEFT).quantize(_QUANTUM, ROUND_DOWN)
    return max(needed, min(needed * _CALLS_IN_A_SLICE, share))


@dataclass(frozen=True, slots=True)
class Funds:
    """What came of a renewal: the new lease, what is free beyond all leases, and the sum of
    other holders' unsettled leases, out of which money may come back."""

    leased: Decimal
    free: Decimal
    others: Decimal


class LeaseStore(Protocol):
    """The one account of a budget that all processes share."""

    async def renew(self, *, spent: Decimal, reserved: Decimal, needed: Decimal) -> Funds:
        """Settle this holder's lease with `spent` and take the next one, in one transaction.

        The next lease covers `reserved`, which was part of the settled one, and a slice for a call
        that needs `needed` if that is free. No lease is kept that would hold nothing.
        """
        ...


class LeasedBudget:
    """One process's part of a budget; `await close()` settles its lease.

    Who waits for money of others looks for it every `poll_s` seconds, and money that was not
    used for `idle_s` seconds goes back. `patience_s` bounds how long a call waits for leases of
    others while none of them changes: the process that holds one may have been killed.
    """

    def __init__(
        self,
        leases: LeaseStore,
        *,
        poll_s: float = _POLL_S,
        idle_s: float = _IDLE_S,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._leases = leases
        self._poll_s = poll_s
        self._idle_s = idle_s
        self._patience_s = patience_s
        self._leased = _ZERO
        self._spent = _ZERO
        self._reserved = _ZERO
        self._total_spent = _ZERO
        self._urgent: deque[_Turn] = deque()
        self._waiting: deque[_Turn] = deque()
        self._settled = asyncio.Event()
        self._server: asyncio.Task[None] | None = None
        self._renewing = False
        self._taken_at = 0.0
        self._idle_check: asyncio.TimerHandle | None = None

    @property
    def spent(self) -> Decimal:
        """What this process has spent so far; calls of unknown outcome at their worst case."""
        return self._total_spent

    def take(self, amount: Decimal) -> bool:
        if not amount:
            return True  # a local model costs nothing and waits for nobody
        if self._renewing or self._urgent or self._waiting or amount > self._free:
            return False
        self._reserved += amount
        self._taken_at = asyncio.get_running_loop().time()
        return True

    def wait_for(self, amount: Decimal, *, urgent: bool = False) -> asyncio.Future[None]:
        turn = _Turn(amount, asyncio.get_running_loop().create_future())
        (self._urgent if urgent else self._waiting).append(turn)
        self._settled.set()  # an urgent one may stand before the one that is being served
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
        return turn.granted

    def settle(self, reserved: Decimal, spent: Decimal) -> None:
        self._reserved -= reserved
        self._spent += spent
        self._total_spent += spent
        self._settled.set()
        self._watch_idleness()

    async def close(self) -> None:
        """Send away who still waits and settle the lease; what is still reserved is spent."""
        while (turn := self._next()) is not None:
            turn.granted.set_exception(CallNotStarted("The budget was closed."))
        self._settled.set()
        if self._server is not None:
            await self._server  # it may be in the middle of a renewal
        self.settle(self._reserved, self._reserved)
        await self._renew(_ZERO)
        if self._idle_check is not None:
            self._idle_check.cancel()

    @property
    def _free(self) -> Decimal:
        return self._leased - self._spent - self._reserved

    def _next(self) -> _Turn | None:
        """Return whose turn it is, without those who have gone."""
        for queue in (self._urgent, self._waiting):
            while queue and queue[0].granted.done():
                queue.popleft()
            if queue:
                return queue[0]
        return None

    async def _serve(self, *, give_back: bool = False) -> None:
        try:
            if give_back:
                await self._renew(_ZERO)
            while (turn := self._next()) is not None:
                await self._serve_one(turn)
        except Exception as error:
            # The database refused. Whoever waits must learn of it; money that could not be given
            # back stays in the lease, and `close` meets the error again.
            while (turn := self._next()) is not None:
                turn.granted.set_exception(error)

    async def _serve_one(self, turn: _Turn) -> None:
        """Grant or refuse one turn; return as well when another one is to be served first."""
        if self._granted(turn):
            return
        funds = await self._renew(turn.amount)
        silent_s = 0.0
        while not turn.granted.done() and self._next() is turn and not self._granted(turn):
            if self._may_fit(turn, funds):
                funds = await self._renew(turn.amount)
                continue
            if not self._reserved and (not funds.others or silent_s >= self._patience_s):
                turn.granted.set_exception(BudgetReached(turn.amount, self._free + funds.free))
                return
            if not await self._call_ended(within_s=self._poll_s if funds.others else None):
                before, funds = funds, await self._renew(turn.amount)
                silent_s = silent_s + self._poll_s if before == funds else 0.0

    def _granted(self, turn: _Turn) -> bool:
        if turn.amount > self._free or turn.granted.done():
            return False
        self._reserved += turn.amount
        turn.granted.set_result(None)
        return True

    def _may_fit(self, turn: _Turn, funds: Funds) -> bool:
        """Whether money that came back here and what was free together are enough."""
        return self._free > 0 and turn.amount <= self._free + funds.free

    async def _call_ended(self, *, within_s: float | None) -> bool:
        """Wait until a call of this process ends; False if none did within the time."""
        self._settled.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    async def _renew(self, needed: Decimal) -> Funds:
        """Settle the lease and take the next. Calls may end meanwhile; none begins."""
        spent, reserved = self._spent, self._reserved
        self._renewing = True
        try:
            funds = await self._leases.renew(spent=spent, reserved=reserved, needed=needed)
        finally:
            self._renewing = False
        self._spent -= spent
        self._leased = funds.leased
        self._watch_idleness()
        return funds

    def _watch_idleness(self) -> None:
        if self._idle_check is None and self._free > 0:
            loop = asyncio.get_running_loop()
            self._idle_check = loop.call_later(self._idle_s, self._give_back_if_idle)

    def _give_back_if_idle(self) -> None:
        """Return what is not reserved if no call took any of it for a while."""
        self._idle_check = None
        served = self._server is not None and not self._server.done()
        if served or asyncio.get_running_loop().time() - self._taken_at < self._idle_s:
            self._watch_idleness()
        elif self._free > 0:
            self._server = asyncio.create_task(self._serve(give_back=True))


@dataclass(slots=True, eq=False)
class _Turn:
    """One call in the queue."""

    amount: Decimal
    granted: asyncio.Future[None]


class InMemoryLeases:
    """A budget that several `LeasedBudget`s of one process share; `part()` is one holder's view."""

    def __init__(self, amount: Decimal) -> None:
        self.amount = amount
        self.spent = _ZERO
        self.leases: dict[int, Decimal] = {}
        self.renewals = 0

    def part(self) -> LeaseStore:
        """Return the store of another holder."""
        return _Part(self, len(self.leases))


@asynccontextmanager
async def in_memory_budget(amount: Decimal) -> AsyncIterator[LeasedBudget]:
    """Yield a budget of this process alone, for work that belongs to no experiment."""
    budget = LeasedBudget(InMemoryLeases(amount).part())
    try:
        yield budget
    finally:
        await budget.close()


class _Part:
    def __init__(self, whole: InMemoryLeases, index: int) -> None:
        self._whole = whole
        self._index = index
        whole.leases[index] = _ZERO

    async def renew(self, *, spent: Decimal, reserved: Decimal, needed: Decimal) -> Funds:
        whole = self._whole
        whole.renewals += 1
        whole.spent += spent
        others = sum((v for k, v in whole.leases.items() if k != self._index), _ZERO)
        free = max(_ZERO, whole.amount - whole.spent - others - reserved)
        taken = slice_of(needed, free)
        whole.leases[self._index] = reserved + taken
        return Funds(reserved + taken, free - taken, others)
