"""What an experiment will cost, before a call is made and without one.

The requests of a sample of the examples are rendered as they would be sent; up to `SAMPLE` of
them, evenly spaced, so that the same question always gives the same answer. From there:

- input tokens: high is one token a byte of the rendered request, which is what a budget
  reserves; low is what the same prompt used on the same model before, else a quarter of the
  bytes.
- output tokens: high is max_tokens for each choice; low is what the prompt, else the model, gave
  before, else a tenth of max_tokens.
- cost: those tokens at today's price. A model without a price has no cost: unknown, never 0.
- time: earlier latencies of the prompt, else the model, over the calls at once (mean to 95th
  percentile; `auto` is taken as 100 to 10 at once); unknown if nothing was stored.

Repetitions and judges are in it, retries are not. With the cache, cells that have a stored answer
cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from app.bootstrap import Services
from app.core.errors import Invalid, NotFound
from app.core.ids import cell_id, new_id
from app.core.parameters import resolve_parameters
from app.llm.pricing import choice_count, output_token_bound
from app.llm.types import LLMRequest
from app.schemas.budgets import CallFacts
from app.schemas.datasets import DatasetVersionView, ExampleView
from app.schemas.experiments import NewExperiment, RequestedVariant, RunView
from app.schemas.generations import Provenance
from app.schemas.models import ModelVersionView
from app.services.rendering import PromptRenderer
from workbench.runner.generation.plans import RunPlan, model_target
from workbench.runner.generation.remaining import Cell
from workbench.runner.generation.reuse import Reuse
from workbench.scorers import AnyScorer, parse_scorer
from workbench.scorers.judges import Judge, JudgePreference

__all__ = [
    "SAMPLE",
    "Bounds",
    "Estimate",
    "JudgeEstimate",
    "VariantEstimate",
    "estimate",
    "judge_calls",
]

SAMPLE: Final = 300
"""How many examples are rendered at most for each variant."""

_BYTES_PER_TOKEN = 4
_LOW_SHARE_OF_OUTPUT = 0.1
_AUTO_AT_ONCE = (100, 10)
_REPETITIONS_LOOKED_UP = 10
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """From what is likely to what is possible; tokens, US dollars or seconds."""

    low: float
    high: float

    def __add__(self, other: Bounds) -> Bounds:
        return Bounds(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Bounds:
        """Return both, so many times."""
        return Bounds(self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class VariantEstimate:
    """One variant: `calls` are to be made, `reused` cells have a stored answer.

    `cost` None is unknown, for the reason in `unknown`; `seconds` None is unknown. `basis` is
    where the low figures come from: `prompt` and `model` are earlier answers, `rule` is none.
    """

    prompt: str
    model: str
    calls: int
    reused: int
    input_tokens: Bounds
    output_tokens: Bounds
    cost: Bounds | None
    seconds: Bounds | None
    basis: str
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class JudgeEstimate:
    """One seat of a judge; its tokens are figured from the length of its prompt, of the examples
    and of the answers."""

    scorer: str
    model: str
    calls: int
    cost: Bounds | None
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """The whole experiment. `rendered` of its `examples` were looked at."""

    examples: int
    rendered: int
    repetitions: int
    variants: tuple[VariantEstimate, ...]
    judges: tuple[JudgeEstimate, ...]

    @property
    def calls(self) -> int:
        """All calls, judges' included."""
        return sum(part.calls for part in self._parts)

    @property
    def cost(self) -> Bounds | None:
        """The cost of everything; None as soon as one part is unknown."""
        costs = [part.cost for part in self._parts]
        known = [cost for cost in costs if cost is not None]
        return _sum(known) if len(known) == len(costs) else None

    @property
    def known_cost(self) -> Bounds:
        """The cost of those parts whose cost is known: the least that everything may cost."""
        return _sum(part.cost for part in self._parts if part.cost is not None)

    @property
    def seconds(self) -> Bounds | None:
        """How long the variants' calls take, one after the other; None if one is unknown."""
        times = [variant.seconds for variant in self.variants]
        known = [time for time in times if time is not None]
        return _sum(known) if len(known) == len(times) else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Why the cost is unknown, each reason once."""
        return tuple(dict.fromkeys(part.unknown for part in self._parts if part.unknown))

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models whose cost is unknown, each once."""
        return tuple(dict.fromkeys(part.model for part in self._parts if part.cost is None))

    @property
    def _parts(self) -> Sequence[VariantEstimate | JudgeEstimate]:
        return (*self.variants, *self.judges)


async def estimate(
    services: Services, new: NewExperiment, *, concurrency: int | None = None, cache: bool = False
) -> Estimate:
    """Return what an experiment that is not stored yet will cost.

    `concurrency` None adapts to the provider; `cache` looks for stored answers.
    """
    total = min(new.dataset.example_count, new.example_limit or new.dataset.example_count)
    if new.plan.mode == "sequential" and new.plan.n is not None:
        total = min(total, new.plan.n)
    positions = _spread(total, SAMPLE)
    examples = await services.datasets.examples_at(new.dataset.id, positions)
    plans = [_plan(variant, new.dataset) for variant in new.variants]
    reused = await _reused_shares(services, new, plans, examples, cache=cache)
    variants = [
        await _variant(
            services,
            variant,
            plan,
            _rendered_bytes(plan, index, examples),
            cells=total * new.repetitions,
            reused=round(share * total * new.repetitions),
            concurrency=concurrency,
        )
        for index, (variant, plan, share) in enumerate(
            zip(new.variants, plans, reused, strict=True)
        )
    ]
    judges = await _judges(services, new, variants, examples, cells=total * new.repetitions)
    return Estimate(total, len(examples), new.repetitions, tuple(variants), tuple(judges))


def judge_calls(
    scorer: AnyScorer[Any], cells: int, variants: int, *, stored_baseline: bool = False
) -> int:
    """Return how often each seat of a scorer is asked at most; 0 for a rule.

    A judge is asked about every cell of every run; a preference about every cell of every run
    but the baseline, in both orders. The runs are the variants and, if there is a
    `stored_baseline`, that one, which nobody may have judged yet.
    """
    runs = variants + stored_baseline
    if isinstance(scorer, JudgePreference):
        return 2 * scorer.config.samples * cells * (runs - 1)
    if isinstance(scorer, Judge):
        return int(scorer.config.samples) * cells * runs
    return 0


def _spread(count: int, most: int) -> list[int]:
    """Return up to `most` of the positions 0 to `count` - 1, evenly spaced."""
    taken = min(count, most)
    return [i * count // taken for i in range(taken)]


def _sum(parts: Iterable[Bounds]) -> Bounds:
    return sum(parts, Bounds(0.0, 0.0))


def _plan(variant: RequestedVariant, dataset: DatasetVersionView) -> RunPlan:
    """Return what a run of the variant would need; the run exists nowhere else."""
    prompt, model = variant.prompt, variant.model
    resolved = resolve_parameters(variant.parameters, prompt.content.parameters, model.facts)
    run = RunView(
        id=new_id(),
        name=f"{prompt.reference}+{model.reference}",
        origin="executed",
        experiment_id=None,
        experiment_number=None,
        position=None,
        dataset_version_id=dataset.id,
        dataset=dataset.reference,
        variant_id=None,
        prompt=prompt.reference,
        model=model.reference,
        provider=model.provider,
        source="",
        created_at=dataset.created_at,
        created_by="",
    )
    return RunPlan(
        run=run,
        renderer=PromptRenderer(prompt.content),
        binding=variant.binding,
        target=model_target(model),
        digest=model.digest,
        parameters=resolved.applied,
        provenance=Provenance(run_id=run.id),
        tools=prompt.content.tools,
        tool_choice=prompt.content.tool_choice,
        response_format=prompt.content.response_format,
    )


def _cell(plan: RunPlan, index: int, example: ExampleView, repetition: int = 0) -> Cell:
    return Cell(cell_id(plan.run.id, example.id, repetition), index, example, repetition)


def _rendered_bytes(plan: RunPlan, index: int, examples: Sequence[ExampleView]) -> list[int]:
    """Return the size of each request; an example that does not fit the prompt makes none."""
    sizes = []
    for example in examples:
        try:
            request = plan.request(_cell(plan, index, example))
        except Invalid:
            continue
        sizes.append(len(orjson.dumps(request.request_shape)))
    return sizes


async def _reused_shares(
    services: Services,
    new: NewExperiment,
    plans: Sequence[RunPlan],
    examples: Sequence[ExampleView],
    *,
    cache: bool,
) -> list[float]:
    """Return for each variant the share of the sampled cells that need no call."""
    parents = []
    if new.extends is not None:
        parents = [run.id for run in (await services.experiments.by_id(new.extends)).runs]
    if not (parents or cache) or not examples:
        return [0.0] * len(plans)
    reuse = Reuse(plans, services.generations, parents, cache)
    repetitions = range(min(new.repetitions, _REPETITIONS_LOOKED_UP))
    shares = []
    for index, plan in enumerate(plans):
        cells = [_cell(plan, index, example, r) for example in examples for r in repetitions]
        filled = await reuse.filled(cells)
        shares.append(sum(cell.answer is not None for cell in filled) / len(cells))
    return shares


async def _variant(
    services: Services,
    variant: RequestedVariant,
    plan: RunPlan,
    sizes: Sequence[int],
    *,
    cells: int,
    reused: int,
    concurrency: int | None,
) -> VariantEstimate:
    model, prompt = variant.model, variant.prompt
    earlier, basis = await _earlier(services, model, prompt.id)
    calls = cells - reused if sizes else 0
    size = sum(sizes) / len(sizes) if sizes else 0.0
    known_input = _mean(c.input_tokens for c in earlier) if basis == "prompt" else None
    bound = _output_bound(plan)
    known_output = _mean(c.output_tokens for c in earlier)
    output_high = bound or 0
    output_low = _LOW_SHARE_OF_OUTPUT * output_high if known_output is None else known_output
    input_low = size / _BYTES_PER_TOKEN if known_input is None else known_input
    inputs = Bounds(min(input_low, size), size).times(calls)
    outputs = Bounds(min(output_low, output_high), output_high).times(calls)
    unknown = _unknown(model, bound)
    return VariantEstimate(
        prompt=prompt.reference,
        model=model.reference,
        calls=calls,
        reused=reused,
        input_tokens=inputs,
        output_tokens=outputs,
        cost=None if unknown else _cost(model, inputs, outputs),
        seconds=_seconds([c.latency_ms for c in earlier], calls, concurrency),
        basis=basis,
        unknown=unknown,
    )


async def _earlier(
    services: Services, model: ModelVersionView, prompt_id: UUID
) -> tuple[Sequence[CallFacts], str]:
    """Return earlier answers of the prompt on this model, else of the model, and which it is."""
    for basis, prompt in (("prompt", prompt_id), ("model", None)):
        found = await services.budgets.earlier_calls(model.id, prompt)
        if found:
            return found, basis
    return (), "rule"


def _mean(values: Iterable[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _output_bound(plan: RunPlan) -> int | None:
    """Return the most tokens that all choices of a call have together."""
    request = LLMRequest(plan.target, (), plan.parameters)
    bound = output_token_bound(request)
    return None if bound is None else bound * choice_count(request)


def _is_free(model: ModelVersionView) -> bool:
    price = model.price
    return price is not None and not (price.input or price.output or price.cached_input)


def _unknown(model: ModelVersionView, bound: int | None) -> str | None:
    """Return why nobody can say what the calls cost; None if it can be said."""
    if model.price is None:
        return f"{model.reference} has no price"
    if bound is None and not _is_free(model):
        return f"{model.reference} is called without max_tokens, so nothing bounds its answers"
    return None


def _cost(model: ModelVersionView, inputs: Bounds, outputs: Bounds) -> Bounds:
    assert model.price is not None  # noqa: S101 - `_unknown` has looked
    price_in, price_out = float(model.price.input), float(model.price.output)
    # A budget reserves input at the higher of its two prices; a cached one is never relied on.
    dearest = max(price_in, float(model.price.cached_input or 0))
    return Bounds(
        (inputs.low * price_in + outputs.low * price_out) / _MILLION,
        (inputs.high * dearest + outputs.high * price_out) / _MILLION,
    )


def _seconds(
    latencies: Iterable[float | None], calls: int, concurrency: int | None
) -> Bounds | None:
    known = sorted(latency for latency in latencies if latency is not None)
    if not calls:
        return Bounds(0.0, 0.0)
    if not known:
        return None
    most, least = _AUTO_AT_ONCE if concurrency is None else (concurrency, concurrency)
    mean, slow = sum(known) / len(known), known[int(0.95 * (len(known) - 1))]
    return Bounds(
        mean / 1000 * calls / min(most, calls), max(mean, slow) / 1000 * calls / min(least, calls)
    )


async def _judges(
    services: Services,
    new: NewExperiment,
    variants: Sequence[VariantEstimate],
    examples: Sequence[ExampleView],
    *,
    cells: int,
) -> list[JudgeEstimate]:
    scorers = [parse_scorer({"name": s["name"], **s["config"]}) for s in new.scorers]
    shown = _shown_bytes(examples)
    answers = _sum(variant.output_tokens for variant in variants)
    asked = sum(variant.calls for variant in variants)
    answer = answers.times(_BYTES_PER_TOKEN / asked) if asked else Bounds(0.0, 0.0)
    stored = new.baseline_run is not None
    return [
        await _seat(
            services,
            scorer,
            seat,
            judge_calls(scorer, cells, len(variants), stored_baseline=stored),
            shown,
            answer,
        )
        for scorer in scorers
        if isinstance(scorer, Judge)
        for seat in scorer.config.seats
    ]


def _shown_bytes(examples: Sequence[ExampleView]) -> float:
    """Return the mean size of what a judge is shown of an example."""
    sizes = [len(orjson.dumps([e.input, e.expected_output])) for e in examples]
    return sum(sizes) / len(sizes) if sizes else 0.0


async def _seat(
    services: Services,
    judge: Judge[Any],
    seat: str,
    calls: int,
    shown: float,
    answer: Bounds,
) -> JudgeEstimate:
    """Estimate one model of a judge; answers have `answer` bytes, examples `shown`."""
    name = str(judge.name)
    try:
        model = await services.models.get(seat)
        prompt = await services.prompts.get(judge.prompt)
    except NotFound:
        return JudgeEstimate(name, seat, calls, None, f"{seat} is not in the catalog yet")
    asked = judge.config.requested_parameters
    resolved = resolve_parameters(asked, prompt.content.parameters, model.facts)
    bound = output_token_bound(LLMRequest(model_target(model), (), resolved.applied))
    answers = 2 if isinstance(judge, JudgePreference) else 1
    own = len(prompt.content.model_dump_json()) + len(orjson.dumps(judge.own_values())) + shown
    inputs = Bounds(
        (own + answers * answer.low) / _BYTES_PER_TOKEN, own + answers * answer.high
    ).times(calls)
    outputs = Bounds(_LOW_SHARE_OF_OUTPUT * (bound or 0), bound or 0).times(calls)
    unknown = _unknown(model, bound)
    cost = None if unknown else _cost(model, inputs, outputs)
    return JudgeEstimate(name, model.reference, calls, cost, unknown)
