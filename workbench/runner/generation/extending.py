"""Carry an experiment on over a newer version of its dataset.

An extension is an experiment of its own with the same variants, scorers, plan and repetitions:
the evidence of the first stays as it was. Examples that both versions share keep the answers
that they have; new and changed ones are asked, and so are those whose cell failed. A result
that was known before the new examples were added is a look at the data, so a fixed plan's gate
does not take it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.bootstrap import Services
from app.core.errors import Conflict, Invalid
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import ExperimentView, NewExperiment, RequestedVariant
from app.schemas.names import Reference, parse_reference
from workbench.scorers import parse_scorer

__all__ = ["Extension", "extend"]


@dataclass(frozen=True)
class Extension:
    """The experiment to be created; `fresh` of its `examples` are not in the old version."""

    new: NewExperiment
    parent: ExperimentView
    examples: int
    fresh: int

    @property
    def sentence(self) -> str:
        """What is to be done, for people."""
        are = "is" if self.fresh == 1 else "are"
        return (
            f"extends experiment {self.parent.number} ({self.parent.dataset}): "
            f"{self.fresh:,} of {self.examples:,} examples {are} new."
        )


async def extend(services: Services, reference: str, dataset: str | None) -> Extension:
    """Return the extension of an experiment over a dataset version, the newest by default.

    Raises `Conflict` for an experiment that is not completed or whose plan is sequential,
    `Invalid` for another dataset, for a version that is not newer, or one that lacks a column.
    """
    parent = await services.experiments.get(reference)
    _check_parent(parent)
    asked, _, number = parent.dataset.rpartition("@")
    version = await services.datasets.get(parse_reference(dataset or asked, noun="dataset"))
    _check_version(parent, version, asked, int(number))
    examples = min(version.example_count, parent.example_limit or version.example_count)
    shared = await services.experiments.count_shared_examples(parent, version, examples)
    new = NewExperiment(
        name=parent.name,
        dataset=version,
        variants=tuple(
            [await _variant(services, spec, version) for spec in parent.spec["variants"]]
        ),
        repetitions=parent.repetitions,
        example_limit=parent.example_limit,
        scorers=tuple(
            dict(parse_scorer({"name": s["name"], **s["config"]}).identity())
            for s in parent.spec["scorers"]
        ),
        baseline=parent.spec["baseline"],
        baseline_alias=parent.spec.get("baseline_alias"),
        baseline_run=await _baseline_run(services, parent.spec.get("baseline_run")),
        plan=parent.plan,
        extends=parent.id,
    )
    return Extension(new, parent, examples, examples - shared)


def _check_parent(parent: ExperimentView) -> None:
    if parent.status != "completed":
        remedy = f"Finish it first: workbench resume {parent.number}"
        raise Conflict(
            f"Experiment {parent.number} is {parent.status}, and only a completed one is extended.",
            hint=remedy if parent.status == "open" else "Start anew: workbench run",
        )
    if parent.plan.mode == "sequential":
        raise Conflict(
            f"Experiment {parent.number} has a sequential plan, which ended with its verdict.",
            hint="Run it over the new version as a new experiment; with --cache it uses the "
            "answers again that it has, and a gate does not accept that.",
        )


def _check_version(
    parent: ExperimentView, version: DatasetVersionView, name: str, number: int
) -> None:
    if version.name != name:
        raise Invalid(
            f"Experiment {parent.number} ran on {parent.dataset}; {version.reference} is another "
            "dataset, which makes another experiment.",
            path="dataset",
        )
    if version.number <= number:
        raise Invalid(
            f"{version.reference} is not newer than {parent.dataset}, on which experiment "
            f"{parent.number} ran.",
            path="dataset",
            hint=f"Bring in a newer version first: workbench datasets import FILE --name {name}",
        )


async def _variant(
    services: Services, spec: Mapping[str, Any], version: DatasetVersionView
) -> RequestedVariant:
    name = spec["prompt"].partition("@")[0]
    prompt = await services.prompts.get(Reference(name, hash_prefix=spec["prompt_hash"]))
    lost = sorted(set(spec["binding"].values()) - set(version.input_names))
    if lost:
        raise Invalid(
            f"{version.reference} has no column {lost[0]!r}, which fills {spec['prompt']}.",
            path="dataset",
        )
    return RequestedVariant(
        prompt=prompt,
        model=await services.models.get(spec["model"]),
        parameters=spec["parameters"],
        binding=spec["binding"],
    )


async def _baseline_run(services: Services, spec: Mapping[str, str] | None) -> Any:
    return None if spec is None else await services.experiments.run(spec["name"])
