"""A worker does what was asked for, in the name of who asked, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text, update

from app.bootstrap import Services
from app.core.errors import Conflict
from app.core.logging import create_logger
from app.core.permissions import ROLE_PERMISSIONS, Actor, ActorKind, Grant, Role
from app.database import AsyncSession
from app.database.exclusive import exclusive
from app.models import Job
from app.schemas.jobs import (
    CompareRequest,
    GateRequest,
    JobView,
    ResumeRequest,
    RunRequest,
    ScoreRequest,
)
from app.schemas.users import NewUser
from tests.fake_provider import FakeProvider, FaultScript, ProviderOptions
from tests.integration.runner.conftest import (
    ASK,
    ASK_POLITELY,
    OpenServices,
    make_experiment,
    open_for,
    questions,
)
from workbench.runner.generation.lock import experiment_lock
from workbench.worker import Desk, JobFailed, WorkerOptions, run_worker

__all__ = ["open_for"]  # the fixture that opens services for a fake provider

ONE_DATABASE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
RESEARCHER = Actor.of(ActorKind.USER, "ana", [Grant(ROLE_PERMISSIONS[Role.RESEARCHER])])


@asynccontextmanager
async def working(services: Services) -> AsyncIterator[Desk]:
    """A worker at work until the block ends."""
    desk = Desk(services, create_logger("CRITICAL"), WorkerOptions(2, timedelta(seconds=5)))
    task = asyncio.create_task(run_worker(desk))
    try:
        yield desk
    finally:
        desk.drain.set()
        await task


async def ended(services: Services, job: JobView, actor: Actor = RESEARCHER) -> JobView:
    """Follow a job to its end."""
    async with asyncio.timeout(60):
        async for progress in services.jobs.follow(actor, job.id):
            last = progress.job
    assert last.ended
    return last


async def stock(services: Services, actor: Actor, count: int) -> None:
    """Who asks, two prompt versions, a model and a dataset of additions."""
    await services.users.create(actor, NewUser(name=RESEARCHER.name))
    for number, content in enumerate((ASK, ASK_POLITELY), start=1):
        await services.prompts.register(actor, "ask", content, number=number)
    await services.models.resolve(actor, "openai/fake-model", add_missing=True)
    await services.datasets.import_version(actor, "sums", questions(count), source="test")


def asked(**changes: object) -> RunRequest:
    return RunRequest.model_validate(
        {
            "dataset": "sums@1",
            "prompts": ["ask@1", "ask@2"],
            "models": ["openai/fake-model"],
            "scorers": ["numeric_answer"],
            "concurrency": 8,
            **changes,
        }
    )


async def test_an_experiment_is_stored_carried_out_scored_and_compared(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 20)
        job = await services.jobs.start_experiment(RESEARCHER, asked())
        assert (job.status, job.experiment) == ("queued", None)

        async with working(services):
            done = await ended(services, job)

        assert (done.status, done.detail["ending"]) == ("done", "completed"), done.detail
        experiment = await services.experiments.get(str(done.experiment))
        assert (experiment.status, experiment.created_by) == ("completed", "user:ana")
        assert len(await services.comparisons.of_runs([r.id for r in experiment.runs])) == 1
        progress = await services.jobs.progress(RESEARCHER, job.id)
        assert (progress.wanted, progress.by_status) == (40, {"completed": 40})


async def test_a_gate_that_was_asked_for_is_decided_at_the_end(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 20)
        request = asked(gate=True, plan={"margin": 0.2})
        job = await services.jobs.start_experiment(RESEARCHER, request)
        async with working(services):
            done = await ended(services, job)
            again = await services.jobs.decide_gate(RESEARCHER, done.experiment or 0, GateRequest())
            repeated = await ended(services, again)

    [decision], [second] = done.detail["decisions"], repeated.detail["decisions"]
    assert decision["evidence_hash"] == second["evidence_hash"]


async def test_stored_outputs_are_scored_and_compared_without_a_call(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 10)
        job = await services.jobs.start_experiment(RESEARCHER, asked(scorers=[]))
        async with working(services):
            first = await ended(services, job)
            experiment = await services.experiments.get(str(first.experiment))
            calls = server.ledger.summary()["received"]
            baseline, candidate = experiment.runs
            scoring = ScoreRequest(run_id=baseline.id, scorers=["contains"])
            scored = await ended(services, await services.jobs.score(RESEARCHER, scoring))
            comparing = CompareRequest(
                baseline_run_id=baseline.id,
                candidate_run_ids=[candidate.id],
                scorer="numeric_answer",
            )
            compared = await ended(services, await services.jobs.compare(RESEARCHER, comparing))

        assert (scored.status, compared.status) == ("done", "done"), (scored, compared)
        assert server.ledger.summary()["received"] == calls
        assert len(await services.comparisons.of_runs([candidate.id])) == 1


@ONE_DATABASE
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dataset": "other@1"}, "not_found"),
        ({"prompts": ["ask@9"]}, "not_found"),
        ({"models": ["openai/unheard-of"]}, "not_found"),
        ({"scorers": ["no_such_scorer"]}, "configuration"),
        ({"scorers": [{"name": "judge_correctness", "prompt": "/etc/x.yaml",
                       "model": "openai/fake-model"}]}, "invalid"),
    ],
)  # fmt: skip
async def test_what_cannot_be_carried_out_fails_with_the_reason(
    open_for: OpenServices, actor: Actor, change: dict[str, object], code: str
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 2)
        job = await services.jobs.start_experiment(RESEARCHER, asked(**change))
        async with working(services):
            done = await ended(services, job)

        assert (done.status, done.detail["error"]["code"]) == ("failed", code), done.detail
        assert server.ledger.summary()["received"] == 0


@ONE_DATABASE
async def test_an_error_that_every_call_would_meet_fails_the_job_and_resuming_does_the_rest(
    open_for: OpenServices, actor: Actor
) -> None:
    script = FaultScript.from_spec("401=1.0")
    options = ProviderOptions(answer="arithmetic", script=script)
    async with FakeProvider(options) as server, open_for(server) as services:
        await stock(services, actor, 10)
        job = await services.jobs.start_experiment(RESEARCHER, asked(prompts=["ask@1"]))
        async with working(services):
            failed = await ended(services, job)
            server.set_script(FaultScript())
            resumed = await services.jobs.resume(
                RESEARCHER, failed.experiment or 0, ResumeRequest()
            )
            done = await ended(services, resumed)

    assert (failed.status, failed.detail["error"]["code"]) == ("failed", "authentication")
    assert (done.status, done.detail["open"]) == ("done", 0)


async def test_a_stopped_job_leaves_what_is_open_open(open_for: OpenServices, actor: Actor) -> None:
    options = ProviderOptions(answer="arithmetic", latency_ms=50)
    async with FakeProvider(options) as server, open_for(server) as services:
        await stock(services, actor, 300)
        request = asked(prompts=["ask@1"], concurrency=4)
        job = await services.jobs.start_experiment(RESEARCHER, request)
        async with working(services):
            await answered(services, job.id, 5)
            await services.jobs.ask_to_stop(RESEARCHER, job.id)
            done = await ended(services, job)

        assert (done.status, done.detail["ending"]) == ("stopped", "stopped")
        assert 0 < done.detail["open"] < 300
        assert (await services.experiments.get(str(done.experiment))).status == "open"


async def test_a_job_that_waits_is_stopped_without_a_worker(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 2)
        job = await services.jobs.start_experiment(RESEARCHER, asked())
        stopped = await services.jobs.ask_to_stop(RESEARCHER, job.id)
        assert stopped.status == "stopped"
        with pytest.raises(Conflict, match="ended already"):
            await services.jobs.ask_to_stop(RESEARCHER, job.id)


async def test_a_worker_that_drains_leaves_its_job_to_the_next_one(
    open_for: OpenServices, actor: Actor
) -> None:
    options = ProviderOptions(answer="arithmetic", latency_ms=100)
    async with FakeProvider(options) as server, open_for(server) as services:
        await stock(services, actor, 300)
        request = asked(prompts=["ask@1"], concurrency=8)
        job = await services.jobs.start_experiment(RESEARCHER, request)
        async with working(services):
            await answered(services, job.id, 5)
        left = await services.jobs.progress(RESEARCHER, job.id)
        assert left.job.status == "queued"
        assert left.by_status["completed"] == server.ledger.summary()["received"]

        async with working(services):
            done = await ended(services, job)

        assert done.status == "done"
        assert server.ledger.summary()["received"] == 300


@ON_POSTGRESQL
async def test_a_job_and_its_queue_entry_are_written_together_or_not_at_all(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        async with services.database.write_session() as session:
            await services.jobs.prepare()
            await services.jobs.submit(session, actor, asked(), None, None)
            assert await entries(session) == 1
        async with services.database.read_session() as session:
            assert await entries(session) == 0
        assert await services.jobs.unfinished() == []


@ON_POSTGRESQL
async def test_a_job_that_the_queue_has_lost_is_done_all_the_same(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 5)
        job = await services.jobs.start_experiment(RESEARCHER, asked(prompts=["ask@1"]))
        async with services.database.write_session() as session:
            await session.execute(text("DELETE FROM pgqueuer"))
            await session.commit()
        async with working(services):
            assert (await ended(services, job)).status == "done"


async def entries(session: AsyncSession) -> int:
    return int((await session.execute(text("SELECT count(*) FROM pgqueuer"))).scalar_one())


@ONE_DATABASE
async def test_a_workspace_has_one_worker(open_for: OpenServices, actor: Actor) -> None:
    async with FakeProvider() as server, open_for(server) as services, working(services):
        await asyncio.sleep(0)  # the first one takes the lock
        with pytest.raises(Conflict, match="one only"):
            await run_worker(Desk(services, create_logger("CRITICAL")))


@ONE_DATABASE
async def test_a_job_waits_for_the_process_that_works_on_its_experiment(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await services.users.create(actor, NewUser(name=RESEARCHER.name))
        experiment = await make_experiment(services, actor, examples=questions(3))
        job = await services.jobs.resume(RESEARCHER, experiment.number, ResumeRequest())
        desk = Desk(services, create_logger("CRITICAL"))
        with experiment_lock(services.settings.workspace, experiment.number):
            assert await desk.do(job.id)
        assert (await services.jobs.get(RESEARCHER, job.id)).status == "queued"
        assert await desk.do(job.id) is None
        assert (await services.jobs.get(RESEARCHER, job.id)).status == "done"


@ONE_DATABASE
async def test_a_job_that_is_delivered_twice_is_done_once(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 5)
        job = await services.jobs.start_experiment(RESEARCHER, asked(prompts=["ask@1"]))
        desk = Desk(services, create_logger("CRITICAL"))
        assert await desk.do(job.id) is None
        assert await desk.do(job.id) is None
        assert server.ledger.summary()["received"] == 5
        assert len(await services.experiments.list()) == 1


@ONE_DATABASE
async def test_an_error_that_nobody_expected_is_tried_again_and_then_ends_the_job(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 2)
        job = await services.jobs.start_experiment(RESEARCHER, asked(limit=1))
        locks = services.settings.workspace / ".workbench"
        locks.write_text("a file where a folder is to be")
        desk = Desk(services, create_logger("CRITICAL"))
        for _ in range(3):
            assert await desk.do(job.id)
        with pytest.raises(JobFailed):
            await desk.do(job.id)
        done = await services.jobs.get(RESEARCHER, job.id)
        assert (done.status, done.detail["error"]["code"]) == ("failed", "unexpected")


async def test_a_job_that_cannot_be_read_fails_and_the_next_is_done(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 2)
        job = await services.jobs.start_experiment(RESEARCHER, asked())
        unknown = {"shape": "OfANewerVersion", "asked": {}, "as": {}}
        async with services.database.write_session() as session:
            await session.execute(update(Job).values(request=unknown))
            await session.commit()
        other = await services.jobs.start_experiment(RESEARCHER, asked())
        async with working(services):
            assert (await ended(services, other)).status == "done"
        unread = await services.jobs.get(RESEARCHER, job.id)
        assert (unread.status, unread.detail["error"]["code"]) == ("failed", "conflict")


@ON_POSTGRESQL
async def test_a_job_at_one_worker_waits_when_another_gets_it_too(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 2)
        job = await services.jobs.start_experiment(RESEARCHER, asked())
        desk = Desk(services, create_logger("CRITICAL"))
        async with exclusive(services.database, f"job {job.id}") as alone:
            assert alone
            assert await desk.do(job.id)
        assert await services.jobs.get(RESEARCHER, job.id) == job
        assert await desk.do(job.id) is None
        assert (await services.jobs.get(RESEARCHER, job.id)).status == "done"


async def test_what_comes_too_late_does_not_change_how_a_job_ended(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 2)
        job = await services.jobs.start_experiment(RESEARCHER, asked())
        stopped = await services.jobs.ask_to_stop(RESEARCHER, job.id)
        await services.jobs.put_back(actor, job.id)
        await services.jobs.end(actor, job.id, status="done", detail={"late": True})
        assert await services.jobs.get(RESEARCHER, job.id) == stopped
        assert await services.jobs.take(actor, job.id) is None


@ON_POSTGRESQL
async def test_a_job_that_is_taken_while_somebody_stops_it_is_told_to_stop(
    open_for: OpenServices, actor: Actor
) -> None:
    async with FakeProvider() as server, open_for(server) as services:
        await stock(services, actor, 2)
        job = await services.jobs.start_experiment(RESEARCHER, asked())
        async with services.database.write_session() as session:
            await session.execute(update(Job).values(status="running"))
            stopping = asyncio.create_task(services.jobs.ask_to_stop(RESEARCHER, job.id))
            await somebody_waits_for_a_row(services)
            await session.commit()
        stopped = await stopping
        assert (stopped.status, stopped.stop_asked_at is None) == ("running", False)


async def somebody_waits_for_a_row(services: Services) -> None:
    """Return once a session of this test's database waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(30):
        while True:
            async with services.database.read_session() as session:
                if (await session.execute(waiting)).scalar_one():
                    return
            await asyncio.sleep(0.01)


async def answered(services: Services, job_id: UUID, count: int) -> Sequence[str]:
    """Wait until so many cells of a job are stored."""
    async with asyncio.timeout(60):
        async for progress in services.jobs.follow(RESEARCHER, job_id):
            if sum(progress.by_status.values()) >= count:
                return list(progress.by_status)
    raise AssertionError("the job ended before")
