"""Carry out the open cells of an experiment with bounded concurrency.

A fixed number of workers pull cells from a lazy source, render, call the model through
the one client, and hand outcomes to the group commit. The client's slots bound the calls
in flight; there are more workers than slots, because a call that waits for its retry
gives its slot back and another cell should use it.

Stopping, from gentle to hard: `stop()` lets calls in flight finish and starts none;
cancelling the task ends at once. Either way what ended is stored and the rest stays open.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from app.core.clock import Clock
from app.core.errors import Invalid
from app.core.fact_settings import FactSetting
from app.core.hashing import JSON
from app.llm.budget import BudgetReached
from app.llm.client import LLMClient
from app.llm.errors import (
    BadRequest,
    CallNotStarted,
    ContentFiltered,
    LLMError,
    ParameterNotSupported,
    TruncatedStream,
)
from app.llm.types import (
    NO_USAGE,
    AttemptRecord,
    FinishReason,
    LLMRequest,
    LLMResponse,
    ModelTarget,
)
from app.schemas.experiments import RunView
from app.schemas.generations import (
    AttemptOutcome,
    GenerationStatus,
    Outcome,
    Provenance,
    StoredAnswer,
)
from workbench.runner.generation.group_commit import GroupCommit, Store
from workbench.runner.generation.probation import Probation, is_fatal
from workbench.runner.generation.remaining import Cell

__all__ = ["CallPlan", "Cells", "ExecutionReport", "Executor", "FatalError", "Progress", "Work"]

_WORKERS_PER_SLOT = 3
_SPARE_WORKERS = 16
_HOPELESS = 100


class Cells(Protocol):
    """Where the open cells come from."""

    async def next(self) -> Cell | None:
        """Return the next open cell; None when there is none left or the source is closed."""
        ...

    def close(self) -> None:
        """Hand out no further cell."""
        ...


class CallPlan(Protocol):
    """How the calls of one kind are made: those of a run, or those of one seat of a judge."""

    @property
    def run(self) -> RunView | None: ...

    @property
    def target(self) -> ModelTarget: ...

    @property
    def provenance(self) -> Provenance: ...

    def request(self, cell: Cell) -> LLMRequest:
        """Render one cell; `Invalid` if it lacks a variable."""
        ...

    def request_hash(self, request: LLMRequest) -> str:
        """Return the identity of a request; `Invalid` if no JSON can hold it."""
        ...


@dataclass
class Progress:
    """What has been committed so far in this process. Counts never run ahead of the record.

    `unpaid` counts the cells that stay open because the budget could not pay their call;
    `unpaid_call` is what the dearest of these calls may cost, in US dollars.
    """

    done: int = 0
    completed: int = 0
    failed: int = 0
    refused: int = 0
    calls: int = 0
    cost: float = 0.0
    unpriced: int = 0
    unpaid: int = 0
    unpaid_call: float = 0.0
    reused: int = 0
    first_call_at: datetime | None = None
    last_commit_at: datetime | None = None
    errors: dict[str, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    peak_mib: float = 0.0

    def weigh(self) -> None:
        """Note what this process has used so far: seconds of CPU, and memory at its peak."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.cpu_s = used.ru_utime + used.ru_stime
        # The kernel counts kibibytes, except on macOS, where it counts bytes.
        self.peak_mib = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

    def count(
        self, outcomes: Sequence[Outcome], attempts: Sequence[AttemptOutcome], now: datetime
    ) -> None:
        """Add a committed batch."""
        self.calls += len(attempts)
        for outcome in outcomes:
            self.done += 1
            if outcome.status == "completed":
                self.completed += 1
            elif outcome.status == "refused":
                self.refused += 1
            else:
                self.failed += 1
                code = outcome.error_code or outcome.status
                self.errors[code] = self.errors.get(code, 0) + 1
            if outcome.reused_from_id is not None:
                self.reused += 1  # paid for before
            elif outcome.cost is None:
                self.unpriced += 1
            else:
                self.cost += float(outcome.cost)
        if outcomes:
            self.last_commit_at = now
        for attempt in attempts:
            if self.first_call_at is None or attempt.record.started_at < self.first_call_at:
                self.first_call_at = attempt.record.started_at


@dataclass(frozen=True)
class FatalError:
    """An error that every further call would meet, with the run that met it (None: a judge).

    `fact` is what `workbench models set --parameter` takes to mend a refused parameter.
    """

    code: str
    message: str
    run: RunView | None
    endpoint: str
    http_status: int | None = None
    fact: str | None = None


@dataclass(frozen=True)
class ExecutionReport:
    """How an execution ended: whether it was stopped from outside, or by a fatal error."""

    progress: Progress
    stopped: bool
    fatal: FatalError | None = None


class Work(Protocol):
    """The calls of an experiment, in this process or in several."""

    @property
    def progress(self) -> Progress: ...

    def stop(self) -> None:
        """Let calls in flight finish and start none."""
        ...

    async def run(self) -> ExecutionReport:
        """Work until no cell is open, or until stopped; once."""
        ...


class Executor:
    """One execution in one process; `await run()` once."""

    def __init__(
        self,
        plans: Sequence[CallPlan],
        source: Cells,
        client: LLMClient,
        store: Store,
        clock: Clock,
        *,
        concurrency: int,
        first_calls: int,
        trusted: Collection[ModelTarget] = (),
    ) -> None:
        """`first_calls` is how many calls may be out before a model has answered; `trusted`
        are the models that answered this experiment before."""
        self.progress = Progress()
        self._plans = plans
        self._source = source
        self._client = client
        self._clock = clock
        self._store = store
        self._workers = concurrency * _WORKERS_PER_SLOT + _SPARE_WORKERS
        models = {plan.target for plan in plans}
        share = max(1, first_calls // len(models))
        self._probation = {target: Probation(share, trusted=target in trusted) for target in models}
        self._stopping = False
        self._unpaid_in_a_row = 0
        self._fatal: FatalError | None = None

    def stop(self) -> None:
        """Start no further call; those in flight finish and are stored."""
        self._stopping = True
        self._source.close()
        self._client.drain()
        for probation in self._probation.values():
            probation.abandon()

    async def run(self) -> ExecutionReport:
        """Work until no cell is open, or until stopped."""
        commits = GroupCommit(
            self._store,
            lambda outcomes, attempts: self.progress.count(outcomes, attempts, self._clock.now()),
        )
        watch = asyncio.create_task(self._stop_when_failed(commits))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work(commits))
        finally:
            watch.cancel()
            await commits.close()
        self._judge_first_calls()
        self.progress.weigh()
        stopped = self._stopping and self._fatal is None
        return ExecutionReport(self.progress, stopped, self._fatal)

    async def _stop_when_failed(self, commits: GroupCommit) -> None:
        await commits.failed.wait()
        self.stop()

    async def _work(self, commits: GroupCommit) -> None:
        while (cell := await self._source.next()) is not None:
            plan = self._plans[cell.run_index]
            if cell.answer is not None:
                await commits.add(_reused(cell, plan, cell.answer, self._clock.now()))
                continue
            probation = self._probation[plan.target]
            first = await probation.admit()
            if self._stopping:
                return
            for outcome in await self._outcomes(cell, plan, probation, commits, first):
                await commits.add(outcome)

    async def _outcomes(
        self, cell: Cell, plan: CallPlan, probation: Probation, commits: GroupCommit, first: bool
    ) -> list[Outcome]:
        """Make one cell's outcome; several if first calls were held back until now."""
        last: list[AttemptRecord] = []

        def observe(record: AttemptRecord) -> None:
            last[:] = [record]
            self._unpaid_in_a_row = 0
            commits.add_attempt(AttemptOutcome(cell.id, plan.provenance.run_id, record))

        started = self._clock.now()
        try:
            request = plan.request(cell)
            request_hash = plan.request_hash(request)
        except Invalid as error:
            return [_unrendered(cell, plan, error, started)]
        try:
            response = await self._client.generate(request, on_attempt=observe)
        except BudgetReached as reached:
            self._leave_unpaid(reached, waited_for=first and not probation.over)
            return []
        except CallNotStarted:
            return []
        except LLMError as error:
            outcome = _failed(cell, plan, request, request_hash, error, last, self._clock.now())
            if is_fatal(error):
                self._stop_for(error, plan)
                return []
            if first and probation.holds and isinstance(error, BadRequest):
                if refused := probation.hold(outcome, error):
                    self._stop_for(refused, plan)
                return []
            return [*probation.passed(), outcome] if first else [outcome]
        outcome = _answered(cell, plan, request, request_hash, response, self._clock.now())
        return [*probation.passed(), outcome] if not probation.over else [outcome]

    def _leave_unpaid(self, reached: BudgetReached, *, waited_for: bool) -> None:
        """Leave a cell open that the budget cannot pay.

        Cheaper cells may still fit what is left, so the work goes on until none of many does. It
        ends at once if others wait for this call's answer.
        """
        self.progress.unpaid += 1
        self.progress.unpaid_call = max(self.progress.unpaid_call, float(reached.needed))
        self._unpaid_in_a_row += 1
        if waited_for or self._unpaid_in_a_row >= _HOPELESS:
            self.stop()

    def _stop_for(self, error: LLMError, plan: CallPlan) -> None:
        self._fatal = self._fatal or _fatal(error, plan)
        self.stop()

    def _judge_first_calls(self) -> None:
        for plan in self._plans:
            refused = self._probation[plan.target].verdict()
            if refused is not None:
                self._fatal = self._fatal or _fatal(refused, plan)


def _fatal(error: LLMError, plan: CallPlan) -> FatalError:
    return FatalError(
        code=error.code,
        message=error.message,
        run=plan.run,
        endpoint=plan.target.endpoint,
        http_status=error.http_status,
        fact=_missing_fact(error),
    )


_FACT_KINDS = MappingProxyType(
    {"unsupported": "unsupported", "exclusive": "exclusive", "renamed": "wire"}
)


def _missing_fact(error: LLMError) -> str | None:
    """Return the fact that the catalog lacks, if the provider refused a parameter."""
    if not isinstance(error, ParameterNotSupported) or error.parameter is None:
        return None
    return str(FactSetting(error.parameter, _FACT_KINDS[error.remedy], error.other or ""))


def _reused(cell: Cell, plan: CallPlan, answer: StoredAnswer, now: datetime) -> Outcome:
    """No call was made: the answer and its facts are those of an earlier generation."""
    request = plan.request(cell)
    return Outcome(
        id=cell.id,
        provenance=plan.provenance,
        example_id=cell.example.id,
        repetition=cell.repetition,
        status=answer.status,
        usage=answer.usage,
        started_at=now,
        finished_at=now,
        latency_ms=answer.latency_ms,
        attempt_count=0,
        request=request.request_shape,
        output=answer.output,
        error_code=answer.error_code,
        finish_reason=answer.finish_reason,
        cost=answer.cost,
        time_to_first_token_ms=answer.time_to_first_token_ms,
        reported_model=answer.reported_model,
        reported_fingerprint=answer.reported_fingerprint,
        request_id=request.request_id,
        request_hash=answer.request_hash,
        reused_from_id=answer.original_id,
    )


def _answered(
    cell: Cell,
    plan: CallPlan,
    request: LLMRequest,
    request_hash: str,
    response: LLMResponse,
    now: datetime,
) -> Outcome:
    choice = response.choices[0]
    message: dict[str, JSON] = choice.message.to_json()
    if len(response.choices) > 1:
        message["other_choices"] = [other.message.to_json() for other in response.choices[1:]]
    if choice.logprobs is not None:
        message["logprobs"] = choice.logprobs
    filtered = choice.finish_reason is FinishReason.CONTENT_FILTER
    status: GenerationStatus = "completed"
    if filtered or choice.message.refusal is not None:
        status = "refused"
    return Outcome(
        id=cell.id,
        provenance=plan.provenance,
        example_id=cell.example.id,
        repetition=cell.repetition,
        status=status,
        usage=response.usage,
        started_at=response.started_at,
        finished_at=now,
        latency_ms=response.latency_ms,
        attempt_count=response.attempts,
        request=request.request_shape,
        output=message,
        error_code=ContentFiltered.code if filtered else None,
        finish_reason=choice.finish_reason.value,
        cost=response.cost,
        time_to_first_token_ms=response.time_to_first_token_ms,
        reported_model=response.reported_model,
        reported_fingerprint=response.reported_fingerprint,
        request_id=request.request_id,
        trace_id=response.trace_id,
        request_hash=request_hash,
    )


def _failed(
    cell: Cell,
    plan: CallPlan,
    request: LLMRequest,
    request_hash: str,
    error: LLMError,
    last: Sequence[AttemptRecord],
    now: datetime,
) -> Outcome:
    status: GenerationStatus = "failed"
    output: JSON = None
    if isinstance(error, TruncatedStream):
        status = "incomplete"
        output = {"role": "assistant", "content": error.partial_text or ""}
    elif isinstance(error, ContentFiltered):
        status = "refused"
    attempt = last[0] if last else None
    return Outcome(
        id=cell.id,
        provenance=plan.provenance,
        example_id=cell.example.id,
        repetition=cell.repetition,
        status=status,
        usage=attempt.usage if attempt else NO_USAGE,
        started_at=attempt.started_at if attempt else now,
        finished_at=now,
        latency_ms=attempt.latency_ms if attempt else 0.0,
        attempt_count=attempt.number if attempt else 0,
        request=request.request_shape,
        output=output,
        error={"message": error.message, "http_status": error.http_status, "body": error.body},
        error_code=error.code,
        cost=attempt.cost if attempt else None,
        request_id=request.request_id,
        request_hash=request_hash,
    )


def _unrendered(cell: Cell, plan: CallPlan, error: Invalid, now: datetime) -> Outcome:
    """No call was made: the example does not fit the prompt."""
    return Outcome(
        id=cell.id,
        provenance=plan.provenance,
        example_id=cell.example.id,
        repetition=cell.repetition,
        status="failed",
        usage=NO_USAGE,
        started_at=now,
        finished_at=now,
        latency_ms=0.0,
        attempt_count=0,
        error={"message": error.message},
        error_code="invalid_input",
    )
