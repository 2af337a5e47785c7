"""What calls cost, and what they can cost at most."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llm.pricing import cost, cost_bound, known_price
from app.llm.types import (
    NO_USAGE,
    ImagePart,
    LLMRequest,
    Message,
    ModelTarget,
    Price,
    TextPart,
    Usage,
)
from tests.unit.llm.support import request

PRICE = Price("p1", Decimal("2.50"), Decimal("10"), Decimal("1.25"))
FREE = Price("p0", Decimal(0), Decimal(0))


def test_input_output_and_cached_input_have_their_own_prices() -> None:
    usage = Usage(1000, 200, cached_input_tokens=400)

    # (600 x 2.50 + 400 x 1.25 + 200 x 10) / 1,000,000
    assert cost(usage, PRICE) == Decimal("0.004")


def test_cached_input_without_a_price_of_its_own_costs_as_input() -> None:
    price = Price(None, Decimal("2.50"), Decimal("10"))

    assert cost(Usage(1000, 0, cached_input_tokens=400), price) == Decimal("0.0025")


def test_an_unknown_price_or_usage_is_an_unknown_cost_and_never_zero() -> None:
    assert cost(Usage(1000, 200), None) is None
    assert cost(NO_USAGE, PRICE) is None
    assert cost(Usage(None, 5), PRICE) is None


def test_a_free_model_costs_nothing_even_if_it_reports_nothing() -> None:
    assert cost(NO_USAGE, FREE) == 0


def test_costs_are_exact_to_ten_places() -> None:
    price = Price(None, Decimal("0.0375"), Decimal("0.15"))

    assert cost(Usage(1, 1), price) == Decimal("0.0000001875")


prices = st.decimals(0, 100, places=4)


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    prices,
    prices,
    st.none() | prices,
    st.integers(1, 5000),
    st.integers(1, 4),
    st.data(),
)
def test_no_call_costs_more_than_its_worst_case(
    text: str,
    input_price: Decimal,
    output_price: Decimal,
    cached_price: Decimal | None,
    max_tokens: int,
    n: int,
    data: st.DataObject,
) -> None:
    price = Price(None, input_price, output_price, cached_price)
    wanted = request(text, max_tokens=max_tokens, n=n)
    input_tokens = data.draw(st.integers(0, len(orjson.dumps(wanted.request_shape))))
    cached = data.draw(st.integers(0, input_tokens))
    usage = Usage(input_tokens, data.draw(st.integers(0, max_tokens * n)), cached)

    bound, real = cost_bound(wanted, price), cost(usage, price)

    assert bound is not None
    assert real is not None
    assert real <= bound.total


def test_without_a_bound_there_is_no_worst_case() -> None:
    picture = Message("user", (TextPart("what?"), ImagePart("https://example.org/cat.png")))
    remote = LLMRequest(ModelTarget("openai", "lab", "m"), (picture,), {"max_tokens": 5})

    assert cost_bound(request("hi", max_tokens=5), None) is None
    assert cost_bound(request("hi"), PRICE) is None
    assert cost_bound(remote, PRICE) is None


def test_an_image_has_no_bound_even_inside_the_request() -> None:
    picture = Message("user", (ImagePart("data:image/png;base64,QUJD"),))
    inside = LLMRequest(ModelTarget("openai", "lab", "m"), (picture,), {"max_tokens": 5})

    assert cost_bound(inside, PRICE) is None


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "num_predict"])
def test_the_output_bound_is_found_under_every_wire_name(name: str) -> None:
    asked = replace(request("hi"), parameters={name: 5})

    assert cost_bound(asked, PRICE) is not None


def test_list_prices_are_looked_up_by_date_without_a_network() -> None:
    price = known_price("openai", "gpt-4o-mini", datetime(2025, 1, 1, tzinfo=UTC))

    assert price is not None
    assert (price.input, price.output) == (Decimal("0.15"), Decimal("0.6"))
    early = known_price("openai", "o3", datetime(2025, 5, 1, tzinfo=UTC))
    late = known_price("openai", "o3", datetime(2025, 12, 1, tzinfo=UTC))
    assert early is not None
    assert late is not None
    assert early.input > late.input


def test_a_model_nobody_knows_has_no_price() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)

    assert known_price("openai", "no-such-model-here", at) is None
    assert known_price("ollama", "llama3", at) is None
