"""A version in the making: keys, its hash, and the bounds of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.core.hashing import content_hash
from app.schemas.datasets import MAX_EXAMPLE_BYTES, ExampleInput
from app.services.dataset_assembly import Assembly, KeyPositions, prepared_batches

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def example(text: str, key: str | None = None, **parts: object) -> ExampleInput:
    return ExampleInput.model_validate({"key": key, "input": {"text": text}, **parts})


async def assemble(*examples: ExampleInput) -> tuple[Assembly, list[str]]:
    assembly = Assembly("rows.csv")
    keys = [
        assembly.admit(prepared)
        async for batch in prepared_batches(examples, NOW)
        for prepared in batch
    ]
    return assembly, keys


async def test_the_version_hash_is_the_hash_of_all_keys_and_example_hashes() -> None:
    rows = [example("a", "1"), example("b", "2"), example("c", "3", expected_output="x")]
    assembly, _ = await assemble(*rows)
    assert assembly.content_hash() == content_hash([[row.key, row.hash] for row in rows])
    assert (assembly.count, assembly.expected_count) == (3, 1)


async def test_the_order_of_the_rows_is_part_of_the_version() -> None:
    a, b = example("a", "1"), example("b", "2")
    one, other = await assemble(a, b), await assemble(b, a)
    assert one[0].content_hash() != other[0].content_hash()


async def test_a_key_used_twice_is_refused_with_both_rows() -> None:
    with pytest.raises(Invalid, match=r"^rows\.csv, row 3: the key 'x' is already used by row 1\."):
        await assemble(example("a", "x"), example("b", "y"), example("c", "x"))


async def test_rows_without_a_key_get_one_from_their_input_and_repeats_a_suffix() -> None:
    assembly, keys = await assemble(*(example(text) for text in "abaab"))
    a, b = example("a").made_key(), example("b").made_key()
    assert keys == [a, b, f"{a}-2", f"{a}-3", f"{b}-2"]
    assert assembly.repeated_inputs == 3


async def test_a_made_key_gives_way_to_one_that_was_given() -> None:
    made = example("a").made_key()
    _, keys = await assemble(example("other", f"{made}-2"), example("a"), example("a"))
    assert keys == [f"{made}-2", made, f"{made}-3"]


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40), st.randoms())
async def test_made_keys_are_unique_and_do_not_depend_on_the_order(
    texts: list[str], random: object
) -> None:
    _, keys = await assemble(*(example(text) for text in texts))
    _, sorted_keys = await assemble(*(example(text) for text in sorted(texts)))
    assert len(set(keys)) == len(texts)
    assert Counter(keys) == Counter(sorted_keys)


async def test_inputs_that_differ_between_rows_are_refused() -> None:
    with pytest.raises(Invalid, match="row 2: the input has no 'text', which row 1 has"):
        await assemble(example("a"), ExampleInput(input={"other": 1}))
    with pytest.raises(Invalid, match="row 2: the input has 'other', which row 1 has not"):
        await assemble(example("a"), ExampleInput(input={"text": "b", "other": 1}))


async def test_metadata_may_differ_and_its_names_are_collected() -> None:
    assembly, _ = await assemble(
        example("a", metadata={"x": 1}), example("b"), example("c", metadata={"y": 1, "x": 2})
    )
    assert assembly.metadata_names == ("x", "y")


async def test_too_many_names_of_metadata_are_refused() -> None:
    rows = [
        example("a", metadata={f"name {i}": 1 for i in range(600 * n, 600 * n + 600)})
        for n in (0, 1)
    ]
    with pytest.raises(Invalid, match="row 2: more than 1000 different names"):
        await assemble(*rows)


async def test_an_example_above_the_limit_is_refused() -> None:
    with pytest.raises(Invalid, match="row 2: the example is larger than 1 MB"):
        await assemble(example("a"), example("x" * MAX_EXAMPLE_BYTES))


async def test_ids_come_back_in_order_with_their_positions() -> None:
    assembly = Assembly("rows")
    ids = [uuid4() for _ in range(2500)]
    for example_id in ids:
        assembly.add_id(example_id)
    pieces = list(assembly.members())
    assert [first for first, _ in pieces] == [0, 1000, 2000]
    assert [example_id for _, piece in pieces for example_id in piece] == ids


async def test_batches_are_bounded_by_number_and_by_bytes_and_read_no_further() -> None:
    read = 0

    def rows(text: str) -> Iterator[ExampleInput]:
        nonlocal read
        for _ in range(2500):
            read += 1
            yield example(text)

    sizes = [len(batch) async for batch in prepared_batches(rows("small"), NOW)]
    assert sizes == [1000, 1000, 500]
    read = 0
    async for batch in prepared_batches(rows("x" * 500_000), NOW):
        assert (len(batch), read) == (8, 8)
        break


async def test_rows_may_come_from_an_asynchronous_source() -> None:
    async def rows() -> AsyncIterator[ExampleInput]:
        for number in range(1500):
            yield example(str(number))

    batches = [batch async for batch in prepared_batches(rows(), NOW)]
    assert [len(batch) for batch in batches] == [1000, 500]
    assert batches[1][-1].example.input == {"text": "1499"}


@given(st.lists(st.text(max_size=3), max_size=200))
def test_key_positions_agree_with_a_dictionary(keys: list[str]) -> None:
    table, model = KeyPositions(), dict[str, int]()
    for position, key in enumerate(keys):
        assert table.put(key, position) == model.get(key)
        model.setdefault(key, position)


def test_key_positions_survive_growth() -> None:
    table = KeyPositions()
    for position in range(20_000):
        assert table.put(f"key {position}", position) is None
    assert [table.put(f"key {position}", 0) for position in range(20_000)] == list(range(20_000))
