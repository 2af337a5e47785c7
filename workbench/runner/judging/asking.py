"""Put questions to a judge, and get answers that can be stored.

A question to a judge is a cell like any other: the judge's prompt, filled with what is judged,
on the judge's model. So the executor asks it, with its limits, retries, first calls on probation
and group commit, and its answer is a generation of purpose `judge` with its attempts, tokens and
cost. The id of a question follows from the judge, what is judged, seat, repeat and position:
whoever asks again finds the answer and makes no call. A question that the provider left without
an answer for a reason that passes, such as a rate limit, stays open and is asked again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias
from uuid import UUID

from app.bootstrap import Services
from app.core.errors import Invalid, WorkbenchError
from app.core.hashing import JSON
from app.core.ids import derived_id
from app.core.permissions import Actor
from app.llm.budget import BudgetStore
from app.llm.errors import (
    BadRequest,
    ConnectionFailed,
    RateLimited,
    ServerError,
    Timeout,
    TruncatedStream,
)
from app.llm.request_identity import request_hash
from app.llm.types import LLMRequest, ModelTarget
from app.schemas.datasets import ExampleView
from app.schemas.experiments import RunView
from app.schemas.generations import AttemptOutcome, Outcome, Provenance
from app.schemas.judgements import JudgeAnswer, PairPosition
from app.schemas.names import Reference
from app.services.cell_requests import model_target
from app.services.rendering import PromptRenderer
from workbench.runner.generation.execute import AUTO_CONCURRENCY
from workbench.runner.generation.executor import Executor, FatalError
from workbench.runner.generation.probation import MAX_FIRST_CALLS
from workbench.runner.generation.remaining import Cell
from workbench.runner.judging.fence_secret import fence_secret
from workbench.scorers import ScoreResult
from workbench.scorers.judges import (
    Answer,
    AnyJudge,
    Opinion,
    combined,
    opinion_of,
    response_format,
)

__all__ = [
    "Asked",
    "JudgeStopped",
    "Pages",
    "Panel",
    "Question",
    "answer_of",
    "answered",
    "ask",
    "left_open",
    "open_panel",
    "settled",
]

_PASSING: Final = frozenset(
    error.code for error in (RateLimited, Timeout, ConnectionFailed, ServerError, TruncatedStream)
)
"""Codes of errors after which the same question may be answered at another time."""


class JudgeStopped(WorkbenchError):
    """The judge could not be asked any further; what it said so far is stored.

    `reason` is the error's code, `budget_reached`, or `stopped`.
    """

    code = "judge_stopped"

    def __init__(self, message: str, reason: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Question:
    """One question to one seat of a judge; `subject` names what is judged, for the asker."""

    id: UUID
    subject: UUID
    seat: int
    repeat: int
    values: Mapping[str, JSON]
    position: PairPosition | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its answer as it is to be stored, and what it says."""

    question: Question
    outcome: Outcome
    opinion: Opinion

    @property
    def is_open(self) -> bool:
        """Whether the question is to be asked again: no answer came, for a reason that passes."""
        return self.outcome.error_code in _PASSING


@dataclass(frozen=True)
class _SeatPlan:
    """How one seat of a judge is asked."""

    target: ModelTarget
    provenance: Provenance
    renderer: PromptRenderer
    parameters: Mapping[str, JSON]
    digest: str | None
    response_format: JSON
    run: RunView | None = None

    def request(self, cell: Cell) -> LLMRequest:
        return LLMRequest(
            target=self.target,
            messages=self.renderer.render(cell.example.input),
            parameters=self.parameters,
            response_format=self.response_format,
            repetition=cell.repetition,
        )

    def request_hash(self, request: LLMRequest) -> str:
        return request_hash(request, self.digest)


@dataclass(frozen=True)
class Panel:
    """A judge made ready to be asked: a plan for each seat, the prompt's variables, the secret."""

    judge: AnyJudge
    scorer_id: UUID
    seats: Sequence[_SeatPlan]
    variables: frozenset[str]
    secret: bytes = field(repr=False)

    @property
    def asked(self) -> int:
        """How many questions one text takes in one order."""
        return len(self.seats) * self.samples

    @property
    def samples(self) -> int:
        """How often each seat is asked."""
        samples: int = self.judge.config.samples
        return samples

    def questions(
        self,
        subject: UUID,
        judged: Sequence[str],
        texts: Mapping[str, str],
        *,
        position: PairPosition | None = None,
        round_: int = 0,
    ) -> list[Question]:
        """Return the questions about one subject. `judged` is what tells it from every other one,
        in the order shown; another `round_` asks everything anew."""
        found = []
        for sample in range(self.samples):
            repeat = round_ * self.samples + sample
            values = self.judge.fenced_values(texts, self.secret, repeat)
            for seat in range(len(self.seats)):
                question_id = derived_id(str(self.scorer_id), *judged, str(seat), str(repeat))
                found.append(Question(question_id, subject, seat, repeat, values, position))
        return found

    def opinion(self, question: Question, answer: Answer) -> Opinion:
        """Read an answer to a question."""
        return opinion_of(answer, self.judge.scale, question.seat, question.repeat)

    def combined(self, opinions: Sequence[Opinion]) -> ScoreResult:
        """Return the score that the opinions on one subject make, in one order."""
        return combined(opinions, self.judge.scale, len(self.seats), self.samples)


async def open_panel(services: Services, judge: AnyJudge, scorer_id: UUID) -> Panel:
    """Read all that asking needs from the record; no call is made.

    Raises `Conflict` for a judge that was not resolved, `NotFound` for one that was resolved
    against another database, `Invalid` if its model takes a requested parameter no longer.
    """
    pins = judge.pins
    name = judge.prompt.partition("@")[0]
    prompt = await services.prompts.get(Reference(name, hash_prefix=pins.prompt_hash))
    renderer = PromptRenderer(prompt.content)
    form = response_format(judge.scale) if judge.config.json_schema else None
    seats = []
    for variant_hash in pins.variants:
        variant = await services.variants.get(variant_hash)
        for parameter, why in variant.refused.items():
            raise Invalid(
                f"{judge.name} asks for {parameter} and it cannot be sent: {why}.",
                path=f"parameters.{parameter}",
            )
        model = await services.models.get(variant.model)
        provenance = Provenance(
            run_id=None,
            variant_id=variant.id,
            prompt_version_id=prompt.id,
            model_version_id=model.id,
            provider=model.provider,
            model_price_id=model.price.id if model.price else None,
            applied_parameters=dict(variant.applied),
            left_out_parameters=dict(variant.left_out) or None,
        )
        seats.append(
            _SeatPlan(
                model_target(model), provenance, renderer, variant.applied, model.digest, form
            )
        )
    secret = await asyncio.to_thread(fence_secret, services.settings.workspace)
    return Panel(judge, scorer_id, seats, frozenset(prompt.content.variables), secret)


Store: TypeAlias = Callable[[Sequence[Asked], Sequence[AttemptOutcome]], Awaitable[None]]
Pages: TypeAlias = AsyncGenerator[Sequence[Question], None]


async def ask(
    services: Services,
    panel: Panel,
    pages: Pages,
    store: Store,
    *,
    budget: BudgetStore | None = None,
) -> None:
    """Ask every question of the pages; `store` gets answers and ended calls in batches.

    Raises `JudgeStopped` if some could not be asked, after what was answered is stored.
    """
    endpoints = {seat.target.endpoint for seat in panel.seats}
    client = services.llm_client(endpoints, budget=budget)
    cells = _Questions(pages)

    async def store_outcomes(
        outcomes: Sequence[Outcome], attempts: Sequence[AttemptOutcome]
    ) -> None:
        await store([_asked(panel, cells.taken(o.id), o) for o in outcomes], attempts)

    executor = Executor(
        panel.seats,
        cells,
        client,
        store_outcomes,
        services.clock,
        concurrency=AUTO_CONCURRENCY,
        first_calls=MAX_FIRST_CALLS,
    )
    try:
        async with aclosing(pages):
            report = await executor.run()
    finally:
        await client.close()
    if report.fatal is not None:
        raise _stopped(panel, report.fatal)
    if report.progress.unpaid:
        raise JudgeStopped(
            f"The budget is reached: {report.progress.unpaid} questions to {panel.judge.name} "
            "could not be asked.",
            "budget_reached",
            "What was judged is stored; a larger budget lets it go on.",
        )
    if report.stopped:
        raise JudgeStopped(
            f"{panel.judge.name} was stopped.",
            "stopped",
            "What was judged is stored; the same command goes on.",
        )


class _Questions:
    """The executor's source of cells: the questions of the pages, one page at a time."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._waiting: deque[Question] = deque()
        self._out: dict[UUID, Question] = {}
        self._lock = asyncio.Lock()
        self._closed = False

    async def next(self) -> Cell | None:
        while not self._closed:
            if self._waiting:
                question = self._waiting.popleft()
                self._out[question.id] = question
                # The executor knows a cell by its example; a judge's is made of what is judged.
                example = ExampleView(question.subject, 0, "", question.values)
                return Cell(question.id, question.seat, example, question.repeat)
            async with self._lock:
                if not self._waiting and not await self._refill():
                    return None
        return None

    def close(self) -> None:
        self._closed = True

    def taken(self, question_id: UUID) -> Question:
        """Return a question that was handed out, once."""
        return self._out.pop(question_id)

    async def _refill(self) -> bool:
        async for page in self._pages:
            if page:
                self._waiting.extend(page)
                return True
        return False


def _asked(panel: Panel, question: Question, outcome: Outcome) -> Asked:
    """Return an outcome as a judge's: of no run, no example and no repetition of one."""
    message: Mapping[str, Any] = outcome.output if isinstance(outcome.output, Mapping) else {}
    answer = Answer(
        message.get("content"), outcome.status, outcome.finish_reason, outcome.error_code
    )
    stored = replace(outcome, purpose="judge", example_id=None)
    return Asked(question, stored, panel.opinion(question, answer))


def _stopped(panel: Panel, fatal: FatalError) -> JudgeStopped:
    hint = "What was judged is stored; the same command goes on when this is mended."
    if fatal.code == BadRequest.code or (fatal.fact or "").startswith("response_format="):
        hint = f"If the model takes no JSON schema, give {panel.judge.name} json_schema=false."
    elif fatal.fact is not None:
        hint = f"Tell the catalog: workbench models set MODEL --parameter {fatal.fact}"
    return JudgeStopped(f"{panel.judge.name} cannot be asked: {fatal.message}", fatal.code, hint)


async def answered(
    services: Services,
    actor: Actor,
    panel: Panel,
    questions: Mapping[UUID, Question],
    on_progress: Callable[[int], None],
    *,
    budget: BudgetStore | None = None,
) -> dict[UUID, Opinion]:
    """Return what was said to each question, asking those that have no answer yet.

    The answers are stored without a judgement.
    """
    stored = await services.judgements.answers(list(questions))
    opinions = {
        id_: panel.opinion(questions[id_], answer_of(answer))
        for id_, answer in stored.items()
        if answer.status in ("completed", "refused")  # a failed question may be asked again
    }

    async def pages() -> Pages:
        yield [question for id_, question in questions.items() if id_ not in opinions]

    async def store(asked: Sequence[Asked], attempts: Sequence[AttemptOutcome]) -> None:
        outcomes = [one.outcome for one in asked]
        await services.judgements.record(actor, panel.scorer_id, outcomes, attempts, [], [])
        opinions.update((one.question.id, one.opinion) for one in asked)
        on_progress(len(asked))

    await ask(services, panel, pages(), store, budget=budget)
    return opinions


def settled(stored: Mapping[UUID, JudgeAnswer]) -> dict[UUID, JudgeAnswer]:
    """Return the stored answers without those of questions that are to be asked again."""
    return {id_: answer for id_, answer in stored.items() if answer.error_code not in _PASSING}


def left_open(panel: Panel, codes: Collection[str | None], *, noun: str) -> str:
    """Return the sentence about so many answers or pairs without a judgement; `codes` has the
    error's code for each."""
    nouns = noun if len(codes) == 1 else f"{noun}s"
    told = ", ".join(sorted({code for code in codes if code is not None}))
    return (
        f"{len(codes):,} {nouns} could not be judged by {panel.judge.name}: its provider gave no "
        f"answer ({told})."
    )


def answer_of(stored: JudgeAnswer) -> Answer:
    """Return a stored answer of a judge as it is read."""
    return Answer(stored.text, stored.status, stored.finish_reason, stored.error_code)
