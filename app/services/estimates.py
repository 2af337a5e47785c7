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

People whose permission to read experiments is limited to prefixes get no figure that rests on
earlier answers, since those are of all teams: theirs is the rule, nothing reused, time unknown.

Repetitions are in it, and judges as far as whoever asks describes their seats; retries are not.
With the cache, cells that have a stored answer cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import orjson

from app.core.errors import Invalid, NotFound
from app.core.ids import cell_id
from app.core.parameters import resolve_parameters
from app.core.permissions import Actor, Permission, require
from app.llm.pricing import choice_count, output_token_bound
from app.llm.types import LLMRequest
from app.schemas.budgets import CallFacts
from app.schemas.datasets import DatasetVersionView, ExampleView
from app.schemas.estimates import (
    Bounds,
    Estimate,
    EstimateView,
    JudgeEstimate,
    JudgeSeat,
    VariantEstimate,
    total_of,
)
from app.schemas.experiments import NewExperiment, RequestedVariant
from app.schemas.jobs import RunRequest
from app.schemas.models import ModelVersionView
from app.services.binding import bind_variables
from app.services.budgets import BudgetService
from app.services.cell_requests import RequestMaker, model_target
from app.services.datasets import DatasetService
from app.services.experiments import ExperimentService
from app.services.generations import GenerationService
from app.services.models import ModelService
from app.services.prompts import PromptService
from app.services.rendering import PromptRenderer

__all__ = ["MOST_VARIANTS", "SAMPLE", "EstimateService", "examples_in_use"]

SAMPLE: Final = 300
"""How many examples are rendered at most for each variant."""

MOST_VARIANTS: Final = 100
"""What one experiment may have."""

_BYTES_PER_TOKEN = 4
_LOW_SHARE_OF_OUTPUT = 0.1
_AUTO_AT_ONCE = (100, 10)
_REPETITIONS_LOOKED_UP = 10
_MILLION = 1_000_000
_JUDGE = "judge_"  # how the names of scorers begin that ask a model


@dataclass(frozen=True)
class _Earlier:
    """Earlier answers, and whose they are: the `prompt`'s, the `model`'s, by `rule` nobody's."""

    calls: Sequence[CallFacts] = ()
    basis: str = "rule"


class EstimateService:
    """Says what experiments will cost; reads only."""

    def __init__(
        self,
        prompts: PromptService,
        models: ModelService,
        datasets: DatasetService,
        experiments: ExperimentService,
        generations: GenerationService,
        budgets: BudgetService,
    ) -> None:
        self._prompts = prompts
        self._models = models
        self._datasets = datasets
        self._experiments = experiments
        self._generations = generations
        self._budgets = budgets

    async def of_request(self, actor: Actor, request: RunRequest) -> EstimateView:
        """Return what an experiment that may be asked for will cost.

        Judges are named and left out: what they ask is known to the worker alone. Raises
        `NotFound` for what is not there or not the actor's to see, `Conflict` for a retired
        model, `Invalid` with the field's path for what does not fit together. Earlier answers
        are looked at for those alone who may read all experiments.
        """
        require(actor, Permission.EXPERIMENT_RUN, request.dataset.partition("@")[0])
        dataset = await self._datasets.read(actor, request.dataset)
        new = NewExperiment(
            dataset=dataset,
            variants=await self._requested(actor, request, dataset),
            repetitions=request.repetitions,
            example_limit=request.limit,
            plan=request.plan,
        )
        found = await self.of(
            new,
            concurrency=request.concurrency,
            cache=request.cache,
            use_earlier=actor.prefixes(Permission.EXPERIMENT_READ) is None,
        )
        return EstimateView.of(found, _judges_of(request.scorers))

    async def of(
        self,
        new: NewExperiment,
        judges: Sequence[JudgeSeat] = (),
        *,
        concurrency: int | None = None,
        cache: bool = False,
        use_earlier: bool = True,
    ) -> Estimate:
        """Return what an experiment that is not stored yet will cost.

        `concurrency` None adapts to the provider; `cache` looks for stored answers. Without
        `use_earlier` no answer of another experiment is looked at, nor is it told that there is
        one.
        """
        total = examples_in_use(new)
        examples = await self._datasets.examples_at(new.dataset.id, _spread(total, SAMPLE))
        makers = [_maker(variant) for variant in new.variants]
        shares = await self._reused_shares(new, makers, examples, cache=cache and use_earlier)
        cells = total * new.repetitions
        variants = []
        for variant, maker, share in zip(new.variants, makers, shares, strict=True):
            sizes = await asyncio.to_thread(_rendered_bytes, maker, examples)
            reused = round(share * cells)
            calls = cells - reused if sizes else 0
            earlier = await self._earlier(variant) if use_earlier else _Earlier()
            variants.append(_variant(variant, maker, sizes, calls, reused, earlier, concurrency))
        seats = await self._seats(judges, variants, examples)
        return Estimate(total, len(examples), new.repetitions, tuple(variants), tuple(seats))

    async def _requested(
        self, actor: Actor, request: RunRequest, dataset: DatasetVersionView
    ) -> tuple[RequestedVariant, ...]:
        """Return the variants that a request names, in the order in which they would be run."""
        sets = request.parameter_sets
        count = len(request.models) * len(request.prompts) * len(sets)
        if count > MOST_VARIANTS:
            raise Invalid(
                f"An experiment has at most {MOST_VARIANTS} variants, and these are {count:,}: "
                "prompts x models x sets of parameters.",
                path="prompts",
            )
        prompts = [await self._prompts.read(actor, text) for text in request.prompts]
        models = [
            (await self._models.resolve(actor, text, add_missing=False))[0]
            for text in request.models
        ]
        return tuple(
            RequestedVariant(
                prompt=prompt,
                model=model,
                parameters=parameters,
                binding=bind_variables(
                    prompt.reference,
                    prompt.content,
                    dataset.reference,
                    dataset.input_names,
                    request.map,
                ),
            )
            for model in models
            for prompt in prompts
            for parameters in sets
        )

    async def _reused_shares(
        self,
        new: NewExperiment,
        makers: Sequence[RequestMaker],
        examples: Sequence[ExampleView],
        *,
        cache: bool,
    ) -> list[float]:
        """Return for each variant the share of the sampled cells that need no call."""
        parents: Sequence[UUID | None] = [None] * len(makers)
        if new.extends is not None:
            parents = [run.id for run in (await self._experiments.by_id(new.extends)).runs]
        if (new.extends is None and not cache) or not examples:
            return [0.0] * len(makers)
        repetitions = min(new.repetitions, _REPETITIONS_LOOKED_UP)
        shares = []
        for maker, parent in zip(makers, parents, strict=True):
            hashes = await asyncio.to_thread(_hashes, maker, examples, repetitions)
            reused = await self._answered(hashes, parent, cache=cache)
            shares.append(reused / len(hashes))
        return shares

    async def _answered(
        self, hashes: dict[tuple[UUID, int], str | None], parent: UUID | None, *, cache: bool
    ) -> int:
        """Return how many cells of a variant have a stored answer to the same request."""
        known: set[tuple[UUID, int]] = set()
        if parent is not None:
            theirs = {cell_id(parent, *cell): cell for cell in hashes}
            stored = await self._generations.answers_of_cells(list(theirs))
            known = {
                theirs[found]
                for found, answer in stored.items()
                if answer.request_hash == hashes[theirs[found]]
            }
        if cache:
            wanted = list(dict.fromkeys(it for it in hashes.values() if it is not None))
            answers = await self._generations.answers_to_requests(wanted, besides=[])
            known |= {cell for cell, it in hashes.items() if it is not None and it in answers}
        return len(known)

    async def _earlier(self, variant: RequestedVariant) -> _Earlier:
        """Return earlier answers of the prompt on this model, else of the model."""
        for basis, prompt in (("prompt", variant.prompt.id), ("model", None)):
            found = await self._budgets.earlier_calls(variant.model.id, prompt)
            if found:
                return _Earlier(found, basis)
        return _Earlier()

    async def _seats(
        self,
        judges: Sequence[JudgeSeat],
        variants: Sequence[VariantEstimate],
        examples: Sequence[ExampleView],
    ) -> list[JudgeEstimate]:
        shown = _shown_bytes(examples)
        answers = total_of(variant.output_tokens for variant in variants)
        asked = sum(variant.calls for variant in variants)
        answer = answers.times(_BYTES_PER_TOKEN / asked) if asked else Bounds(0.0, 0.0)
        return [await self._seat(seat, shown, answer) for seat in judges]

    async def _seat(self, seat: JudgeSeat, shown: float, answer: Bounds) -> JudgeEstimate:
        """Estimate one model of a judge; answers have `answer` bytes, examples `shown`."""
        try:
            model = await self._models.get(seat.model)
            prompt = await self._prompts.get(seat.prompt)
        except NotFound:
            unknown = f"{seat.model} is not in the catalog yet"
            return JudgeEstimate(seat.scorer, seat.model, seat.calls, None, unknown)
        resolved = resolve_parameters(seat.parameters, prompt.content.parameters, model.facts)
        bound = output_token_bound(LLMRequest(model_target(model), (), resolved.applied))
        own = len(prompt.content.model_dump_json()) + seat.own_bytes + shown
        inputs = Bounds(
            (own + seat.answers * answer.low) / _BYTES_PER_TOKEN, own + seat.answers * answer.high
        ).times(seat.calls)
        outputs = Bounds(_LOW_SHARE_OF_OUTPUT * (bound or 0), bound or 0).times(seat.calls)
        reason = _unknown(model, bound)
        cost = None if reason else _cost(model, inputs, outputs)
        return JudgeEstimate(seat.scorer, model.reference, seat.calls, cost, reason)


def examples_in_use(new: NewExperiment) -> int:
    """Return how many examples each run of an experiment asks at most."""
    total = min(new.dataset.example_count, new.example_limit or new.dataset.example_count)
    if new.plan.mode == "sequential" and new.plan.n is not None:
        total = min(total, new.plan.n)
    return total


def _variant(
    variant: RequestedVariant,
    maker: RequestMaker,
    sizes: Sequence[int],
    calls: int,
    reused: int,
    earlier: _Earlier,
    concurrency: int | None,
) -> VariantEstimate:
    """Put together what is known of a variant (pure)."""
    model, prompt = variant.model, variant.prompt
    size = sum(sizes) / len(sizes) if sizes else 0.0
    known_input = (
        _mean(c.input_tokens for c in earlier.calls) if earlier.basis == "prompt" else None
    )
    bound = _output_bound(maker)
    known_output = _mean(c.output_tokens for c in earlier.calls)
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
        seconds=_seconds([c.latency_ms for c in earlier.calls], calls, concurrency),
        basis=earlier.basis,
        unknown=unknown,
    )


def _judges_of(scorers: Iterable[object]) -> list[str]:
    """Return the names of those scorers that ask a model, each once."""
    names = (
        str(it.get("name", "")) if isinstance(it, dict) else str(it).partition(":")[0]
        for it in scorers
    )
    return list(dict.fromkeys(name for name in names if name.startswith(_JUDGE)))


def _spread(count: int, most: int) -> list[int]:
    """Return up to `most` of the positions 0 to `count` - 1, evenly spaced."""
    taken = min(count, most)
    return [i * count // taken for i in range(taken)]


def _maker(variant: RequestedVariant) -> RequestMaker:
    prompt, model = variant.prompt, variant.model
    resolved = resolve_parameters(variant.parameters, prompt.content.parameters, model.facts)
    return RequestMaker(
        renderer=PromptRenderer(prompt.content),
        binding=variant.binding,
        target=model_target(model),
        digest=model.digest,
        parameters=resolved.applied,
        tools=prompt.content.tools,
        tool_choice=prompt.content.tool_choice,
        response_format=prompt.content.response_format,
    )


def _rendered_bytes(maker: RequestMaker, examples: Sequence[ExampleView]) -> list[int]:
    """Return the size of each request; an example that does not fit the prompt makes none."""
    sizes = []
    for example in examples:
        try:
            request = maker.request_for(example)
        except Invalid:
            continue
        sizes.append(len(orjson.dumps(request.request_shape)))
    return sizes


def _hashes(
    maker: RequestMaker, examples: Sequence[ExampleView], repetitions: int
) -> dict[tuple[UUID, int], str | None]:
    """Return the hash of each cell's request; None if its example does not fit the prompt."""
    found: dict[tuple[UUID, int], str | None] = {}
    for example in examples:
        for repetition in range(repetitions):
            try:
                request_hash = maker.request_hash(maker.request_for(example, repetition))
            except Invalid:
                request_hash = None
            found[example.id, repetition] = request_hash
    return found


def _mean(values: Iterable[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _output_bound(maker: RequestMaker) -> int | None:
    """Return the most tokens that all choices of a call have together."""
    request = LLMRequest(maker.target, (), maker.parameters)
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


def _shown_bytes(examples: Sequence[ExampleView]) -> float:
    """Return the mean size of what a judge is shown of an example."""
    sizes = [len(orjson.dumps([e.input, e.expected_output])) for e in examples]
    return sum(sizes) / len(sizes) if sizes else 0.0
