"""Judge every answer of a run, or texts that are no stored answers.

An answer of the judge, the judgement that links it to what was judged, and the score that it
completes are stored in one transaction. What is stopped is open and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.ids import derived_id
from app.core.permissions import Actor
from app.llm.budget import BudgetStore
from app.schemas.experiments import RunView
from app.schemas.generations import AttemptOutcome
from app.schemas.judgements import JudgeAnswer, NewJudgement
from app.schemas.scores import NewScore, ScorerView
from workbench.runner.judging.asking import (
    Asked,
    JudgeStopped,
    Pages,
    Panel,
    Question,
    answer_of,
    answered,
    ask,
    left_open,
    open_panel,
    settled,
)
from workbench.scorers import ScoreResult, ScoringInput
from workbench.scorers.judges import AnyJudge, NotJudgeable, Opinion, OutputJudge

__all__ = [
    "JudgeStopped",
    "JudgementResult",
    "judge_items",
    "judge_run",
    "judged_input",
    "new_judgement",
]

_PAGE = 200


@dataclass(frozen=True, slots=True)
class JudgementResult:
    """What a judge says of one text. `generation_ids` are its answers, in the order asked; empty
    if the item gave nothing to judge by."""

    result: ScoreResult
    opinions: tuple[Opinion, ...] = ()
    generation_ids: tuple[UUID, ...] = ()


async def judge_run(
    services: Services,
    actor: Actor,
    run: RunView,
    judge: AnyJudge,
    view: ScorerView,
    on_progress: Callable[[int], None] = lambda count: None,
    *,
    budget: BudgetStore | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> None:
    """Give every completed output of a run its score by a judge of single outputs.

    `view` is the stored scorer of the judge. `on_progress` is told of the number of scores
    stored since it was last called, `note` of outputs that stay without a score because the
    judge's provider gave no answer for a reason that passes: judge the run again. Raises
    `Invalid` for a judge of pairs, `JudgeStopped` if some could not be asked about.
    """
    if not isinstance(judge, OutputJudge):
        raise Invalid(f"{judge.name} judges pairs of answers: compare two runs by it.")
    work = _RunWork(services, actor, run, judge, await open_panel(services, judge, view.id))
    work.on_progress = on_progress
    await ask(services, work.panel, work.pages(), work.store, budget=budget)
    if work.open:
        told = left_open(work.panel, list(work.open.values()), noun="answer")
        note(f"{told} Score the run again to ask once more.")


class _RunWork:
    """The judging of one run: which outputs are open, and what was said of each so far."""

    def __init__(
        self,
        services: Services,
        actor: Actor,
        run: RunView,
        judge: OutputJudge[Any],
        panel: Panel,
    ) -> None:
        self.panel = panel
        self.on_progress: Callable[[int], None] = lambda count: None
        self.open: dict[UUID, str | None] = {}
        """Error codes of the outputs of which a question stays open."""
        self._services = services
        self._actor = actor
        self._run = run
        self._judge = judge
        self._opinions: dict[UUID, list[Opinion]] = {}

    async def pages(self) -> Pages:
        """Yield the open questions of the outputs without a score, some outputs at a time."""
        after = None
        scores, view_id = self._services.scores, self.panel.scorer_id
        while page := await scores.scorable(self._run.id, view_id, after=after, limit=_PAGE):
            after = page[-1].generation_id
            ready: list[NewScore] = []
            questions: list[Question] = []
            for item in page:
                given = judged_input(item.output, item.example)
                try:
                    texts = self._judge.texts(given, self.panel.variables)
                except NotJudgeable as error:
                    result = ScoreResult.unscored(error.reason, error.message)
                    ready.append(_score(item.generation_id, result))
                    continue
                judged = (str(item.generation_id),)
                questions += self.panel.questions(item.generation_id, judged, texts)
            answers = await self._services.judgements.answers([q.id for q in questions])
            stored = settled(answers)
            ready += self._take_over(questions, stored)
            if ready:
                await scores.record(self._actor, view_id, ready)
                self.on_progress(len(ready))
            yield [question for question in questions if question.id not in stored]

    def _take_over(
        self, questions: Sequence[Question], stored: Mapping[UUID, JudgeAnswer]
    ) -> list[NewScore]:
        """Read the answers that are stored already; return the scores that they make."""
        for question in questions:
            opinions = self._opinions.setdefault(question.subject, [])
            if (answer := stored.get(question.id)) is not None:
                opinions.append(self.panel.opinion(question, answer_of(answer)))
        subjects = dict.fromkeys(question.subject for question in questions)
        return [score for subject in subjects if (score := self._completed(subject)) is not None]

    def _completed(self, subject: UUID) -> NewScore | None:
        """Return the score of an output, once, as soon as every question was answered."""
        if len(self._opinions[subject]) < self.panel.asked:
            return None
        return _score(subject, self.panel.combined(self._opinions.pop(subject)))

    async def store(self, asked: Sequence[Asked], attempts: Sequence[AttemptOutcome]) -> None:
        """Store a batch of answers with their judgements, and the scores that they complete."""
        scores = []
        self.open |= {one.question.subject: one.outcome.error_code for one in asked if one.is_open}
        said = [one for one in asked if not one.is_open]
        for one in said:
            self._opinions[one.question.subject].append(one.opinion)
            if (score := self._completed(one.question.subject)) is not None:
                scores.append(score)
        await self._services.judgements.record(
            self._actor,
            self.panel.scorer_id,
            [one.outcome for one in asked],
            attempts,
            [new_judgement(self.panel, one, one.question.subject) for one in said],
            scores,
        )
        self.on_progress(len(scores))


async def judge_items(
    services: Services,
    actor: Actor,
    judge: OutputJudge[Any],
    view: ScorerView,
    items: Sequence[ScoringInput],
    on_progress: Callable[[int], None] = lambda count: None,
    *,
    round_: int = 0,
    budget: BudgetStore | None = None,
) -> list[JudgementResult]:
    """Judge texts that are no stored answers; return what was said of each, in their order.

    Every answer is stored as a generation of purpose `judge`; without a stored answer that was
    judged there is no judgement and no score. Asking again about equal items makes no call,
    unless with another `round_` (from 0), which is how self-consistency is measured.
    `on_progress` is told of the number of answers stored since it was last called. Raises
    `JudgeStopped` if some could not be judged.
    """
    panel = await open_panel(services, judge, view.id)
    questions: list[list[Question]] = []
    missing: dict[int, JudgementResult] = {}
    for index, item in enumerate(items):
        try:
            texts = judge.texts(item, panel.variables)
        except NotJudgeable as error:
            missing[index] = JudgementResult(ScoreResult.unscored(error.reason, error.message))
            questions.append([])
            continue
        parts = ("item", *(part for pair in sorted(texts.items()) for part in pair))
        questions.append(panel.questions(derived_id(*parts), parts, texts, round_=round_))
    unique = {question.id: question for asked in questions for question in asked}
    answers = await answered(services, actor, panel, unique, on_progress, budget=budget)
    return [
        missing.get(index) or _item_result(panel, asked, answers)
        for index, asked in enumerate(questions)
    ]


def _item_result(
    panel: Panel, questions: Sequence[Question], answers: Mapping[UUID, Opinion]
) -> JudgementResult:
    opinions = tuple(answers[question.id] for question in questions)
    return JudgementResult(
        panel.combined(opinions), opinions, tuple(question.id for question in questions)
    )


def judged_input(output: Mapping[str, JSON], example: Mapping[str, Any]) -> ScoringInput:
    """Return a stored answer and its example as a judge is given them."""
    content = output.get("content")
    variables = dict(example.get("input") or {})
    if messages := example.get("messages"):
        variables = {"messages": messages, **variables}
    return ScoringInput(
        output=content if isinstance(content, str) else "",
        message=output,
        expected=example.get("expected_output"),
        variables=variables,
        metadata=example.get("metadata") or {},
    )


def new_judgement(
    panel: Panel,
    asked: Asked,
    judged_generation_id: UUID,
    other_generation_id: UUID | None = None,
) -> NewJudgement:
    """Return the row that links a judge's answer to what it judged."""
    question, opinion = asked.question, asked.opinion
    return NewJudgement(
        generation_id=question.id,
        scorer_id=panel.scorer_id,
        judged_generation_id=judged_generation_id,
        seat=question.seat,
        repeat=question.repeat,
        status=opinion.status.value,
        value=opinion.value,
        label=opinion.label,
        reason=opinion.reason,
        other_generation_id=other_generation_id,
        position=question.position,
    )


def _score(generation_id: UUID, result: ScoreResult) -> NewScore:
    return NewScore(
        generation_id=generation_id,
        status=result.status.value,
        value=result.value,
        passed=result.passed,
        label=result.label,
        reason=result.reason,
        explanation=result.explanation,
    )
