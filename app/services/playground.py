"""The playground: one example of a prompt, tried on one model by the person who writes the prompt.

Looking ahead stores nothing. Trying stores all of it: content that is new becomes a draft (the same
content is the same draft), draft and model become a variant, and the call goes through the chat
service as a model called directly does: the person's limits hold, what it may cost at worst is
held before, and it ends in exactly one row. That row names prompt version and variant, but neither
an alias nor a deployment, so that it is nobody's production traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

import orjson

from app.core.errors import Invalid, NotFound
from app.core.hashing import content_hash
from app.core.parameters import ResolvedParameters, resolve_parameters
from app.core.permissions import Actor, Permission, require
from app.core.settings import ChatSettings
from app.llm.pricing import cost_bound, output_token_bound
from app.llm.types import LLMRequest, Message, ModelTarget, Price
from app.schemas.chat import ChatRequest, ServedBy
from app.schemas.models import ModelVersionView
from app.schemas.names import Reference
from app.schemas.playground import (
    PlaygroundAnswer,
    PlaygroundPreview,
    PlaygroundPreviewRequest,
    PlaygroundRequest,
)
from app.schemas.prompts import (
    PromptContent,
    PromptVersionView,
    RenderedMessage,
    check_parameters,
    parse_prompt_reference,
)
from app.services.chat import ChatService
from app.services.chat.call import ChatCall
from app.services.chat.history import estimated_tokens
from app.services.chat.texts import clean_request
from app.services.models import ModelService
from app.services.prompts import PromptService
from app.services.rendering import PromptRenderer
from app.services.variants import VariantService

__all__ = ["PlaygroundService", "Trying"]


@dataclass(frozen=True, slots=True)
class _Text:
    """What is tried; `version` is None for content that is not stored."""

    name: str
    content: PromptContent
    version: PromptVersionView | None


class Trying:
    """An answer on its way: `served` and `generation_id` name it, `leave` gives it up."""

    def __init__(self, call: ChatCall, most_cost: Decimal | None) -> None:
        self._call = call
        self._most_cost = most_cost

    @property
    def served(self) -> ServedBy:
        return self._call.served

    @property
    def generation_id(self) -> UUID | None:
        return self._call.generation_id

    @property
    def limits(self) -> Mapping[str, str]:
        """Headers that tell the limits which count it."""
        return self._call.limits

    def leave(self) -> None:
        """Say that nobody waits for the answer any more."""
        self._call.leave()

    async def answer(self) -> PlaygroundAnswer:
        """Return the answer once it is on record; raises as `ChatCall.result` does."""
        result = await self._call.result()
        if result.generation_id is None:
            raise TypeError("A model that was called directly left no record.")
        response, usage = result.response, result.response.usage
        choice = response.choices[0]
        return PlaygroundAnswer(
            generation_id=result.generation_id,
            prompt=result.served.prompt,
            model=result.served.model,
            variant_id=result.served.variant_id,
            message=choice.message.to_json(),
            finish_reason=choice.finish_reason.value,
            ending=result.ending,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            usage_source=usage.source.value,
            cost=response.cost,
            most_cost=self._most_cost,
            latency_ms=response.latency_ms,
            replayed=result.replayed,
        )


class PlaygroundService:
    """Use cases of the playground."""

    def __init__(
        self,
        prompts: PromptService,
        models: ModelService,
        variants: VariantService,
        chat: ChatService,
        settings: ChatSettings,
    ) -> None:
        self._prompts = prompts
        self._models = models
        self._variants = variants
        self._chat = chat
        self._settings = settings

    async def preview(self, actor: Actor, wanted: PlaygroundPreviewRequest) -> PlaygroundPreview:
        """Return what a model would get and what that may cost; nothing is sent or stored.

        Raises `NotFound` for a prompt or model that there is not, or not for this actor; `Conflict`
        for a retired model; `Invalid` with the field's path.
        """
        text = await self._text(actor, wanted)
        stored = text.version or await self._prompts.find_content(text.name, text.content)
        messages = self._messages(text, _chat_request(wanted, target="", request_id=""))
        shown = PlaygroundPreview(
            messages=tuple(RenderedMessage(role=m.role, content=m.text) for m in messages),
            content_hash=text.content.hash,
            prompt=None if stored is None else stored.reference,
            model=None,
            applied=None,
            left_out=None,
            estimated_input_tokens=None,
            most_output_tokens=None,
            most_cost=None,
        )
        if wanted.model is None:
            return shown
        model = await self._models.resolve_offered(wanted.model)
        parameters = _settled(wanted, text, model)
        request = _llm_request(text, model, parameters, messages)
        size_bytes = len(orjson.dumps(request.request_shape))
        return shown.model_copy(
            update={
                "model": model.reference,
                "applied": dict(parameters.applied),
                "left_out": dict(parameters.left_out),
                "estimated_input_tokens": estimated_tokens(size_bytes),
                "most_output_tokens": output_token_bound(request),
                "most_cost": _most_cost(request),
            }
        )

    async def begin(
        self,
        actor: Actor,
        wanted: PlaygroundRequest,
        *,
        request_id: str,
        idempotency_key: str | None = None,
    ) -> Trying:
        """Store what is new of prompt and variant, and return the answer on its way.

        What the request itself makes impossible is refused before anything is stored. Raises as
        `preview` and `ChatService.begin` do.
        """
        require(actor, Permission.MODEL_DIRECT)
        if actor.aliases is not None:  # as a key of some aliases calls no model directly
            raise NotFound(f"There is no model {wanted.model}.")
        text = await self._text(actor, wanted)
        model = await self._models.resolve_offered(wanted.model)
        parameters = _settled(wanted, text, model)
        request = _chat_request(wanted, target=model.reference, request_id=request_id)
        most = _most_cost(_llm_request(text, model, parameters, self._messages(text, request)))
        version = text.version or await self._stored(actor, text, wanted.description)
        variant = await self._variants.ensure_to_try(actor, version, model, wanted.parameters)
        call = await self._chat.begin(
            actor, replace(request, variant_id=variant.id, idempotency_key=idempotency_key)
        )
        return Trying(call, most)

    async def _text(self, actor: Actor, wanted: PlaygroundPreviewRequest) -> _Text:
        """Return what is to be tried; its prompt has to be the actor's to write."""
        reference = parse_prompt_reference(wanted.prompt)
        require(actor, Permission.PROMPT_WRITE, reference.name)
        if wanted.content is None:
            version = await self._prompts.read(actor, reference)
            return _Text(version.name, version.content, version)
        if reference != Reference(reference.name):
            raise Invalid("With content of its own give the prompt's name alone.", path="prompt")
        check_parameters(wanted.content.parameters)
        return _Text(reference.name, wanted.content, None)

    async def _stored(self, actor: Actor, text: _Text, description: str) -> PromptVersionView:
        """Return the version or draft with this content; it is a draft if it is new."""
        registered = await self._prompts.register(
            actor, text.name, text.content, number=None, description=description, origin="api"
        )
        return registered.version

    def _messages(self, text: _Text, request: ChatRequest) -> tuple[Message, ...]:
        """Return what the chat service would render: the caller's texts are cleaned first."""
        cleaned, _ = clean_request(request, self._settings)
        return PromptRenderer(text.content).render(cleaned.variables, cleaned.messages)


def _chat_request(wanted: PlaygroundPreviewRequest, *, target: str, request_id: str) -> ChatRequest:
    return ChatRequest(
        target=target,
        messages=tuple(Message(it.role, it.content) for it in wanted.history),
        request_id=request_id,
        request_hash=content_hash({"playground": wanted.model_dump(mode="json")}),
        variables=wanted.variables,
    )


def _settled(
    wanted: PlaygroundPreviewRequest, text: _Text, model: ModelVersionView
) -> ResolvedParameters:
    return resolve_parameters(wanted.parameters, text.content.parameters, model.facts)


def _llm_request(
    text: _Text,
    model: ModelVersionView,
    parameters: ResolvedParameters,
    messages: tuple[Message, ...],
) -> LLMRequest:
    found, content = model.price, text.content
    price = None
    if found is not None:
        price = Price(str(found.id), found.input, found.output, found.cached_input)
    return LLMRequest(
        target=ModelTarget(model.provider, model.endpoint, model.provider_model, price),
        messages=messages,
        parameters=parameters.applied,
        tools=content.tools,
        tool_choice=content.tool_choice,
        response_format=content.response_format,
    )


def _most_cost(request: LLMRequest) -> Decimal | None:
    bound = cost_bound(request, request.target.price)
    return None if bound is None else bound.total
