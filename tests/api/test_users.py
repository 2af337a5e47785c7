"""The routes of users: admit, grant, take back, deactivate; each within what one administers."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.bootstrap import Services
from app.core.errors import Conflict, Forbidden
from app.core.permissions import Actor, ActorKind, Grant, Permission, Role
from app.models import ApiKey, RoleGrant, User
from app.schemas.users import NewGrant, NewUser
from app.services.audit import first_broken_entry
from tests.api.conftest import ClientOf, ScopedClient
from tests.api.measured import asked, stock
from tests.audit_records import recorded

USERS = "/api/users"
COLUMNS = sorted(
    {column.key for table in (User, RoleGrant, ApiKey) for column in table.__table__.c}
)


async def roles_of(client: httpx2.AsyncClient, name: str) -> list[tuple[str, str]]:
    user = (await client.get(f"{USERS}/{name}")).json()
    return [(grant["role"], grant["prefix"]) for grant in user["grants"]]


async def test_a_person_is_admitted_and_may_do_nothing_until_granted(
    client: httpx2.AsyncClient,
) -> None:
    created = await client.post(USERS, json={"name": "ana", "external_id": "idp|1"})
    assert created.status_code == 201
    assert created.json()["grants"] == []
    granted = await client.post(
        f"{USERS}/ana/grants", json={"role": "operator", "prefix": "payments/*"}
    )
    assert granted.status_code == 201
    assert await roles_of(client, "ana") == [("operator", "payments/")]
    assert (await client.get(f"{USERS}/ana")).json()["created_by"] == "user:everything"


async def test_a_role_taken_back_is_gone_and_can_be_granted_anew(
    client: httpx2.AsyncClient,
) -> None:
    await client.post(USERS, json={"name": "ana"})
    for _ in range(2):
        await client.post(f"{USERS}/ana/grants", json={"role": "viewer", "prefix": "pay/"})
        revoked = await client.delete(f"{USERS}/ana/grants/viewer", params={"prefix": "pay/*"})
        assert revoked.status_code == 200
        assert revoked.json()["grants"] == []


async def test_a_foreign_cursor_is_invalid(client: httpx2.AsyncClient) -> None:
    response = await client.get(USERS, params={"cursor": "bm9uc2Vuc2U"})
    assert (response.status_code, response.json()["path"]) == (422, "cursor")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "", {"name": "ana"}, 409),
        ("POST", "", {"name": "bo", "external_id": "idp|1"}, 409),
        ("POST", "", {"name": "me"}, 422),
        ("POST", "", {"name": "Ana"}, 422),
        ("POST", "", {"name": "a/b"}, 422),
        ("POST", "/ana/grants", {"role": "viewer"}, 409),
        ("POST", "/ana/grants", {"role": "owner"}, 422),
        ("POST", "/ana/grants", {"role": "viewer", "prefix": "pay"}, 422),
        ("POST", "/nobody/grants", {"role": "viewer"}, 404),
        ("DELETE", "/ana/grants/admin", None, 404),
        ("DELETE", "/ana/grants/viewer?prefix=pay/", None, 404),
        ("PATCH", "/nobody", {"external_id": "idp|9"}, 404),
        ("PATCH", "/ana", {"name": "everything"}, 409),
        ("PATCH", "/ana", {"name": "me"}, 422),
        ("PATCH", "/everything", {"external_id": "idp|1"}, 409),
        ("POST", "/nobody/deactivate", None, 404),
        ("GET", "/nobody", None, 404),
    ],
)
async def test_what_contradicts_the_record_is_refused(
    client: httpx2.AsyncClient, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    await client.post(USERS, json={"name": "ana", "external_id": "idp|1"})
    await client.post(f"{USERS}/ana/grants", json={"role": "viewer"})
    response = await client.request(method, f"{USERS}{path}", json=body)
    assert response.status_code == status
    assert await roles_of(client, "ana") == [("viewer", "")]


async def test_a_name_changes_until_something_is_on_record_under_it(
    client: httpx2.AsyncClient, client_of: ClientOf
) -> None:
    await client.post(USERS, json={"name": "anna"})
    renamed = await client.patch(f"{USERS}/anna", json={"name": "ana"})
    assert renamed.json()["name"] == "ana"
    refused = await client.patch(f"{USERS}/everything", json={"name": "nothing"})
    assert refused.status_code == 409
    assert "Records say what everything did" in refused.json()["detail"]


async def test_a_name_with_a_job_or_a_kept_reply_does_not_change_hands(
    client: httpx2.AsyncClient, client_of: ClientOf, scoped_client: ScopedClient, services: Services
) -> None:
    await stock(services)
    ana = await client_of(Role.RESEARCHER, name="ana")
    await client_of(Role.RESEARCHER, name="bo")
    bo = await scoped_client("bo", permissions=["prompt:write"])
    version = {"content": {"messages": [{"role": "user", "content": "hi"}]}}
    draft = await bo.post(
        "/api/prompts/x/versions", json=version, headers={"Idempotency-Key": "the-same"}
    )
    assert draft.status_code == 201
    assert (await ana.post("/api/experiments", json=asked())).status_code == 202
    for name in ("ana", "bo"):
        renamed = await client.patch(f"{USERS}/{name}", json={"name": f"{name}-gone"})
        assert renamed.status_code == 409


async def test_an_external_id_is_set_kept_and_removed(client: httpx2.AsyncClient) -> None:
    await client.post(USERS, json={"name": "ana"})
    seen = []
    for changes in ({"external_id": "idp|1"}, {}, {"external_id": None}):
        seen.append((await client.patch(f"{USERS}/ana", json=changes)).json()["external_id"])
    assert seen == ["idp|1", "idp|1", None]


async def test_the_last_admin_stays(client: httpx2.AsyncClient) -> None:
    for method, path in (
        ("POST", "/everything/deactivate"),
        ("DELETE", "/everything/grants/admin"),
    ):
        response = await client.request(method, USERS + path)
        assert response.status_code == 409
        assert "last admin" in response.json()["detail"]


async def test_an_admin_of_one_team_or_a_deactivated_one_does_not_count_as_another(
    client: httpx2.AsyncClient,
) -> None:
    for name, prefix in (("team", "pay/"), ("gone", "")):
        await client.post(USERS, json={"name": name})
        await client.post(f"{USERS}/{name}/grants", json={"role": "admin", "prefix": prefix})
    assert (await client.post(f"{USERS}/gone/deactivate")).status_code == 200
    assert (await client.delete(f"{USERS}/everything/grants/admin")).status_code == 409
    await client.post(f"{USERS}/gone/reactivate")
    assert (await client.delete(f"{USERS}/everything/grants/admin")).status_code == 200


class TestTeamAdmin:
    """Whoever administers `payments/*` reaches nothing beyond."""

    @pytest.fixture
    async def team_admin(self, client_of: ClientOf) -> httpx2.AsyncClient:
        return await client_of(Role.ADMIN, prefix="payments/", name="team")

    async def test_grants_roles_for_that_team_only(
        self, client: httpx2.AsyncClient, team_admin: httpx2.AsyncClient
    ) -> None:
        await team_admin.post(USERS, json={"name": "ana"})
        statuses = [
            (
                await team_admin.post(
                    f"{USERS}/ana/grants", json={"role": "operator", "prefix": prefix}
                )
            ).status_code
            for prefix in ("payments/", "", "support/", "*")
        ]
        assert statuses == [201, 403, 403, 403]
        assert await roles_of(client, "ana") == [("operator", "payments/")]

    async def test_does_not_take_roles_elsewhere(
        self, client: httpx2.AsyncClient, team_admin: httpx2.AsyncClient
    ) -> None:
        response = await team_admin.delete(f"{USERS}/everything/grants/auditor")
        assert response.status_code == 403

    async def test_says_not_who_signs_in_as_a_person(
        self, client: httpx2.AsyncClient, team_admin: httpx2.AsyncClient
    ) -> None:
        """The person may be given roles elsewhere later."""
        identified = {"name": "ana", "external_id": "idp|mine"}
        assert (await team_admin.post(USERS, json=identified)).status_code == 403
        assert (await team_admin.post(USERS, json={"name": "ana"})).status_code == 201
        grant = {"role": "viewer", "prefix": "payments/"}
        assert (await team_admin.post(f"{USERS}/ana/grants", json=grant)).status_code == 201
        changes = {"external_id": "idp|mine"}
        assert (await team_admin.patch(f"{USERS}/ana", json=changes)).status_code == 403
        assert (await client.patch(f"{USERS}/ana", json=changes)).status_code == 200

    async def test_changes_nobody_without_a_role_in_the_team(
        self, client: httpx2.AsyncClient, team_admin: httpx2.AsyncClient
    ) -> None:
        await client.post(USERS, json={"name": "new"})
        assert (await team_admin.post(f"{USERS}/new/deactivate")).status_code == 403
        assert (await team_admin.patch(f"{USERS}/new", json={"name": "old"})).status_code == 403
        await team_admin.post(f"{USERS}/new/grants", json={"role": "viewer", "prefix": "payments/"})
        assert (await team_admin.post(f"{USERS}/new/deactivate")).status_code == 200

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PATCH", "", {"external_id": "idp|mine"}),
            ("POST", "/deactivate", None),
            ("POST", "/reactivate", None),
        ],
    )
    async def test_changes_nobody_who_has_roles_elsewhere(
        self,
        client: httpx2.AsyncClient,
        team_admin: httpx2.AsyncClient,
        method: str,
        path: str,
        body: dict[str, Any] | None,
    ) -> None:
        response = await team_admin.request(method, f"{USERS}/everything{path}", json=body)
        assert response.status_code == 403
        user = (await client.get(f"{USERS}/everything")).json()
        assert (user["external_id"], user["deactivated_at"]) == (None, None)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_no_other_role_changes_users(client_of: ClientOf, role: Role) -> None:
    somebody = await client_of(role, name="somebody")
    for method, path, body in (
        ("POST", "", {"name": "x"}),
        ("PATCH", "/somebody", {"external_id": "idp|x"}),
        ("POST", "/somebody/grants", {"role": "admin"}),
        ("POST", "/somebody/deactivate", None),
        ("DELETE", f"/somebody/grants/{role}", None),
    ):
        response = await somebody.request(method, USERS + path, json=body)
        assert response.status_code == 403


async def test_everybody_sees_themselves_and_no_other(client_of: ClientOf) -> None:
    ana = await client_of(Role.VIEWER, name="ana")
    await client_of(Role.VIEWER, name="bo")
    assert (await ana.get(f"{USERS}/ana")).status_code == 200
    assert (await ana.get(f"{USERS}/bo")).status_code == 403
    assert (await ana.get(f"{USERS}/nobody")).status_code == 403


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    extra=st.dictionaries(
        st.sampled_from([*COLUMNS, "role", "roles", "grants", "permissions", "is_admin"]).filter(
            lambda name: name not in ("name", "external_id")
        ),
        st.sampled_from(["admin", True, None, [], {}, 1]),
        min_size=1,
        max_size=3,
    )
)
async def test_no_further_field_is_taken(
    extra: dict[str, Any], client: httpx2.AsyncClient, services: Services
) -> None:
    body: dict[str, Any]
    for method, path, body in (
        ("POST", USERS, {"name": "ana"}),
        ("PATCH", f"{USERS}/everything", {"external_id": "idp|1"}),
        ("POST", "/api/keys", {"name": "mine"}),
    ):
        allowed = {"user", "is_service", "scope", "lifetime_days"} if path == "/api/keys" else set()
        given_fields = {name: value for name, value in extra.items() if name not in allowed}
        if given_fields:
            response = await client.request(method, path, json={**body, **given_fields})
            assert response.status_code == 422


async def test_a_refused_change_leaves_no_record(services: Services) -> None:
    limited = Actor.of(
        ActorKind.USER, "team", [Grant(frozenset({Permission.USER_WRITE}), "payments/")]
    )
    await services.users.create(limited, NewUser(name="ana"))
    with pytest.raises(Forbidden):
        await services.users.grant(limited, "ana", NewGrant(role=Role.VIEWER))
    async with services.database.read_session() as session:
        assert await recorded(session, "ana") == [("user.created", "user:team")]


class TestOnBothDatabases:
    """Order, locks and the audit chain."""

    @pytest.fixture(params=["sqlite", "postgresql"])
    def database_kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    async def test_users_come_in_pages_by_name(self, client: httpx2.AsyncClient) -> None:
        for name in ("dora", "bo", "ana", "cleo"):
            await client.post(USERS, json={"name": name})
        names: list[str] = []
        cursor: str | None = None
        while True:
            query = {"limit": "2"} if cursor is None else {"limit": "2", "cursor": cursor}
            page = (await client.get(USERS, params=query)).json()
            assert page["total_estimate"] == 5
            names += [user["name"] for user in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert names == ["ana", "bo", "cleo", "dora", "everything"]

    async def test_two_admins_who_remove_each_other_at_once_leave_one(
        self, services: Services, actor: Actor
    ) -> None:
        for name in ("ana", "bo"):
            await services.users.create(actor, NewUser(name=name))
            await services.users.grant(actor, name, NewGrant(role=Role.ADMIN))
        for _ in range(5):  # the first round opens the connections that the others race on
            outcomes = await asyncio.gather(
                *(services.users.deactivate(actor, name) for name in ("ana", "bo")),
                return_exceptions=True,
            )
            assert sorted(type(outcome).__name__ for outcome in outcomes) == [
                "Conflict",
                "UserView",
            ]
            for name in ("ana", "bo"):
                await services.users.reactivate(actor, name)

    async def test_of_those_who_make_the_same_at_once_one_is_told_of_the_conflict(
        self, client: httpx2.AsyncClient
    ) -> None:
        bodies: tuple[tuple[str, dict[str, Any]], ...] = (
            (USERS, {"name": "ana"}),
            ("/api/keys", {"name": "mine"}),
        )
        for path, body in bodies:
            replies = await asyncio.gather(*(client.post(path, json=body) for _ in range(5)))
            assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409, 409]

    async def test_of_those_who_set_the_first_limits_at_once_the_last_wins(
        self, client: httpx2.AsyncClient
    ) -> None:
        replies = await asyncio.gather(
            *(
                client.put("/api/limits/user/ana", json={"requests_per_minute": number})
                for number in range(1, 6)
            )
        )
        assert [reply.status_code for reply in replies] == [200] * 5

    async def test_only_one_first_user_is_made(self, services: Services, actor: Actor) -> None:
        outcomes = await asyncio.gather(
            *(services.users.bootstrap(actor, NewUser(name=f"user-{n}")) for n in range(5)),
            return_exceptions=True,
        )
        made = [outcome for outcome in outcomes if not isinstance(outcome, Conflict)]
        assert len(made) == 1
        assert (await services.users.page(actor)).total_estimate == 1

    async def test_every_change_is_on_record_with_who_made_it(
        self, client: httpx2.AsyncClient, services: Services
    ) -> None:
        await client.post(USERS, json={"name": "ana"})
        await client.post(f"{USERS}/ana/grants", json={"role": "viewer", "prefix": "pay/"})
        await client.patch(f"{USERS}/ana", json={"external_id": "idp|1"})
        await client.delete(f"{USERS}/ana/grants/viewer", params={"prefix": "pay/"})
        await client.post(f"{USERS}/ana/deactivate")
        await client.post(f"{USERS}/ana/deactivate")
        await client.post(f"{USERS}/ana/reactivate")
        async with services.database.read_session() as session:
            events = await recorded(session, "ana")
            assert await first_broken_entry(session) is None
        assert events == [
            ("user.created", "user:everything"),
            ("grant.added", "user:everything"),
            ("user.changed", "user:everything"),
            ("grant.revoked", "user:everything"),
            ("user.deactivated", "user:everything"),
            ("user.reactivated", "user:everything"),
        ]
