"""What an experiment asks, from a file (`experiments/triage.yaml`) or from flags.

    name: triage
    dataset: support-triage@1
    prompts: [support-triage@1, support-triage@2]     # or paths of prompt files
    models: [openai/gpt-4.1-mini]
    parameters: {temperature: 0}                      # or a list: one set for each variant
    repetitions: 1
    limit: 100                                        # the first examples only
    scorers: [exact_match, {name: contains, ignore_case: true}]
    baseline: support-triage@1                        # default: the first prompt
    map: {ticket: text}                               # variable: column
    plan: {margin: 0.03}
    budget: 5.00                                      # US dollars, judges included

Variants are prompts x models x parameter sets, in this order. Strictly parsed: an unknown
key is an error that names file and line.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.core.errors import Invalid
from app.schemas.experiments import Plan
from workbench.workspace.strict_yaml import read_yaml

__all__ = ["ExperimentFile", "read_experiment_file"]


class ExperimentFile(BaseModel):
    """One question as a person writes it; references are not yet resolved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    description: str = ""
    dataset: str
    prompts: list[str] = Field(min_length=1)
    models: list[str] = Field(min_length=1)
    parameters: dict[str, Any] | list[dict[str, Any]] = Field(default_factory=dict)
    repetitions: int = Field(default=1, ge=1, le=1000)
    limit: int | None = Field(default=None, ge=1)
    scorers: list[str | dict[str, Any]] = Field(default_factory=list)
    baseline: str | None = None
    map: dict[str, str] = Field(default_factory=dict)
    plan: Plan = Field(default_factory=Plan)
    budget: Decimal | None = Field(default=None, gt=0, le=10**9)

    @property
    def parameter_sets(self) -> list[dict[str, Any]]:
        """At least one set; the empty one asks for nothing special."""
        if isinstance(self.parameters, dict):
            return [self.parameters]
        return self.parameters or [{}]


def read_experiment_file(path: Path) -> ExperimentFile:
    """Read and check a file; `Invalid` names file, line and field."""
    document = read_yaml(path)
    if not isinstance(document.value, dict):
        raise Invalid(f"{path} must hold a mapping with dataset, prompts and models.")
    try:
        return ExperimentFile.model_validate(document.value)
    except ValidationError as error:
        raise document.validation_problem(error, ExperimentFile) from None
