"""What a call costs, in US dollars, exact to 1e-10. An unknown price gives None, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import orjson

from app.llm.types import ImagePart, LLMRequest, Price, Usage

__all__ = [
    "CostBound",
    "choice_count",
    "cost",
    "cost_bound",
    "known_price",
    "output_token_bound",
]

_MILLION: Final = Decimal(1_000_000)
_QUANTUM: Final = Decimal("1e-10")

# The names that providers give to the bound of the output.
_OUTPUT_BOUNDS = ("max_completion_tokens", "max_tokens", "max_output_tokens", "num_predict")

_PROVIDER_IDS: Mapping[str, str] = {"openai": "openai"}


def cost(usage: Usage, price: Price | None) -> Decimal | None:
    """Return the cost of a call; None if the price or the usage is not known.

    Cached input costs its own price, or the input's if it has none. A model that costs nothing
    costs 0 whatever it used.
    """
    if price is None:
        return None
    if not (price.input or price.output or price.cached_input):
        return Decimal(0)
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = usage.cached_input_tokens or 0
    cached_price = price.input if price.cached_input is None else price.cached_input
    total = (
        (usage.input_tokens - cached) * price.input
        + cached * cached_price
        + usage.output_tokens * price.output
    )
    return (total / _MILLION).quantize(_QUANTUM)


@dataclass(frozen=True, slots=True)
class CostBound:
    """What a call cannot exceed: `input` if the model only reads, `total` if it answers too."""

    input: Decimal
    total: Decimal


def cost_bound(request: LLMRequest, price: Price | None) -> CostBound | None:
    """Return a bound of what the call costs; None if there is none.

    Every token is at least one byte, so the UTF-8 bytes of the rendered request bound its input.
    There is no bound without a price, without a limit of the output, and with an image, whose
    tokens have nothing to do with the request's bytes. What costs nothing is bounded by 0.
    """
    if price is None:
        return None
    if not (price.input or price.output or price.cached_input):
        return CostBound(Decimal(0), Decimal(0))
    bound = output_token_bound(request)
    if bound is None or _has_image(request):
        return None
    input_price = max(price.input, price.cached_input or price.input)
    read = len(orjson.dumps(request.request_shape)) * input_price
    written = bound * choice_count(request) * price.output
    return CostBound(
        (read / _MILLION).quantize(_QUANTUM), ((read + written) / _MILLION).quantize(_QUANTUM)
    )


def output_token_bound(request: LLMRequest) -> int | None:
    """Return the most tokens that one choice may have, as the request says; None if it does not."""
    values = (request.parameters.get(name) for name in _OUTPUT_BOUNDS)
    bounds = [int(value) for value in values if isinstance(value, (int, float)) and value > 0]
    return max(bounds, default=None)


def choice_count(request: LLMRequest) -> int:
    """Return how many choices the request asks for."""
    count = request.parameters.get("n")
    return count if isinstance(count, int) and count > 1 else 1


def _has_image(request: LLMRequest) -> bool:
    return any(
        isinstance(part, ImagePart)
        for message in request.messages
        if not isinstance(message.content, str)
        for part in message.content or ()
    )


def known_price(provider: str, model: str, at: datetime) -> Price | None:
    """Return the list price of a provider's model at a time, from the data of genai-prices.

    No network is used: the prices are those of the installed release. None if the provider or
    model is not in it. Where a price rises with the length of the input, it is the base price.
    """
    # Takes 0.6 s, needed only when a catalog learns of a model.
    from genai_prices.data_snapshot import get_snapshot

    provider_id = _PROVIDER_IDS.get(provider)
    if provider_id is None:
        return None
    try:
        _, found = get_snapshot().find_provider_model(model, None, provider_id, None)
    except LookupError:
        return None
    prices = found.get_prices(at)
    input_price, output_price = _base(prices.input_mtok), _base(prices.output_mtok)
    if input_price is None or output_price is None:
        return None
    return Price(None, input_price, output_price, _base(prices.cache_read_mtok))


def _base(price: object) -> Decimal | None:
    """Return a price, or the base of one that has tiers."""
    value = getattr(price, "base", price)
    return value if isinstance(value, Decimal) else None
