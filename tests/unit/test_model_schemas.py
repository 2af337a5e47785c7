"""References to models, declarations, and which price counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.errors import Conflict, Invalid
from app.schemas.models import (
    ModelDeclaration,
    ModelReference,
    PriceDeclaration,
    PriceView,
    parse_model_reference,
    price_at,
)
from app.services.model_prices import own_price_changes

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


# References


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("openai/gpt-4.1", ModelReference("openai", "gpt-4.1")),
        ("openai/gpt-4.1@2", ModelReference("openai", "gpt-4.1", 2)),
        ("openai/gpt-4.1@v2", ModelReference("openai", "gpt-4.1", 2)),
        ("openai/gpt-4.1@latest", ModelReference("openai", "gpt-4.1")),
        (
            "ollama/llama3.2:3b-instruct-q4_K_M",
            ModelReference("ollama", "llama3.2:3b-instruct-q4_K_M"),
        ),
        (
            "openai/meta-llama/Llama-3.1-8B-Instruct@1",
            ModelReference("openai", "meta-llama/Llama-3.1-8B-Instruct", 1),
        ),
        ("openai/ft:gpt-4o-mini:acme::x1", ModelReference("openai", "ft:gpt-4o-mini:acme::x1")),
    ],
)
def test_references_are_read(text: str, reference: ModelReference) -> None:
    assert parse_model_reference(text) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gpt-4.1",
        "openai",
        "openai/",
        "/gpt",
        "azure/gpt-4.1",
        "OpenAI/gpt-4.1",
        "openai/ gpt",
        "openai/gpt 4",
        "openai/-x",
        "openai/gpt-4.1@",
        "openai/gpt-4.1@0",
        "openai/gpt-4.1@1.5",
        "openai/gpt-4.1@1@2",
        "openai/gpt-4.1\n",
        "openai/" + "x" * 201,
        "openai/naïve",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_model_reference(text)
    assert refused.value.path == "model"


def test_an_unknown_provider_is_told_of_endpoints() -> None:
    with pytest.raises(Invalid) as refused:
        parse_model_reference("azure/gpt-4.1")
    assert "endpoint" in str(refused.value.hint)


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,50}", fullmatch=True), st.integers(1, 10**9 - 1)
)
def test_a_reference_is_written_as_it_is_read(name: str, number: int) -> None:
    for reference in (ModelReference("openai", name), ModelReference("ollama", name, number)):
        assert parse_model_reference(str(reference)) == reference


# Declarations


def test_a_declaration_says_only_what_is_written() -> None:
    declared = ModelDeclaration(model="openai/x")
    assert declared.model_dump(exclude_unset=True) == {"model": "openai/x"}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"model": "openai/x@2"}, "leave out @2"),
        ({"model": "x"}, "is no model"),
        ({"successor": "x"}, "is no model"),
        ({"context_window": 0}, "greater than or equal to 1"),
        ({"status": "dead"}, "draft"),
        ({"sunset": "soon"}, "is no date"),
        ({"unknown": 1}, "not permitted"),
        ({"parameters": {"temprature": {}}}, "is no parameter"),
        ({"provider_model": "x" * 201}, "at most 200"),
        ({"prices": [{"from": "2026-01-01", "input": -1, "output": 1}]}, "greater than or equal"),
        ({"prices": [{"from": "2026-01-01", "input": "nan", "output": 1}]}, "finite"),
        ({"prices": [{"from": "2026-01-01", "input": "1e-11", "output": 1}]}, "decimal places"),
        ({"prices": [{"input": 1, "output": 1}]}, "required"),
        (
            {"prices": [{"from": "2026-02-01", "to": "2026-01-01", "input": 1, "output": 1}]},
            "must be later",
        ),
        (
            {
                "prices": [
                    {"from": "2026-01-01", "to": "2026-03-01", "input": 1, "output": 1},
                    {"from": "2026-02-01", "input": 1, "output": 1},
                ]
            },
            "two prices are valid on 2026-02-01",
        ),
    ],
)
def test_a_wrong_declaration_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ModelDeclaration.model_validate({"model": "openai/x", **fields})


def test_a_price_without_an_end_ends_where_the_next_begins() -> None:
    declared = ModelDeclaration.model_validate(
        {
            "model": "openai/x",
            "prices": [
                {"from": "2026-06-01", "input": 2, "output": 2},
                {"from": "2026-01-01", "input": 1, "output": 1},
            ],
        }
    )
    assert [(p.valid_from, p.valid_to) for p in declared.price_history] == [
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)),
        (datetime(2026, 6, 1, tzinfo=UTC), None),
    ]


def test_a_date_is_midnight_utc_and_a_time_keeps_its_zone() -> None:
    price = PriceDeclaration.model_validate(
        {"from": "2026-01-01", "to": "2026-01-02T00:00:00+02:00", "input": 1, "output": 1}
    )
    assert price.valid_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert price.valid_to == datetime(2026, 1, 1, 22, tzinfo=UTC)


# Prices


def price(
    source: str = "own", begin: int = 0, end: int | None = None, input_: str = "1"
) -> PriceView:
    return PriceView.model_validate(
        {
            "id": UUID(int=begin * 10 + ["own", "genai-prices", "local"].index(source)),
            "input": Decimal(input_),
            "cached_input": None,
            "output": Decimal(2),
            "source": source,
            "valid_from": day(begin),
            "valid_to": None if end is None else day(end),
        }
    )


def declared(begin: int, end: int | None = None, input_: str = "1") -> PriceDeclaration:
    return PriceDeclaration(
        valid_from=day(begin),
        valid_to=None if end is None else day(end),
        input=Decimal(input_),
        output=Decimal(2),
    )


def test_ones_own_price_counts_before_the_lists_and_that_before_the_local_zero() -> None:
    local, listed, own = price("local"), price("genai-prices"), price("own", begin=5)
    assert price_at([local, listed, own], day(6)) == own
    assert price_at([local, listed, own], day(4)) == listed
    assert price_at([local, own], day(4)) == local


def test_a_price_counts_from_its_begin_until_before_its_end() -> None:
    rows = [price(begin=0, end=2), price(begin=2, end=4)]
    assert price_at(rows, day(2)) == rows[1]
    assert price_at(rows, day(1)) == rows[0]


def test_no_row_at_a_time_is_an_unknown_price() -> None:
    assert price_at([], day(0)) is None
    assert price_at([price(begin=1, end=2)], day(0)) is None
    assert price_at([price(begin=1, end=2)], day(2)) is None


def test_a_price_in_json_is_exact_and_plain() -> None:
    shape = price(input_="10.0000000000").model_dump(mode="json")
    assert (shape["input"], shape["output"], shape["cached_input"]) == ("10", "2", None)


def test_a_new_price_ends_the_open_one() -> None:
    changes = own_price_changes([price(begin=0)], [declared(3, input_="5")])
    assert changes.close == {price(begin=0).id: day(3)}
    assert changes.add == [declared(3, input_="5")]


def test_a_recorded_price_declared_again_changes_nothing() -> None:
    for end in (None, 3):
        assert not own_price_changes([price(begin=0, end=end)], [declared(0, end)])
    assert not own_price_changes([price(begin=0, end=3)], [declared(0)])


def test_an_open_price_is_ended_where_the_declaration_says() -> None:
    changes = own_price_changes([price(begin=0)], [declared(0, 9)])
    assert (changes.close, changes.add) == ({price(begin=0).id: day(9)}, [])


def test_a_history_declared_after_an_open_price_ends_it_once() -> None:
    changes = own_price_changes([price(begin=0)], [declared(3, 5, "2"), declared(5, None, "3")])
    assert changes.close == {price(begin=0).id: day(3)}
    assert len(changes.add) == 2


@pytest.mark.parametrize(
    "new",
    [
        declared(0, input_="9"),  # other money from the same day
        declared(0, 2),  # another end
        declared(1, 3),  # within
        declared(-1),  # before, and open
        declared(-2, 1),  # before, and into it
    ],
)
def test_what_contradicts_a_recorded_price_is_refused(new: PriceDeclaration) -> None:
    with pytest.raises(Conflict, match="Recorded prices never change"):
        own_price_changes([price(begin=0, end=5)], [new])


def test_a_price_may_fill_the_time_before_or_after_recorded_ones() -> None:
    recorded = [price(begin=0, end=5)]
    assert own_price_changes(recorded, [declared(-5, 0)]).add == [declared(-5, 0)]
    assert own_price_changes(recorded, [declared(5)]).add == [declared(5)]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=8))
def test_prices_never_overlap_whatever_is_recorded_one_after_another(
    wanted: list[tuple[int, int]],
) -> None:
    rows: list[PriceView] = []
    for number, (begin, length) in enumerate(wanted):
        end = begin + length if number % 2 else None
        try:
            changes = own_price_changes(rows, [declared(begin, end, str(number + 1))])
        except Conflict:
            continue
        rows = [
            row.model_copy(update={"valid_to": changes.close[row.id]})
            if row.id in changes.close
            else row
            for row in rows
        ]
        rows += [
            price(begin=begin, end=end, input_=str(number + 1)).model_copy(
                update={"id": UUID(int=1000 + number)}
            )
            for _ in changes.add
        ]
    for moment in range(45):
        assert sum(row.covers(day(moment)) for row in rows) <= 1


def test_the_sources_of_prices_are_all_ranked() -> None:
    sources = get_args(PriceView.model_fields["source"].annotation)
    assert price_at([price(source) for source in sources], day(0)) == price("own")
