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

from pathlib import Path

from pydantic import ValidationError

from app.core.errors import Invalid
from app.schemas.experiments import ExperimentSpec
from workbench.workspace.strict_yaml import read_yaml

__all__ = ["ExperimentFile", "read_experiment_file"]


class ExperimentFile(ExperimentSpec):
    """A specification in a file, or put together from flags; prompts may be files too."""


def read_experiment_file(path: Path) -> ExperimentFile:
    """Read and check a file; `Invalid` names file, line and field."""
    document = read_yaml(path)
    if not isinstance(document.value, dict):
        raise Invalid(f"{path} must hold a mapping with dataset, prompts and models.")
    try:
        return ExperimentFile.model_validate(document.value)
    except ValidationError as error:
        raise document.validation_problem(error, ExperimentFile) from None
