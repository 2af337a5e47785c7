"""Values that no database or model takes, in fields of any JSON, and times at the calendar's ends.

Each is refused as the caller's mistake and names the field; none is an error of the server.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx2
import pytest

from tests.api.measured import asked

RUN: Final = "01990000-0000-7000-8000-000000000000"
PLACE: Final = "@@"
REPORT: Final = {
    "alias": "support-bot@production",
    "started_at": "2026-03-01T03:12:00Z",
    "latency_ms": 5,
    "history": [],
    "output": {"role": "assistant", "content": "hi"},
    "finish_reason": "stop",
}
VALUES: Final = {"lone surrogate": '"\\ud800"', "too large": str(2**70), "NUL": '"a\\u0000b"'}
TIMES: Final = ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")
FIELDS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "an experiment's parameters": (
        "/api/experiments",
        asked(parameters={"temperature": PLACE}),
    ),
    "an experiment's scorers": (
        "/api/experiments",
        asked(scorers=[{"name": "exact_match", "x": PLACE}]),
    ),
    "an experiment's planned examples": ("/api/experiments", asked(plan={"n": PLACE})),
    "scorers of a run": ("/api/scores", {"run_id": RUN, "scorers": [{"name": PLACE}]}),
    "a comparison's scorer": (
        "/api/comparisons",
        {"baseline_run_id": RUN, "candidate_run_ids": [RUN], "scorer": {"name": PLACE}},
    ),
    "values of a prompt": ("/api/prompts/ask/versions/1/render", {"question": PLACE}),
    "reported parameters": ("/api/generations", {**REPORT, "parameters": {"seed": PLACE}}),
    "reported variables": ("/api/generations", {**REPORT, "variables": {"shop": PLACE}}),
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("field", FIELDS)
async def test_what_cannot_be_kept_is_refused(
    client: httpx2.AsyncClient, field: str, value: str
) -> None:
    path, shape = FIELDS[field]
    body = json.dumps(shape).replace(json.dumps(PLACE), VALUES[value])
    refused = await client.post(path, content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 422, refused.text


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("parameter", ["since", "until"])
async def test_a_time_beyond_the_calendar_bounds_no_list(
    client: httpx2.AsyncClient, parameter: str, time: str
) -> None:
    for path in ("/api/generations", "/api/generations/counts"):
        refused = await client.get(path, params={parameter: time})
        assert refused.status_code == 422, refused.text


@pytest.mark.parametrize("time", TIMES)
async def test_nothing_begins_or_ends_beyond_the_calendar(
    client: httpx2.AsyncClient, time: str
) -> None:
    model = "/api/models/openai/some-model"
    price = {"input": "1", "output": "1", "from": time}
    for path, body in (("retirement", {"sunset": time}), ("prices", price)):
        refused = await client.post(f"{model}/{path}", json=body)
        assert refused.status_code == 422, refused.text
    asked_at = await client.get("/api/aliases/support-bot@production/at", params={"time": time})
    assert asked_at.status_code == 422


@pytest.mark.parametrize("time", [*TIMES, "2026-03-01T03:12:00"])
async def test_a_cursor_that_was_tampered_with_is_refused(
    client: httpx2.AsyncClient, time: str
) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps([time, RUN]).encode()).rstrip(b"=").decode()
    refused = await client.get("/api/conversations", params={"cursor": cursor})
    assert (refused.status_code, refused.json()["path"]) == (422, "cursor")
