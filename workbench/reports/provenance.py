"""What the page says of where a result comes from: prompts, models, parameters, hashes.

Nothing is escaped here: that is the template's work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.core.parameters import ParameterFact
from app.schemas.models import ModelVersionView
from app.schemas.prompts import PromptVersionView
from app.schemas.variants import VariantView
from workbench.number_text import count_text
from workbench.reports.experiment import ExperimentReport, RunReport
from workbench.reports.sections import Facts, scorer_text
from workbench.text_diff import Piece, line_diff

__all__ = ["PromptChange", "model_facts", "parameter_facts", "prompt_changes", "record_facts"]

_LAYERS: Final[Mapping[str, str]] = {
    "request": "the experiment",
    "prompt": "the prompt",
    "model": "the model's default",
    "house": "the house default",
}


@dataclass(frozen=True, slots=True)
class PromptChange:
    """How the candidate's prompt differs from the baseline's, as lines."""

    before: str
    after: str
    lines: tuple[Piece, ...]


def prompt_changes(report: ExperimentReport) -> list[PromptChange]:
    """Return the line diff of every two prompts that were compared, each pair once."""
    by_reference = {prompt.reference: prompt for prompt in report.prompts}
    by_run = {run.run.name: run.run.prompt for run in report.runs}
    pairs = [
        (by_run.get(str(c.result["baseline_run"])), by_run.get(str(c.result["candidate_run"])))
        for c in report.comparisons
    ]
    if not pairs:
        pairs = [(report.baseline.run.prompt, run.run.prompt) for run in report.runs]
    changes = []
    for before, after in dict.fromkeys(pairs):
        if before != after and before in by_reference and after in by_reference:
            first, second = by_reference[before], by_reference[after]
            changes.append(_prompt_change(first, second))
    return changes


def _prompt_change(before: PromptVersionView, after: PromptVersionView) -> PromptChange:
    lines = line_diff(list(before.content.text_lines()), list(after.content.text_lines()))
    return PromptChange(before.reference, after.reference, tuple(lines))


def model_facts(model: ModelVersionView, runs: Sequence[RunReport]) -> Facts:
    """Say what a model version calls, what is known of it, and what it called itself."""
    facts, price = model.facts, model.price
    snapshot = "a floating name: the model behind it may change" if model.floating else "a snapshot"
    told: Facts = [
        ("Calls", f"{model.provider_model} at endpoint {model.endpoint}, {snapshot}"),
        ("Status", model.status),
        ("Context window", _limit(facts.context_window)),
        ("Output limit", _limit(facts.max_output_tokens)),
        ("Price", "unknown"),
    ]
    if price is not None:
        told[-1] = (
            "Price",
            f"${price.input.normalize():f} in, ${price.output.normalize():f} out per million "
            f"tokens ({price.source})",
        )
    if model.digest is not None:
        told.insert(1, ("Digest", model.digest))
    told += [(name, _fact(fact)) for name, fact in sorted(facts.parameters.items())]
    reported = [
        f"{name or 'no name'} ({fingerprint or 'no fingerprint'}) in {count_text(count, 'answer')}"
        for run in runs
        if run.run.model == model.reference
        for name, fingerprint, count in run.reported
    ]
    told.append(("Reported as", ", ".join(dict.fromkeys(reported)) or "nothing yet"))
    return told


def _limit(tokens: int | None) -> str:
    return "unknown" if tokens is None else f"{tokens:,} tokens"


def _fact(fact: ParameterFact) -> str:
    known = fact.model_dump(exclude_defaults=True)
    return ", ".join(
        f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in known.items()
    )


def parameter_facts(variant: VariantView) -> Facts:
    """Say what was asked for and by whom, what was sent, and what was left out and why."""
    asked = [
        f"{name} = {json.dumps(value, ensure_ascii=False)} ({_LAYERS[variant.sources[name]]})"
        for name, value in variant.asked.items()
    ]
    applied = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}"
        for name, value in variant.applied.items()
    ]
    left_out = [f"{name}: {reason}" for name, reason in variant.left_out.items()]
    return [
        ("Asked for", "; ".join(asked) or "nothing"),
        ("Sent", "; ".join(applied) or "nothing"),
        ("Left out", "; ".join(left_out) or "nothing"),
        ("Variant", variant.content_hash),
    ]


def record_facts(report: ExperimentReport, spec_hash: str) -> Facts:
    """Return the hashes by which all of this is found again."""
    experiment, dataset = report.experiment, report.dataset
    facts = [
        ("Experiment", f"{experiment.number}, {experiment.id}"),
        ("Specification", spec_hash),
        ("Dataset", f"{dataset.reference}: {dataset.content_hash}"),
    ]
    if dataset.source:
        facts.append(("Dataset from", dataset.source))
    scorers = {s.scorer.id: s.scorer for run in report.runs for s in run.scores}
    facts += [
        ("Scorer", f"{scorer_text(scorer)}: {scorer.content_hash}") for scorer in scorers.values()
    ]
    facts += [
        (
            "Scores compared",
            f"{c.result['candidate_run']} with {c.result['baseline_run']}: {c.input_hash}",
        )
        for c in report.comparisons
    ]
    return facts
