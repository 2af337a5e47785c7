"""From a request and what an alias means to the calls that may answer it (pure).

One `Try` is one target of the alias with all that a call of it needs. The first is made before
anything is recorded and may refuse the request; the fallbacks are made with it, because what all of
them may use at worst is reserved together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import orjson

from app.core.errors import Conflict, Invalid
from app.core.hashing import JSON
from app.core.parameters import ASSUMED_MAX_OUTPUT_TOKENS
from app.llm.pricing import choice_count, cost_bound, output_token_bound
from app.llm.types import LLMRequest, Message
from app.schemas.aliases import AliasSettings
from app.schemas.chat import ChatRequest, ServedBy
from app.schemas.chat_calls import ServedPart
from app.schemas.generations import Provenance
from app.services.chat.history import FittedHistory, estimated_tokens, fit_history
from app.services.chat.overrides import Overridden, apply_overrides
from app.services.chat.texts import without_texts
from app.services.serving import ServedAlias, ServedTarget, ServedVariant

__all__ = ["Try", "WorstCase", "check_roles", "prepare", "served_by", "worst_case"]

_FROM_CALLERS = frozenset({"user", "assistant", "tool"})


@dataclass(frozen=True, slots=True)
class Try:
    """One target, ready to be called. `left_out` is what of the conversation did not fit."""

    served: ServedBy
    part: ServedPart
    request: LLMRequest
    request_bytes: int
    left_out: JSON

    @property
    def most_tokens(self) -> int:
        """What the call may read and write at most: a token is at least one byte, so the bytes of
        the request bound the tokens that are read."""
        written = output_token_bound(self.request) or ASSUMED_MAX_OUTPUT_TOKENS
        return self.request_bytes + written * choice_count(self.request)


@dataclass(frozen=True, slots=True)
class WorstCase:
    """What a call may use at most, all its tries together; `dollars` None if nothing bounds it."""

    tokens: int
    dollars: Decimal | None


def check_roles(messages: Sequence[Message], settings: AliasSettings | None) -> None:
    """Refuse a caller's system and developer messages, unless the alias allows them.

    A model that is called directly (`settings` None) takes them. Raises `Invalid` with the
    message's path.
    """
    if settings is None or settings.allow_system:
        return
    for number, message in enumerate(messages):
        if message.role not in _FROM_CALLERS:
            raise Invalid(
                f"This alias takes no {message.role} messages: its prompt gives the instructions.",
                path=f"messages[{number}].role",
            )


def prepare(
    request: ChatRequest,
    target: ServedTarget,
    alias: ServedAlias | None,
    bucket: int | None,
) -> Try:
    """Render a request for one target; `alias` None is a model that is called directly.

    Raises `Invalid` with the path of what is missing, out of bounds or refused; `Conflict` if a
    regulated alias has a variant that nothing holds to a form.
    """
    variant = target.variant
    settings = None if alias is None else alias.settings
    if settings is not None:
        _require_form(settings, variant)
    settled = apply_overrides(request, variant, settings)
    history = _history(request, variant, settled, settings)
    messages = variant.renderer.render(request.variables, history.messages)
    if not messages:
        raise Invalid("There is nothing to send: give at least one message.", path="messages")
    call = LLMRequest(
        target=variant.target,
        messages=messages,
        parameters=settled.parameters.applied,
        tools=settled.tools,
        tool_choice=settled.tool_choice,
        response_format=settled.response_format,
        request_id=request.request_id,
        prompt=variant.prompt,
        conversation_id=None if request.conversation is None else str(request.conversation.id),
    )
    shape = call.request_shape
    return Try(
        served=served_by(target, alias, bucket, is_exact=settled.is_exact, ignored=settled.ignored),
        part=ServedPart(
            provenance=_provenance(variant, settled),
            request=shape,
            role=None if alias is None else target.role,
            is_exact=settled.is_exact,
            ignored=settled.ignored,
        ),
        request=call,
        request_bytes=len(orjson.dumps(shape)),
        left_out=history.left_out,
    )


def worst_case(tries: Sequence[Try]) -> WorstCase:
    """Return what the calls of all the tries may use at worst.

    Each target is called at most once, and a call that failed may have cost all that it could.
    """
    tokens, dollars = 0, Decimal(0)
    bounded = True
    for one in tries:
        tokens += one.most_tokens
        bound = cost_bound(one.request, one.request.target.price)
        bounded = bounded and bound is not None
        dollars += Decimal(0) if bound is None else bound.total
    return WorstCase(tokens, dollars if bounded else None)


def _require_form(settings: AliasSettings, variant: ServedVariant) -> None:
    if settings.regulated and not (variant.response_format or settings.guards.output):
        raise Conflict(
            f"The alias is regulated, and {variant.prompt} has no output schema and the alias no "
            "output guard: nothing holds the answer to a form."
        )


def _history(
    request: ChatRequest,
    variant: ServedVariant,
    settled: Overridden,
    settings: AliasSettings | None,
) -> FittedHistory:
    """Fit a conversation to the model's window; a caller who keeps the history cuts it himself."""
    if request.conversation is None or settings is None:
        return FittedHistory(request.messages)
    tokens = None
    if variant.context_window is not None:
        own = variant.renderer.render(request.variables)
        own_bytes = len(orjson.dumps([message.to_json() for message in own]))
        tools_bytes = len(orjson.dumps(settled.tools))
        answer = settled.parameters.asked.get("max_tokens")
        reserved = answer if isinstance(answer, int) else ASSUMED_MAX_OUTPUT_TOKENS
        tokens = variant.context_window - reserved - estimated_tokens(own_bytes + tools_bytes)
    return fit_history(request.messages, tokens=tokens, settings=settings.history)


def _provenance(variant: ServedVariant, settled: Overridden) -> Provenance:
    return Provenance(
        run_id=None,
        variant_id=variant.variant_id,
        prompt_version_id=variant.prompt_version_id,
        model_version_id=variant.model_version_id,
        provider=variant.provider,
        model_price_id=variant.price_id,
        applied_parameters=_applied(variant, settled),
        left_out_parameters=dict(settled.parameters.left_out),
    )


def _applied(variant: ServedVariant, settled: Overridden) -> dict[str, JSON]:
    """Return what is sent as facts: the variant's own values, and of the caller's no texts."""
    own = variant.parameters.applied
    sent = settled.parameters.applied
    theirs = {name: value for name, value in sent.items() if value != own.get(name)}
    return {**sent, **without_texts(theirs)}


def served_by(
    target: ServedTarget,
    alias: ServedAlias | None,
    bucket: int | None,
    *,
    is_exact: bool = True,
    ignored: tuple[str, ...] = (),
) -> ServedBy:
    """Return what is told of a target that answers."""
    variant = target.variant
    return ServedBy(
        alias=None if alias is None else alias.name,
        alias_id=None if alias is None else alias.id,
        deployment_id=None if alias is None else alias.deployment_id,
        deployment_number=None if alias is None else alias.number,
        role=None if alias is None else target.role,
        bucket=bucket,
        variant_id=variant.variant_id,
        variant_hash=variant.variant_hash,
        prompt=variant.prompt,
        model=variant.model,
        provider=variant.provider,
        is_exact=is_exact,
        ignored=ignored,
        deprecated_at=variant.deprecated_at,
        sunset_at=variant.sunset_at,
        successor=variant.successor,
    )
