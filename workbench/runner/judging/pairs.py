"""Compare two runs by a judge of pairs, who sees every pair in both orders.

A pair is two completed answers to the same example in the same repetition. It is won only if
the same answer is preferred in both orders; anything else is a tie (the MT-bench protocol; see
`workbench.statistics.preferences`). What is left is a difference of two shares, pairs won by the
candidate minus pairs won by the baseline, and is analysed like every pass or fail comparison:
a won pair is a 1 for the winner and a 0 for the other one, a tie is a 0 for both.

Which answers a pair has and in which order they were shown decides the id of a question, so that
the same two runs the other way round are judged without a further call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import numpy as np

from app.bootstrap import Services
from app.core.ids import derived_id
from app.core.model_families import family_name
from app.core.permissions import Actor
from app.llm.budget import BudgetStore
from app.schemas.experiments import RunView
from app.schemas.generations import AttemptOutcome
from app.schemas.judgements import JudgeablePair, NewJudgement, PairPosition
from app.schemas.scores import CellColumns, ScorerView
from workbench.runner.judging.answers import judged_input, new_judgement
from workbench.runner.judging.asking import (
    Asked,
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
from workbench.scorers import ScoreResult, ScoreStatus, ScoringInput
from workbench.scorers.judges import AnyJudge, JudgePreference, NotJudgeable, Opinion
from workbench.statistics import warnings as conditions
from workbench.statistics.preferences import (
    Choice,
    LengthBias,
    PreferenceAnalysis,
    analyse_preferences,
    length_bias,
    swap_outcomes,
)

__all__ = [
    "JudgedPair",
    "PairVerdict",
    "Preferred",
    "family_notes",
    "judge_pair_items",
    "judge_pairs",
    "prefer",
    "preference_notes",
    "preference_result",
    "won_columns",
]

_PAGE = 200
_ORDERS: Final[tuple[PairPosition, PairPosition]] = ("first", "second")
"""Where the candidate stands."""


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """What a judge says of a pair: once with the candidate first, once with it second.

    Values are of the candidate in both: 1 it is better, 0 it is worse, 0.5 neither.
    """

    candidate_first: ScoreResult
    baseline_first: ScoreResult

    @property
    def choices(self) -> tuple[Choice, Choice] | None:
        """What was chosen in either order; None if one of them has no verdict."""
        values = (self.candidate_first.value, self.baseline_first.value)
        if values[0] is None or values[1] is None:
            return None
        return _CHOICES[values[0]], _CHOICES[values[1]]

    @property
    def status(self) -> ScoreStatus:
        """Whether the pair has a verdict; failed if the judge's provider was the cause."""
        both = {self.candidate_first.status, self.baseline_first.status}
        if ScoreStatus.FAILED in both:
            return ScoreStatus.FAILED
        return ScoreStatus.UNSCORED if ScoreStatus.UNSCORED in both else ScoreStatus.SCORED


_CHOICES: Final[Mapping[float, Choice]] = {
    1.0: Choice.CANDIDATE,
    0.0: Choice.BASELINE,
    0.5: Choice.TIE,
}


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair with its verdict; lengths are in characters."""

    key: str
    repetition: int
    verdict: PairVerdict
    baseline_length: int
    candidate_length: int


@dataclass(frozen=True, slots=True, eq=False)
class Preferred:
    """What a judge of pairs makes of (baseline, candidate): their cells, scored by the pairs they
    won; what a comparison says of preferences (None if no pair has a verdict); warnings."""

    columns: tuple[CellColumns, CellColumns]
    result: dict[str, Any] | None
    notes: list[dict[str, Any]]


async def prefer(
    services: Services,
    actor: Actor,
    runs: tuple[RunView, RunView],
    judge: JudgePreference,
    view: ScorerView,
    *,
    budget: BudgetStore | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> Preferred:
    """Judge the pairs of (baseline, candidate) as far as they were not yet, and sum them up.

    Arguments and errors are those of `judge_pairs`.
    """
    pairs = await judge_pairs(services, actor, runs, judge, view, budget=budget, note=note)
    before, after = [await services.scores.columns(run.id, view.id) for run in runs]
    return Preferred(
        won_columns((before, after), pairs),
        preference_result(pairs),
        preference_notes(pairs),
    )


async def judge_pairs(
    services: Services,
    actor: Actor,
    runs: tuple[RunView, RunView],
    judge: JudgePreference,
    view: ScorerView,
    on_progress: Callable[[int], None] = lambda count: None,
    *,
    budget: BudgetStore | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[JudgedPair]:
    """Judge every pair of (baseline, candidate) in both orders, as far as it was not yet.

    `on_progress` is told of the number of answers stored since it was last called, `note` of
    pairs that have no verdict because the judge's provider gave no answer for a reason that
    passes: judge them again. Raises `JudgeStopped` if some could not be asked about.
    """
    panel = await open_panel(services, judge, view.id)
    work = _PairWork(services, actor, runs, judge, panel, on_progress)
    await ask(services, panel, work.pages(), work.store, budget=budget)
    if work.open:
        told = left_open(panel, list(work.open.values()), noun="pair")
        note(f"{told} Compare the runs again to ask once more.")
    return work.judged()


class _PairWork:
    """The judging of two runs: what was said of each pair so far."""

    def __init__(
        self,
        services: Services,
        actor: Actor,
        runs: tuple[RunView, RunView],
        judge: JudgePreference,
        panel: Panel,
        on_progress: Callable[[int], None],
    ) -> None:
        self._services = services
        self._actor = actor
        self._runs = runs
        self._judge = judge
        self._panel = panel
        self._on_progress = on_progress
        self._pairs: dict[UUID, _Pair] = {}
        self.open: dict[UUID, str | None] = {}
        """Error codes of the pairs of which a question stays open."""

    async def pages(self) -> Pages:
        """Yield the open questions, some pairs at a time."""
        after = None
        judgements = self._services.judgements
        baseline_id, candidate_id = (run.id for run in self._runs)
        while page := await judgements.pairs(baseline_id, candidate_id, after=after, limit=_PAGE):
            after = (page[-1].key, page[-1].repetition)
            questions: list[Question] = []
            for found in page:
                pair = _pair(found)
                self._pairs[found.candidate_id] = pair
                questions += _pair_questions(
                    self._judge,
                    self._panel,
                    pair,
                    (str(found.candidate_id), str(found.baseline_id)),
                )
            stored = settled(await judgements.answers([question.id for question in questions]))
            for question in questions:
                if (answer := stored.get(question.id)) is not None:
                    self._take(question, self._panel.opinion(question, answer_of(answer)))
            yield [question for question in questions if question.id not in stored]

    async def store(self, asked: Sequence[Asked], attempts: Sequence[AttemptOutcome]) -> None:
        """Store a batch of answers with their judgements."""
        self.open |= {one.question.subject: one.outcome.error_code for one in asked if one.is_open}
        await self._services.judgements.record(
            self._actor,
            self._panel.scorer_id,
            [one.outcome for one in asked],
            attempts,
            [self._judgement(one) for one in asked if not one.is_open],
            [],
        )
        for one in asked:
            self._take(one.question, one.opinion)
        self._on_progress(len(asked))

    def judged(self) -> list[JudgedPair]:
        """Return every pair with its verdict, by key and repetition."""
        return [pair.judged(self._panel) for pair in self._pairs.values()]

    def _take(self, question: Question, opinion: Opinion) -> None:
        self._pairs[question.subject].take(question, opinion)

    def _judgement(self, asked: Asked) -> NewJudgement:
        pair = self._pairs[asked.question.subject]
        row = new_judgement(self._panel, asked, pair.subject, pair.other)
        return replace(row, value=_of_candidate(row.value, asked.question.position))


@dataclass(slots=True)
class _Pair:
    """Two answers to one example, and what was said of them in either order."""

    subject: UUID
    other: UUID | None
    key: str
    repetition: int
    candidate: ScoringInput
    baseline: ScoringInput
    opinions: dict[PairPosition, list[Opinion]]
    missing: ScoreResult | None = None

    def take(self, question: Question, opinion: Opinion) -> None:
        """Add an opinion, its value turned to the candidate's."""
        assert question.position is not None  # noqa: S101 - every question on a pair has one
        value = _of_candidate(opinion.value, question.position)
        self.opinions[question.position].append(replace(opinion, value=value))

    def verdict(self, panel: Panel) -> PairVerdict:
        if self.missing is not None:
            return PairVerdict(self.missing, self.missing)
        return PairVerdict(*(panel.combined(self.opinions[order]) for order in _ORDERS))

    def judged(self, panel: Panel) -> JudgedPair:
        return JudgedPair(
            self.key,
            self.repetition,
            self.verdict(panel),
            len(self.baseline.output),
            len(self.candidate.output),
        )


def _of_candidate(value: float | None, position: PairPosition | None) -> float | None:
    """Turn a value of the answer that stood first into the candidate's."""
    return 1.0 - value if value is not None and position == "second" else value


def _pair(found: JudgeablePair) -> _Pair:
    return _Pair(
        found.candidate_id,
        found.baseline_id,
        found.key,
        found.repetition,
        judged_input(found.candidate_output, found.example),
        judged_input(found.baseline_output, found.example),
        {order: [] for order in _ORDERS},
    )


def _pair_questions(
    judge: JudgePreference,
    panel: Panel,
    pair: _Pair,
    names: tuple[str, str],
    *,
    round_: int = 0,
) -> list[Question]:
    """Return the questions on a pair in both orders; `names` identify candidate and baseline."""
    questions: list[Question] = []
    for order in _ORDERS:
        sides, shown = (pair.candidate, pair.baseline), names
        if order == "second":
            sides, shown = (sides[1], sides[0]), (names[1], names[0])
        try:
            texts = judge.texts(*sides, panel.variables)
        except NotJudgeable as error:
            pair.missing = ScoreResult.unscored(error.reason, error.message)
            return []
        questions += panel.questions(pair.subject, shown, texts, position=order, round_=round_)
    return questions


async def judge_pair_items(
    services: Services,
    actor: Actor,
    judge: JudgePreference,
    view: ScorerView,
    items: Sequence[tuple[ScoringInput, ScoringInput]],
    on_progress: Callable[[int], None] = lambda count: None,
    *,
    round_: int = 0,
    budget: BudgetStore | None = None,
) -> list[PairVerdict]:
    """Judge pairs of texts that are no stored answers, (candidate, baseline), in both orders.

    Stored and asked again as by `judging.judge_items`.
    """
    panel = await open_panel(services, judge, view.id)
    pairs, questions = [], []
    for candidate, baseline in items:
        shown = judge.texts(candidate, baseline, panel.variables - {"expected"})
        names = ("item", *(part for entry in sorted(shown.items()) for part in entry))
        subject = derived_id(*names)
        opinions: dict[PairPosition, list[Opinion]] = {order: [] for order in _ORDERS}
        pair = _Pair(subject, None, "", 0, candidate, baseline, opinions)
        pairs.append(pair)
        of_sides = (f"{subject} candidate", f"{subject} baseline")
        questions.append(_pair_questions(judge, panel, pair, of_sides, round_=round_))
    unique = {question.id: question for asked in questions for question in asked}
    found = await answered(services, actor, panel, unique, on_progress, budget=budget)
    for pair, asked in zip(pairs, questions, strict=True):
        for question in asked:
            pair.take(question, found[question.id])
    return [pair.verdict(panel) for pair in pairs]


def won_columns(
    sides: tuple[CellColumns, CellColumns], pairs: Sequence[JudgedPair]
) -> tuple[CellColumns, CellColumns]:
    """Return the cells of (baseline, candidate) with what the judge makes of them. Pure.

    1 is a pair that was won, 0 one that was lost or is a tie. An answer that has nothing to be
    held against is unscored; what is no answer keeps its status.
    """
    verdicts = {(pair.key, pair.repetition): pair.verdict for pair in pairs}
    return _won(sides[0], verdicts, Choice.BASELINE), _won(sides[1], verdicts, Choice.CANDIDATE)


def _won(
    side: CellColumns, verdicts: Mapping[tuple[str, int], PairVerdict], winner: Choice
) -> CellColumns:
    statuses, values = list(side.statuses), list(side.values)
    for index, cell in enumerate(zip(side.keys, side.repetitions, strict=True)):
        if statuses[index] != "missing":
            continue
        verdict = verdicts.get(cell)
        if verdict is None or verdict.choices is None:
            statuses[index] = (ScoreStatus.UNSCORED if verdict is None else verdict.status).value
        else:
            statuses[index] = "scored"
            values[index] = 1.0 if verdict.choices == (winner, winner) else 0.0
    return replace(side, statuses=statuses, values=values)


@dataclass(frozen=True, slots=True)
class _Preferences:
    """The judged pairs as statistics take them."""

    analysis: PreferenceAnalysis
    first_share: float | None
    length: LengthBias | None


def _analysed(pairs: Sequence[JudgedPair]) -> _Preferences | None:
    """Analyse the pairs that have a verdict; None without any."""
    judged = [(pair, choices) for pair in pairs if (choices := pair.verdict.choices) is not None]
    if not judged:
        return None
    first = [choices[0] for _, choices in judged]
    second = [choices[1] for _, choices in judged]
    codes = {key: code for code, key in enumerate(dict.fromkeys(p.key for p, _ in judged))}
    clusters = [codes[pair.key] for pair, _ in judged] if len(codes) < len(judged) else None
    lengths = np.array([pair.candidate_length - pair.baseline_length for pair, _ in judged], float)
    chosen_first = first.count(Choice.CANDIDATE) + second.count(Choice.BASELINE)
    decided = 2 * len(judged) - first.count(Choice.TIE) - second.count(Choice.TIE)
    return _Preferences(
        analyse_preferences(first, second, clusters=clusters),
        chosen_first / decided if decided else None,
        length_bias(swap_outcomes(first, second), lengths) if len(judged) > 1 else None,
    )


def preference_result(pairs: Sequence[JudgedPair]) -> dict[str, Any] | None:
    """Return what a comparison says of preferences; None if no pair has a verdict.

    `first_share` is the share of the decided answers, of all orders, in which whatever stood
    first was chosen, with `first_p` of "both positions alike".
    """
    found = _analysed(pairs)
    if found is None:
        return None
    analysis, length = found.analysis, found.length
    return {
        "wins": analysis.wins,
        "losses": analysis.losses,
        "ties": analysis.ties,
        "win_rate": analysis.win_rate,
        "win_rate_interval": [analysis.win_rate_interval.low, analysis.win_rate_interval.high],
        "consistency": analysis.order.consistency,
        "first_share": found.first_share,
        "first_p": analysis.order.p_position,
        "length_slope": length and length.slope,
        "length_p": length and length.p_value,
        "length_controlled_win_rate": length and length.controlled_win_rate,
    }


def preference_notes(pairs: Sequence[JudgedPair]) -> list[dict[str, Any]]:
    """Return the warnings about a judge of pairs: order and length. Pure."""
    found = _analysed(pairs)
    if found is None:
        return []
    order, length = found.analysis.order, found.length
    raised = [conditions.judge_order(order.consistency, order.p_position)]
    if length is not None:
        raised.append(
            conditions.judge_length(length.p_value, length.raw_win_rate, length.controlled_win_rate)
        )
    return [_told(warning) for warning in raised if warning is not None]


async def family_notes(
    services: Services, runs: tuple[RunView, RunView], judge: AnyJudge
) -> list[dict[str, Any]]:
    """Return the warning that a judge, of single answers or of pairs, is of the family of a model
    that it judges."""
    compared = [await _family(services, run.model) for run in runs if run.model is not None]
    judging = dict.fromkeys([await _family(services, seat) for seat in judge.config.seats])
    raised = [conditions.judge_self(family, compared) for family in judging]
    return [_told(warning) for warning in raised if warning is not None]


def _told(warning: conditions.AnalysisWarning) -> dict[str, Any]:
    return {"code": warning.code.value, "blocking": warning.blocking, "text": warning.text}


async def _family(services: Services, reference: str) -> str:
    model = await services.models.get(reference)
    return family_name(model.provider, model.provider_model)
