"""Decide a gate: score and compare what the plan names, gather the facts, store the decision.

`workbench.gates` decides; here is read what it decides on. The evidence that is stored names
every input with its hash and nothing that another look at the same inputs would change, so that
deciding again gives the same evidence hash. What the record knows beside the scores, such as how
often a dataset version was asked, is an input too.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import numpy as np

from app.bootstrap import Services
from app.core.errors import ConfigurationError
from app.core.hashing import content_hash
from app.core.permissions import Actor
from app.llm.budget import BudgetStore
from app.schemas.experiments import AMOUNT_GUARDS, ExperimentView, GateException, RunView
from app.schemas.gates import GateDecisionView, NewGateDecision
from app.schemas.scores import ScoredCell, ScorerView
from workbench.gates import (
    MAX_BASELINE_AGE_DAYS,
    Amount,
    Effect,
    Evidence,
    GateResult,
    JudgeStanding,
    OpenWarning,
    RunState,
    SafetyCount,
    SignOff,
    decide_gate,
    effect_of,
)
from workbench.runner.comparison.comparing import compare_runs
from workbench.runner.generation.order import keys_in_use
from workbench.runner.pipeline import compared_pairs, experiment_scorers
from workbench.runner.scoring import score_run
from workbench.scored_cells import clusters
from workbench.scorers import AnyScorer, ScorerConfig
from workbench.scorers.judges import Judge, JudgePreference
from workbench.statistics.amounts import AmountComparison, compare_amounts
from workbench.statistics.interval import Interval
from workbench.statistics.observations import Observations
from workbench.statistics.policy import DEFAULT_POLICY

__all__ = ["decide_experiment"]

_FORMAT = 1
_LIBRARIES = ("numpy", "scipy", "prompt-workbench")
_FAILED = ("failed", "incomplete", "cancelled", "abandoned")
_ALPHA = 0.05
_P95 = 0.95

_Sides = tuple[Sequence[ScoredCell], Sequence[ScoredCell]]


@dataclass(frozen=True)
class _Compared:
    """One scorer over one pair of runs: what was stored, and the candidate's scores."""

    rule: AnyScorer[ScorerConfig]
    scorer: ScorerView
    result: Mapping[str, Any]
    input_hash: str
    cells: Sequence[ScoredCell]

    @property
    def judged(self) -> bool:
        """Whether a model did the scoring."""
        return isinstance(self.rule, Judge)

    @property
    def effect(self) -> Effect:
        return effect_of(self.result, judged=self.judged, points=self.rule.range == (0.0, 1.0))


async def decide_experiment(
    services: Services,
    actor: Actor,
    experiment: ExperimentView,
    *,
    sign_off: SignOff | None = None,
) -> list[GateDecisionView]:
    """Decide the experiment's gate for each candidate and store each decision.

    Scores that are missing are made first. Raises `ConfigurationError` if there is no scorer or
    nothing to compare with.
    """
    scorers = experiment_scorers(experiment)
    pairs = await compared_pairs(services, experiment)
    if not scorers:
        raise ConfigurationError(f"Experiment {experiment.number} declares no scorer.")
    if not pairs:
        raise ConfigurationError(
            f"Experiment {experiment.number} has one run and nothing to compare it with.",
            hint="Name a baseline: a second prompt, a stored run or an alias.",
        )
    # A judge of pairs scores no run: it is asked when two are compared.
    rules = [scorer for scorer in scorers if not isinstance(scorer, JudgePreference)]
    async with services.budgets.open(actor, experiment.id, f"gate {os.getpid()}") as budget:
        for run in {run.id: run for pair in pairs for run in pair}.values():
            await score_run(services, actor, run, rules, budget=budget)
        used = await keys_in_use(services, experiment)
        gate = _Gate(services, actor, experiment, scorers, len(pairs), used, sign_off, budget)
        return [await gate.decide(baseline, candidate) for baseline, candidate in pairs]


@dataclass(frozen=True)
class _Gate:
    """One experiment's plan, applied to one pair of runs after the other.

    `keys` are those of the examples that a sequential plan used; None means all of them.
    """

    services: Services
    actor: Actor
    experiment: ExperimentView
    scorers: Sequence[AnyScorer[ScorerConfig]]
    comparisons: int
    keys: Collection[str] | None
    sign_off: SignOff | None
    budget: BudgetStore | None

    async def decide(self, baseline: RunView, candidate: RunView) -> GateDecisionView:
        """Decide about one candidate and store it."""
        plan = self.experiment.plan
        compared = {
            rule.name: await self._compare(baseline, candidate, rule, margin)
            for rule, margin in self._metrics()
        }
        primary = compared[plan.scorer or self.scorers[0].name]
        facts = (await self._cells(baseline), await self._cells(candidate))
        evidence = await self._evidence((baseline, candidate), primary, compared, facts)
        result = decide_gate(plan, evidence)
        return await self.services.gates.record(
            self.actor,
            NewGateDecision(
                experiment_id=self.experiment.id,
                baseline_run_id=baseline.id,
                candidate_run_id=candidate.id,
                plan=plan.model_dump(mode="json"),
                decision=result.decision.value,
                exit_code=result.exit_code,
                binding=result.binding,
                evidence={
                    **await self._inputs(baseline, candidate),
                    **_measured(evidence, compared, self.comparisons),
                    "primary": primary.rule.name,
                    "amounts_hash": _amounts_hash(facts),
                    **_decided(result),
                },
            ),
        )

    def _metrics(self) -> Iterator[tuple[AnyScorer[ScorerConfig], float | None]]:
        """Yield every scorer that the plan names, each with the margin it is held against."""
        plan = self.experiment.plan
        primary = plan.scorer or self.scorers[0].name
        margins: dict[str, float | None] = {safety.scorer: None for safety in plan.safety}
        margins |= {g.metric: g.margin for g in plan.guards if g.metric not in AMOUNT_GUARDS}
        margins[primary] = plan.margin
        for rule in self.scorers:
            if rule.name in margins:
                yield rule, margins.pop(rule.name)

    async def _compare(
        self,
        baseline: RunView,
        candidate: RunView,
        rule: AnyScorer[ScorerConfig],
        margin: float | None,
    ) -> _Compared:
        services = self.services
        scorer = await services.scores.ensure_scorer(self.actor, rule.identity())
        comparison = await compare_runs(
            services,
            self.actor,
            baseline,
            candidate,
            scorer,
            margin=margin,
            comparisons=self.comparisons,
            plan=self.experiment.plan,
            budget=self.budget,
        )
        safety = {metric.scorer for metric in self.experiment.plan.safety}
        cells = await self._cells(candidate, scorer) if rule.name in safety else ()
        return _Compared(rule, scorer, comparison.result, comparison.input_hash, cells)

    async def _cells(self, run: RunView, scorer: ScorerView | None = None) -> Sequence[ScoredCell]:
        """Return a run's cells in use; without scorer with their costs and latencies alone."""
        cells = await self.services.scores.cells(run.id, None if scorer is None else scorer.id)
        return [cell for cell in cells if self.keys is None or cell.key in self.keys]

    async def _evidence(
        self,
        runs: tuple[RunView, RunView],
        primary: _Compared,
        compared: Mapping[str, _Compared],
        facts: _Sides,
    ) -> Evidence:
        experiment, plan = self.experiment, self.experiment.plan
        level = 1.0 - _ALPHA / self.comparisons
        guards = {
            g.metric: compared[g.metric].effect
            if g.metric in compared
            else _amount(g.metric, facts, level)
            for g in plan.guards
        }
        sequential = primary.result.get("sequential")
        return Evidence(
            runs=(await self._state(runs[0], facts[0]), await self._state(runs[1], facts[1])),
            primary=primary.effect,
            guards=guards,
            safety={s.scorer: _safety(compared[s.scorer]) for s in plan.safety},
            planned=sequential["n_max"] if sequential else plan.n or experiment.example_count,
            used=len(_common_keys(facts)),
            decided_early=bool(sequential and sequential["decided"]),
            extended=experiment.extends_id is not None,
            known=await self._known(runs, facts),
            incomparable=_incomparable(runs, primary.result),
            exceptions=await self._exceptions(runs, list(compared.values())),
            notes=(
                *_labels(primary.result),
                *await self._stale(runs),
                *self._notes(ended_early=bool(sequential and sequential["decided"])),
            ),
            sign_off=self.sign_off,
        )

    async def _state(self, run: RunView, cells: Sequence[ScoredCell]) -> RunState:
        """Return how far a run is: of this experiment its cells in use, of another one all."""
        if run.experiment_id == self.experiment.id:
            done = len(cells)
            failed = sum(cell.status in _FAILED for cell in cells)
            return RunState(run.name, self._wanted(self.experiment, done), done, failed)
        totals = (await self.services.generations.totals([run.id]))[run.id].by_status
        done = sum(totals.values())
        failed = sum(totals.get(status, 0) for status in _FAILED)
        if run.experiment_id is None:  # an imported run lacks nothing of what was imported
            return RunState(run.name, done, done, failed)
        owner = await self.services.experiments.by_id(run.experiment_id)
        return RunState(run.name, self._wanted(owner, done), done, failed)

    @staticmethod
    def _wanted(experiment: ExperimentView, done: int) -> int:
        return max(done, experiment.example_count * experiment.repetitions)

    async def _exceptions(
        self, runs: tuple[RunView, RunView], compared: Sequence[_Compared]
    ) -> dict[GateException, str]:
        """Return what keeps the decision from binding, each with what brought it about."""
        models = {run.model for run in runs if run.model is not None}
        versions = [await self.services.models.get(model) for model in sorted(models)]
        judges = {c.scorer.name for c in compared if c.judged and _asks_simulated(c.scorer.config)}
        seats = {s for c in compared if isinstance(c.rule, Judge) for s in c.rule.config.seats}
        versions += [await self.services.models.get(seat) for seat in sorted(seats - models)]
        found: dict[GateException, list[str]] = {
            "simulated": [*(run.name for run in runs if run.simulated), *sorted(judges)],
            "imported": [run.name for run in runs if run.origin == "imported"],
            "draft": [run.prompt for run in runs if run.prompt and "@draft-" in run.prompt],
            "floating": [model.reference for model in versions if model.floating],
            "unauthenticated": [] if self.actor.authenticated else [str(self.actor)],
        }
        return {
            name: f"{_EXCEPTIONS[name]}: {', '.join(dict.fromkeys(sources))}."
            for name, sources in found.items()
            if sources
        }

    async def _known(self, runs: tuple[RunView, RunView], facts: _Sides) -> int:
        """Return of how many examples both answers were there when the plan was declared.

        A stored baseline always was; else it takes answers that were given to another question
        and used again. To ask the same question again, as a pipeline does, is no second look.
        """
        question = content_hash(self.experiment.spec)
        known = _common_keys(facts)
        for run in runs:
            if run.experiment_id == self.experiment.id:
                known &= await self.services.gates.reused_keys(run.id, besides=question)
        return len(known)

    async def _stale(self, runs: tuple[RunView, RunView]) -> tuple[OpenWarning, ...]:
        """Return a warning for each side that was not asked lately.

        An experiment is as old as its answers: one made today may use older ones again.
        """
        found: list[OpenWarning] = []
        for side, run in zip(("baseline", "candidate"), runs, strict=True):
            own = run.experiment_id == self.experiment.id
            since = await self.services.gates.answers_since(run)
            if own and since == run.created_at:
                continue
            if self.services.clock.now() - since > timedelta(days=MAX_BASELINE_AGE_DAYS):
                text = (
                    f"The {side} {run.name} has answers that were made on {since:%Y-%m-%d}, more "
                    f"than {MAX_BASELINE_AGE_DAYS} days ago: the model behind it may have changed "
                    "since."
                )
                found.append(OpenWarning(f"stale_{side}", False, text))
        return tuple(found)

    def _notes(self, *, ended_early: bool) -> tuple[OpenWarning, ...]:
        """Return what is worth knowing of an early end and shuts no gate."""
        found: list[OpenWarning] = []
        plan = self.experiment.plan
        if ended_early and (plan.safety or any(g.metric in AMOUNT_GUARDS for g in plan.guards)):
            text = (
                "The primary metric ended the run; the bounds of cost, latency and safety are "
                "those of a fixed number of examples."
            )
            found.append(OpenWarning("ended_early", False, text))
        return tuple(found)

    async def _inputs(self, baseline: RunView, candidate: RunView) -> dict[str, Any]:
        """Return what was asked, with the hash of everything it names."""
        experiment, services = self.experiment, self.services
        dataset = await services.datasets.get(experiment.dataset)
        plan = experiment.plan.model_dump(mode="json")
        return {
            "format": _FORMAT,
            "experiment": experiment.number,
            "spec_hash": content_hash(experiment.spec),
            "plan_hash": content_hash(plan),
            "dataset": {"reference": dataset.reference, "content_hash": dataset.content_hash},
            "baseline": await self._run(baseline),
            "candidate": await self._run(candidate),
            "policy": asdict(DEFAULT_POLICY),
            "libraries": {
                "python": platform.python_version(),
                **{name: version(name) for name in _LIBRARIES},
            },
            "sign_off": None if self.sign_off is None else asdict(self.sign_off),
        }

    async def _run(self, run: RunView) -> dict[str, Any]:
        variant = None
        if run.variant_id is not None:
            variant = (await self.services.variants.get(run.variant_id)).content_hash
        return {
            "name": run.name,
            "id": str(run.id),
            "origin": run.origin,
            "prompt": run.prompt,
            "model": run.model,
            "variant_hash": variant,
            "created_at": run.created_at.isoformat(),
        }


_EXCEPTIONS: Mapping[GateException, str] = {
    "simulated": "A simulated model answered",
    "imported": "The outputs were made elsewhere",
    "draft": "The prompt is a draft",
    "floating": "The model's name is no snapshot and may mean another model tomorrow",
    "unauthenticated": "No credential says who decided",
}


def _asks_simulated(config: object) -> bool:
    """Whether a judge's options name a simulated model."""
    if isinstance(config, str):
        return config.startswith("simulated/")
    if isinstance(config, Mapping):
        return any(_asks_simulated(value) for value in config.values())
    return isinstance(config, Sequence) and any(_asks_simulated(item) for item in config)


def _common_keys(facts: _Sides) -> set[str]:
    first, second = ({cell.key for cell in side} for side in facts)
    return first & second


def _incomparable(runs: tuple[RunView, RunView], result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why like is not compared with like, from the comparison's own guard."""
    found = result.get("comparability")
    if found is not None:
        return tuple(str(item["text"]) for item in found if item["blocking"])
    if runs[0].dataset_version_id != runs[1].dataset_version_id:
        return (f"{runs[0].dataset} and {runs[1].dataset} are different dataset versions.",)
    return ()


def _labels(result: Mapping[str, Any]) -> Iterator[OpenWarning]:
    """Yield what else differs between the sides and does not keep them from being compared."""
    for item in result.get("comparability") or ():
        if not item["blocking"]:
            yield OpenWarning("not_alike", False, str(item["text"]))


def _safety(compared: _Compared) -> SafetyCount:
    """Count the candidate's independent units; one bad output makes the whole unit bad."""
    low, high = compared.rule.range
    good = high if compared.rule.direction == "higher" else low
    units: dict[tuple[str, str], list[ScoredCell]] = {}
    for cell in compared.cells:
        unit = ("key", cell.key) if cell.cluster is None else ("cluster", cell.cluster)
        units.setdefault(unit, []).append(cell)
    bad = [cells for cells in units.values() if any(cell.value != good for cell in cells)]
    missing = [cells for cells in bad if all(cell.value in (good, None) for cell in cells)]
    judge = compared.result.get("judge")
    return SafetyCount(
        scorer=compared.rule.name,
        n=len(units),
        failed=len(bad),
        missing=len(missing),
        judged=compared.judged,
        judge=JudgeStanding(bool(judge["qualified"]), judge["sentence"]) if judge else None,
        warnings=tuple(w for w in compared.effect.warnings if w.code.startswith("judge_")),
    )


def _amount(metric: str, facts: _Sides, level: float) -> Amount:
    """Compare costs or latencies at the level that the number of candidates asks for."""
    tail = metric == "latency_p95"
    found = _amounts(facts, metric, (_P95,) if tail else (), level)
    measured = found.ratio
    estimate = None if measured is None else measured.ratio
    interval = None if measured is None else measured.interval
    note = found.note or ""
    if found.n_pairs and found.baseline_total == found.candidate_total == 0.0:
        estimate, interval = 1.0, Interval(1.0, 1.0, level)  # both are free: exactly alike
    if tail:
        clustered = any(clusters(side) is not None for side in facts)
        difference = found.quantiles[0] if found.quantiles and not clustered else None
        estimate = None if difference is None else difference.difference
        interval = None if difference is None else difference.interval
        note = "examples come in clusters, for which a quantile has no bound" if clustered else ""
    return Amount(
        metric=metric,
        n_examples=len(_common_keys(facts)),
        n_known=found.n_pairs,
        estimate=estimate,
        interval=interval,
        note=note,
    )


def _amounts(
    facts: _Sides, metric: str, quantiles: Sequence[float], level: float
) -> AmountComparison:
    sides = [
        Observations.from_values(
            [cell.key for cell in side],
            np.array([_known(cell, metric) for cell in side], dtype=float),
            clusters(side),
        )
        for side in facts
    ]
    return compare_amounts(sides[0], sides[1], quantiles=quantiles, level=level)


def _known(cell: ScoredCell, metric: str) -> float:
    """Return a cost, or the latency of an answer given for this very cell; NaN if unknown."""
    if metric == "cost":
        return np.nan if cell.cost is None else float(cell.cost)
    measured = cell.answered and not cell.reused and cell.latency_ms is not None
    return float(cell.latency_ms) if measured and cell.latency_ms is not None else np.nan


def _measured(
    evidence: Evidence, compared: Mapping[str, _Compared], comparisons: int
) -> dict[str, Any]:
    """Return every analysis with the hash of the scores it was made of."""
    return {
        "comparisons": [_analysis(one, comparisons) for one in compared.values()],
        "amounts": [asdict(g) for g in evidence.guards.values() if isinstance(g, Amount)],
        "safety": [asdict(count) for count in evidence.safety.values()],
        "runs": [asdict(run) for run in evidence.runs],
    }


def _analysis(compared: _Compared, comparisons: int) -> dict[str, Any]:
    result, effect = compared.result, compared.effect
    return {
        "scorer": compared.scorer.name,
        "scorer_hash": compared.scorer.content_hash,
        "input_hash": compared.input_hash,
        "method": result["method"],
        "verdict": result["verdict"],
        "n_pairs": effect.n_pairs,
        "estimate": effect.estimate,
        "interval": None if effect.interval is None else asdict(effect.interval),
        "exact_p": effect.exact_p,
        "comparisons": comparisons,
        "seed": result["seed"],
        "judge": result.get("judge"),
    }


def _amounts_hash(facts: _Sides) -> str:
    """Return the hash over every cost and latency that a guard may have looked at."""
    return content_hash(
        [
            [
                [c.key, c.repetition, None if c.cost is None else str(c.cost), c.latency_ms]
                for c in side
            ]
            for side in facts
        ]
    )


def _decided(result: GateResult) -> dict[str, Any]:
    """Return the decision with its checks, as it is printed."""
    return {
        "decision": result.decision.value,
        "exit_code": result.exit_code,
        "binding": result.binding,
        "reasons": list(result.reasons),
        "checks": [{**asdict(c), "decision": c.decision.value} for c in result.checks],
        "exceptions": [asdict(note) for note in result.exceptions],
        "notes": [asdict(note) for note in result.notes],
    }
