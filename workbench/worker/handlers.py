"""What each kind of job is. Handlers act in the name of who asked, and call what the commands call.

Every handler may be run again after any step: it finds what is stored and goes on from there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from app.bootstrap import Services
from app.core.errors import Conflict, Invalid, NotFound
from app.core.hashing import JSON
from app.core.permissions import Actor, Permission, require
from app.database.exclusive import exclusive
from app.llm.budget import BudgetStore, in_memory_budget
from app.schemas.experiments import ExperimentView, NewExperiment, RunView
from app.schemas.gates import GateDecisionView
from app.schemas.jobs import (
    CompareRequest,
    ExtendRequest,
    GateRequest,
    JobStatus,
    QualifyRequest,
    ResumeRequest,
    RunRequest,
    ScoreRequest,
)
from app.schemas.names import parse_reference
from app.services.jobs import TakenJob
from workbench.gates import SignOff
from workbench.runner.carrying_out import CarriedOut, Ending, conclude, generate
from workbench.runner.comparison.comparing import Slicing, compare_pairs
from workbench.runner.gating import decide_experiment
from workbench.runner.generation.execute import ExecutionOptions
from workbench.runner.generation.executor import Work
from workbench.runner.generation.extending import extend
from workbench.runner.generation.lock import ExperimentBusy, experiment_lock
from workbench.runner.judging.qualifying import qualify_judge
from workbench.runner.scoring import score_run
from workbench.scorers import AnyScorer, parse_scorer
from workbench.scorers.judges import JUDGES, AnyJudge, Judge, JudgePreference
from workbench.workspace.experiments import resolve_experiment, resolve_scorer
from workbench.workspace.plan_check import check_gate

__all__ = ["Ended", "Hand", "LeftOpen", "handle"]

_JUDGE_NAMES: Final = tuple(judge.name for judge in JUDGES)
_DIGITS: Final = re.compile(r"[0-9a-f]{6,64}")
_STATUS: Final[dict[Ending, JobStatus]] = {
    Ending.COMPLETED: "done",
    Ending.STOPPED: "stopped",
    Ending.BUDGET_REACHED: "stopped",
    Ending.CANCELLED: "stopped",
    Ending.FATAL: "failed",
}


class LeftOpen(Exception):
    """The worker drains: another one is to go on."""


@dataclass(frozen=True)
class Ended:
    """How a job ended, and what is to be told of it."""

    status: JobStatus
    detail: dict[str, JSON]


@dataclass
class Hand:
    """What holds a handler's calls, to stop them; None while it makes none for cells."""

    work: Work | None = None
    stopped: bool = False
    stopped_for_good: bool = False

    def begin(self, work: Work) -> None:
        """Hold the work; a wish to stop may have come before."""
        self.work = work
        if self.stopped:
            work.stop()

    def stop(self, *, for_good: bool) -> None:
        """Let calls in flight finish and start none. Not for good: another worker goes on."""
        self.stopped, self.stopped_for_good = True, for_good
        if self.work is not None:
            self.work.stop()


async def handle(services: Services, job: TakenJob, hand: Hand) -> Ended:
    """Do a job to its end.

    Raises `LeftOpen` if the worker drains, `ExperimentBusy` if somebody else works on the
    experiment, and the error that stopped it.
    """
    match job.request:
        case RunRequest() | ResumeRequest() | ExtendRequest():
            return await _run(services, job, hand, job.request)
        case GateRequest():
            return await _gate(services, job, job.request)
        case ScoreRequest():
            return await _score(services, job.actor, job.request)
        case CompareRequest():
            return await _compare(services, job.actor, job.request)
        case QualifyRequest():
            return await _qualify(services, job.actor, job.request)


async def _run(
    services: Services, job: TakenJob, hand: Hand, asked: RunRequest | ResumeRequest | ExtendRequest
) -> Ended:
    actor, notes = job.actor, list[str]()
    gate = not isinstance(asked, ExtendRequest) and asked.gate
    experiment = await _experiment(services, job, notes)
    if experiment.status == "cancelled":
        return Ended("stopped", {"ending": Ending.CANCELLED.value})
    if gate:
        _check_gate(experiment)
    if asked.budget is not None:
        await services.budgets.set(actor, experiment.id, experiment.number, asked.budget)
    options = ExecutionOptions(
        concurrency=asked.concurrency,
        cache=asked.cache,
        reopen=tuple(asked.retry) if isinstance(asked, ResumeRequest) else (),
    )
    with experiment_lock(services.settings.workspace, experiment.number):
        async with exclusive(services.database, f"experiment {experiment.id}") as alone:
            if not alone:
                raise ExperimentBusy(f"Another worker is at experiment {experiment.number}.")
            await services.budgets.settle_lost(actor, experiment.id)
            report = await generate(
                services, actor, experiment, options, on_start=hand.begin, job_id=job.view.id
            )
            hand.work = None
            if hand.stopped and not hand.stopped_for_good:
                raise LeftOpen
            done = await conclude(services, actor, experiment, report)
    decisions: Sequence[GateDecisionView] = ()
    if gate and done.ending is Ending.COMPLETED:
        decisions = await decide_experiment(services, actor, done.experiment)
    detail = _told(done) | {"notes": [*notes, *done.notes], "decisions": _decided(decisions)}
    return Ended(_STATUS[done.ending], detail)


async def _experiment(services: Services, job: TakenJob, notes: list[str]) -> ExperimentView:
    """Return the job's experiment; one that is new is stored, in one transaction with the job."""
    if job.view.experiment_id is not None:
        return await services.experiments.by_id(job.view.experiment_id)
    new = await _new_experiment(services, job, notes)
    again = isinstance(job.request, RunRequest) and job.request.again
    return await services.experiments.create(job.actor, new, again=again, job_id=job.view.id)


async def _new_experiment(services: Services, job: TakenJob, notes: list[str]) -> NewExperiment:
    asked = job.request
    match asked:
        case RunRequest():
            dataset = await services.datasets.get(parse_reference(asked.dataset, noun="dataset"))
            return await resolve_experiment(
                services, job.actor, asked, dataset, notes.append, gate=asked.gate, files=False
            )
        case ExtendRequest():
            if asked.dataset is not None:
                name = parse_reference(asked.dataset, noun="dataset").name
                require(job.actor, Permission.DATASET_READ, name)
            extension = await extend(services, str(asked.extends), asked.dataset)
            notes.append(f"This experiment {extension.sentence}")
            return extension.new
        case _:
            raise NotFound("The job's experiment is not there.")


def _check_gate(experiment: ExperimentView) -> None:
    """Refuse a gate that cannot pass before the money is spent."""
    if experiment.extends_id is not None:
        raise Conflict(
            f"Experiment {experiment.number} is an extension: its gate never passes, since its "
            "examples were added after a look."
        )
    check_gate(experiment.plan, experiment.spec["scorers"], examples=experiment.example_count)


def _told(done: CarriedOut) -> dict[str, JSON]:
    fatal = done.report.fatal
    error: JSON = None if fatal is None else {"code": fatal.code, "message": fatal.message}
    told: dict[str, JSON] = {
        "ending": done.ending.value,
        "open": max(0, done.open_cells),
        "failed": done.failed,
    }
    return told if error is None else {**told, "error": error}


def _decided(decisions: Sequence[GateDecisionView]) -> list[JSON]:
    return [
        {
            "id": str(decision.id),
            "candidate_run_id": str(decision.candidate_run_id),
            "decision": decision.decision,
            "binding": decision.binding,
            "evidence_hash": decision.evidence_hash,
        }
        for decision in decisions
    ]


async def _gate(services: Services, job: TakenJob, asked: GateRequest) -> Ended:
    experiment = await _experiment(services, job, [])
    _check_gate(experiment)
    reason = (asked.accept_loss or "").strip()
    decisions = await decide_experiment(
        services,
        job.actor,
        experiment,
        sign_off=SignOff(str(job.actor), reason) if reason else None,
    )
    return Ended("done", {"decisions": _decided(decisions)})


async def _score(services: Services, actor: Actor, asked: ScoreRequest) -> Ended:
    notes: list[str] = []
    run = await services.experiments.run_by_id(asked.run_id)
    scorers = [
        await resolve_scorer(services, actor, spec, notes.append, files=False)
        for spec in asked.scorers
    ]
    async with AsyncExitStack() as stack:
        budget = await _budget_of(services, actor, stack, [run])
        stored = await score_run(services, actor, run, scorers, budget=budget, note=notes.append)
    return Ended("done", {"scorer_ids": [str(view.id) for view in stored], "notes": [*notes]})


async def _compare(services: Services, actor: Actor, asked: CompareRequest) -> Ended:
    notes: list[str] = []
    baseline = await services.experiments.run_by_id(asked.baseline_run_id)
    candidates = [await services.experiments.run_by_id(i) for i in asked.candidate_run_ids]
    rule = await resolve_scorer(services, actor, asked.scorer, notes.append, files=False)
    async with AsyncExitStack() as stack:
        budget = await _budget_of(services, actor, stack, candidates)
        if not isinstance(rule, JudgePreference):
            for run in (baseline, *candidates):
                await score_run(services, actor, run, [rule], budget=budget, note=notes.append)
        compared = await compare_pairs(
            services,
            actor,
            [(baseline, candidate) for candidate in candidates],
            await services.scores.ensure_scorer(actor, rule.identity()),
            margin=asked.margin,
            slicing=Slicing(wanted=asked.slices != [], columns=tuple(asked.slices or ())),
            budget=budget,
            note=notes.append,
        )
    return Ended("done", {"comparisons": len(compared), "notes": [*notes]})


async def _budget_of(
    services: Services, actor: Actor, stack: AsyncExitStack, runs: Sequence[RunView]
) -> BudgetStore | None:
    """Return the budget of the experiment that all the runs are of, if it is one and has one."""
    experiments = {run.experiment_id for run in runs}
    only = experiments.pop() if len(experiments) == 1 else None
    if only is None:
        return None
    opened = services.budgets.open(actor, only, f"judges {os.getpid()}")
    return await stack.enter_async_context(opened)


async def _qualify(services: Services, actor: Actor, asked: QualifyRequest) -> Ended:
    notes: list[str] = []
    runs = [await services.experiments.run_by_id(run_id) for run_id in asked.run_ids]
    judge = await _judge(services, actor, asked.judge, notes)
    async with AsyncExitStack() as stack:
        budget: BudgetStore | None = None
        if asked.budget is not None:
            budget = await stack.enter_async_context(in_memory_budget(asked.budget))
        result: dict[str, Any] = await qualify_judge(
            services, actor, judge, runs, asked.criterion, notes.append, budget=budget
        )
    return Ended("done", {"decision": result["decision"], "notes": [*notes]})


async def _judge(services: Services, actor: Actor, text: str, notes: list[str]) -> AnyJudge:
    """Return the judge that a text or the digits of a stored judge's hash name."""
    found: AnyScorer[Any]
    if _DIGITS.fullmatch(text):
        stored = [
            judge.scorer
            for judge in await services.qualifications.judges(_JUDGE_NAMES)
            if judge.scorer.content_hash.removeprefix("sha256:").startswith(text)
        ]
        if len(stored) != 1:
            raise NotFound(f"{text} is the beginning of no judge, or of several.")
        found = parse_scorer({"name": stored[0].name, **stored[0].config})
    else:
        found = await resolve_scorer(services, actor, text, notes.append, files=False)
    if not isinstance(found, Judge):
        raise Invalid(f"{found.name} is no judge: it asks no model.", path="judge")
    return found
