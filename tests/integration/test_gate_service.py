"""Stored gate decisions on both databases: hashed, audited, found again, never changed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from app.core.clock import SystemClock
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.hashing import content_hash
from app.core.permissions import Actor, ActorKind, Permission
from app.database import Database, DatabaseError
from app.repositories.audit import AuditRepository
from app.schemas.datasets import ExampleInput
from app.schemas.gates import NewGateDecision
from app.services.datasets import DatasetService
from app.services.experiments import ExperimentService
from app.services.gates import GateService
from app.services.variants import VariantService


@pytest.fixture
def gates(database: Database) -> GateService:
    return GateService(database, SystemClock())


@pytest.fixture
async def decision(database: Database, actor: Actor) -> NewGateDecision:
    clock = SystemClock()
    data = await DatasetService(database, clock).import_version(
        actor, "sums", [ExampleInput(key="a", input={"q": "1"})], source="test"
    )
    experiments = ExperimentService(database, clock, VariantService(database, clock))
    runs = [
        await experiments.import_run(actor, data.version, name=name, source="test", outputs=[])
        for name in ("before", "after")
    ]
    return NewGateDecision(
        experiment_id=None,
        baseline_run_id=runs[0].id,
        candidate_run_id=runs[1].id,
        plan={"margin": 0.03},
        decision="passed",
        exit_code=0,
        binding=False,
        evidence={"experiment": 1, "margin": 0.03},
    )


def changed(decision: NewGateDecision, **evidence: Any) -> NewGateDecision:
    return decision.model_copy(update={"evidence": {**decision.evidence, **evidence}})


async def test_the_evidence_hash_covers_the_evidence(
    gates: GateService, actor: Actor, decision: NewGateDecision
) -> None:
    first = await gates.record(actor, decision)
    same = await gates.record(actor, decision)
    other = await gates.record(actor, changed(decision, margin=0.04))
    assert first.evidence_hash == same.evidence_hash == content_hash(decision.evidence)
    assert other.evidence_hash != first.evidence_hash


async def test_a_decision_is_found_by_the_beginning_of_its_evidence_hash(
    gates: GateService, actor: Actor, decision: NewGateDecision
) -> None:
    await gates.record(actor, decision)
    newest = await gates.record(actor, decision)
    assert await gates.get(newest.evidence_hash[:15]) == newest
    assert await gates.get(newest.evidence_hash.removeprefix("sha256:")[:8]) == newest
    with pytest.raises(Invalid, match="at least 6 digits"):
        await gates.get("12345")
    with pytest.raises(NotFound):
        await gates.get("0000000000")


async def test_decisions_are_listed_newest_first(
    gates: GateService, actor: Actor, decision: NewGateDecision
) -> None:
    stored = [await gates.record(actor, changed(decision, margin=m / 100)) for m in (1, 2, 3)]
    assert [d.id for d in await gates.list(limit=2)] == [stored[2].id, stored[1].id]


async def test_a_decision_is_audited(
    gates: GateService, actor: Actor, decision: NewGateDecision, database: Database
) -> None:
    stored = await gates.record(actor, decision)
    async with database.read_session() as session:
        bodies = [body for _, body, _, _ in await AuditRepository(session).bodies()]
    assert "gate.decided" in bodies[-1]
    assert stored.evidence_hash in bodies[-1]


async def test_deciding_needs_its_permission(gates: GateService, decision: NewGateDecision) -> None:
    reader = Actor(ActorKind.USER, "ada", frozenset({Permission.EXPERIMENT_READ}))
    with pytest.raises(Forbidden):
        await gates.record(reader, decision)


async def test_a_stored_decision_cannot_be_changed(
    gates: GateService, actor: Actor, decision: NewGateDecision, database: Database
) -> None:
    await gates.record(actor, decision)
    with pytest.raises(DatabaseError, match="append-only"):
        async with database.write_session() as session:
            await session.execute(text("UPDATE gate_decision SET decision = 'worse'"))
