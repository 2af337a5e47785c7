"""Looking into a dataset version over the API: search, profile, and a preview before an import."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from app.core.permissions import Role
from app.schemas.dataset_profiles import MAX_LABELS, MAX_SEARCHED
from tests.api.conftest import ClientOf

PATH = "/api/datasets"
EXAMPLES = [
    {
        "key": "late",
        "input": {"ticket": "Where is my Parcel?"},
        "expected_output": "delivery",
        "metadata": {"lang": "en", "stars": 3},
    },
    {
        "key": "twice",
        "input": {"ticket": 'Charged "twice" in April'},
        "expected_output": "billing",
        "metadata": {"lang": "en"},
    },
    {
        "key": "doppelt",
        "input": {"ticket": 'Charged "twice" in April'},
        "expected_output": "delivery",
        "metadata": {"lang": "de"},
    },
    {"key": "long", "input": {"ticket": "x" * 900}},
]


async def stored(client: httpx2.AsyncClient, examples: list[dict[str, Any]]) -> None:
    made = await client.post(PATH, json={"name": "desk/tickets", "examples": examples})
    assert made.status_code == 201, made.text


async def found(client: httpx2.AsyncClient, **query: str | int) -> dict[str, Any]:
    response = await client.get(f"{PATH}/desk/tickets/versions/1/examples", params=query)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({"search": "parcel"}, ["late"]),
        ({"search": '"twice"'}, ["twice", "doppelt"]),
        ({"search": "LAT"}, ["late"]),  # a part of the key
        ({"search": "delivery"}, ["late", "doppelt"]),
        ({"search": "ticket"}, []),  # a column's name is no text of an example
        ({"search": "%"}, []),
        ({"key": "long"}, ["long"]),
        ({"key": "lon"}, []),
        ({"column": "lang", "value": "de"}, ["doppelt"]),
        ({"column": "stars", "value": "3"}, ["late"]),
        ({"expected_output": "billing"}, ["twice"]),
        ({"search": "twice", "expected_output": "delivery"}, ["doppelt"]),
        ({}, ["late", "twice", "doppelt", "long"]),
    ],
)
async def test_examples_are_found_by_what_they_say(
    client: httpx2.AsyncClient, query: dict[str, str], keys: list[str]
) -> None:
    await stored(client, EXAMPLES)
    assert [item["key"] for item in (await found(client, **query))["items"]] == keys


async def test_pages_of_a_search_follow_each_other(client: httpx2.AsyncClient) -> None:
    await stored(client, EXAMPLES)
    first = await found(client, search="a", limit=1)
    assert [item["key"] for item in first["items"]] == ["late"]
    second = await found(client, search="a", limit=1, cursor=first["next_cursor"])
    assert [item["key"] for item in second["items"]] == ["twice"]
    third = await found(client, search="a", limit=9, cursor=second["next_cursor"])
    assert [item["key"] for item in third["items"]] == ["doppelt"]
    assert (third["next_cursor"], third["searched"]) == (None, 4)


async def test_a_search_goes_through_a_bounded_number_of_examples_a_page(
    client: httpx2.AsyncClient,
) -> None:
    rows = [json.dumps({"input": {"x": f"text {n}"}}) for n in range(MAX_SEARCHED + 10)]
    made = await client.post(PATH, json={"name": "desk/tickets", "text": "\n".join(rows)})
    assert made.status_code == 201
    page = await found(client, search=f"text {MAX_SEARCHED + 5}")
    assert (page["items"], page["searched"]) == ([], MAX_SEARCHED)
    rest = await found(client, search=f"text {MAX_SEARCHED + 5}", cursor=page["next_cursor"])
    assert [item["position"] for item in rest["items"]] == [MAX_SEARCHED + 5]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "query", [{"column": "lang"}, {"value": "de"}, {"column": "nothing", "value": "de"}]
)
async def test_a_metadata_column_is_searched_for_a_value(
    client: httpx2.AsyncClient, query: dict[str, str]
) -> None:
    await stored(client, EXAMPLES)
    refused = await client.get(f"{PATH}/desk/tickets/versions/1/examples", params=query)
    assert refused.status_code == 422


async def profile(client: httpx2.AsyncClient) -> dict[str, Any]:
    response = await client.get(f"{PATH}/desk/tickets/versions/1/profile")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_a_profile_tells_lengths_repeated_inputs_and_labels(
    client: httpx2.AsyncClient,
) -> None:
    await stored(client, EXAMPLES)
    told = await profile(client)
    assert (told["examples"], told["complete"], told["without_expected"]) == (4, True, 1)
    assert told["longest"][0] == {"key": "long", "position": 3, "characters": 900}
    assert sum(bucket["examples"] for bucket in told["lengths"]) == 4
    assert told["lengths"][0]["low"] == len("Where is my Parcel?")
    assert (told["repeated_groups"], told["repeated_examples"]) == (1, 2)
    assert told["repeated"] == [
        {"keys": ["twice", "doppelt"], "examples": 2, "expected_differ": True}
    ]
    assert told["labels"] == [
        {"label": "delivery", "examples": 2},
        {"label": "billing", "examples": 1},
    ]
    assert await profile(client) == told


async def test_many_different_expected_outputs_are_no_labels(client: httpx2.AsyncClient) -> None:
    many = [
        {"input": {"x": str(n)}, "expected_output": f"answer {n}"} for n in range(MAX_LABELS + 1)
    ]
    await stored(client, many)
    told = await profile(client)
    assert told["labels"] is None
    assert told["without_expected"] == 0


async def test_a_profile_of_another_team_s_dataset_is_not_found(
    client: httpx2.AsyncClient, client_of: ClientOf
) -> None:
    await stored(client, EXAMPLES)
    await profile(client)  # and is kept from now on
    outside = await client_of(Role.RESEARCHER, prefix="payments/")
    for end in ("profile", "examples?search=x"):
        response = await outside.get(f"{PATH}/desk/tickets/versions/1/{end}")
        assert response.status_code == 404


async def preview(client: httpx2.AsyncClient, **body: object) -> dict[str, Any]:
    response = await client.post(f"{PATH}/preview", json=body)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


CSV = "id,ticket,queue\n1,Charged twice,billing\n2,only two\n3,No light,\n3,Again,billing\n"
COLUMNS = {"inputs": ["ticket"], "expected_output": "queue", "key": "id"}


async def test_a_preview_tells_every_row_that_is_wrong_and_stores_nothing(
    client: httpx2.AsyncClient,
) -> None:
    told = await preview(client, text=CSV, format="csv", columns=COLUMNS)
    assert told["columns"] == ["id", "ticket", "queue"]
    assert (told["examples"], told["expected_count"], told["error_count"]) == (2, 1, 2)
    short, twice = told["errors"]
    assert (short["row"], short["line"]) == (2, 3)
    assert short["problem"] == "2 cells, and the header has 3"
    assert (twice["row"], twice["line"], twice["column"]) == (4, 5, "key")
    assert twice["problem"] == "the key '3' is already used by row 3"
    assert told["rows"][0]["example"] == {
        "key": "1",
        "input": {"ticket": "Charged twice"},
        "expected_output": "billing",
    }
    assert told["rows"][-1]["example"] is None
    assert (await client.get(PATH)).json()["items"] == []


async def test_what_a_preview_finds_no_fault_with_can_be_imported(
    client: httpx2.AsyncClient,
) -> None:
    text = "ticket;queue\nCharged, twice;billing\nNo light;\n"
    body = {"text": text, "format": "csv", "separator": ";", "columns": {"inputs": ["ticket"]}}
    told = await preview(client, **body)
    assert (told["examples"], told["errors"]) == (2, [])
    made = await client.post(PATH, json={"name": "desk/tickets", **body})
    assert made.status_code == 201
    assert made.json()["version"]["example_count"] == 2


@pytest.mark.parametrize(
    ("body", "row", "line", "problem"),
    [
        ({"text": '{"input": {"a": 1}}\n\n{'}, 2, 3, "no JSON"),
        ({"text": '{"input": {"a": 1}}\n[1]'}, 2, 2, "an object"),
        ({"text": '[{"input": {"a": 1}}, {"input": 1}]', "format": "json"}, 2, None, "dictionary"),
        ({"text": '{"input": 1}\n{"input": {"a": 1}}\n{"input": {"b": 1}}'}, 1, 1, "dictionary"),
        ({"text": 'a\n"1\n', "format": "csv", "columns": {}}, None, 2, "end of data"),
    ],
)
async def test_an_error_has_its_row_and_line(
    client: httpx2.AsyncClient,
    body: dict[str, object],
    row: int | None,
    line: int | None,
    problem: str,
) -> None:
    first = (await preview(client, **body))["errors"][0]
    assert (first["row"], first["line"]) == (row, line)
    assert problem in first["problem"]


async def test_inputs_are_held_against_the_first_row_that_is_an_example(
    client: httpx2.AsyncClient,
) -> None:
    text = '{"input": 1}\n{"input": {"a": 1}}\n{"input": {"b": 1}}'
    errors = (await preview(client, text=text))["errors"]
    assert [error["row"] for error in errors] == [1, 3]
    assert "which row 2 has" in errors[1]["problem"]


async def test_the_beginning_of_a_text_may_be_cut_off(client: httpx2.AsyncClient) -> None:
    cut = 'ticket\nfirst\n"sec'
    told = await preview(client, text=cut, format="csv", columns={}, partial=True)
    assert (told["examples"], told["errors"]) == (1, [])
    told = await preview(
        client, text="a\n1\n2\n3\n", format="csv", columns={}, show=2, only_first=True
    )
    assert (told["examples"], len(told["rows"])) == (2, 2)


async def test_a_thousand_errors_are_counted_and_a_hundred_listed(
    client: httpx2.AsyncClient,
) -> None:
    told = await preview(client, text="1\n" * 1000)
    assert (told["error_count"], len(told["errors"])) == (1000, 100)


async def test_only_who_may_import_previews(client_of: ClientOf) -> None:
    viewer = await client_of(Role.VIEWER)
    refused = await viewer.post(f"{PATH}/preview", json={"text": "{}"})
    assert refused.status_code == 403
