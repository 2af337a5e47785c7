"""Everything the runs of an experiment need, read from the record before the first call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app.bootstrap import Services
from app.core.errors import Invalid
from app.core.hashing import JSON
from app.llm.request_identity import RequestHasher
from app.llm.types import LLMRequest, Message, ModelTarget, Price
from app.schemas.datasets import MESSAGE_INPUT, ExampleView
from app.schemas.experiments import ExperimentView, RunView
from app.schemas.generations import Provenance
from app.schemas.models import ModelVersionView
from app.schemas.names import Reference
from app.services.rendering import PromptRenderer
from workbench.runner.generation.remaining import Cell

__all__ = ["RunPlan", "build_plans", "model_target"]


@dataclass(frozen=True)
class RunPlan:
    """Everything one run needs, prepared before the first call."""

    run: RunView
    renderer: PromptRenderer
    binding: Mapping[str, str]
    target: ModelTarget
    parameters: Mapping[str, JSON]
    provenance: Provenance
    digest: str | None = None
    tools: JSON = None
    tool_choice: JSON = None
    response_format: JSON = None

    def request(self, cell: Cell) -> LLMRequest:
        """Render one cell; `Invalid` if its example lacks a variable."""
        inputs = cell.example.input
        values = {
            variable: inputs[column]
            for variable, column in self.binding.items()
            if column in inputs
        }
        return LLMRequest(
            target=self.target,
            messages=self.renderer.render(values, self._history(cell.example)),
            parameters=self.parameters,
            tools=self.tools,
            tool_choice=self.tool_choice,
            response_format=self.response_format,
            repetition=cell.repetition,
        )

    def request_hash(self, request: LLMRequest) -> str:
        """Return the identity of a request of this run; `Invalid` if no JSON can hold it."""
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


async def build_plans(services: Services, experiment: ExperimentView) -> list[RunPlan]:
    """Return a plan for each run, in the experiment's order. Nothing is read from files."""
    return [
        await _plan(services, run, variant)
        for run, variant in zip(experiment.runs, experiment.spec["variants"], strict=True)
    ]


async def _plan(services: Services, run: RunView, spec: dict[str, object]) -> RunPlan:
    name = str(spec["prompt"]).partition("@")[0]
    prompt = await services.prompts.get(Reference(name, hash_prefix=str(spec["prompt_hash"])))
    model = await services.models.get(str(spec["model"]))
    assert run.variant_id is not None  # noqa: S101 - an executed run has one, by constraint
    variant = await services.variants.get(run.variant_id)
    if variant.refused:
        name, reason = next(iter(variant.refused.items()))
        raise Invalid(
            f"{run.name} asks for {name} and it cannot be sent: {reason}.",
            path=f"parameters.{name}",
            hint="The catalog has learnt this since; start anew without that parameter.",
        )
    binding = spec["binding"]
    assert isinstance(binding, dict)  # noqa: S101 - as `ExperimentService.create` stored it
    return RunPlan(
        run=run,
        renderer=PromptRenderer(prompt.content),
        binding=binding,
        target=model_target(model),
        digest=model.digest,
        parameters=variant.applied,
        provenance=Provenance(
            run_id=run.id,
            variant_id=run.variant_id,
            prompt_version_id=prompt.id,
            model_version_id=model.id,
            provider=model.provider,
            model_price_id=model.price.id if model.price else None,
            applied_parameters=dict(variant.applied),
            left_out_parameters=dict(variant.left_out) or None,
        ),
        tools=prompt.content.tools,
        tool_choice=prompt.content.tool_choice,
        response_format=prompt.content.response_format,
    )


def model_target(model: ModelVersionView) -> ModelTarget:
    """Return where a model version is called, with the price that counts now."""
    price = None
    if (found := model.price) is not None:
        price = Price(str(found.id), found.input, found.output, found.cached_input)
    return ModelTarget(model.provider, model.endpoint, model.provider_model, price)
