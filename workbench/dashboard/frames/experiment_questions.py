"""The form of a new experiment: what it offers, what it asks, where its errors belong (pure).

A question is the body that starts an experiment and that its estimate is asked with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from workbench.client.datasets import Dataset
from workbench.client.models import Model
from workbench.client.prompts import Prompt

__all__ = [
    "FIELDS",
    "SCORERS",
    "Draft",
    "FieldError",
    "dataset_options",
    "draft_of",
    "field_of",
    "missing",
    "model_options",
    "priced_part",
    "prompt_options",
    "question",
    "scorer_label",
    "verdict_remark",
]

_VERSIONS_OFFERED: Final = 20
_OWN_PARAMETERS: Final = ("temperature", "top_p", "max_tokens")

SCORERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "exact_match": "equals the expected output",
        "exact_match:ignore_case=true": "equals the expected output, in any case of letters",
        "contains": "contains the expected output",
        "label:labels=yes,no": "names the expected one of these labels; write yours",
        "numeric_answer": "ends with the expected number",
        "json_valid": "is JSON; needs no expected output",
        "json_subset": "is JSON with the expected keys and values",
        "json_field:path=queue": "has the expected value in this field of JSON; write yours",
        "similarity": "is alike the expected text, 0 to 1",
        "rouge_l": "shares its longest sequence of words with the expected text, 0 to 1",
        "bleu": "shares sequences of words with the expected text, 0 to 1",
        "set_overlap": "shares items with the expected list, 0 to 1",
        "tool_calls": "calls the expected tools",
        "regex:pattern=^\\d+$": "matches this expression; write yours; needs no expected output",
        "length:unit=words,max=50": "is no longer than this; needs no expected output",
        "latency:max_ms=2000": "took no longer than this; needs no expected output",
        "refusal": "is an answer and no refusal; needs no expected output",
        "judge_correctness:model=openai/gpt-4.1-mini": (
            "says the same as the expected output; asks a model, which costs; write yours"
        ),
        "judge_rubric:model=openai/gpt-4.1-mini,rubric=Is it polite?": (
            "does well by a rubric; asks a model, which costs; write yours"
        ),
    }
)
"""The scorers that the form offers, with what each says and needs; any other can be written."""

FIELDS: Final = (
    "name",
    "dataset",
    "prompts",
    "models",
    "scorers",
    "baseline",
    "margin",
    "repetitions",
    "limit",
    "budget",
    "parameters",
    "map",
    "plan",
)
"""Where errors are shown; each is the key of the form's widgets."""

_PATHS: Final[Mapping[str, str]] = {
    "plan.margin": "margin",
    "plan.n": "plan",
    "plan.mode": "plan",
    "plan.scorer": "scorers",
    "prompt": "scorers",  # a judge's
    "model": "scorers",
    "labels": "scorers",
    "pattern": "scorers",
    "rubric": "scorers",
    "path": "scorers",
    "variants": "prompts",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """A sentence, and the field of the form that it is about; None for the whole form."""

    message: str
    field: str | None = None


@dataclass(frozen=True)
class Draft:
    """What stands in the form. `margin` is in the scorer's unit, `other` JSON,
    `mapping` one `variable=column` a line."""

    name: str = ""
    dataset: str | None = None
    prompts: Sequence[str] = ()
    models: Sequence[str] = ()
    scorers: Sequence[str] = ()
    baseline: str | None = None
    margin: float | None = None
    goal: str = "non_inferiority"
    sequential: bool = False
    planned: int | None = None
    repetitions: int = 1
    limit: int | None = None
    budget: float | None = None
    parameters: Mapping[str, float | int | None] = field(default_factory=dict)
    other: str = ""
    mapping: str = ""
    cache: bool = False


def draft_of(asked: Mapping[str, Any]) -> Draft:
    """Return the form of a question that was asked before; several sets of parameters, which no
    form holds, are left out."""
    plan = asked.get("plan") or {}
    parameters = asked.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    own = {name: parameters[name] for name in _OWN_PARAMETERS if name in parameters}
    other = {name: value for name, value in parameters.items() if name not in own}
    margin, budget = plan.get("margin"), asked.get("budget")
    return Draft(
        name=asked.get("name") or "",
        dataset=asked.get("dataset"),
        prompts=asked.get("prompts") or (),
        models=asked.get("models") or (),
        scorers=[_written(scorer) for scorer in asked.get("scorers") or ()],
        baseline=asked.get("baseline"),
        margin=None if margin is None else float(margin),
        goal=plan.get("goal", "non_inferiority"),
        sequential=plan.get("mode") == "sequential",
        planned=plan.get("n"),
        repetitions=asked.get("repetitions", 1),
        limit=asked.get("limit"),
        budget=None if budget is None else float(budget),
        parameters=own,
        other=json.dumps(other) if other else "",
        mapping="\n".join(f"{name}={it}" for name, it in (asked.get("map") or {}).items()),
        cache=bool(asked.get("cache")),
    )


def _written(scorer: str | Mapping[str, Any]) -> str:
    """Return a scorer as text, its options after a colon."""
    if isinstance(scorer, str):
        return scorer
    options = [f"{name}={_option(it)}" for name, it in scorer.items() if name != "name"]
    return f"{scorer.get('name', '')}{':' if options else ''}{','.join(options)}"


def _option(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def dataset_options(datasets: Iterable[Dataset]) -> list[str]:
    """Return references of the datasets' versions, newest first."""
    return [ref for it in datasets for ref in _versions(it.name, it.latest)]


def prompt_options(prompts: Iterable[Prompt]) -> list[str]:
    """Return references of the prompts' versions, newest first; not of those that judges use."""
    return [
        ref for it in prompts if it.origin != "builtin" for ref in _versions(it.name, it.latest)
    ]


def _versions(name: str, latest: int) -> list[str]:
    oldest = max(1, latest - _VERSIONS_OFFERED + 1)
    return [f"{name}@{number}" for number in range(latest, oldest - 1, -1)]


def model_options(models: Iterable[Model]) -> list[str]:
    """Return the references of the model versions that are not retired."""
    return [f"{it.provider}/{it.name}@{it.number}" for it in models if it.status != "retired"]


def scorer_label(scorer: str) -> str:
    """Return a scorer with what it says; one that was written stands for itself."""
    said = SCORERS.get(scorer)
    return scorer if said is None else f"{scorer} – {said}"


def missing(draft: Draft) -> list[FieldError]:
    """Return what the form needs before anything can be asked."""
    found = []
    if not draft.dataset:
        found.append(FieldError("Choose the dataset version to ask.", "dataset"))
    if not draft.prompts:
        found.append(FieldError("Choose at least one prompt version.", "prompts"))
    if not draft.models:
        found.append(FieldError("Choose at least one model version.", "models"))
    return found


def verdict_remark(draft: Draft) -> str:
    """Say that there will be no verdict, where nothing stands beside the only variant; else
    nothing."""
    is_alone = len(draft.prompts) == len(draft.models) == 1
    if is_alone and (draft.baseline is None or draft.baseline in draft.prompts):
        return "One variant: there will be no verdict. Add a second one, or name a baseline."
    return ""


def question(draft: Draft) -> tuple[dict[str, Any], list[FieldError]]:
    """Return the question that a form asks, and what of it cannot be read."""
    parameters, errors = _parameters(draft)
    mapping, wrong = _mapping(draft.mapping)
    plan: dict[str, Any] = {"goal": draft.goal}
    if draft.margin is not None:
        plan["margin"] = draft.margin
    if draft.sequential:
        plan["mode"] = "sequential"
    if draft.planned is not None:
        plan["n"] = draft.planned
    body = {
        "name": draft.name,
        "dataset": draft.dataset,
        "prompts": list(draft.prompts),
        "models": list(draft.models),
        "scorers": list(draft.scorers),
        "baseline": draft.baseline,
        "parameters": parameters,
        "repetitions": draft.repetitions,
        "limit": draft.limit,
        "budget": draft.budget,
        "map": mapping,
        "plan": plan,
        "cache": draft.cache,
    }
    return {name: it for name, it in body.items() if it not in (None, "")}, [*errors, *wrong]


def priced_part(body: Mapping[str, Any]) -> str:
    """Return what of a question its estimate depends on: equal texts have equal estimates."""
    left_out = ("name", "budget", "baseline")
    return json.dumps({k: v for k, v in body.items() if k not in left_out}, sort_keys=True)


def field_of(path: str | None) -> str | None:
    """Return the field of the form that an error's path is about; None if it is about none."""
    if path is None:
        return None
    inner = path.removeprefix("body.")
    if inner in _PATHS:
        return _PATHS[inner]
    first = inner.partition(".")[0]
    return first if first in FIELDS else None


def _parameters(draft: Draft) -> tuple[dict[str, Any], list[FieldError]]:
    chosen = {name: value for name, value in draft.parameters.items() if value is not None}
    if not draft.other.strip():
        return chosen, []
    try:
        other = json.loads(draft.other)
    except ValueError:
        other = None
    if not isinstance(other, dict):
        told = 'Other parameters are a JSON object, such as {"seed": 7, "stop": ["END"]}.'
        return chosen, [FieldError(told, "parameters")]
    return {**other, **chosen}, []


def _mapping(text: str) -> tuple[dict[str, str], list[FieldError]]:
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        variable, is_pair, column = (part.strip() for part in line.partition("="))
        if not (variable and is_pair and column):
            told = f"“{line}” is no pair: write variable=column, one a line."
            return found, [FieldError(told, "map")]
        found[variable] = column
    return found, []
