"""Compare runs under one scorer: read scores, analyse, store, and say it.

Aligned by example key, never by position. Statistics see scores alone; what the record knows
beside them — which examples two dataset versions share, what else differs between the sides,
what was planned, where answers come from — is put beside the analysis here, and its reasoning
is in the pure modules beside this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from app.bootstrap import Services
from app.core.permissions import Actor
from app.llm.budget import BudgetStore
from app.schemas.comparisons import NewComparison
from app.schemas.experiments import ExperimentView, Plan, RunView, check_margin
from app.schemas.scores import HumanScore, ScorerView
from workbench.runner.comparison.cells import (
    Coverage,
    SideCells,
    content_coverage,
    input_hash,
    side_cells,
)
from workbench.runner.comparison.comparability import Side, check_comparable, mismatches
from workbench.runner.comparison.family import Member, add_family
from workbench.runner.comparison.notes import Asked, notes
from workbench.runner.comparison.people import corrected_difference, error_notes, judge_notes
from workbench.runner.comparison.reliability import reliability
from workbench.runner.comparison.result import Comparison, comparison_result
from workbench.runner.comparison.slices import Columns, columns_of, slices_of
from workbench.runner.generation.order import keys_in_use
from workbench.runner.judging.pairs import Preferred, family_notes, prefer
from workbench.runner.judging.standing import JudgeStanding, judge_standing
from workbench.scorers import AnyScorer, parse_scorer
from workbench.scorers.judges import Judge, JudgePreference
from workbench.statistics.analysis import Examined, analyse_pair, examine_pair
from workbench.statistics.exploratory import exploratory
from workbench.statistics.observations import ExampleScores
from workbench.statistics.policy import DEFAULT_SEED
from workbench.statistics.sequential_analysis import SequentialAnalysis, analyse_sequentially

__all__ = ["Comparison", "Slicing", "compare_pairs", "compare_runs"]

MAX_SECONDARY = 20
"""Further scorers that are compared beside the primary one, in the order of their first use."""


@dataclass(frozen=True, slots=True)
class Slicing:
    """Which slices are looked at: none, those of the named columns, or those of the rule."""

    wanted: bool = True
    columns: tuple[str, ...] = ()


async def compare_runs(
    services: Services,
    actor: Actor,
    baseline: RunView,
    candidate: RunView,
    scorer: ScorerView,
    *,
    margin: float | None = None,
    comparisons: int = 1,
    plan: Plan | None = None,
    slicing: Slicing = Slicing(),
    budget: BudgetStore | None = None,
) -> Comparison:
    """Analyse the stored scores of two runs and store the comparison.

    `comparisons` is the number of candidates held against this baseline: intervals widen
    accordingly. `plan` None takes the plan of the runs' experiment, where there is one; under a
    sequential plan the bounds hold at every look. A judge of pairs is asked here, within the
    `budget`, about the pairs that it has not seen yet. Raises `Invalid` for runs over different
    datasets, or for a margin that is no acceptable loss under this scorer.
    """
    [compared] = await compare_pairs(
        services,
        actor,
        [(baseline, candidate)],
        scorer,
        margin=margin,
        comparisons=comparisons,
        plan=plan,
        slicing=slicing,
        budget=budget,
    )
    return compared


async def compare_pairs(
    services: Services,
    actor: Actor,
    pairs: Sequence[tuple[RunView, RunView]],
    scorer: ScorerView,
    *,
    margin: float | None = None,
    comparisons: int | None = None,
    plan: Plan | None = None,
    slicing: Slicing = Slicing(),
    budget: BudgetStore | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> list[Comparison]:
    """Analyse several (baseline, candidate) as one family and store a comparison of each.

    `comparisons` is the number of candidates that the intervals allow for, by default the
    number of pairs. `note` is told of pairs that a judge's provider left without a verdict for
    now. Nothing is stored unless every pair can be compared.
    """
    for pair in pairs:
        check_comparable(*pair)
    rule = parse_scorer({"name": scorer.name, **scorer.config})
    check_margin(margin, rule.range)
    count = comparisons or len(pairs)
    desk = _Desk(services, actor, scorer, rule, margin, count, plan, slicing, budget, note)
    looked = [await desk.look_at(*pair) for pair in pairs]
    add_family([look.member for look in looked], sequential=any(look.sequential for look in looked))
    for look in looked:
        await services.comparisons.record(actor, look.stored(scorer))
    return [
        Comparison(
            look.member.sides[0].run,
            look.member.sides[1].run,
            scorer,
            look.member.analysis,
            look.member.result,
            look.input_hash,
        )
        for look in looked
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """One pair, analysed."""

    member: Member
    sequential: bool
    plan: Mapping[str, Any]
    input_hash: str

    def stored(self, scorer: ScorerView) -> NewComparison:
        before, after = (side.run for side in self.member.sides)
        result = self.member.result
        return NewComparison(
            baseline_run_id=before.id,
            candidate_run_id=after.id,
            scorer_id=scorer.id,
            plan=dict(self.plan),
            verdict=self.member.analysis.verdict.value,
            method=result["method"] or "none",
            result=result,
            input_hash=self.input_hash,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Desk:
    """What all pairs of one family are looked at with."""

    services: Services
    actor: Actor
    scorer: ScorerView
    rule: AnyScorer[Any]
    margin: float | None
    comparisons: int
    plan: Plan | None
    slicing: Slicing
    budget: BudgetStore | None
    note: Callable[[str], None]

    async def look_at(self, baseline: RunView, candidate: RunView) -> _Look:
        """Read one pair and analyse it."""
        sides = (await self._side(baseline), await self._side(candidate))
        coverage, kept = await self._coverage(sides)
        preferred = await self._preferred(sides)
        cells = await self._cells(sides, self.scorer, self.rule, kept, preferred)
        fixed = examine_pair(
            cells[0].observations,
            cells[1].observations,
            margin=self.margin,
            comparisons=self.comparisons,
            higher_is_better=self.rule.direction == "higher",
        )
        plan, experiment = self._plan(sides)
        sequential = self._sequential(fixed, plan, experiment)
        examined = fixed if sequential is None else replace(fixed, analysis=sequential.analysis)
        columns = await self._columns(sides[0], examined)
        differing = mismatches(sides, cells, examined.analysis.policy)
        asked = Asked(
            comparisons=self.comparisons,
            candidates=_candidates(sides, experiment),
            plan=plan,
            experiment=experiment,
            question_count=await self.services.experiments.question_count(sides[0].dataset.id),
            decided=sequential is not None and sequential.decided,
        )
        standing = await self._standing(sides)
        labels = await self._labels(sides, standing)
        facts = {
            "range": list(self.rule.range),
            "direction": self.rule.direction,
            "comparability": [asdict(mismatch) for mismatch in differing],
            **self._slices(examined, columns, sequential),
            "secondary": [] if sequential else await self._secondary(sides, kept),
            "reliability": reliability(examined.aligned) if self.rule.binary else None,
            "sequential": None if sequential is None else _progress(sequential, sides, cells),
            "ppi": None if sequential else self._corrected(examined, labels),
            "preference": None if preferred is None else preferred.result,
            "judge": None if standing is None else standing.facts(),
        }
        warnings = notes(sides, cells, examined.aligned, asked, differing, columns)
        if standing is not None:
            own = [] if preferred is None else preferred.notes
            warnings += judge_notes(standing, told=[note["code"] for note in own])
        if labels is not None and preferred is None:
            warnings += error_notes(examined, labels)
        if isinstance(self.rule, Judge):
            warnings += await family_notes(self.services, (baseline, candidate), self.rule)
        if preferred is not None:
            warnings += preferred.notes
        result = comparison_result(
            examined, (baseline, candidate), self.scorer, cells, coverage, facts, warnings
        )
        scores = (cells[0].observations, cells[1].observations)
        return _Look(
            member=Member(sides, scores, examined.analysis, result),
            sequential=sequential is not None,
            plan={
                "margin": self.margin,
                "comparisons": self.comparisons,
                **({} if sequential is None else {"mode": "sequential", "n": sequential.n_max}),
            },
            input_hash=input_hash(self.scorer, cells),
        )

    async def _side(self, run: RunView) -> Side:
        services = self.services
        dataset = await services.datasets.get(run.dataset)
        if run.experiment_id is None or run.variant_id is None:
            return Side(run, dataset)
        return Side(
            run,
            dataset,
            await services.experiments.by_id(run.experiment_id),
            await services.variants.get(run.variant_id),
            await services.generations.reported(run.id),
        )

    async def _coverage(self, sides: tuple[Side, Side]) -> tuple[Coverage, frozenset[str] | None]:
        """Return which examples the sides share, and their keys unless they share all."""
        first, second = sides
        names = first.run.dataset, second.run.dataset
        if _same_examples(first, second):
            count = first.example_count
            return Coverage(count, count, count, 0, 0, 0, *names), None
        before, after = [await self._contents(side) for side in sides]
        return content_coverage((before, after), names)

    async def _contents(self, side: Side) -> Mapping[str, str]:
        """Return the content hash of each example in use, by key."""
        found = await self.services.datasets.content_hashes(
            side.dataset.id, limit=side.example_limit
        )
        used = None
        if side.experiment is not None:
            used = await keys_in_use(self.services, side.experiment)
        return found if used is None else {key: found[key] for key in found if key in used}

    async def _cells(
        self,
        sides: tuple[Side, Side],
        scorer: ScorerView,
        rule: AnyScorer[Any],
        kept: frozenset[str] | None,
        preferred: Preferred | None = None,
    ) -> tuple[SideCells, SideCells]:
        if preferred is not None:
            before, after = preferred.columns
        else:  # both at once: most of the time is the database's own
            before, after = await asyncio.gather(
                *(self.services.scores.columns(side.run.id, scorer.id) for side in sides)
            )
        return side_cells(before, rule, kept), side_cells(after, rule, kept)

    async def _preferred(self, sides: tuple[Side, Side]) -> Preferred | None:
        """Ask a judge of pairs; None for a scorer that sees one answer at a time."""
        if not isinstance(self.rule, JudgePreference):
            return None
        runs = (sides[0].run, sides[1].run)
        return await prefer(
            self.services,
            self.actor,
            runs,
            self.rule,
            self.scorer,
            budget=self.budget,
            note=self.note,
        )

    def _plan(self, sides: tuple[Side, Side]) -> tuple[Plan | None, ExperimentView | None]:
        """Return the plan that binds this comparison, and the experiment that it belongs to.

        A sequential plan of either side binds both: its run may have been stopped early.
        """
        experiments = [side.experiment for side in reversed(sides) if side.experiment is not None]
        experiments.sort(key=lambda experiment: experiment.plan.mode != "sequential")
        experiment = experiments[0] if experiments else None
        bound = None if experiment is None else experiment.plan
        if bound is not None and (self.plan is None or bound.mode == "sequential"):
            return bound, experiment
        return self.plan, experiment

    def _sequential(
        self, fixed: Examined, plan: Plan | None, experiment: ExperimentView | None
    ) -> SequentialAnalysis | None:
        if plan is None or plan.mode != "sequential":
            return None
        planned = plan.n or len(fixed.keys)
        if experiment is not None:
            ended = experiment.sequential
            planned = experiment.example_count if ended is None else ended.n_max
        repeated = max(int(side.n_cells.max(initial=0)) for side in _both(fixed)) > 1
        return analyse_sequentially(
            fixed,
            n_max=max(planned, 1),
            margin=self.margin,
            binary=self.rule.binary and not repeated,
        )

    async def _columns(self, side: Side, examined: Examined) -> Columns:
        if not side.dataset.metadata_names:
            return {}
        metadata = await self.services.datasets.metadata(side.dataset.id)
        return columns_of(metadata, examined.keys)

    def _slices(
        self, examined: Examined, columns: Columns, sequential: SequentialAnalysis | None
    ) -> dict[str, Any]:
        """Slices have fixed bounds, which a sequential plan may not look at."""
        if sequential is not None or not self.slicing.wanted:
            return {"slices": [], "slices_left_out": []}
        sliced = slices_of(
            examined.differences, columns, named=self.slicing.columns, seed=DEFAULT_SEED
        )
        return {"slices": sliced.slices, "slices_left_out": sliced.left_out}

    async def _secondary(
        self, sides: tuple[Side, Side], kept: frozenset[str] | None
    ) -> list[dict[str, Any]]:
        """Compare under every other scorer that has seen both runs."""
        shared = await self.services.scores.scorers_of_both((sides[0].run.id, sides[1].run.id))
        others = [view for view in shared if view.id != self.scorer.id]
        analyses, ranges = {}, {}
        for view in others[:MAX_SECONDARY]:
            rule = parse_scorer({"name": view.name, **view.config})
            cells = await self._cells(sides, view, rule, kept)
            analyses[_told(view, others)] = analyse_pair(
                cells[0].observations,
                cells[1].observations,
                higher_is_better=rule.direction == "higher",
            )
            ranges[_told(view, others)] = list(rule.range)
        return [
            {
                "scorer": found.name,
                "range": ranges[found.name],
                "n_pairs": found.analysis.n_pairs,
                **asdict(found.analysis.difference),
                "p_value": found.analysis.p_value,
                "q_value": found.q_value,
            }
            for found in exploratory(analyses)
            if found.analysis.difference is not None
        ]

    async def _standing(self, sides: tuple[Side, Side]) -> JudgeStanding | None:
        """Return how a judge stands on the data compared; None for what is no judge."""
        if not isinstance(self.rule, Judge):
            return None
        return await judge_standing(self.services, self.scorer, sides[1].dataset.name)

    async def _labels(
        self, sides: tuple[Side, Side], standing: JudgeStanding | None
    ) -> tuple[Sequence[HumanScore], Sequence[HumanScore]] | None:
        """Return people's labels under the criterion that a judge was checked against; of a judge
        that never was, under its name."""
        if standing is None:
            return None
        criterion = standing.criterion or self.scorer.name
        before, after = [
            await self.services.scores.human_scores(side.run.id, criterion) for side in sides
        ]
        return before, after

    def _corrected(
        self,
        examined: Examined,
        labels: tuple[Sequence[HumanScore], Sequence[HumanScore]] | None,
    ) -> dict[str, Any] | None:
        """Correct a judge's difference by people's labels; its bounds hold for a single look."""
        difference = examined.analysis.difference
        if labels is None or difference is None:
            return None
        return corrected_difference(
            examined,
            labels,
            level=difference.level,
            preferences=isinstance(self.rule, JudgePreference),
        )


def _told(view: ScorerView, among: Sequence[ScorerView]) -> str:
    """Name a scorer, with its options where the name alone is not unique."""
    if sum(other.name == view.name for other in among) == 1 or not view.config:
        return view.name
    return f"{view.name}:{','.join(f'{k}={v}' for k, v in sorted(view.config.items()))}"


def _both(examined: Examined) -> tuple[ExampleScores, ExampleScores]:
    return examined.aligned.baseline, examined.aligned.candidate


def _same_examples(first: Side, second: Side) -> bool:
    """Whether both runs use the same examples for certain, without reading them.

    A sequential plan that has ended uses some examples of its version, and has to be looked up.
    """
    ended = any(
        side.experiment is not None and side.experiment.sequential is not None
        for side in (first, second)
    )
    same = first.dataset.id == second.dataset.id
    return same and first.example_count == second.example_count and not ended


def _candidates(sides: tuple[Side, Side], experiment: ExperimentView | None) -> int:
    """Return how many candidates the experiment of both runs holds against its baseline."""
    if experiment is None or "baseline_run" in experiment.spec:
        return 1 if experiment is None else len(experiment.runs)
    if any(side.run.experiment_id != experiment.id for side in sides):
        return 1
    return len(experiment.runs) - 1


def _progress(
    found: SequentialAnalysis, sides: tuple[Side, Side], cells: tuple[SideCells, SideCells]
) -> dict[str, Any]:
    """Return how far a sequential plan is, and how many calls its early end has saved."""
    followed = [
        (side.experiment, stored)
        for side, stored in zip(sides, cells, strict=True)
        if side.experiment is not None and side.experiment.plan.mode == "sequential"
    ]
    looks = [e.sequential.looks for e, _ in followed if e.sequential is not None]
    wanted = [found.n_max * e.repetitions - stored.n_stored for e, stored in followed]
    return {
        "decided": found.decided,
        "n_used": found.n_used,
        "n_max": found.n_max,
        "looks": looks[0] if looks else None,
        "method": "confidence_sequence" if found.look.e_value is None else "e_process",
        "e_value": found.look.e_value,
        "calls_saved": sum(max(0, count) for count in wanted) if found.decided else 0,
    }
