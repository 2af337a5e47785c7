"""The examples of a comparison over HTTP: folded, filtered, in the order of their change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import httpx2
import pytest

from app.bootstrap import Services
from app.core.permissions import Actor, Role
from app.schemas.comparisons import NewComparison
from app.schemas.scores import NewScore
from tests.api.conftest import ClientOf
from tests.api.measured import done
from tests.scored_runs import Cell, ScoredRuns, examples

Cells = Mapping[str, Cell | Sequence[Cell]]
KEYS = [f"e-{i:05d}" for i in range(30)]


def twice(*values: float | None) -> list[Cell]:
    """One cell a repetition; None is one that failed."""
    return [
        Cell(value, "failed" if value is None else "completed", repetition)
        for repetition, value in enumerate(values)
    ]


BEFORE: Cells = {key: twice(1.0, 0.0) for key in KEYS}
AFTER: Cells = {
    **BEFORE,
    KEYS[3]: twice(1.0, 1.0),
    KEYS[4]: twice(0.0, 0.0),
    KEYS[5]: twice(None, 0.0),  # the half that is scored is worse
    KEYS[6]: twice(None, None),
}


async def compared(
    services: Services,
    client: httpx2.AsyncClient,
    actor: Actor,
    *,
    before: Cells = BEFORE,
    after: Cells = AFTER,
    scorer: str = "exact_match",
    dataset: str = "sums",
) -> Any:
    """Store two runs with these scores, compare them, and return the comparison."""
    rows = examples(len(KEYS), ["topic"])
    runs = await ScoredRuns.over(services, actor, rows, name=dataset, scorer=scorer)
    names = [f"{dataset}-before", f"{dataset}-after"]
    stored = [
        await runs.add(name, cells) for name, cells in zip(names, (before, after), strict=True)
    ]
    body = {
        "baseline_run_id": str(stored[0].id),
        "candidate_run_ids": [str(stored[1].id)],
        "scorer": scorer,
    }
    progress = await done(services, client, await client.post("/api/comparisons", json=body))
    assert progress["job"]["status"] == "done", progress
    return (await client.get("/api/comparisons")).json()["items"][0]


async def listed(client: httpx2.AsyncClient, comparison: Any, **query: Any) -> Any:
    answer = await client.get(f"/api/comparisons/{comparison['id']}/examples", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def keys(client: httpx2.AsyncClient, comparison: Any, **query: Any) -> list[str]:
    return [item["key"] for item in (await listed(client, comparison, **query))["items"]]


async def test_repetitions_are_folded_and_what_has_no_score_is_counted(
    services: Services, client: httpx2.AsyncClient, actor: Actor
) -> None:
    comparison = await compared(services, client, actor)

    found = await listed(client, comparison)

    assert found["total_estimate"] == len(KEYS)
    by_key = {item["key"]: item for item in found["items"]}
    better = by_key[KEYS[3]]
    assert better["change"] == 0.5
    assert (better["baseline"]["mean"], better["candidate"]["mean"]) == (0.5, 1.0)
    assert better["candidate"]["statuses"] == {"scored": 2}
    half = by_key[KEYS[5]]["candidate"]
    assert (half["mean"], half["cells"], half["scored"]) == (0.0, 2, 1)
    assert half["statuses"] == {"failed": 1, "scored": 1}
    none = by_key[KEYS[6]]
    assert (none["change"], none["candidate"]["mean"]) == (None, None)
    generation = better["candidate"]["generation_ids"][1]
    told = (await client.get(f"/api/generations/{generation}")).json()["generation"]
    assert (told["key"], told["repetition"]) == (KEYS[3], 1)


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ("better", [KEYS[3]]),
        ("worse", [KEYS[4], KEYS[5]]),
        ("error", [KEYS[5], KEYS[6]]),
        ("tied", [key for key in KEYS if key not in KEYS[3:7]]),
        ("all", [*KEYS[3:6], *(key for key in KEYS if key not in KEYS[3:7]), KEYS[6]]),
    ],
)
async def test_a_direction_holds_its_examples_the_largest_change_first(
    services: Services,
    client: httpx2.AsyncClient,
    actor: Actor,
    direction: str,
    expected: list[str],
) -> None:
    comparison = await compared(services, client, actor)
    assert await keys(client, comparison, direction=direction) == expected


async def test_pages_of_any_size_hold_every_example_once(
    services: Services, client: httpx2.AsyncClient, actor: Actor
) -> None:
    comparison = await compared(services, client, actor)
    whole = await keys(client, comparison)
    for size in (1, 7, 30):
        paged, cursor = [], None
        while True:
            page = await listed(client, comparison, limit=size, **_after(cursor))
            paged += [item["key"] for item in page["items"]]
            assert page["total_estimate"] == len(KEYS)
            if (cursor := page["next_cursor"]) is None:
                break
        assert paged == whole


def _after(cursor: str | None) -> dict[str, str]:
    return {} if cursor is None else {"cursor": cursor}


async def test_a_slice_and_a_part_of_the_key_narrow_the_list(
    services: Services, client: httpx2.AsyncClient, actor: Actor
) -> None:
    comparison = await compared(services, client, actor)
    slice_ = {"column": "topic", "value": "topic-4"}
    assert await keys(client, comparison, **slice_, direction="worse") == [KEYS[4]]
    assert len(await keys(client, comparison, **slice_)) == len(KEYS) / 5
    assert await keys(client, comparison, search="E-00003") == [KEYS[3]]
    assert await keys(client, comparison, search="%") == []
    assert await keys(client, comparison, column="topic", value="none") == []
    path = f"/api/comparisons/{comparison['id']}/examples"
    assert (await client.get(path, params={"column": "topic"})).status_code == 422


async def test_where_lower_is_better_a_lower_score_is_a_gain(
    services: Services, client: httpx2.AsyncClient, actor: Actor
) -> None:
    comparison = await compared(services, client, actor)
    stored = NewComparison.model_validate(
        {name: comparison[name] for name in NewComparison.model_fields}
    )
    lower = {**stored.result, "direction": "lower"}
    flipped = await services.comparisons.record(actor, stored.model_copy(update={"result": lower}))
    found = await listed(client, {"id": flipped.id}, direction="worse")
    assert [(item["key"], item["change"]) for item in found["items"]] == [(KEYS[3], -0.5)]


async def test_means_of_the_same_scores_in_another_order_are_no_change(
    services: Services, client: httpx2.AsyncClient, actor: Actor
) -> None:
    before: Cells = {key: twice(0.1, 0.2, 0.3) for key in KEYS}
    after: Cells = {key: twice(0.3, 0.2, 0.1) for key in KEYS}
    comparison = await compared(services, client, actor, before=before, after=after, scorer="gleu")
    assert len(await keys(client, comparison, direction="tied")) == len(KEYS)


async def test_one_example_is_read_with_both_sides_answers_and_scores(
    services: Services, client: httpx2.AsyncClient, actor: Actor
) -> None:
    comparison = await compared(services, client, actor)
    [example] = (await listed(client, comparison, direction="better"))["items"]
    await _explain(services, actor, comparison, example)

    path = f"/api/comparisons/{comparison['id']}/examples/{example['example_id']}"
    found = (await client.get(path)).json()

    assert (found["key"], found["change"]) == (KEYS[3], 0.5)
    assert found["input"] == {"question": "What is 3 + 3?"}
    assert found["expected_output"] == "6"
    assert found["metadata"] == {"topic": "topic-3"}
    assert found["baseline"]["run"] == "sums-before"
    answers = found["candidate"]["answers"]
    assert [answer["repetition"] for answer in answers] == [0, 1]
    assert answers[0]["output"] == {"role": "assistant", "content": "42"}
    assert [(score["scorer"], score["value"]) for score in answers[1]["scores"]] == [
        ("exact_match", 1.0),
        ("contains", 0.0),
    ]
    assert answers[1]["scores"][1]["explanation"] == "It does not say 6."


async def _explain(services: Services, actor: Actor, comparison: Any, example: Any) -> None:
    """Store a score of another scorer, with its reason, for the candidate's second answer."""
    other = await services.scores.ensure_scorer(
        actor, {"name": "contains", "version": 1, "config": {}}
    )
    score = NewScore(
        generation_id=UUID(example["candidate"]["generation_ids"][1]),
        status="scored",
        value=0.0,
        passed=False,
        label=None,
        reason=None,
        explanation="It does not say 6.",
    )
    await services.scores.record(actor, other.id, [score])


async def test_an_example_of_no_pair_is_not_there(
    services: Services, client: httpx2.AsyncClient, actor: Actor
) -> None:
    after = {key: cell for key, cell in AFTER.items() if key != KEYS[7]}
    comparison = await compared(services, client, actor, after=after)
    assert KEYS[7] not in await keys(client, comparison)
    nowhere = "00000000-0000-7000-8000-000000000000"
    answer = await client.get(f"/api/comparisons/{comparison['id']}/examples/{nowhere}")
    assert answer.status_code == 404


async def test_another_team_s_examples_are_not_there(
    services: Services, client: httpx2.AsyncClient, actor: Actor, client_of: ClientOf
) -> None:
    comparison = await compared(services, client, actor, dataset="desk/sums")
    [example] = (await listed(client, comparison, direction="better"))["items"]
    outside = await client_of(*Role, prefix="payments/")
    path = f"/api/comparisons/{comparison['id']}/examples"
    for address in (path, f"{path}/{example['example_id']}"):
        assert (await outside.get(address)).status_code == 404


async def test_comparisons_are_listed_by_their_scorer(
    services: Services, client: httpx2.AsyncClient, actor: Actor
) -> None:
    comparison = await compared(services, client, actor)
    path = f"/api/comparisons?scorer_id={comparison['scorer_id']}"
    assert (await client.get(path)).json()["items"] == [comparison]
    nowhere = "00000000-0000-7000-8000-000000000000"
    assert (await client.get(f"/api/comparisons?scorer_id={nowhere}")).json()["items"] == []
