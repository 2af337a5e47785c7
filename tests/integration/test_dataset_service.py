"""Datasets on both databases: immutable versions, whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from app.core.clock import SystemClock
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.hashing import content_hash
from app.core.permissions import Actor, ActorKind
from app.database import Database, DatabaseError
from app.models import AuditEvent, Content, Dataset, DatasetVersion, DatasetVersionExample, Example
from app.schemas.datasets import (
    ChangeCounts,
    DatasetVersionView,
    ExampleChange,
    ExampleInput,
    NewDatasetVersion,
)
from app.services.audit import first_broken_entry
from app.services.datasets import DatasetService, ImportedVersion
from workbench.workspace.dataset_files import ExampleColumns, read_examples

GSM8K = Path(__file__).resolve().parents[3] / "shared" / "data" / "gsm8k" / "test.jsonl"
TABLES = (Dataset, DatasetVersion, DatasetVersionExample, Example, Content, AuditEvent)


@pytest.fixture
def datasets(database: Database) -> DatasetService:
    return DatasetService(database, SystemClock())


@pytest.fixture
def put(datasets: DatasetService, actor: Actor):  # type: ignore[no-untyped-def] # a function
    async def import_rows(
        rows: Iterable[ExampleInput] | AsyncIterator[ExampleInput], name: str = "sums"
    ) -> ImportedVersion:
        return await datasets.import_version(actor, name, rows, source="sums.csv", message="why")

    return import_rows


def sums(*numbers: int, wrong: int | None = None) -> list[ExampleInput]:
    return [
        ExampleInput(
            key=f"sum-{n}",
            input={"question": f"{n} + {n}?"},
            expected_output=None if n == 0 else "wrong" if n == wrong else str(2 * n),
            metadata={"level": n % 3},
            cluster=f"c{n % 2}",
        )
        for n in numbers
    ]


async def rows_of(database: Database) -> list[int]:
    async with database.read_session() as session:
        counts = [await session.scalar(select(func.count()).select_from(t)) for t in TABLES]
    return [count or 0 for count in counts]


async def keys_of(datasets: DatasetService, version: DatasetVersionView) -> list[str]:
    return [example.key for example in await datasets.examples(version.id)]


async def test_an_import_makes_a_version_that_says_what_it_is(put, datasets) -> None:
    imported = await put(sums(0, 1, 2))
    version = imported.version
    assert imported.created
    assert imported.changes is None
    assert version.reference == "sums@1"
    assert version.summary == "sums@1: 3 examples (2 with expected output)"
    assert (version.input_names, version.metadata_names) == (("question",), ("level",))
    assert (version.parent, version.source, version.message) == (None, "sums.csv", "why")
    assert version.content_hash == content_hash([[row.key, row.hash] for row in sums(0, 1, 2)])
    assert await datasets.get("sums") == version


async def test_examples_come_back_whole_and_in_the_order_of_the_file(put, datasets) -> None:
    rows = sums(3, 1, 2)
    rows.append(
        ExampleInput.model_validate(
            {
                "key": "chat",
                "input": {"question": {"text": "Größe? 😀", "n": [1, 2.5, None, True]}},
                "messages": [{"role": "user", "content": "Hi"}],
                "expected_output": {"queue": "other"},
            }
        )
    )
    version = (await put(rows)).version
    examples = await datasets.examples(version.id)
    assert [example.position for example in examples] == [0, 1, 2, 3]
    for row, example in zip(rows, examples, strict=True):
        assert (example.key, example.input, example.cluster) == (row.key, row.input, row.cluster)
        assert (example.expected_output, example.metadata) == (row.expected_output, row.metadata)
    assert examples[3].messages == [{"role": "user", "content": "Hi"}]
    assert await datasets.example_by_key(version, "chat") == examples[3]


async def test_examples_are_read_page_by_page(put, datasets) -> None:
    version = (await put(sums(*range(7)))).version
    first = await datasets.examples(version.id, limit=3)
    second = await datasets.examples(version.id, after_position=first[-1].position, limit=10)
    assert [example.position for example in first + second] == list(range(7))
    assert await datasets.examples(version.id, after_position=6) == []


async def test_the_same_content_again_is_the_version_that_is_there(
    put, datasets, database: Database
) -> None:
    first = await put(sums(1, 2))
    await put(sums(1, 2, 3))
    before = await rows_of(database)
    again = await put(sums(1, 2))
    assert (again.version, again.created) == (first.version, False)
    assert await rows_of(database) == before


async def test_a_new_version_writes_only_what_is_new(put, datasets, database: Database) -> None:
    first = await put(sums(1, 2, 3))
    second = await put(sums(3, 2, 4, wrong=2))
    assert (second.version.number, second.version.parent) == (2, 1)
    assert second.changes == ChangeCounts(added=1, removed=1, changed=1)
    counts = dict(zip(TABLES, await rows_of(database), strict=True))
    assert (counts[Example], counts[Content], counts[DatasetVersionExample]) == (5, 5, 6)
    ids = {e.key: e.id for e in await datasets.examples(first.version.id)}
    new_ids = {e.key: e.id for e in await datasets.examples(second.version.id)}
    assert new_ids["sum-3"] == ids["sum-3"]
    assert new_ids["sum-2"] != ids["sum-2"]


async def test_going_back_to_an_old_text_takes_the_old_example(put, database: Database) -> None:
    await put(sums(1, 2))
    await put(sums(1, 2, wrong=1))
    await put(sums(1, 3))
    counts = dict(zip(TABLES, await rows_of(database), strict=True))
    assert counts[Example] == 4


async def test_two_datasets_share_no_example(put, database: Database) -> None:
    await put(sums(1, 2), "a")
    other = await put(sums(1, 2), "team/b")
    assert other.version.reference == "team/b@1"
    counts = dict(zip(TABLES, await rows_of(database), strict=True))
    assert counts[Example] == 4


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE dataset_version SET message = 'other'",
        "DELETE FROM dataset_version_example",
        "UPDATE example SET key = 'other'",
        "DELETE FROM example",
    ],
)
async def test_a_version_never_changes(put, database: Database, statement: str) -> None:
    await put(sums(1, 2))
    with pytest.raises(DatabaseError, match="append-only"):
        async with database.write_session() as session:
            await session.execute(text(statement))


def _bad_at_the_end() -> Iterator[ExampleInput]:
    yield from sums(*range(1500))
    raise Invalid("row 1501 is no example.")


async def test_a_bad_row_at_the_end_leaves_nothing_behind(put, database: Database) -> None:
    await put(sums(1, 2))
    before = await rows_of(database)
    for name in ("sums", "new"):
        with pytest.raises(Invalid, match="row 1501"):
            await put(_bad_at_the_end(), name)
    assert await rows_of(database) == before


async def test_a_key_used_twice_leaves_nothing_behind(put, database: Database) -> None:
    before = await rows_of(database)
    with pytest.raises(Invalid, match=r"sums\.csv, row 1202: the key 'sum-7' is .* row 8\."):
        await put([*sums(*range(1201)), *sums(7)])
    assert await rows_of(database) == before


async def test_no_rows_are_no_dataset(put, database: Database) -> None:
    with pytest.raises(Invalid, match="has no rows"):
        await put([])
    assert (await rows_of(database))[0] == 0


async def test_what_comes_over_the_api_is_read_while_somebody_else_writes(
    datasets: DatasetService, actor: Actor, database: Database
) -> None:
    text = '{"input": {"question": "1 + 1"}}\n' * 1500 + "no JSON"
    new = NewDatasetVersion(name="sums", format="jsonl", text=text)
    async with database.write_session() as session, asyncio.timeout(10):
        await session.execute(select(AuditEvent))
        with pytest.raises(Invalid, match="row 1501: no JSON"):
            await datasets.import_text(actor, new)


async def test_an_import_that_is_cancelled_leaves_nothing_and_blocks_nobody(
    put, database: Database
) -> None:
    reached = asyncio.Event()

    async def endless() -> AsyncIterator[ExampleInput]:
        for row in sums(*range(1500)):
            yield row
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(put(endless()))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await rows_of(database))[0] == 0
    assert (await put(sums(1))).created


async def test_imports_of_one_name_at_once_follow_each_other(put, datasets) -> None:
    imported = await asyncio.gather(*(put(sums(1, 2, n)) for n in range(10, 15)))
    assert sorted(one.version.number for one in imported) == [1, 2, 3, 4, 5]
    versions = await datasets.versions("sums")
    assert [version.parent for version in versions] == [None, 1, 2, 3, 4]


async def test_imports_of_one_content_at_once_make_one_version(put, database: Database) -> None:
    imported = await asyncio.gather(*(put(sums(1, 2, 3)) for _ in range(5)))
    assert {one.version.number for one in imported} == {1}
    assert sum(one.created for one in imported) == 1
    assert (await rows_of(database))[3] == 3


async def test_every_version_is_in_the_audit_chain(put, database: Database) -> None:
    version = (await put(sums(1, 2))).version
    await put(sums(1, 2))
    async with database.read_session() as session:
        events = (await session.scalars(select(AuditEvent))).all()
        assert await first_broken_entry(session) is None
    assert [(event.action, event.object_name) for event in events] == [
        ("dataset_version.imported", "sums@1")
    ]
    assert version.content_hash in events[0].body
    assert "2 + 2" not in events[0].body


async def changes_between(
    datasets: DatasetService, before: DatasetVersionView, after: DatasetVersionView
) -> list[ExampleChange]:
    counts = await datasets.change_counts(before, after)
    changes = [change async for change in datasets.diff(before, after)]
    kinds = [change.kind for change in changes]
    assert counts == (kinds.count("added"), kinds.count("removed"), kinds.count("changed"))
    return changes


async def test_a_diff_goes_by_key(put, datasets) -> None:
    old = (await put(sums(1, 2, 3, 4))).version
    new = (await put(sums(5, 4, 2, 1, wrong=2))).version
    changes = await changes_between(datasets, old, new)
    assert [(change.kind, change.key) for change in changes] == [
        ("added", "sum-5"),
        ("changed", "sum-2"),
        ("removed", "sum-3"),
    ]
    changed = changes[1]
    assert changed.before is not None
    assert changed.after is not None
    assert (changed.before.expected_output, changed.after.expected_output) == ("4", "wrong")


async def test_another_order_is_another_version_without_a_difference(put, datasets) -> None:
    old, new = (await put(sums(1, 2))).version, (await put(sums(2, 1))).version
    assert (old.number, new.number) == (1, 2)
    assert await changes_between(datasets, old, new) == []


async def test_a_diff_of_two_datasets_finds_equal_texts_equal(put, datasets) -> None:
    old, new = (await put(sums(1, 2), "a")).version, (await put(sums(2, 3), "b")).version
    changes = await changes_between(datasets, old, new)
    assert [(change.kind, change.key) for change in changes] == [
        ("added", "sum-3"),
        ("removed", "sum-1"),
    ]


async def test_a_diff_is_complete_over_many_pages(put, datasets) -> None:
    old = (await put(sums(*range(1, 1300)))).version
    new = (await put(sums(*range(700, 2000), wrong=700))).version
    changes = await changes_between(datasets, old, new)
    assert len(changes) == 700 + 699 + 1


async def test_the_list_shows_the_newest_version_of_each(put, datasets) -> None:
    assert await datasets.list() == []
    await put(sums(1), "b")
    await put(sums(1, 2), "b")
    await put(sums(0), "a")
    assert [(d.name, d.latest, d.versions, d.example_count) for d in await datasets.list()] == [
        ("a", 1, 1, 1),
        ("b", 2, 2, 2),
    ]


async def test_a_version_is_found_by_number_and_by_hash(put, datasets) -> None:
    first = (await put(sums(1))).version
    await put(sums(2))
    assert await datasets.get("sums@1") == first
    assert await datasets.get("sums@" + first.content_hash.removeprefix("sha256:")[:12]) == first


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("sums@7", "There is no sums@7; sums has the versions 1."),
        ("sum", "Did you mean sums?"),
        ("sums@abcdef123456", "There is no sums@sha256:abcdef123456"),
    ],
)
async def test_what_is_not_there_is_answered_with_what_is(
    put, datasets, reference: str, words: str
) -> None:
    await put(sums(1))
    with pytest.raises(NotFound, match=words.replace("?", r"\?")):
        await datasets.get(reference)


async def test_an_unknown_key_is_not_found(put, datasets) -> None:
    version = (await put(sums(1))).version
    with pytest.raises(NotFound, match="no example with the key 'sum-2'"):
        await datasets.example_by_key(version, "sum-2")


@pytest.mark.parametrize("name", ["Sums", "sums@1", "a/b/c", "sums\n", ""])
async def test_a_name_that_nobody_could_address_is_refused(put, name: str) -> None:
    with pytest.raises(Invalid, match="is no dataset name"):
        await put(sums(1), name)


async def test_writing_needs_the_permission(datasets, database: Database) -> None:
    reader = Actor(ActorKind.USER, "reader")
    with pytest.raises(Forbidden, match="dataset:write"):
        await datasets.import_version(reader, "sums", sums(1), source="x")
    assert (await rows_of(database))[0] == 0


@pytest.mark.skipif(not GSM8K.is_file(), reason=f"the GSM8K texts are not at {GSM8K}")
async def test_a_published_dataset_is_imported_whole(put, datasets) -> None:
    columns = ExampleColumns(inputs=("question",), expected="answer")
    imported = await put(read_examples(GSM8K, columns), "gsm8k")
    version = imported.version
    assert (version.example_count, version.expected_count) == (1319, 1319)
    assert imported.repeated_inputs == 0
    example = (await datasets.examples(version.id, after_position=1317))[0]
    assert example.position == 1318
    assert str(example.expected_output).splitlines()[-1].startswith("#### ")
