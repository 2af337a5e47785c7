"""The playground: a prompt tried on one example."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from pydantic import JsonValue

from workbench.client.calls import Answer, Call

__all__ = ["PlaygroundAnswer", "PlaygroundPreview", "RenderedMessage", "preview", "run"]


class RenderedMessage(Answer):
    """One message as a model would get it."""

    SCHEMA: ClassVar[str] = "RenderedMessage"

    role: str
    content: str


class PlaygroundPreview(Answer):
    """What a model would get, and what that may cost at most; nothing was sent or stored."""

    SCHEMA: ClassVar[str] = "PlaygroundPreview"

    messages: tuple[RenderedMessage, ...]
    content_hash: str
    prompt: str | None
    model: str | None
    applied: dict[str, JsonValue] | None
    left_out: dict[str, str] | None
    estimated_input_tokens: int | None
    most_output_tokens: int | None
    most_cost: Decimal | None


class PlaygroundAnswer(Answer):
    """An answer on record, with what gave it and what it took."""

    SCHEMA: ClassVar[str] = "PlaygroundAnswer"

    generation_id: UUID
    prompt: str
    model: str
    variant_id: UUID
    message: dict[str, Any]
    finish_reason: str
    ending: str
    input_tokens: int | None
    output_tokens: int | None
    usage_source: str
    cost: Decimal | None
    most_cost: Decimal | None
    latency_ms: float
    replayed: bool


def preview(
    prompt: str,
    *,
    content: Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
    history: tuple[Mapping[str, str], ...] = (),
    model: str | None = None,
) -> Call[PlaygroundPreview]:
    """What a model would get of `triage@3`, or of other content under the name `triage`."""
    body = _body(prompt, content, variables, history, model)
    return Call("POST", "/api/playground/preview", PlaygroundPreview, body=body)


def run(
    prompt: str,
    model: str,
    *,
    content: Mapping[str, Any] | None = None,
    variables: Mapping[str, Any] | None = None,
    history: tuple[Mapping[str, str], ...] = (),
    description: str = "",
) -> Call[PlaygroundAnswer]:
    """Try it on a model: content that is new becomes a draft, and the answer is on record.

    `description` says what the prompt is for, and is kept with a draft that is new.
    """
    body = {**_body(prompt, content, variables, history, model), "description": description}
    return Call("POST", "/api/playground", PlaygroundAnswer, body=body)


def _body(
    prompt: str,
    content: Mapping[str, Any] | None,
    variables: Mapping[str, Any] | None,
    history: tuple[Mapping[str, str], ...],
    model: str | None,
) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "content": None if content is None else dict(content),
        "variables": dict(variables or {}),
        "history": [dict(message) for message in history],
        "model": model,
    }
