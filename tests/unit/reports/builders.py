"""Reports made by hand: every text in them can be chosen, so that hostile ones can be too."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from app.core.parameters import ModelFacts, ParameterFact
from app.schemas.datasets import DatasetVersionView
from app.schemas.experiments import ExperimentView, Plan, RunView
from app.schemas.gates import GateDecisionView
from app.schemas.generations import GenerationStatus, RunTotals
from app.schemas.models import ModelVersionView
from app.schemas.prompts import MessageTemplate, PromptContent, PromptVersionView
from app.schemas.scores import ScorerView, ScoreView
from app.schemas.variants import VariantView
from workbench.reports.experiment import (
    Answer,
    ComparisonReport,
    Example,
    Excerpt,
    ExperimentReport,
    Latency,
    RunReport,
    RunScore,
)

__all__ = [
    "Texts",
    "answer",
    "comparison",
    "evidence",
    "example",
    "gate_decision",
    "make_report",
    "result",
    "run_report",
]

_NOW = datetime(2026, 1, 31, 9, 5, tzinfo=UTC)


def _id(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


@dataclass(frozen=True)
class Texts:
    """What people and models wrote. `all_of` puts one text in every place there is."""

    experiment: str = "Which prompt routes better?"
    actor: str = "local:ada"
    run: str = "candidate"
    prompt: str = "Answer with one word."
    prompt_note: str = "shorter"
    model: str = "small"
    key: str = "example-1"
    input: str = "My invoice is wrong."
    expected: str = "billing"
    before: str = "It is account."
    after: str = "It is billing."
    error: str = "the reply was cut"
    explanation: str = "expected billing"
    scorer_option: str = "text"
    warning: str = "Only 15 pairs."
    sentence: str = "Candidate is better by 6.0 points."
    reported: str = "small-2026"
    source: str = "tickets.csv"
    part: str = "en"

    @classmethod
    def all_of(cls, text: str) -> Texts:
        return cls(**dict.fromkeys(cls.__dataclass_fields__, text))


ORDINARY = Texts()


def _scorer(texts: Texts) -> ScorerView:
    return ScorerView(
        id=_id(70),
        name="contains",
        version=1,
        config={"text": texts.scorer_option},
        content_hash="sha256:scorer",
        created_at=_NOW,
    )


def _run(number: int, name: str, texts: Texts, **changes: Any) -> RunView:
    return RunView(
        **{
            "id": _id(number),
            "name": name,
            "origin": "executed",
            "experiment_id": _id(1),
            "experiment_number": 12,
            "position": number - 10,
            "dataset_version_id": _id(2),
            "dataset": "tickets@1",
            "variant_id": _id(number + 20),
            "prompt": f"triage@{number - 9}",
            "model": "openai/small@1",
            "provider": "openai",
            "source": "",
            "created_at": _NOW,
            "created_by": texts.actor,
            **changes,
        }
    )


def _variant(number: int, texts: Texts) -> VariantView:
    return VariantView(
        id=_id(number + 20),
        content_hash="sha256:variant",
        prompt_version_id=_id(number + 30),
        model_version_id=_id(40),
        prompt=f"triage@{number - 9}",
        model="openai/small@1",
        asked={"temperature": 0, "stop": texts.prompt, "top_p": 0.6},
        sources={"temperature": "request", "stop": "prompt", "top_p": "house"},
        applied={"temperature": 0, "stop": texts.prompt},
        left_out={"top_p": texts.prompt_note},
        created_at=_NOW,
        created_by=texts.actor,
    )


def _prompt(number: int, texts: Texts, text: str) -> PromptVersionView:
    return PromptVersionView.model_construct(
        id=_id(number + 30),
        prompt_id=_id(3),
        name="triage",
        number=number - 9,
        content_hash="sha256:prompt",
        # Built without checks, so that a text that is no template can stand here too.
        content=PromptContent.model_construct(
            messages=(MessageTemplate.model_construct(role="user", content=text),),
            variables={},
            parameters={"temperature": 0},
            tools=None,
            tool_choice=None,
            response_format=None,
        ),
        description=texts.prompt_note,
        message=texts.prompt_note,
        origin="file",
        author=texts.actor,
        created_at=_NOW,
        published_at=_NOW,
    )


def _model(texts: Texts) -> ModelVersionView:
    return ModelVersionView(
        id=_id(40),
        language_model_id=_id(41),
        provider="openai",
        name="small",
        number=1,
        provider_model=texts.model,
        endpoint=texts.model,
        digest=texts.model,
        floating=True,
        facts=ModelFacts(parameters={"max_tokens": ParameterFact(wire="max_completion_tokens")}),
        status="active",
        sunset_at=None,
        successor=None,
        created_at=_NOW,
        created_by=texts.actor,
    )


def run_report(
    number: int = 10,
    name: str = "baseline",
    texts: Texts = ORDINARY,
    *,
    totals: RunTotals | None = None,
    wanted: int = 200,
    scores: Sequence[RunScore] | None = None,
    latency: Latency | None = Latency(812.0, 1900.0, 200),  # noqa: B008 - it is frozen
    **changes: Any,
) -> RunReport:
    return RunReport(
        run=_run(number, name, texts, **changes),
        totals=totals
        or RunTotals(
            by_status={"completed": 200},
            input_tokens=12_000,
            output_tokens=900,
            cost=Decimal("0.0123"),
        ),
        wanted=wanted,
        variant=_variant(number, texts),
        latency=latency,
        scores=tuple(scores)
        if scores is not None
        else (
            RunScore(
                scorer=_scorer(texts),
                mean=0.7,
                interval=(0.633, 0.759),
                n_scored=200,
                n_correct=140,
                statuses={"scored": 200, "failed": 0},
            ),
        ),
        reported=((texts.reported, None, 200),),
    )


def result(texts: Texts = ORDINARY, **changes: Any) -> dict[str, Any]:
    """A stored comparison of `baseline` with the candidate."""
    counts = {"n_cells": 200, "n_scored": 200, "n_correct": 140}
    side = {"mean": 0.7, "interval": [0.63, 0.76], **counts}
    return {
        "baseline_run": "baseline",
        "candidate_run": texts.run,
        "dataset": "tickets@1",
        "scorer": {
            "name": "contains",
            "version": 1,
            "config": {"text": texts.scorer_option},
            "content_hash": "sha256:scorer",
        },
        "verdict": "superior",
        "sentence": texts.sentence,
        "method": "tango",
        "reason": "Each example passed or failed.",
        "n_pairs": 200,
        "n_clusters": None,
        "baseline": {**side, "statuses": {"scored": 200}, "reopened": 0},
        "candidate": {**side, "statuses": {"scored": 200}, "reopened": 0},
        "difference": {"estimate": 0.06, "low": 0.021, "high": 0.099, "level": 0.95},
        "candidate_only": 14,
        "baseline_only": 2,
        "p_value": 0.0042,
        "p_method": "mcnemar_exact",
        "margin": 0.03,
        "smallest_margin": 0.0,
        "detectable_difference": 0.0559,
        "n_for_margin": 694,
        "planning_margin": 0.03,
        "warnings": [{"code": "few_units", "blocking": True, "text": texts.warning}],
        "cost": {
            "unit": "USD per example",
            "baseline": 0.0001,
            "candidate": 0.00013,
            "n_pairs": 200,
            "ratio": {"estimate": 1.3, "low": 1.21, "high": 1.4, "level": 0.95},
        },
        "latency": {
            "unit": "ms",
            "n_pairs": 200,
            "baseline": {"p50": 800.0, "p95": 1900.0},
            "candidate": {"p50": 850.0, "p95": 2100.0},
            "p95_difference": {"estimate": 200.0, "low": -50.0, "high": 450.0, "level": 0.95},
        },
        "simulated": False,
        "seed": 20240917,
        **changes,
    }


def evidence(texts: Texts = ORDINARY) -> dict[str, Any]:
    """What a comparison says beside its difference; earlier ones were stored without it."""
    effect = {"estimate": 0.04, "low": -0.02, "high": 0.1, "level": 0.95}
    return {
        "coverage": {
            "baseline_examples": 200,
            "candidate_examples": 210,
            "common": 190,
            "only_baseline": 6,
            "only_candidate": 16,
            "changed": 4,
            "baseline_dataset": "tickets@1",
            "candidate_dataset": texts.part,
        },
        "comparability": [
            {
                "field": "sampling",
                "baseline": texts.part,
                "candidate": texts.part,
                "blocking": True,
                "text": texts.part,
            }
        ],
        "slices": [
            {"column": "language", "value": texts.part, "n_pairs": 48, **effect,
             "p_value": 0.04, "q_value": 0.21},
            {"column": "language", "value": "de", "n_pairs": 2, "estimate": None, "low": None,
             "high": None, "level": 0.95, "p_value": None, "q_value": None},
            {"column": texts.part, "value": None, "n_pairs": 30, **effect,
             "p_value": 0.3, "q_value": 0.3},
        ],
        "secondary": [
            {"scorer": texts.part, "n_pairs": 190, **effect, "p_value": 0.2, "q_value": 0.2}
        ],
        "reliability": {
            "k": 3,
            "baseline": {"pass_at_k": 0.8, "pass_hat_k": 0.4},
            "candidate": {"pass_at_k": 0.85, "pass_hat_k": None},
        },
        "sequential": {
            "decided": True,
            "n_used": 120,
            "n_max": 400,
            "looks": 6,
            "method": "asymptotic_cs",
            "calls_saved": 560,
        },
        "preference": {
            "wins": 60,
            "losses": 30,
            "ties": 10,
            "win_rate": 0.65,
            "consistency": 0.9,
            "first_share": 0.52,
            "first_p": 0.5,
            "length_slope": 0.3,
            "length_p": 0.02,
            "length_controlled_win_rate": 0.6,
        },
        "judge": {"qualified": False, "sentence": texts.part, "agreement": 0.5},
        "ppi": {**effect, "n_labels": 80, "weight": 0.7},
        "overall": {"name": "cochran_q", "n_runs": 3, "p_value": 0.01},
        "across_models": {
            "baseline_prompt": "triage@1",
            "candidate_prompt": "triage@2",
            "by_model": [
                {"model": texts.part, "n_pairs": 190, "difference": effect},
                {"model": "openai/large", "n_pairs": 0, "difference": None},
            ],
            "average": {"n_pairs": 190, "difference": effect},
        },
    }  # fmt: skip


def answer(
    run: str,
    text: str | None,
    texts: Texts = ORDINARY,
    *,
    status: GenerationStatus = "completed",
    error: str | None = None,
    value: float | None = 1.0,
    **changes: Any,
) -> Answer:
    told: Literal["scored", "failed"] = "failed" if value is None else "scored"
    score = ScoreView(
        scorer_id=_id(1),
        scorer="contains",
        version=1,
        status=told,
        value=value,
        passed=None,
        label=None,
        reason=None,
        explanation=texts.explanation,
    )
    return Answer(
        run=run,
        status=status,
        text=None if text is None else Excerpt(text),
        error=error,
        scores=(score,),
        **changes,
    )


def example(texts: Texts = ORDINARY, *, change: float = -1.0, **changes: Any) -> Example:
    before, after = (1.0, 0.0) if change < 0 else (0.0, 1.0)
    shape: dict[str, Any] = {
        "key": texts.key,
        "input": Excerpt(texts.input),
        "expected": Excerpt(texts.expected),
        "answers": (
            answer("baseline", texts.before, texts, value=before),
            answer(texts.run, texts.after, texts, value=after),
        ),
        "scores": (before, after),
        "change": change,
    }
    return Example(**{**shape, **changes})


def comparison(
    texts: Texts = ORDINARY,
    *,
    examples: Sequence[Example] | None = None,
    declared: bool = True,
    stale: bool = False,
    changes: Mapping[str, Any] | None = None,
) -> ComparisonReport:
    return ComparisonReport(
        result=result(texts, **(changes or {})),
        created_at=_NOW,
        created_by=texts.actor,
        input_hash="sha256:scores",
        declared=declared,
        stale=stale,
        examples=(example(texts),) if examples is None else tuple(examples),
    )


def gate_decision(texts: Texts = ORDINARY, **changes: Any) -> GateDecisionView:
    """A decision about the second run against the first: one check passed, one did not."""
    checks = [
        {"kind": "primary", "name": texts.part, "decision": "passed", "asked": texts.part,
         "found": "+6.0", "sentence": texts.part},
        {"kind": "size", "name": "examples", "decision": "blocked", "asked": "400 examples",
         "found": "200 examples", "sentence": "Too few."},
    ]  # fmt: skip
    exception = {"name": "floating", "allowed": False, "text": texts.part}
    return GateDecisionView.model_validate(
        {
            "id": _id(90),
            "experiment_id": _id(1),
            "baseline_run_id": _id(10),
            "candidate_run_id": _id(11),
            "plan": {},
            "decision": "blocked",
            "exit_code": 13,
            "binding": False,
            "evidence": {"checks": checks, "exceptions": [exception]},
            "evidence_hash": "sha256:evidence",
            "created_at": _NOW,
            "created_by": texts.actor,
            **changes,
        }
    )


def make_report(
    texts: Texts = ORDINARY,
    *,
    runs: Sequence[RunReport] | None = None,
    comparisons: Sequence[ComparisonReport] | None = None,
    examples: Sequence[Example] = (),
    experiment: Mapping[str, Any] | None = None,
    gates: Sequence[GateDecisionView] = (),
    extends: int | None = None,
) -> ExperimentReport:
    """Two runs of 200 examples each, compared once, unless something else is wished."""
    chosen = (
        tuple(runs)
        if runs is not None
        else (run_report(texts=texts), run_report(11, texts.run, texts))
    )
    view: dict[str, Any] = {
        "id": _id(1),
        "number": 12,
        "name": texts.experiment,
        "dataset_version_id": _id(2),
        "dataset": "tickets@1",
        "spec": {"baseline": 0, "scorers": [], "variants": []},
        "plan": Plan(margin=0.03),
        "repetitions": 1,
        "example_count": 200,
        "example_limit": None,
        "status": "completed",
        "runs": tuple(report.run for report in chosen),
        "created_at": _NOW,
        "created_by": texts.actor,
        "finished_at": _NOW,
        **(experiment or {}),
    }
    return ExperimentReport(
        experiment=ExperimentView.model_construct(**view),
        dataset=DatasetVersionView(
            id=_id(2),
            dataset_id=_id(4),
            name="tickets",
            number=1,
            content_hash="sha256:dataset",
            example_count=200,
            expected_count=200,
            input_names=("ticket",),
            metadata_names=(),
            parent=None,
            source=texts.source,
            message="",
            created_at=_NOW,
            created_by=texts.actor,
        ),
        runs=chosen,
        made_at=_NOW,
        comparisons=(comparison(texts),) if comparisons is None else tuple(comparisons),
        examples=tuple(examples),
        prompts=(
            _prompt(10, texts, f"Classify. {texts.prompt}"),
            _prompt(11, texts, f"Name the queue.\n{texts.prompt}"),
        ),
        models=(_model(texts),),
        extends=extends,
        gates=tuple(gates),
    )
