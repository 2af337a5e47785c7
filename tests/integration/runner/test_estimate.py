"""What an experiment will cost: bounds that hold, unknown that is said, nothing called."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import Services, open_services
from app.core.permissions import Actor
from app.core.settings import EndpointSettings, Settings
from app.schemas.experiments import NewExperiment, Plan, RequestedVariant
from app.schemas.models import PriceDeclaration
from app.schemas.prompts import PromptContent
from app.services.estimates import SAMPLE
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.runner.conftest import ASK, ASK_POLITELY, OpenServices, questions
from workbench.runner.estimate import estimate, judge_calls
from workbench.runner.generation.execute import ExecutionOptions, execute
from workbench.scorers import parse_scorer


@pytest.fixture
def database_kind() -> str:
    """An estimate only reads: one kind of database is enough."""
    return "sqlite"


@pytest.fixture
async def services(database_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    """Services whose endpoint nobody answers: an estimate calls nothing."""
    settings = Settings(
        workspace=tmp_path,
        database_url=database_url,
        endpoints={
            "openai": EndpointSettings(provider="openai", base_url="http://127.0.0.1:9/v1"),
            "simulated": EndpointSettings(provider="simulated"),
        },
    )
    async with open_services(settings) as opened:
        yield opened


async def asked(
    services: Services,
    actor: Actor,
    count: int,
    *,
    models: Sequence[str] = ("openai/fake-model",),
    prompts: Sequence[PromptContent] = (ASK,),
    price: tuple[str, str] | None = ("10", "40"),
    parameters: Mapping[str, Any] | None = None,
    **more: Any,
) -> NewExperiment:
    """Return an experiment that is not stored, over so many additions."""
    dataset = (
        await services.datasets.import_version(actor, "sums", questions(count), source="test")
    ).version
    versions = [
        (await services.prompts.register(actor, "ask", content, number=number)).version
        for number, content in enumerate(prompts, start=1)
    ]
    for model in models:
        found, _ = await services.models.resolve(actor, model, add_missing=True)
        if price is not None and model.startswith("openai/"):
            declared = PriceDeclaration(
                valid_from=datetime(2020, 1, 1, tzinfo=UTC),
                input=Decimal(price[0]),
                output=Decimal(price[1]),
            )
            await services.models.add_price(actor, found.reference, declared)
    return NewExperiment(
        dataset=dataset,
        variants=tuple(
            RequestedVariant(
                prompt=prompt,
                model=model,
                parameters=dict(parameters or {}),
                binding={"question": "question"},
            )
            for model in [await services.models.get(name) for name in models]
            for prompt in versions
        ),
        **more,
    )


async def test_tokens_and_cost_follow_the_stated_rule(services: Services, actor: Actor) -> None:
    found = await estimate(services, await asked(services, actor, 20, repetitions=3))
    (variant,) = found.variants
    assert (found.examples, found.rendered, found.calls) == (20, 20, 60)
    assert variant.output_tokens.high == 60 * 16
    assert variant.output_tokens.low == pytest.approx(60 * 1.6)
    assert variant.input_tokens.low == pytest.approx(variant.input_tokens.high / 4)
    assert variant.cost is not None
    assert variant.cost.high == pytest.approx(
        (variant.input_tokens.high * 10 + 960 * 40) / 1_000_000
    )
    assert (variant.basis, variant.seconds) == ("rule", None)


async def test_a_model_without_a_price_is_unknown_and_never_0(
    services: Services, actor: Actor
) -> None:
    new = await asked(
        services, actor, 5, models=("openai/fake-model", "simulated/small"), price=None
    )
    found = await estimate(services, new)
    assert [variant.cost for variant in found.variants] == [None, found.variants[1].cost]
    assert found.cost is None
    assert found.unknown == ("openai/fake-model@1 has no price",)
    assert found.unpriced == ("openai/fake-model@1",)


async def test_a_simulated_model_costs_nothing(services: Services, actor: Actor) -> None:
    found = await estimate(services, await asked(services, actor, 5, models=("simulated/small",)))
    assert found.cost is not None
    assert (found.cost.low, found.cost.high) == (0, 0)


async def test_a_large_dataset_is_sampled_evenly_and_always_alike(
    services: Services, actor: Actor
) -> None:
    new = await asked(services, actor, 5000)
    found = await estimate(services, new)
    assert (found.examples, found.rendered, found.calls) == (5000, SAMPLE, 5000)
    assert await estimate(services, new) == found


async def test_a_limit_counts(services: Services, actor: Actor) -> None:
    found = await estimate(services, await asked(services, actor, 50, example_limit=7))
    assert (found.examples, found.rendered, found.calls) == (7, 7, 7)


async def test_judges_are_asked_about_every_output_by_every_seat(
    services: Services, actor: Actor
) -> None:
    judge = parse_scorer(
        {"name": "judge_rubric", "rubric": "good?", "model": "openai/judge", "samples": 2}
    )
    new = await asked(
        services, actor, 10, prompts=(ASK, ASK_POLITELY), scorers=(dict(judge.identity()),)
    )
    found = await estimate(services, new)
    assert [seat.calls for seat in found.judges] == [40]
    assert found.cost is None
    assert found.unknown == ("openai/judge is not in the catalog yet",)


def test_a_preference_is_asked_in_both_orders_about_all_but_the_baseline() -> None:
    judge = parse_scorer({"name": "judge_preference", "model": "openai/judge"})
    assert judge_calls(judge, cells=100, variants=3) == 400
    assert judge_calls(parse_scorer("exact_match"), cells=100, variants=3) == 0


def test_a_stored_baseline_is_judged_too_and_every_variant_is_held_against_it() -> None:
    pairs = parse_scorer({"name": "judge_preference", "model": "simulated/judge"})
    assert judge_calls(pairs, cells=100, variants=1, stored_baseline=True) == 200
    single = parse_scorer({"name": "judge_correctness", "model": "simulated/judge"})
    assert judge_calls(single, cells=100, variants=1, stored_baseline=True) == 200


async def test_a_sequential_plan_asks_at_most_its_number(services: Services, actor: Actor) -> None:
    plan = Plan(mode="sequential", margin=0.1, n=40)
    new = await asked(services, actor, 100, prompts=(ASK, ASK_POLITELY), plan=plan)
    found = await estimate(services, new)
    assert (found.examples, found.calls) == (40, 80)


async def test_what_is_known_of_a_cost_is_told_apart_from_what_is_not(
    services: Services, actor: Actor
) -> None:
    priced = await asked(services, actor, 10)
    unpriced = await asked(services, actor, 10, models=("openai/other-model",), price=None)
    both = priced.model_copy(update={"variants": (*priced.variants, *unpriced.variants)})
    found, alone = await estimate(services, both), await estimate(services, priced)
    assert found.cost is None
    assert found.known_cost == alone.cost


async def test_what_really_happened_lies_within_and_makes_the_next_estimate_better(
    open_for: OpenServices, actor: Actor
) -> None:
    options = ProviderOptions(answer="arithmetic", latency_ms=5)
    async with FakeProvider(options) as server, open_for(server) as services:
        new = await asked(services, actor, 40)
        before = await estimate(services, new, concurrency=10)
        experiment = await services.experiments.create(actor, new)
        await execute(services, actor, experiment, ExecutionOptions(concurrency=10))
        run = experiment.runs[0].id
        spent = float((await services.generations.totals([run]))[run].cost or 0)
        after = await estimate(services, new, concurrency=10)
        assert before.cost is not None
        assert after.cost is not None
        assert 0 < spent <= before.cost.high
        assert after.cost.low == pytest.approx(spent, rel=0.01)
        assert after.variants[0].basis == "prompt"
        assert after.seconds is not None
        assert 0 < after.seconds.low <= after.seconds.high
        cached = await estimate(services, new, cache=True)
        assert (cached.variants[0].calls, cached.variants[0].reused) == (0, 40)
        assert cached.cost is not None
        assert cached.cost.high == 0
