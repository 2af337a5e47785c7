"""Every route against everybody, as `permissions.csv` says it, which people wrote by hand.

The columns: each role; a service's key with all that services may; `stranger`, a researcher with an
object of somebody else; `outside`, all roles at once for another team than the object's. The cells:

    yes     allowed: a route that reads succeeds, one that writes is refused at most for its object
    no      403
    none    404, and in the two last columns the same answer as for an object that is nowhere
    hidden  a list, without the object
    shared  allowed, because what is asked for belongs to all teams
    public  allowed without a credential

Reading routes are asked for objects that are there, writing ones for objects that are not, so that
nothing changes. In the two last columns both are asked for what is there, which they may not change
unless it is shared.
"""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from fastapi import Depends, FastAPI

from app.api.authorisation import declared_permissions, needs
from app.bootstrap import Services
from app.core.permissions import SERVICE_PERMISSIONS, Permission, Role, local_actor
from app.schemas.api_keys import KeyScope, NewApiKey, Rotation
from app.schemas.limits import LimitValues
from tests.api.conftest import key_of
from tests.api.measured import measure, stock

TABLE: Final = Path(__file__).with_name("permissions.csv")
ROLES: Final = tuple(role.value for role in Role)
NOWHERE: Final = "00000000-0000-7000-8000-000000000000"
ALIAS: Final = "desk/ask@production"
MESSAGES: Final = [{"role": "user", "content": "hello"}]
NOON: Final = "2026-03-01T12:00:00Z"

Row = Mapping[str, str]
Objects = Mapping[str, str]


@pytest.fixture
def database_kind() -> str:
    """Permissions do not depend on the database; prefixes are tested on both by each service."""
    return "sqlite"


def table() -> Mapping[str, Row]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {row["route"]: row for row in csv.DictReader(file)}


ABSENT: Final[Objects] = {
    "prompt": "desk/nothing",
    "dataset": "desk/nothing",
    "alias": "desk/nothing@production",
    "variant": "f" * 64,
    "experiment": "4711",
    "model": "openai/nothing",
    "user": "nobody",
    "key": "nothing",
    **dict.fromkeys(("run", "generation", "comparison", "decision", "job", "example"), NOWHERE),
    "conversation": NOWHERE,
}
"""Objects that are nowhere, by noun."""


def address(route: str, objects: Objects) -> str:
    """Return the address of a route for these objects, with the query that it needs."""
    template = route.partition(" ")[2]
    noun = {"prompts": "prompt", "datasets": "dataset", "users": "user", "keys": "key"}
    collection = template.removeprefix("/api/").partition("/")[0]
    values = {
        "name:path": objects["alias"]
        if collection == "limits"
        else objects["model"].partition("/")[2]
        if collection == "models"
        else objects.get(noun.get(collection, ""), ""),
        "name": objects.get(noun.get(collection, ""), ""),
        "alias:path": objects["alias"],
        "model:path": objects["alias"],
        "label": objects["alias"].partition("@")[2],
        "kind": "alias",
        "number": "1" if collection == "aliases" else objects["experiment"],
        "provider": objects["model"].partition("/")[0],
        "role": "viewer",
        "variant": objects["variant"],
        "version": "1",
        **{f"{one}_id": objects[one] for one in ("run", "generation", "comparison", "job")},
        "example_id": objects["example"],
        "decision_id": objects["decision"],
        "conversation_id": objects["conversation"],
    }
    path = re.sub(r"\{([^}]+)\}", lambda match: values[match[1]], template)
    query = {
        "/diff": f"?before={values['name:path']}@1",
        "/at": "?time=2999-01-01T00:00:00Z",
        "/traffic": "?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z",
    }
    return path + next((text for end, text in query.items() if template.endswith(end)), "")


def body(route: str, objects: Objects) -> dict[str, Any] | None:
    """Return what a route takes; what belongs to the object in the address is in there."""
    content = {"messages": [{"role": "user", "content": "hello"}]}
    experiment = {
        "dataset": f"{objects['dataset']}@1",
        "prompts": [f"{objects['prompt']}@1"],
        "models": ["simulated/small"],
    }
    chat = {"model": objects["alias"], "messages": MESSAGES}
    reported = {"alias": objects["alias"], "latency_ms": 1, "started_at": NOON}
    said = {"messages": MESSAGES, "output": {"role": "assistant", "content": "hello"}}
    bodies: dict[str, dict[str, Any]] = {
        "POST /api/aliases/{alias:path}/deployments": {
            "kind": "disable",
            "message": "Back soon.",
            "reason": "a test",
        },
        "POST /api/comparisons": {
            "baseline_run_id": objects["run"],
            "candidate_run_ids": [objects["run"]],
            "scorer": "contains",
        },
        "POST /api/conversations": {"alias": objects["alias"]},
        "PATCH /api/conversations/{conversation_id}": {"title": "x"},
        "POST /api/conversations/{conversation_id}/messages": {"content": "x"},
        "POST /api/datasets": {"name": objects["dataset"], "examples": [{"input": {"q": "x"}}]},
        "POST /api/experiments": experiment,
        "POST /api/experiments/estimate": experiment,
        "POST /api/experiments/extensions": {"extends": int(objects["experiment"])},
        "POST /api/generations": {**reported, **said},
        "POST /api/generations/{generation_id}/reviews": {"mark": "ok"},
        "POST /api/judges/qualifications": {
            "judge": "judge.correctness",
            "run_ids": [objects["run"]],
            "criterion": "x",
        },
        "POST /api/keys": {"name": "x", "user": objects["user"]},
        "PUT /api/limits/{kind}/{name:path}": {"requests_per_minute": 1},
        "POST /api/playground": {"prompt": objects["prompt"], "model": objects["model"]},
        "POST /api/playground/preview": {"prompt": objects["prompt"]},
        "POST /api/prompts/{name:path}/versions": {"content": content},
        "POST /api/prompts/{name:path}/versions/{version}/publish": {"message": "x"},
        "POST /api/prompts/{name:path}/versions/{version}/render": {"variables": {}},
        "POST /api/scores": {"run_id": objects["run"], "scorers": ["contains"]},
        "POST /api/users/{name}/grants": {"role": "viewer"},
        "POST /api/variants": {"prompt": f"{objects['prompt']}@1", "model": "simulated/small"},
        "POST /v1/chat/completions": chat,
    }
    method = route.partition(" ")[0]
    return bodies.get(route, {} if method in ("POST", "PUT", "PATCH") else None)


@dataclass
class Everybody:
    """The application, its objects, and a key of each kind."""

    application: FastAPI
    objects: Objects
    keys: Mapping[str, str]
    wrong: Mapping[str, str | None]
    asked: int = 0

    async def ask(self, route: str, key: str | None, objects: Objects) -> httpx2.Response:
        """Send one request, each from an address of its own, so that none is told to wait."""
        self.asked += 1
        client = (f"10.0.{self.asked // 250}.{self.asked % 250}", 1)
        transport = httpx2.ASGITransport(app=self.application, client=client)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as sender:
            return await sender.request(
                route.partition(" ")[0],
                address(route, objects),
                json=body(route, objects),
                headers=headers,
            )


async def make_objects(services: Services, owner: httpx2.AsyncClient) -> Objects:
    """Make one object of each kind, all of the team `desk`."""
    actor = local_actor()
    await stock(services, dataset="desk/sums", prompt="desk/ask")
    standing = await measure(
        services, owner, dataset="desk/sums", prompt="desk/ask", plan={"margin": 0.2}, gate=True
    )
    run = standing["runs"][1]["run"]
    variants = [item["content_hash"] for item in (await owner.get("/api/variants")).json()["items"]]
    for variant in variants:  # two moves, so that there is a way back
        found = await services.variants.get(variant)
        await services.aliases.move(actor, ALIAS, found.id, reason="a test", allow_simulated=True)
    await services.limits.set(actor, "alias", ALIAS, LimitValues(requests_per_minute=1_000))
    begun = await owner.post("/api/conversations", json={"alias": ALIAS})
    answers = (await owner.get(f"/api/generations?run_id={run['id']}")).json()["items"]
    return {
        **ABSENT,
        "prompt": "desk/ask",
        "dataset": "desk/sums",
        "alias": ALIAS,
        "variant": variants[0].removeprefix("sha256:"),
        "experiment": str(standing["experiment"]["number"]),
        "model": "simulated/small",
        "user": "owner",
        "key": "owner-key",
        "run": run["id"],
        "conversation": begun.json()["id"],
        "generation": answers[0]["id"],
        "example": answers[0]["example_id"],
        **{
            noun: (await owner.get(path)).json()["items"][0]["id"]
            for noun, path in (
                ("comparison", "/api/comparisons"),
                ("decision", "/api/gate-decisions"),
                ("job", "/api/jobs"),
            )
        },
    }


async def make_keys(services: Services) -> tuple[Mapping[str, str], Mapping[str, str | None]]:
    """Return a key of each column, and credentials that do not hold."""
    actor = local_actor()
    keys = {role: await key_of(services, role, Role(role)) for role in ROLES}
    keys["stranger"] = await key_of(services, "stranger", Role.RESEARCHER)
    keys["outside"] = await key_of(services, "outside", *Role, prefix="payments/")
    scope = KeyScope(permissions=SERVICE_PERMISSIONS)
    service = NewApiKey(name="service", is_service=True, scope=scope)
    keys["service"] = (await services.api_keys.create(actor, service)).secret
    expired = await key_of(services, "expired", *Role)
    await services.api_keys.rotate(actor, "expired-key", Rotation(grace_hours=0))
    revoked = await key_of(services, "revoked", *Role)
    await services.api_keys.revoke(actor, "revoked-key")
    gone = await key_of(services, "gone", *Role)
    await services.users.deactivate(actor, "gone")
    forged = keys["admin"][:-6] + "AAAAAA"
    return keys, {
        "none": None,
        "forged": forged,
        "expired": expired,
        "revoked": revoked,
        "deactivated": gone,
    }


@pytest.fixture
async def everybody(application: FastAPI, services: Services) -> Everybody:
    headers = {"Authorization": f"Bearer {await key_of(services, 'owner', *Role)}"}
    transport = httpx2.ASGITransport(app=application)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://test", headers=headers
    ) as owner:
        objects = await make_objects(services, owner)
    keys, wrong = await make_keys(services)
    return Everybody(application, objects, keys, wrong)


def reads(route: str) -> bool:
    return route.startswith("GET ")


def allowed(route: str, cell: str, response: httpx2.Response) -> bool:
    """Whether the answer of a role is what its cell says."""
    match cell:
        case "yes" | "shared":
            return response.status_code < 400 if reads(route) else is_let_in(response)
        case "no":
            return response.status_code == 403
        case "none":
            return response.status_code == 404
        case "hidden":
            return response.status_code == 200 and "desk/" not in response.text
    raise ValueError(f"{route}: {cell!r} means nothing here")


def is_let_in(response: httpx2.Response) -> bool:
    return response.status_code < 500 and response.status_code not in (401, 403)


def without_id(response: httpx2.Response) -> str:
    return re.sub(r'"request_id":\s*"[^"]*"', "", response.text)


async def deviations(everybody: Everybody, route: str, row: Row) -> AsyncIterator[str]:
    """Yield every answer of a route that is not as its row says."""
    is_public = row["viewer"] == "public"
    for kind, credential in everybody.wrong.items():
        response = await everybody.ask(route, credential, everybody.objects)
        if response.status_code != (200 if is_public else 401):
            yield f"{route}: {response.status_code} for a credential that is {kind}"
    if is_public:
        return
    for column in (*ROLES, "service"):
        asked_for = everybody.objects if reads(route) else ABSENT
        response = await everybody.ask(route, everybody.keys[column], asked_for)
        if not allowed(route, row[column], response):
            yield f"{route}: {response.status_code} for {column}, not {row[column]}"
    for column in ("stranger", "outside"):
        if not row[column]:
            continue
        changes_what_is_shared = row[column] == "shared" and not reads(route)
        asked_for = ABSENT if changes_what_is_shared else everybody.objects
        response = await everybody.ask(route, everybody.keys[column], asked_for)
        if not allowed(route, row[column], response):
            yield f"{route}: {response.status_code} for {column}, not {row[column]}"
        if row[column] == "none":
            nowhere = await everybody.ask(route, everybody.keys[column], ABSENT)
            if without_id(nowhere) != without_id(response):
                yield f"{route}: {column} is told that the object is there"


async def test_everybody_may_do_what_the_table_says_and_nothing_else(
    everybody: Everybody,
) -> None:
    found = [
        deviation
        for route, row in table().items()
        async for deviation in deviations(everybody, route, row)
    ]
    assert not found, "\n".join(found)


def unlisted(application: FastAPI) -> Iterator[str]:
    """Yield the routes that the table or the application does not have."""
    yield from sorted(set(declared_permissions(application)) ^ set(table()))


def test_every_route_has_its_row(application: FastAPI) -> None:
    assert list(unlisted(application)) == []


def test_a_route_without_a_row_would_be_found(application: FastAPI) -> None:
    @application.get("/api/new", dependencies=[Depends(needs(Permission.AUDIT_READ))])
    def new() -> None: ...

    assert "GET /api/new" in unlisted(application)
