"""Everything the runs of an experiment need, read from the record before the first call."""

from __future__ import annotations

from dataclasses import dataclass

from app.bootstrap import Services
from app.core.errors import Invalid
from app.llm.types import LLMRequest
from app.schemas.experiments import ExperimentView, RunView
from app.schemas.generations import Provenance
from app.schemas.names import Reference
from app.services.cell_requests import RequestMaker, model_target
from app.services.rendering import PromptRenderer
from workbench.runner.generation.remaining import Cell

__all__ = ["RunPlan", "build_plans"]


@dataclass(frozen=True, kw_only=True)
class RunPlan(RequestMaker):
    """Everything one run needs, prepared before the first call."""

    run: RunView
    provenance: Provenance

    def request(self, cell: Cell) -> LLMRequest:
        """Render one cell; `Invalid` if its example lacks a variable."""
        return self.request_for(cell.example, cell.repetition)


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
