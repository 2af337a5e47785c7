"""Jobs: work that is asked of a worker, and the record of what processes do.

`submit` is the one seam to the engines. On SQLite the workspace's one worker reads the jobs; on
PostgreSQL an entry in PGQueuer is written in the same transaction. Neither holds state that
matters: what is left of a job is derived from the stored outcomes, so a job that is delivered
twice costs the calls that were in flight and nothing else.

A job does what its submitter may do: their grants at that moment travel with it, and the worker
acts in their name, unless they were deactivated meanwhile. A job is seen by who may see its
dataset, and by who asked for it; a scoped key sees what its scope names only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Conflict, Forbidden, NotFound, Unavailable
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.permissions import Actor, ActorKind, Credential, Grant, Permission, require
from app.database import AsyncSession, Database, DatabaseError
from app.repositories.experiments import ExperimentRepository
from app.repositories.generations import GenerationRepository
from app.repositories.job_queue import QUEUE_ENTRY, JobQueue, load_queue
from app.repositories.jobs import JobRepository
from app.repositories.users import UserRepository
from app.schemas.aliases import is_alias
from app.schemas.experiments import ExperimentView
from app.schemas.jobs import (
    UNFINISHED,
    CompareRequest,
    ExtendRequest,
    GateRequest,
    JobKind,
    JobProgress,
    JobRequest,
    JobStatus,
    JobView,
    QualifyRequest,
    ResumeRequest,
    RunRequest,
    ScoreRequest,
)
from app.schemas.names import parse_reference
from app.schemas.pages import Page, decode_id, page_of

__all__ = ["FOLLOW_S", "QUEUE_ENTRY", "JobService", "TakenJob"]

FOLLOW_S: Final = 1.0
"""How often the record is looked at for somebody who follows a job."""

_COUNT_S: Final = 1.0

_KINDS: Final[Mapping[type[JobRequest], JobKind]] = {
    RunRequest: "run",
    ResumeRequest: "run",
    ExtendRequest: "run",
    ScoreRequest: "score",
    CompareRequest: "compare",
    GateRequest: "gate",
    QualifyRequest: "qualify",
}


@dataclass(frozen=True, slots=True)
class TakenJob:
    """A job in a worker's hands: what is to be done, and in whose name."""

    view: JobView
    request: JobRequest
    actor: Actor


class JobService:
    """Use cases of jobs: ask for work, follow it, stop it; take it, and say how it ended."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._followed = asyncio.Event()  # set: nobody is to wait any longer

    # Asking for work

    async def start_experiment(self, actor: Actor, request: RunRequest) -> JobView:
        """Ask for a new experiment; the worker resolves what it names and stores it first.

        `NotFound` for a dataset, a prompt or an alias that the actor may not see.
        """
        dataset = parse_reference(request.dataset, noun="dataset").name
        _require_run(actor, dataset, budget=request.budget is not None, gate=request.gate)
        require(actor, Permission.DATASET_READ, dataset)
        for prompt in request.prompts:
            require(actor, Permission.PROMPT_READ, parse_reference(prompt, noun="prompt").name)
        if request.baseline is not None and is_alias(request.baseline):
            require(actor, Permission.ALIAS_READ, request.baseline)
            if not actor.may_use_alias(request.baseline):
                raise NotFound(f"There is no alias {request.baseline}.")
        return await self._submit(actor, request, None, dataset)

    async def resume(self, actor: Actor, number: int, request: ResumeRequest) -> JobView:
        """Ask to go on with an experiment; `Conflict` if it was cancelled or is being worked on."""
        experiment = await self._experiment(actor, number)
        _require_run(
            actor,
            _dataset(experiment),
            budget=request.budget is not None,
            gate=request.gate,
        )
        if experiment.status == "cancelled":
            raise Conflict(f"Experiment {number} was cancelled: start a new one.")
        return await self._submit(actor, request, experiment.id, _dataset(experiment))

    async def extend(self, actor: Actor, request: ExtendRequest) -> JobView:
        """Ask to carry a completed experiment on; the worker refuses what does not fit it."""
        experiment = await self._experiment(actor, request.extends)
        _require_run(actor, _dataset(experiment), budget=request.budget is not None, gate=False)
        return await self._submit(actor, request, None, _dataset(experiment))

    async def decide_gate(self, actor: Actor, number: int, request: GateRequest) -> JobView:
        """Ask for the decisions of an experiment's gate; `Conflict` if it was cancelled."""
        experiment = await self._experiment(actor, number)
        _require_run(actor, _dataset(experiment), budget=False, gate=True)
        if experiment.status == "cancelled":
            raise Conflict(f"Experiment {number} was cancelled: there is no gate for it.")
        return await self._submit(actor, request, experiment.id, _dataset(experiment))

    async def score(self, actor: Actor, request: ScoreRequest) -> JobView:
        """Ask to score the stored outputs of a run."""
        dataset = await self._dataset_of(actor, Permission.SCORE_WRITE, [request.run_id])
        return await self._submit(actor, request, None, dataset)

    async def compare(self, actor: Actor, request: CompareRequest) -> JobView:
        """Ask to compare runs."""
        runs = [request.baseline_run_id, *request.candidate_run_ids]
        dataset = await self._dataset_of(actor, Permission.SCORE_WRITE, runs)
        return await self._submit(actor, request, None, dataset)

    async def qualify(self, actor: Actor, request: QualifyRequest) -> JobView:
        """Ask to check a judge against people's labels."""
        require(actor, Permission.SCORE_WRITE)
        dataset = await self._dataset_of(actor, Permission.JUDGE_QUALIFY, request.run_ids)
        return await self._submit(actor, request, None, dataset)

    async def _experiment(self, actor: Actor, number: int) -> ExperimentView:
        async with self._database.read_session() as session:
            found = await ExperimentRepository(session).by_number(number)
        if found is None or not actor.may(Permission.EXPERIMENT_READ, _dataset(found)):
            raise NotFound(f"There is no experiment {number}.")
        return found

    async def _dataset_of(
        self, actor: Actor, permission: Permission, run_ids: Collection[UUID]
    ) -> str | None:
        """Return the one dataset of runs that the actor may work on; None if they have several."""
        require(actor, permission)
        async with self._database.read_session() as session:
            names = await JobRepository(session).datasets_of_runs(run_ids)
        for run_id in run_ids:
            if run_id not in names or not actor.may(permission, names[run_id]):
                raise NotFound(f"There is no run {run_id}.")
        datasets = set(names.values())
        return datasets.pop() if len(datasets) == 1 else None

    async def _submit(
        self, actor: Actor, request: JobRequest, experiment_id: UUID | None, dataset: str | None
    ) -> JobView:
        await self.prepare()  # before a session waits for the import
        async with self._database.write_session() as session:
            job_id = await self.submit(session, actor, request, experiment_id, dataset)
            job = await _stored(session, job_id)
            await session.commit()
        return job

    async def prepare(self) -> None:
        """Load what the engine of this database needs; `ConfigurationError` if it is missing."""
        if not self._database.is_sqlite:
            await asyncio.to_thread(load_queue)

    async def submit(
        self,
        session: AsyncSession,
        actor: Actor,
        request: JobRequest,
        experiment_id: UUID | None,
        dataset: str | None,
    ) -> UUID:
        """Queue a job in the caller's transaction and return its id.

        By `dataset` it is decided who may see and stop it: also before there is an experiment, and
        where there will be none. None is for whoever asked and who may see every dataset.

        Raises `Conflict` for a second run of an experiment that is being worked on.
        """
        jobs, kind, job_id = JobRepository(session), _KINDS[type(request)], new_id()
        if experiment_id is not None and kind == "run":
            for other in await jobs.of_experiment(experiment_id):
                if other.kind == "run" and other.asked is not None and not other.ended:
                    raise Conflict(
                        f"Experiment {other.experiment} is being worked on by the job {other.id}.",
                        hint="Follow that one, or stop it first.",
                    )
        await jobs.add(
            {
                "id": job_id,
                "kind": kind,
                "experiment_id": experiment_id,
                "status": "queued",
                "actor": str(actor),
                "concurrency": 0,
                "queued_at": self._clock.now(),
                "request": {
                    "shape": type(request).__name__,
                    "asked": request.model_dump(mode="json"),
                    "as": _pack_actor(actor),
                    "dataset": dataset,
                },
                "detail": {},
            }
        )
        await JobQueue(session).enqueue(job_id)
        return job_id

    # Looking

    async def get(self, actor: Actor, job_id: UUID) -> JobView:
        """Return one job; `NotFound` if there is none that the actor may see."""
        async with self._database.read_session() as session:
            return await _seen(session, actor, job_id)

    async def backlog(self, actor: Actor) -> Mapping[str, int]:
        """Return how many jobs wait and how many are under way, whoever asked for them.

        Nothing is returned if the database takes longer than a second: whoever counts asks again,
        and must not wait for a pool that is exhausted.
        """
        require(actor, Permission.METRICS_READ)
        try:
            async with asyncio.timeout(_COUNT_S), self._database.read_session() as session:
                found = await JobRepository(session).unfinished_by_status()
        except (TimeoutError, Unavailable, DatabaseError, OSError):
            return {}
        return {status: found.get(status, 0) for status in UNFINISHED}

    async def page(
        self,
        actor: Actor,
        *,
        statuses: Collection[JobStatus] = (),
        experiment: int | None = None,
        cursor: str | None,
        limit: int,
    ) -> Page[JobView]:
        """Return the jobs that the actor may see, newest first."""
        before = None if cursor is None else decode_id(cursor)
        experiment_id = None
        if experiment is not None:
            experiment_id = (await self._experiment(actor, experiment)).id
        async with self._database.read_session() as session:
            found, total = await JobRepository(session).page(
                owner=_owner(actor),
                prefixes=actor.prefixes(Permission.EXPERIMENT_READ),
                statuses=statuses,
                experiment_id=experiment_id,
                before=before,
                limit=limit + 1,
            )
        return page_of(found, limit=limit, total=total, position=lambda job: (str(job.id),))

    async def progress(self, actor: Actor, job_id: UUID) -> JobProgress:
        """Return how far a job is, from the stored outcomes of its experiment."""
        async with self._database.read_session() as session:
            job = await _seen(session, actor, job_id)
            if job.experiment_id is None:
                return JobProgress(job=job, wanted=None, by_status={}, cost=None)
            experiment = await ExperimentRepository(session).by_id(job.experiment_id)
            if experiment is None:
                raise NotFound(f"There is no job {job_id}.")
            runs = [run.id for run in experiment.runs]
            totals = (await GenerationRepository(session).totals(runs)).values()
        by_status: dict[str, int] = {}
        for status, count in (pair for total in totals for pair in total.by_status.items()):
            by_status[status] = by_status.get(status, 0) + count
        costs = [total.cost for total in totals if total.cost is not None]
        return JobProgress(
            job=job,
            wanted=experiment.wanted,
            by_status=by_status,
            cost=float(sum(costs)) if costs else None,
        )

    async def follow(
        self, who: Actor | Callable[[], Awaitable[Actor]], job_id: UUID
    ) -> AsyncIterator[JobProgress]:
        """Yield how far a job is whenever that has changed; the last one is of an ended job,
        unless the server stops before.

        No session is held between two looks. A function that is given for `who` is asked at each of
        them who looks: what they may see can change meanwhile.
        """
        told: JobProgress | None = None
        while told is None or not (told.job.ended or self._followed.is_set()):
            actor = who if isinstance(who, Actor) else await who()
            now = await self.progress(actor, job_id)
            if now != told:
                yield now
            told = now
            if not now.job.ended:
                with suppress(TimeoutError):
                    async with asyncio.timeout(FOLLOW_S):
                        await self._followed.wait()

    def stop_following(self) -> None:
        """End everybody's following: the server stops."""
        self._followed.set()

    async def of_experiment(self, experiment_id: UUID) -> Sequence[JobView]:
        """Return the jobs of an experiment, oldest first."""
        async with self._database.read_session() as session:
            return await JobRepository(session).of_experiment(experiment_id)

    # Stopping

    async def ask_to_stop(self, actor: Actor, job_id: UUID) -> JobView:
        """Have a job end early: calls in flight finish and what is open stays open.

        One that waits ends at once. `Conflict` if it has ended. Who asked for a job may stop it,
        and so may everybody who may run experiments on its dataset.
        """
        require(actor, Permission.EXPERIMENT_READ)
        now = self._clock.now()
        async with self._database.write_session() as session:
            jobs = JobRepository(session)
            await jobs.lock(job_id)  # a worker may be taking it at this moment
            job = await _seen(session, actor, job_id)
            if job.actor != _owner(actor):
                await _require_dataset(session, actor, job_id)
            if job.asked is None:
                raise Conflict("This is a process at a command line: stop it there.")
            if job.ended:
                raise Conflict(f"The job has ended already: it is {job.status}.")
            if job.status == "queued":
                await jobs.change(job_id, status="stopped", stop_asked_at=now, ended_at=now)
            elif job.stop_asked_at is None:
                await jobs.change(job_id, stop_asked_at=now)
            job = await _stored(session, job_id)
            await session.commit()
        return job

    async def stop_asked(self, job_id: UUID) -> bool:
        """Whether somebody asked that the job stop: a cheap look for a worker."""
        async with self._database.read_session() as session:
            return await JobRepository(session).stop_asked(job_id)

    # Working

    async def unfinished(self) -> Sequence[UUID]:
        """Return the jobs that were asked for and have not ended, oldest first."""
        async with self._database.read_session() as session:
            return await JobRepository(session).unfinished()

    async def enqueue_unfinished(self, actor: Actor) -> None:
        """Hand every unfinished job to the workers that the queue has no entry for.

        An entry is lost if the database went away as it was to be put back, or was restored.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        async with self._database.write_session() as session:
            queue = JobQueue(session)
            for job_id in await JobRepository(session).unfinished():
                await queue.enqueue(job_id)
            await session.commit()

    async def take(self, actor: Actor, job_id: UUID) -> TakenJob | None:
        """Mark a job as being worked on; None if it has ended or is not there.

        One that runs already was cut by the end of its worker: it is counted in
        `detail["cut"]`, with about how many of its calls are unknown. Raises `Conflict` for one
        that this version cannot read, `Forbidden` if who asked for it was deactivated.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        async with self._database.write_session() as session:
            jobs = JobRepository(session)
            taken = await jobs.taken_request(job_id)
            if taken is None or taken[0].ended:
                return None
            job, request = taken
            detail = dict(job.detail)
            if job.status == "running":
                detail["cut"] = detail.get("cut", 0) + 1
                detail["unknown_calls_about"] = (
                    detail.get("unknown_calls_about", 0) + job.concurrency
                )
            started = job.started_at or self._clock.now()
            await jobs.change(job_id, status="running", started_at=started, detail=detail)
            view = await _stored(session, job_id)
            await session.commit()
        unpacked = _unpacked(view, request)
        async with self._database.read_session() as session:
            await _require_active(session, unpacked.actor)
        return unpacked

    async def put_back(self, actor: Actor, job_id: UUID) -> None:
        """Let another worker go on with a job that this one had to leave; if it has ended
        meanwhile, that stays."""
        require(actor, Permission.EXPERIMENT_RUN)
        async with self._database.write_session() as session:
            if (await _locked(session, job_id)).status == "running":
                await JobRepository(session).change(job_id, status="queued")
            await session.commit()

    async def begin(self, actor: Actor, experiment_id: UUID, *, concurrency: int) -> UUID:
        """Record that this process takes up an experiment unasked; return the job's id.

        The caller holds the experiment's lock, as `adopt` demands too.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        job_id = new_id()
        async with self._database.write_session() as session:
            await self._mark_lost(session, experiment_id)
            await JobRepository(session).add(
                {
                    "id": job_id,
                    "kind": "run",
                    "experiment_id": experiment_id,
                    "status": "running",
                    "actor": str(actor),
                    "concurrency": concurrency,
                    "started_at": self._clock.now(),
                    "detail": {},
                }
            )
            await session.commit()
        return job_id

    async def adopt(
        self, actor: Actor, job_id: UUID, experiment_id: UUID, *, concurrency: int
    ) -> None:
        """Record that a job that was asked for now makes calls for its experiment."""
        require(actor, Permission.EXPERIMENT_RUN)
        async with self._database.write_session() as session:
            await self._mark_lost(session, experiment_id)
            await JobRepository(session).change(job_id, concurrency=concurrency)
            await session.commit()

    async def _mark_lost(self, session: AsyncSession, experiment_id: UUID) -> None:
        """Mark what ran for an experiment unasked: its lock is held, so a crash cut it."""
        jobs, now = JobRepository(session), self._clock.now()
        for job in await jobs.of_experiment(experiment_id):
            if job.status == "running" and job.asked is None:
                detail = {**job.detail, "unknown_calls_about": job.concurrency}
                await jobs.change(job.id, status="lost", ended_at=now, detail=detail)

    async def note(self, actor: Actor, job_id: UUID, detail: Mapping[str, JSON]) -> None:
        """Add to what a job's row says of the work so far."""
        require(actor, Permission.EXPERIMENT_RUN)
        async with self._database.write_session() as session:
            job = await _locked(session, job_id)
            await JobRepository(session).change(job_id, detail={**job.detail, **detail})
            await session.commit()

    async def end(
        self, actor: Actor, job_id: UUID, *, status: JobStatus, detail: Mapping[str, JSON]
    ) -> None:
        """Record how the work ended: done, stopped or failed. The first end stays."""
        require(actor, Permission.EXPERIMENT_RUN)
        async with self._database.write_session() as session:
            job = await _locked(session, job_id)
            if not job.ended:
                await JobRepository(session).change(
                    job_id,
                    status=status,
                    ended_at=self._clock.now(),
                    detail={**job.detail, **detail},
                )
            await session.commit()


def _require_run(actor: Actor, dataset: str, *, budget: bool, gate: bool) -> None:
    """Refuse before the first call what would be refused after the last one."""
    require(actor, Permission.EXPERIMENT_RUN, dataset)
    require(actor, Permission.SCORE_WRITE, dataset)
    if budget:
        require(actor, Permission.BUDGET_WRITE)
    if gate:
        require(actor, Permission.GATE_DECIDE, dataset)


def _dataset(experiment: ExperimentView) -> str:
    return experiment.dataset.partition("@")[0]


async def _stored(session: AsyncSession, job_id: UUID) -> JobView:
    job = await JobRepository(session).get(job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


async def _locked(session: AsyncSession, job_id: UUID) -> JobView:
    """Return a job whose row is ours until commit."""
    await JobRepository(session).lock(job_id)
    return await _stored(session, job_id)


async def _seen(session: AsyncSession, actor: Actor, job_id: UUID) -> JobView:
    job = await JobRepository(session).seen(
        job_id, owner=_owner(actor), prefixes=actor.prefixes(Permission.EXPERIMENT_READ)
    )
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


async def _require_dataset(session: AsyncSession, actor: Actor, job_id: UUID) -> None:
    """Refuse a job that is not one's own unless one may run experiments on its dataset."""
    dataset = await JobRepository(session).dataset(job_id)
    require(actor, Permission.EXPERIMENT_RUN, dataset)
    if dataset is None and actor.prefixes(Permission.EXPERIMENT_RUN) is not None:
        raise NotFound(f"There is no job {job_id}.")


async def _require_active(session: AsyncSession, actor: Actor) -> None:
    """Refuse to act in the name of a person who was deactivated."""
    if actor.kind is ActorKind.USER:
        user = await UserRepository(session).by_name(actor.name)  # no user is ever deleted
        if user is not None and not user.is_active:
            raise Forbidden(f"{actor}, who asked for it, is deactivated.")


def _owner(actor: Actor) -> str | None:
    """Return as whom an actor sees jobs for having asked for them."""
    return None if actor.is_scoped else str(actor)


def _pack_actor(actor: Actor) -> dict[str, JSON]:
    grants = actor.grants or (Grant(actor.permissions),)
    return {
        "kind": actor.kind.value,
        "name": actor.name,
        "grants": [
            {"permissions": sorted(grant.permissions), "prefix": grant.prefix} for grant in grants
        ],
        "aliases": None if actor.aliases is None else sorted(actor.aliases),
        "credential": _pack_credential(actor.credential),
    }


def _pack_credential(credential: Credential | None) -> JSON:
    if credential is None:
        return None
    return {
        "key_id": str(credential.key_id),
        "key": credential.key,
        "is_scoped": credential.is_scoped,
    }


def _unpack_credential(packed: Mapping[str, Any] | None) -> Credential | None:
    if packed is None:
        return None
    return Credential(UUID(packed["key_id"]), packed["key"], packed["is_scoped"])


def _unpacked(view: JobView, request: Mapping[str, Any]) -> TakenJob:
    try:
        return TakenJob(view, _unpack_request(request), _unpack_actor(request["as"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Conflict(
            "This version of the workbench cannot read the job: ask for the same anew."
        ) from error


def _unpack_actor(packed: Mapping[str, Any]) -> Actor:
    known = frozenset(Permission)
    grants = (
        Grant(frozenset(p for p in known if p in grant["permissions"]), grant["prefix"])
        for grant in packed["grants"]
    )
    aliases = packed.get("aliases")
    return Actor.of(
        ActorKind(packed["kind"]),
        packed["name"],
        grants,
        aliases=None if aliases is None else frozenset(aliases),
        credential=_unpack_credential(packed.get("credential")),
    )


def _unpack_request(packed: Mapping[str, Any]) -> JobRequest:
    shapes = {shape.__name__: shape for shape in _KINDS}
    shape = shapes[packed["shape"]]
    return shape.model_validate(packed["asked"])
