"""Checks that every provider's answer has to pass before it counts as one."""

from __future__ import annotations

from collections.abc import Sequence

from app.llm.errors import ContentFiltered, MalformedResponse
from app.llm.http_errors import ErrorContext
from app.llm.types import Choice, FinishReason, Usage

__all__ = ["check_choices", "malformed"]


def malformed(what: str, body: bytes, context: ErrorContext) -> MalformedResponse:
    """Return the error for a reply that is no answer: "The reply ... `what`."."""
    return MalformedResponse(
        f"The reply of endpoint {context.endpoint!r} {what}.",
        http_status=200,
        body=context.redact.excerpt(body),
    )


def check_choices(
    choices: Sequence[Choice], usage: Usage, body: bytes, context: ErrorContext
) -> None:
    """Check that the choices say something.

    Raises `MalformedResponse` if there is none, or one that is empty though nothing cut it off;
    `ContentFiltered`, with the usage, if the filter took every choice.
    """
    if not choices:
        raise malformed("has no choices", body, context)
    if any(_says_nothing(choice) for choice in choices):
        raise malformed("has a choice without content", body, context)
    if all(choice.finish_reason is FinishReason.CONTENT_FILTER for choice in choices):
        raise ContentFiltered(
            f"The content filter of endpoint {context.endpoint!r} took the answer.",
            http_status=200,
            body=context.redact.excerpt(body),
            partial_text=choices[0].message.text or None,
            usage=usage,
        )


def _says_nothing(choice: Choice) -> bool:
    """Return whether a finished choice has neither text (be it empty) nor anything else."""
    message = choice.message
    said = message.content is not None or message.tool_calls or message.refusal
    cut_off = choice.finish_reason in (FinishReason.LENGTH, FinishReason.CONTENT_FILTER)
    return not (said or message.reasoning or cut_off)
