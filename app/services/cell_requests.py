"""From an example to the request that a variant sends for it.

Whoever runs an experiment, says what it will cost or makes a stored request again makes it here,
so that all of them mean the same bytes. Nothing is read and nothing is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app.core.hashing import JSON
from app.llm.request_identity import RequestHasher
from app.llm.types import LLMRequest, Message, ModelTarget, Price
from app.schemas.datasets import MESSAGE_INPUT, ExampleView
from app.schemas.models import ModelVersionView
from app.services.rendering import PromptRenderer

__all__ = ["RequestMaker", "model_target"]


@dataclass(frozen=True, kw_only=True)
class RequestMaker:
    """One variant over one dataset. `binding` names for each variable the input column that
    fills it, `parameters` are those that are sent."""

    renderer: PromptRenderer
    binding: Mapping[str, str]
    target: ModelTarget
    parameters: Mapping[str, JSON]
    digest: str | None = None
    tools: JSON = None
    tool_choice: JSON = None
    response_format: JSON = None

    def request_for(self, example: ExampleView, repetition: int = 0) -> LLMRequest:
        """Render one example; `Invalid` if it lacks a variable."""
        inputs = example.input
        values = {
            variable: inputs[column]
            for variable, column in self.binding.items()
            if column in inputs
        }
        return LLMRequest(
            target=self.target,
            messages=self.renderer.render(values, self._history(example)),
            parameters=self.parameters,
            tools=self.tools,
            tool_choice=self.tool_choice,
            response_format=self.response_format,
            repetition=repetition,
        )

    def request_hash(self, request: LLMRequest) -> str:
        """Return the identity of a request made here; `Invalid` if no JSON can hold it."""
        return self._hasher.hash(request)

    @cached_property
    def _hasher(self) -> RequestHasher:
        like = LLMRequest(
            target=self.target,
            messages=(),
            parameters=self.parameters,
            tools=self.tools,
            tool_choice=self.tool_choice,
            response_format=self.response_format,
        )
        return RequestHasher(like, self.digest)

    def _history(self, example: ExampleView) -> tuple[Message, ...]:
        """Return the turns that came before, and the last user turn where no variable takes it."""
        turns = [
            Message(role=message["role"], content=message["content"])  # type: ignore[arg-type] # checked at import
            for message in example.messages or ()
        ]
        last = example.input.get(MESSAGE_INPUT)
        if not self.binding and isinstance(last, str):
            turns.append(Message(role="user", content=last))
        return tuple(turns)


def model_target(model: ModelVersionView) -> ModelTarget:
    """Return where a model version is called, with the price that counts now."""
    price = None
    if (found := model.price) is not None:
        price = Price(str(found.id), found.input, found.output, found.cached_input)
    return ModelTarget(model.provider, model.endpoint, model.provider_model, price)
