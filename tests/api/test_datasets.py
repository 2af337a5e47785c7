"""The routes of datasets: imports as objects and as texts, versions, examples, differences."""

from __future__ import annotations

import json

import httpx2
import pytest

from app.core.permissions import Role
from app.schemas.datasets import MAX_INLINE_EXAMPLES
from tests.api.conftest import ClientOf

PATH = "/api/datasets"
OBJECTS = [
    {"input": {"ticket": "Charged twice"}, "expected_output": "billing"},
    {"input": {"ticket": "No light"}, "metadata": {"lang": "en"}, "cluster": "3"},
]


@pytest.fixture
def database_kind() -> str:
    """What the routes call is tested on both databases elsewhere."""
    return "sqlite"


async def post(client: httpx2.AsyncClient, **body: object) -> httpx2.Response:
    return await client.post(PATH, json={"name": "desk/tickets", **body})


async def examples(client: httpx2.AsyncClient, version: int = 1) -> list[dict[str, object]]:
    got = await client.get(f"{PATH}/desk/tickets/versions/{version}/examples")
    return list(got.json()["items"])


async def test_objects_become_a_version(client: httpx2.AsyncClient) -> None:
    made = await post(client, examples=OBJECTS, message="First.")
    assert made.status_code == 201
    assert made.headers["location"] == f"{PATH}/desk/tickets/versions/1"
    imported = made.json()
    assert (imported["created"], imported["changes"]) == (True, None)
    version = imported["version"]
    assert (version["example_count"], version["expected_count"]) == (2, 1)
    assert (await client.get(made.headers["location"])).json() == version
    first, second = await examples(client)
    assert first["input"] == {"ticket": "Charged twice"}
    assert (first["position"], second["cluster"]) == (0, "3")


async def test_the_same_examples_again_are_the_version_that_is_there(
    client: httpx2.AsyncClient,
) -> None:
    await post(client, examples=OBJECTS)
    again = await post(client, examples=OBJECTS)
    assert again.status_code == 200
    assert again.json()["created"] is False


CSV = 'ticket,queue,lang,id\r\nCharged twice,billing,en,1\r\n"No\nlight",,,2\r\n'
ROWS = [
    {"ticket": "Charged twice", "queue": "billing", "lang": "en", "id": 1},
    {"ticket": "No\nlight", "queue": "", "lang": None, "id": 2},
]
COLUMNS = {"inputs": ["ticket"], "expected_output": "queue", "key": "id", "metadata": ["lang"]}


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", CSV),
        ("json", json.dumps(ROWS)),
        ("jsonl", "\n".join([json.dumps(ROWS[0]), "", json.dumps(ROWS[1])])),
    ],
)
async def test_texts_of_all_forms_say_the_same(
    client: httpx2.AsyncClient, form: str, text: str
) -> None:
    made = await post(client, format=form, text=text, columns=COLUMNS)
    assert made.status_code == 201, made.text
    first, second = await examples(client)
    assert (first["key"], second["key"]) == ("1", "2")
    assert (first["expected_output"], second["expected_output"]) == ("billing", None)
    assert (first["metadata"], second["metadata"]) == ({"lang": "en"}, {})
    assert second["input"] == {"ticket": "No\nlight"}


async def test_a_text_of_our_own_form_needs_no_columns(client: httpx2.AsyncClient) -> None:
    made = await post(client, text="\n".join(map(json.dumps, OBJECTS)))
    assert made.status_code == 201
    assert [e["input"] for e in await examples(client)] == [o["input"] for o in OBJECTS]


async def test_without_inputs_every_other_column_is_one(client: httpx2.AsyncClient) -> None:
    columns = {"expected_output": "queue", "key": "id"}
    await post(client, format="csv", text=CSV, columns=columns)
    assert (await examples(client))[0]["input"] == {"ticket": "Charged twice", "lang": "en"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "either examples or text"),
        ({"examples": [], "text": None}, "at least 1"),
        ({"examples": OBJECTS, "text": "x"}, "either examples or text"),
        ({"text": "a,b\n1,2\n", "format": "csv"}, "needs columns"),
        ({"text": "{}\n{"}, "row 1"),
        ({"text": '{"input": {"a": 1}}\nnull'}, "row 2: an object"),
        ({"text": '{"input": {"a": 1}}\n{"input": {"b": 1}}'}, "row 2"),
        ({"text": "{}", "format": "json"}, "array"),
        ({"text": "a,a\n1,2\n", "format": "csv", "columns": {}}, "same name"),
        ({"text": "a,b\n1\n", "format": "csv", "columns": {}}, "row 1: 1 cells"),
        ({"text": 'a\n"1\n', "format": "csv", "columns": {}}, "line"),
        ({"text": "a\n1\n", "format": "csv", "columns": {"inputs": ["b"]}}, "no column 'b'"),
        ({"text": "a\n", "format": "csv", "columns": {}}, "no rows"),
        ({"name": "Desk", "examples": OBJECTS}, "body.name"),
        ({"examples": [OBJECTS[0]] * (MAX_INLINE_EXAMPLES + 1)}, "at most"),
    ],
)
async def test_what_cannot_be_imported_is_invalid_and_leaves_nothing(
    client: httpx2.AsyncClient, body: dict[str, object], told: str
) -> None:
    refused = await post(client, **body)
    assert refused.status_code == 422
    assert told in refused.json()["detail"]
    assert (await client.get(PATH)).json()["items"] == []


async def test_a_diff_has_counts_and_changes(client: httpx2.AsyncClient) -> None:
    before = [{"key": key, "input": {"x": key}} for key in "abc"]
    after = [{"key": "a", "input": {"x": "A"}}, *before[1:2], {"key": "d", "input": {"x": "d"}}]
    await post(client, examples=before)
    changed = await post(client, examples=after)
    assert changed.json()["changes"] == [1, 1, 1]
    got = await client.get(
        f"{PATH}/desk/tickets/versions/2/diff", params={"before": "desk/tickets@1"}
    )
    diff = got.json()
    assert [(item["kind"], item["key"]) for item in diff["items"]] == [
        ("changed", "a"),
        ("added", "d"),
        ("removed", "c"),
    ]
    assert (diff["added"], diff["removed"], diff["changed"]) == (1, 1, 1)
    assert diff["items"][0]["before"]["input"] == {"x": "a"}


async def test_datasets_are_found_by_a_part_of_the_name(client: httpx2.AsyncClient) -> None:
    await post(client, examples=OBJECTS)
    for search, count in (("TICK", 1), ("t_ck", 0)):
        assert len((await client.get(PATH, params={"search": search})).json()["items"]) == count


async def test_writing_ends_at_the_prefix(client_of: ClientOf) -> None:
    limited = await client_of(Role.RESEARCHER, prefix="payments/")
    assert (await post(limited, examples=OBJECTS)).status_code == 404
    assert (await post(limited, name="payments/x", examples=OBJECTS)).status_code == 201
    viewer = await client_of(Role.VIEWER)
    assert (await post(viewer, examples=OBJECTS)).status_code == 403
