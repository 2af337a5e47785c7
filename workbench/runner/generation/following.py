"""Follow a sequential experiment while it runs: score what is stored, look, and stop it in time.

Everything is read from the record, so that it makes no difference which process answered, or
whether the experiment was interrupted. Where it ended is stored before the work is stopped: from
then on the examples beyond are not wanted any more, whatever happens to this process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any
from uuid import UUID

import numpy as np

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.ids import cell_id
from app.core.permissions import Actor
from app.schemas.datasets import ExampleMember
from app.schemas.experiments import ExperimentView, RunView, SequentialOutcome, SequentialVerdict
from app.schemas.generations import CellValue
from app.schemas.scores import ScorerView
from workbench.runner.generation.executor import ExecutionReport, Work
from workbench.runner.generation.order import example_order
from workbench.runner.generation.sequential import End, LookPlan, find_end, places_of_looks
from workbench.runner.judging.answers import JudgeStopped
from workbench.runner.pipeline import compared_pairs, experiment_scorers
from workbench.runner.scoring import score_run
from workbench.scorers import AnyScorer
from workbench.scorers.judges import JudgePreference
from workbench.statistics.arrays import FloatArray

__all__ = ["run_sequentially"]

_POLL_S = 0.05
_PAGE = 100


async def run_sequentially(
    services: Services, actor: Actor, experiment: ExperimentView, work: Work
) -> ExecutionReport:
    """Do the work until it is done, is stopped from outside, or a look has decided.

    A decision is no interruption: the report then says that nothing was stopped. Stored outcomes
    may decide without any work.
    """
    follower = await _open(services, actor, experiment)
    try:
        await follower.advance()
    except JudgeStopped:
        return ExecutionReport(work.progress, stopped=True)
    if follower.ended:
        return ExecutionReport(work.progress, stopped=False)
    over = asyncio.Event()
    watch = asyncio.create_task(_watch(follower, work, over))
    try:
        report = await work.run()
    except BaseException:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        raise
    over.set()
    await watch
    return replace(report, stopped=report.stopped and not follower.ended)


async def _watch(follower: _Follower, work: Work, over: asyncio.Event) -> None:
    """Look until the work is over; stop it when a look has decided or none can be taken."""
    try:
        await _look(follower, work, over)
    except JudgeStopped:
        return  # scoring at the end meets the same error and says what to do
    finally:
        if not over.is_set():
            work.stop()


async def _look(follower: _Follower, work: Work, over: asyncio.Event) -> None:
    """Look whenever enough outcomes have been stored, and once more when the work is over."""
    due = 0
    while not over.is_set() and not follower.ended:
        if work.progress.done >= due:
            await follower.advance()
            due = work.progress.done + follower.cells_until_next_look
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_S):
                await over.wait()
    if not follower.ended:
        await follower.advance()


@dataclass
class _Follower:
    """What has been seen so far. `members` are the examples in the plan's order; the first
    `finished` of them have an outcome in every run, the first `looked_at` have been looked at."""

    services: Services
    actor: Actor
    experiment: ExperimentView
    pairs: Sequence[tuple[RunView, RunView]]
    repetitions: Mapping[UUID, int]
    rule: AnyScorer[Any]
    scorer: ScorerView
    plan: LookPlan
    order: Sequence[int]
    members: list[ExampleMember] = field(default_factory=list)
    differences: FloatArray = field(init=False)
    finished: int = 0
    ended: bool = False

    def __post_init__(self) -> None:
        self.differences = np.empty((0, len(self.pairs)))

    @property
    def cells_until_next_look(self) -> int:
        """The least number of outcomes that can bring the next look within reach."""
        places = places_of_looks(self.plan.n_max)
        place = next((p for p in places if p > self.finished), self.plan.n_max)
        per_example = len(self.experiment.runs) * self.experiment.repetitions
        return max(1, (place - self.finished) * per_example)

    async def advance(self) -> None:
        """Count what is finished; look at it if that brings a look within reach."""
        self.finished = await self._count_finished()
        looked_at = len(self.differences)
        place = max((p for p in places_of_looks(self.plan.n_max) if p <= self.finished), default=0)
        if place <= looked_at:
            return
        await self._score()
        rows = await self._rows(self.members[looked_at:place])
        self.differences = np.concatenate((self.differences, rows))
        end = find_end(self.plan, self.differences, looked_at=looked_at)
        if end is not None:
            await self.services.experiments.record_sequential_end(
                self.actor, self.experiment, self._outcome(end)
            )
            self.ended = True

    async def _score(self) -> None:
        """Score what was answered since the last look; a judge pays from the same budget."""
        budgets, holder = self.services.budgets, f"looks {os.getpid()}"
        compared = {run.id: run for pair in self.pairs for run in pair}
        async with budgets.open(self.actor, self.experiment.id, holder) as budget:
            for run in compared.values():
                await score_run(self.services, self.actor, run, [self.rule], budget=budget)

    async def _count_finished(self) -> int:
        """Return how many examples, from the first one on, have an outcome in every run."""
        finished = self.finished
        while finished < self.plan.n_max:
            page = await self._members(finished, _PAGE)
            cells = [self._cells(run.id, page) for run in self.experiment.runs]
            stored = await self.services.generations.statuses(list(chain.from_iterable(cells)))
            by_run = (_by_example(ids, self.experiment.repetitions) for ids in cells)
            done = [
                all(cell in stored for ids in example for cell in ids)
                for example in zip(*by_run, strict=True)
            ]
            finished += (*done, False).index(False)
            if not all(done):
                break
        return finished

    async def _members(self, start: int, count: int) -> Sequence[ExampleMember]:
        """Return the next examples of the plan's order, reading them as they are needed."""
        missing = self.order[len(self.members) : start + count]
        if missing:
            version_id = self.experiment.dataset_version_id
            self.members += await self.services.datasets.members_at(version_id, missing)
        return self.members[start : start + count]

    def _cells(self, run_id: UUID, members: Sequence[ExampleMember]) -> list[UUID]:
        return [
            cell_id(run_id, member.id, repetition)
            for member in members
            for repetition in range(self.repetitions[run_id])
        ]

    async def _rows(self, members: Sequence[ExampleMember]) -> FloatArray:
        """Return the differences of some examples, a column for each candidate."""
        means: dict[UUID, FloatArray] = {}
        for run_id in {run.id for pair in self.pairs for run in pair}:
            ids = self._cells(run_id, members)
            found = await self.services.generations.cell_values(ids, self.scorer.id)
            means[run_id] = _means(ids, found, self.repetitions[run_id])
        sign = 1.0 if self.rule.direction == "higher" else -1.0
        return np.column_stack(
            [
                sign * (means[candidate.id] - means[baseline.id])
                for baseline, candidate in self.pairs
            ]
        )

    def _outcome(self, end: End) -> SequentialOutcome:
        return SequentialOutcome(
            decided=end.decided,
            n_used=end.n_used,
            n_max=self.plan.n_max,
            looks=end.looks,
            scorer=self.scorer.name,
            candidates=tuple(
                SequentialVerdict(
                    baseline=baseline.name,
                    candidate=candidate.name,
                    verdict=look.verdict.value,
                    n_pairs=look.n,
                    low=look.interval.low if look.interval else None,
                    high=look.interval.high if look.interval else None,
                    level=1.0 - self.plan.alpha,
                    e_value=look.e_value,
                )
                for (baseline, candidate), look in zip(self.pairs, end.candidates, strict=True)
            ),
        )


async def _open(services: Services, actor: Actor, experiment: ExperimentView) -> _Follower:
    plan, scorers = experiment.plan, experiment_scorers(experiment)
    rule = next((s for s in scorers if s.name == plan.scorer), scorers[0])
    pairs = await compared_pairs(services, experiment)
    order = await example_order(services, experiment)
    if order is None or not pairs or isinstance(rule, JudgePreference):
        raise Invalid(
            f"Experiment {experiment.number} has nothing that a look could decide.",
            path="plan.mode",
            hint="A sequential plan needs a baseline, a candidate, and a scorer of single answers.",
        )
    compared = {run.id: run for pair in pairs for run in pair}
    repetitions = {run.id: await _repetitions(services, run) for run in compared.values()}
    low, high = rule.range
    return _Follower(
        services=services,
        actor=actor,
        experiment=experiment,
        pairs=pairs,
        repetitions={run.id: experiment.repetitions for run in experiment.runs} | repetitions,
        rule=rule,
        scorer=await services.scores.ensure_scorer(actor, rule.identity()),
        plan=LookPlan(
            n_max=experiment.example_count,
            candidates=len(pairs),
            # Means over repetitions are graded, also where all of them happen to be 0 or 1.
            binary=rule.binary and set(repetitions.values()) == {1},
            score_range=high - low,
            margin=plan.margin,
            goal=plan.goal,
        ),
        order=order,
    )


async def _repetitions(services: Services, run: RunView) -> int:
    """Return how often a run asked each example; outputs made elsewhere are there once."""
    if run.experiment_id is None:
        return 1
    return (await services.experiments.by_id(run.experiment_id)).repetitions


def _by_example(ids: Sequence[UUID], repetitions: int) -> list[Sequence[UUID]]:
    return [ids[i : i + repetitions] for i in range(0, len(ids), repetitions)]


def _means(ids: Sequence[UUID], found: Mapping[UUID, CellValue], repetitions: int) -> FloatArray:
    """Return the mean score of each example over its scored repetitions; NaN without any."""
    values = np.array(
        [
            np.nan if (cell := found.get(i)) is None or cell.value is None else cell.value
            for i in ids
        ]
    ).reshape(-1, repetitions)
    scored = ~np.isnan(values)
    counts = scored.sum(axis=1)
    means: FloatArray = np.where(
        counts > 0, np.where(scored, values, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan
    )
    return means
