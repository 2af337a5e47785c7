"""Status and roles over HTTP."""

from __future__ import annotations

import httpx2

from app.bootstrap import Services
from app.core.permissions import ROLE_PERMISSIONS, Role, local_actor
from app.services.status import StatusService
from tests.api.conftest import ClientOf
from tests.api.measured import asked, done, stock
from tests.integration.alias_world import SteppingClock


async def test_the_status_tells_version_database_and_an_empty_queue(
    client: httpx2.AsyncClient, database_kind: str
) -> None:
    told = (await client.get("/api/status")).json()

    assert told["database"] == database_kind
    assert told["schema_revision"] == told["schema_needed"]
    assert (told["queue"]["queued"], told["queue"]["running"]) == (0, 0)
    assert told["queue"]["oldest_queued_at"] is None
    assert told["version"]


async def test_work_that_nobody_takes_up_for_long_is_waiting_for_a_worker(
    client: httpx2.AsyncClient, services: Services
) -> None:
    await stock(services)
    asked_for = await client.post("/api/experiments", json=asked())

    at_once = (await client.get("/api/status")).json()
    clock = SteppingClock()
    clock.ahead_s = 60
    later = await StatusService(services.database, clock).get(local_actor())
    await done(services, client, asked_for)
    at_last = (await client.get("/api/status")).json()

    assert (at_once["queue"]["queued"], at_once["is_waiting_for_worker"]) == (1, False)
    assert later.is_waiting_for_worker
    assert (at_last["queue"]["queued"], at_last["is_waiting_for_worker"]) == (0, False)


async def test_every_role_is_told_to_everybody_with_what_it_permits(client_of: ClientOf) -> None:
    told = (await (await client_of()).get("/api/roles")).json()

    assert [it["role"] for it in told] == [role.value for role in Role]
    assert all(it["meaning"] for it in told)
    for it in told:
        assert set(it["permissions"]) == ROLE_PERMISSIONS[Role(it["role"])]
