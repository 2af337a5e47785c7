"""Limits over HTTP with what was used of them."""

from __future__ import annotations

from decimal import Decimal

import httpx2

from app.bootstrap import Services
from app.core.permissions import Role
from app.core.usage_limits import Claim, Holder
from tests.api.conftest import ClientOf


async def use(services: Services, name: str, dollars: str) -> None:
    """Let a call under an alias reserve an amount."""
    claim = Claim((Holder("alias", name),), tokens=100, dollars=Decimal(dollars))
    async with services.database.write_session() as session:
        await services.limits.account(session, [claim], [], services.clock.now())
        await session.commit()


async def test_the_list_has_what_was_used_only_if_that_is_asked_for(
    client: httpx2.AsyncClient, services: Services, client_of: ClientOf
) -> None:
    for alias in ("pay/bot@production", "ship/bot@production"):
        values = {"requests_per_minute": 60, "dollars_per_month": "5.00", "dollars_per_day": "1"}
        assert (await client.put(f"/api/limits/alias/{alias}", json=values)).status_code == 200
    await use(services, "pay/bot@production", "0.25")

    plain = (await client.get("/api/limits")).json()
    pay, ship = (await client.get("/api/limits", params={"used": True})).json()

    assert [it["windows"] for it in plain] == [[], []]
    assert ship["windows"] == []
    used = {it["span"]: (it["requests"], it["reserved"]) for it in pay["windows"]}
    assert used == dict.fromkeys(("day", "minute", "month"), (1, "0.2500000000"))
    shipper = await client_of(Role.OPERATOR, prefix="ship/")
    [seen] = (await shipper.get("/api/limits", params={"used": True})).json()
    assert seen["holder"] == "ship/bot@production"
