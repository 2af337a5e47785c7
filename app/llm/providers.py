"""What the client asks of a provider: one call, no retries, typed errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from app.llm.types import Choice, LLMRequest, StreamEvent, Usage

__all__ = ["ModelReport", "Provider", "ProviderReply"]


@dataclass(frozen=True, slots=True)
class ProviderReply:
    """One whole reply of a provider, in our types. `http_status` is None off the wire."""

    choices: tuple[Choice, ...]
    usage: Usage
    reported_model: str | None = None
    reported_fingerprint: str | None = None
    provider_request_id: str | None = None
    http_status: int | None = None
    time_to_first_token_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What a provider says of one model; None where it says nothing."""

    provider_model: str
    digest: str | None = None
    context_window: int | None = None


class Provider(Protocol):
    """One account at one provider. Implementations raise only `LLMError`s."""

    async def generate(self, request: LLMRequest) -> ProviderReply:
        """Make exactly one call and return the reply."""
        ...

    def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent | ProviderReply, None]:
        """Make exactly one call; yield text events, then one `ProviderReply`, the last item.

        Ends with `TruncatedStream` if the provider's terminal event does not come. Closing the
        generator closes the connection.
        """
        ...

    async def probe(self, provider_model: str) -> ModelReport:
        """Ask the provider about one model without generating; `UnknownModel` if it has none."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
