"""Production's traffic over HTTP: what it says, to whom, and what it refuses."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from app.bootstrap import Services
from app.core.permissions import Role, local_actor
from tests.api.conftest import ClientOf
from tests.integration.traffic_world import ALIASES, TrafficWorld, hours_ago


@pytest.fixture
async def chats(services: Services) -> datetime:
    """Nine answers of the last two days, and one past every alias; return when it was looked at."""
    world = TrafficWorld(services.database, local_actor(), random.Random(2))
    await world.prepare()
    now = services.clock.now()
    endings = ["completed"] * 6 + ["failed", "timeout", "refused"]
    for number, ending in enumerate(endings):
        chat = await world.begin(hours_ago(now, number * 5 + 1), ALIASES[number % 2])
        await world.end(chat, ending)
    await world.end(await world.begin(hours_ago(now, 1), alias=None), "completed")
    return now


async def traffic(client: httpx2.AsyncClient, until: datetime, **parameters: Any) -> Any:
    since = until - timedelta(days=7)
    times = {"since": since.isoformat(), "until": until.isoformat()}
    return await client.get("/api/traffic", params={**times, **parameters})


async def test_answers_are_counted_by_how_they_ended(
    client: httpx2.AsyncClient, chats: datetime
) -> None:
    reply = await traffic(client, chats)
    assert reply.status_code == 200, reply.text
    [everything] = reply.json()["groups"]
    total = everything["total"]
    assert (total["calls"], total["errors"]) == (9, 2)
    assert total["endings"]["refused"] == 1
    assert total["error_rate"]["value"] == pytest.approx(2 / 9)
    assert total["error_rate"]["low"] < 2 / 9 < total["error_rate"]["high"]
    assert total["latency"]["n"] == 6
    assert total["latency"]["is_exact"] is True
    assert sum(point["calls"] for point in everything["points"]) == 9
    assert reply.json()["step_s"] == 6 * 3600


async def test_the_moves_of_aliases_come_with_their_reasons(
    client: httpx2.AsyncClient, chats: datetime, services: Services
) -> None:
    now = services.clock.now()
    moves = (await traffic(client, now)).json()["deployments"]
    assert {(move["alias"], move["number"], move["reason"]) for move in moves} == {
        (alias, 1, "first") for alias in ALIASES
    }
    assert moves[0]["prompt"] == "hello@1"


@pytest.mark.parametrize(
    ("filters", "calls"),
    [
        ({"alias": ALIASES[0]}, 5),
        ({"alias": "nobody@production"}, 0),
        ({"prompt": "hello"}, 9),
        ({"prompt": "hello@9"}, 0),
        ({"model": "openai/some-model@1"}, 9),
        ({"model": "openai/other"}, 0),
    ],
)
async def test_filters_let_through_what_they_name(
    client: httpx2.AsyncClient, chats: datetime, filters: dict[str, str], calls: int
) -> None:
    [everything] = (await traffic(client, chats, **filters)).json()["groups"]
    assert everything["total"]["calls"] == calls


async def test_a_group_says_what_it_was_grouped_by(
    client: httpx2.AsyncClient, chats: datetime
) -> None:
    groups = (await traffic(client, chats, group_by="alias", step="whole")).json()["groups"]
    assert [(group["alias"], group["total"]["calls"], group["points"]) for group in groups] == [
        (ALIASES[0], 5, []),
        (ALIASES[1], 4, []),
    ]


async def test_nothing_that_is_unknown_is_told_as_zero(
    client: httpx2.AsyncClient, services: Services
) -> None:
    [everything] = (await traffic(client, services.clock.now())).json()["groups"]
    total = everything["total"]
    assert total["calls"] == 0
    assert total["error_rate"] is None
    assert total["latency"] is None


async def test_other_teams_aliases_are_not_counted(client_of: ClientOf, chats: datetime) -> None:
    teller = await client_of(Role.REVIEWER, prefix="payments/")
    answer = (await traffic(teller, chats)).json()
    assert answer["groups"][0]["total"]["calls"] == 4
    assert {move["alias"] for move in answer["deployments"]} <= {ALIASES[1]}


async def test_who_may_not_read_chats_is_refused(client_of: ClientOf, chats: datetime) -> None:
    viewer = await client_of(Role.VIEWER)
    assert (await traffic(viewer, chats)).status_code == 403


@pytest.mark.parametrize(
    ("since", "until", "step", "path"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "auto", "until"),
        ("2020-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "auto", "since"),
        ("2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z", "5m", "step"),
        ("2025-09-01T00:00:00Z", "2026-01-30T00:00:00Z", "1h", "step"),
    ],
)
async def test_a_window_that_cannot_be_shown_is_refused_in_a_sentence(
    client: httpx2.AsyncClient, since: str, until: str, step: str, path: str
) -> None:
    parameters = {"since": since, "until": until, "step": step}
    reply = await client.get("/api/traffic", params=parameters)
    assert reply.status_code == 422
    assert reply.json()["path"] == path


async def test_a_time_without_a_zone_is_refused(client: httpx2.AsyncClient) -> None:
    parameters = {"since": "2026-01-01T00:00:00", "until": "2026-01-02T00:00:00Z"}
    assert (await client.get("/api/traffic", params=parameters)).status_code == 422
