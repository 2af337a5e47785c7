"""The routes of keys: one's own, others', services'; shown once, scoped, rotated, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.permissions import SERVICE_PERMISSIONS, Permission, Role, local_actor
from app.schemas.api_keys import KeyScope, NewApiKey
from tests.api.conftest import ClientOf, ServiceClient
from tests.audit_records import recorded

KEYS = "/api/keys"


@pytest.fixture
def database_kind() -> str:
    """What these routes call is tested on both databases by `test_sign_in.py`."""
    return "sqlite"


async def use(client: httpx2.AsyncClient, secret: str, path: str = "/api/users/me") -> int:
    response = await client.get(path, headers={"Authorization": f"Bearer {secret}"})
    return response.status_code


async def made(client: httpx2.AsyncClient, **body: Any) -> str:
    response = await client.post(KEYS, json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["secret"])


async def test_a_secret_is_shown_once_and_stored_nowhere(
    client: httpx2.AsyncClient, services: Services
) -> None:
    response = await client.post(KEYS, json={"name": "mine"})
    secret = response.json()["secret"]
    assert response.json()["key"]["prefix"] == secret[:15]
    random_part = secret[16:]
    for path in (KEYS, f"{KEYS}/mine", "/api/users/everything"):
        assert random_part not in (await client.get(path)).text
    if (file := services.database.path) is not None:
        stored = b"".join(part.read_bytes() for part in file.parent.glob(f"{file.name}*"))
        assert random_part.encode() not in stored
        assert secret[:15].encode() in stored


async def test_a_key_lives_90_days_unless_told_otherwise(client: httpx2.AsyncClient) -> None:
    bodies: list[tuple[dict[str, Any], int]] = [
        ({"name": "a"}, 90),
        ({"name": "b", "lifetime_days": 366}, 366),
    ]
    for body, days in bodies:
        key = (await client.post(KEYS, json=body)).json()["key"]
        lives = datetime.fromisoformat(key["expires_at"]) - datetime.now(UTC)
        assert abs(lives - timedelta(days=days)) < timedelta(minutes=1)
    assert (await client.post(KEYS, json={"name": "c", "lifetime_days": 367})).status_code == 422


async def test_everybody_manages_their_own_keys_and_sees_no_other(client_of: ClientOf) -> None:
    ana, bo = await client_of(Role.VIEWER, name="ana"), await client_of(name="bo")
    await made(ana, name="laptop")
    listed = (await ana.get(KEYS)).json()
    assert [key["name"] for key in listed["items"]] == ["ana-key", "laptop"]
    assert listed["total_estimate"] == 2
    assert [key["name"] for key in (await bo.get(KEYS)).json()["items"]] == ["bo-key"]
    for method, path in (("GET", ""), ("POST", "/revoke"), ("POST", "/rotate")):
        body: dict[str, Any] | None = {} if path == "/rotate" else None
        response = await bo.request(method, f"{KEYS}/laptop{path}", json=body)
        unknown = await bo.request(method, f"{KEYS}/nothing{path}", json=body)
        assert response.status_code == unknown.status_code == 404
        assert response.json()["detail"] == unknown.json()["detail"]
    assert (await ana.post(f"{KEYS}/laptop/revoke")).status_code == 200


async def test_a_key_for_somebody_else_takes_the_permission(client_of: ClientOf) -> None:
    await client_of(Role.AUDITOR, name="ana")
    bo = await client_of(Role.RESEARCHER, name="bo")
    assert (await bo.post(KEYS, json={"name": "x", "user": "ana"})).status_code == 403
    assert (await bo.post(KEYS, json={"name": "x", "is_service": True})).status_code == 403
    assert (await bo.post(KEYS, json={"name": "x", "user": "bo"})).status_code == 201


async def test_who_reads_all_keys_changes_none(
    client_of: ClientOf, client: httpx2.AsyncClient
) -> None:
    auditor = await client_of(Role.AUDITOR, name="auditor")
    assert "everything-key" in (await auditor.get(KEYS)).text
    assert (await auditor.post(f"{KEYS}/everything-key/revoke")).status_code == 403
    assert (await auditor.post(f"{KEYS}/everything-key/rotate", json={})).status_code == 403


async def test_a_team_admin_makes_keys_within_the_team_only(client_of: ClientOf) -> None:
    await client_of(Role.ADMIN, name="root")
    await client_of(Role.OPERATOR, prefix="payments/", name="ana")
    team = await client_of(Role.ADMIN, prefix="payments/", name="team")
    bodies: list[tuple[dict[str, Any], int]] = [
        ({"user": "ana"}, 201),
        ({"user": "root"}, 403),
        ({"is_service": True, "scope": {"prefix": "payments/*"}}, 201),
        ({"is_service": True, "scope": {"prefix": "support/*"}}, 403),
        ({"is_service": True}, 403),
    ]
    for number, (body, status) in enumerate(bodies):
        response = await team.post(KEYS, json={"name": f"key-{number}", **body})
        assert response.status_code == status, body
    assert (await team.post(f"{KEYS}/root-key/revoke")).status_code == 403


async def test_what_a_team_admin_makes_for_others_never_reaches_beyond_the_team(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, client_of: ClientOf
) -> None:
    """A key could otherwise be kept until its owner is given more."""
    team = await client_of(Role.ADMIN, prefix="payments/", name="team")
    await team.post("/api/users", json={"name": "new"})
    assert (await team.post(KEYS, json={"name": "early", "user": "new"})).status_code == 403
    await team.post("/api/users/new/grants", json={"role": "viewer", "prefix": "payments/"})
    assert (await client.post(KEYS, json={"name": "wide", "user": "new"})).status_code == 201
    secrets = [
        await made(team, name="spare", user="new"),
        (await team.post(f"{KEYS}/wide/rotate", json={})).json()["secret"],
    ]
    await client.post("/api/users/new/grants", json={"role": "admin"})
    for secret in secrets:
        me = await anonymous.get("/api/users/me", headers={"Authorization": f"Bearer {secret}"})
        assert me.json()["prefixes"] == ["payments/"]
        granted = await anonymous.post(
            "/api/users/team/grants",
            json={"role": "admin"},
            headers={"Authorization": f"Bearer {secret}"},
        )
        assert granted.status_code == 403


async def test_an_admin_of_two_teams_says_for_which_of_them_a_key_is(
    client: httpx2.AsyncClient, client_of: ClientOf
) -> None:
    teams = await client_of(Role.ADMIN, prefix="payments/", name="teams")
    await client.post("/api/users/teams/grants", json={"role": "admin", "prefix": "support/"})
    await client_of(Role.VIEWER, prefix="payments/", name="ana")
    refused = await teams.post(KEYS, json={"name": "x", "user": "ana"})
    assert (refused.status_code, refused.json()["path"]) == (422, "scope.prefix")
    body = {"name": "x", "user": "ana", "scope": {"prefix": "payments/*"}}
    assert (await teams.post(KEYS, json=body)).status_code == 201


async def test_a_scoped_key_does_less_than_its_user(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    secret = await made(client, name="reader", scope={"permissions": ["prompt:read"]})
    assert await use(anonymous, secret, "/api/prompts") == 200
    assert await use(anonymous, secret, "/api/users") == 403


async def test_a_scoped_key_makes_itself_no_wider_one(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    secret = await made(client, name="narrow", scope={"permissions": ["key:write", "key:read"]})
    headers = {"Authorization": f"Bearer {secret}"}
    for path, body in (
        (KEYS, {"name": "wide"}),
        (KEYS, {"name": "wide", "user": "everything"}),
        (KEYS, {"name": "wide", "is_service": True}),
        (f"{KEYS}/everything-key/rotate", {}),
        (f"{KEYS}/everything-key/revoke", None),
    ):
        response = await anonymous.post(path, json=body, headers=headers)
        assert response.status_code == 403
    rotated = await anonymous.post(f"{KEYS}/narrow/rotate", json={}, headers=headers)
    assert rotated.status_code == 201
    assert rotated.json()["key"]["scope"]["permissions"] == ["key:read", "key:write"]


@pytest.mark.parametrize("permission", sorted(set(Permission) - SERVICE_PERMISSIONS))
async def test_a_service_gets_nothing_that_services_do_not_do(
    client: httpx2.AsyncClient, permission: Permission
) -> None:
    body = {"name": "bot", "is_service": True, "scope": {"permissions": [permission]}}
    response = await client.post(KEYS, json=body)
    assert (response.status_code, response.json()["path"]) == (422, "scope.permissions")


async def test_a_services_key_may_chat_and_read_aliases_unless_told_otherwise(
    client: httpx2.AsyncClient,
) -> None:
    key = (await client.post(KEYS, json={"name": "bot", "is_service": True})).json()["key"]
    assert key["scope"]["permissions"] == ["alias:read", "chat:write"]
    assert key["user"] is None


async def test_a_service_sees_and_manages_only_its_own_key(
    service_client: ServiceClient,
) -> None:
    bot = await service_client("bot", KeyScope(aliases=frozenset({"support-bot@production"})))
    await service_client("other", KeyScope())
    assert (await bot.get("/api/users/me")).json()["aliases"] == ["support-bot@production"]
    assert (await bot.get(KEYS)).status_code == 403
    assert (await bot.get(f"{KEYS}/bot")).status_code == 200
    assert (await bot.get(f"{KEYS}/other")).status_code == 404
    assert (await bot.post(f"{KEYS}/other/revoke")).status_code == 404
    assert (await bot.post(f"{KEYS}/bot/rotate", json={})).status_code == 201
    assert (await bot.post(f"{KEYS}/bot/revoke")).status_code == 200


async def test_a_key_is_rotated_once_and_its_successor_next(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    old = await made(client, name="bot", is_service=True, lifetime_days=10)
    rotated = (await client.post(f"{KEYS}/bot/rotate", json={"grace_hours": 2})).json()
    assert (rotated["key"]["name"], rotated["key"]["replaces"]) == ("bot~2", "bot")
    assert [await use(anonymous, key) for key in (old, rotated["secret"])] == [200, 200]
    expires_at = (await client.get(f"{KEYS}/bot")).json()["expires_at"]
    left = datetime.fromisoformat(expires_at) - datetime.now(UTC)
    assert timedelta(hours=1.9) < left <= timedelta(hours=2)
    lives = datetime.fromisoformat(rotated["key"]["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=9.9) < lives <= timedelta(days=10)
    assert (await client.post(f"{KEYS}/bot/rotate", json={})).status_code == 409
    again = await client.post(f"{KEYS}/bot~2/rotate", json={"grace_hours": 0})
    assert again.json()["key"]["name"] == "bot~3"


async def test_a_grace_never_prolongs_a_key(client: httpx2.AsyncClient) -> None:
    await made(client, name="short", lifetime_days=1)
    before = (await client.get(f"{KEYS}/short")).json()["expires_at"]
    await client.post(f"{KEYS}/short/rotate", json={"grace_hours": 168})
    assert (await client.get(f"{KEYS}/short")).json()["expires_at"] == before


async def test_a_revoked_key_works_no_longer_and_cannot_be_rotated(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    secret = await made(client, name="lost")
    for _ in range(2):
        assert (await client.post(f"{KEYS}/lost/revoke")).json()["revoked_at"] is not None
    assert await use(anonymous, secret) == 401
    assert (await client.post(f"{KEYS}/lost/rotate", json={})).status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "everything-key"}, 409),
        ({"name": "x", "user": "nobody"}, 404),
        ({"name": "x", "user": "gone"}, 409),
        ({"name": "x", "user": "gone", "is_service": True}, 422),
        ({"name": "x~2"}, 422),
        ({"name": "a/b"}, 422),
        ({"name": "x", "scope": {"aliases": ["no alias"]}}, 422),
        ({"name": "x", "scope": {"permissions": ["everything"]}}, 422),
        ({"name": "x", "scope": {"prefix": "pay"}}, 422),
    ],
)
async def test_a_key_that_cannot_be_is_refused(
    client: httpx2.AsyncClient, body: dict[str, Any], status: int
) -> None:
    await client.post("/api/users", json={"name": "gone"})
    await client.post("/api/users/gone/deactivate")
    assert (await client.post(KEYS, json=body)).status_code == status


async def test_every_change_is_on_record(client: httpx2.AsyncClient, services: Services) -> None:
    await made(client, name="bot", is_service=True)
    await client.post(f"{KEYS}/bot/rotate", json={})
    await client.post(f"{KEYS}/bot/revoke")
    async with services.database.read_session() as session:
        assert await recorded(session, "bot") == [
            ("api_key.created", "user:everything"),
            ("api_key.revoked", "user:everything"),
        ]
        assert await recorded(session, "bot~2") == [("api_key.rotated", "user:everything")]


async def test_a_local_actor_names_whose_key_it_is(services: Services) -> None:
    with pytest.raises(Invalid, match="is no user: say whose key it is"):
        await services.api_keys.create(local_actor(), NewApiKey(name="x"))
