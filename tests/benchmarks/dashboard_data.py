"""A large workspace for the dashboard to be measured on, always the same for a seed.

    python -m tests.benchmarks.dashboard_data --database URL --generations 1000000 \\
        --experiments 200 --seed 1

URL is that of an empty database (`sqlite:///FILE` is made, `postgresql://...` needs a superuser);
it is migrated first. Two fifths of the generations are of experiments, each of four runs over one
of four datasets, scored and really compared; the others are ninety days of chats that end now,
through the aliases of `dashboard_world.ALIASES`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from app.bootstrap import Services, open_services
from app.core.ids import cell_id
from app.core.permissions import Actor, local_actor
from app.core.settings import EndpointSettings, Settings
from app.database import Database
from app.database.schema import upgrade
from app.models import Attempt, Generation, Score
from app.schemas.datasets import ExampleView
from app.schemas.experiments import ExperimentView, NewExperiment, Plan, RequestedVariant, RunView
from app.schemas.scores import ScorerView
from tests.benchmarks.bulk_rows import BulkRows
from tests.benchmarks.dashboard_chats import Chats, content, dollars, id_at
from tests.benchmarks.dashboard_world import DAYS, SetClock, World, make_world
from workbench.runner.pipeline import compare_all
from workbench.scorers import parse_scorer

__all__ = ["Amount", "fill"]

_RUNS: Final = 4
_EXPERIMENTS_SHARE: Final = 0.4
_SCORER: Final = {"name": "exact_match", "ignore_case": True}
_CHAT_SCORER: Final = "refusal"


@dataclass(frozen=True)
class Amount:
    """How much is made; `until` is when the newest chat began at the latest."""

    generations: int
    experiments: int = 200
    seed: int = 1
    until: datetime | None = None

    @property
    def cells(self) -> int:
        """Examples of every dataset, and hence generations of every run."""
        of_experiments = self.generations * _EXPERIMENTS_SHARE
        return max(20, round(of_experiments / max(1, self.experiments * _RUNS)))


async def fill(url: str, amount: Amount) -> None:
    """Fill an empty database, given as SQLAlchemy's address of it."""
    until = amount.until or datetime.now(UTC)
    clock, actor, rng = SetClock(until), local_actor(), random.Random(amount.seed)
    database = Database(url)
    await upgrade(database)
    await database.close()
    endpoints = {name: EndpointSettings(provider=name) for name in ("openai", "ollama")}
    settings = Settings(workspace=Path(), database_url=url, endpoints=endpoints)
    async with open_services(settings, clock) as services:
        world = await make_world(
            services, actor, clock, cells=amount.cells, seed=rng.getrandbits(32)
        )
        scorer = await services.scores.ensure_scorer(actor, parse_scorer(_SCORER).identity())
        asked = [
            await _ask(services, actor, clock, world, number, until, rng)
            for number in range(amount.experiments)
        ]
        judged = await services.scores.ensure_scorer(actor, parse_scorer(_CHAT_SCORER).identity())
        async with BulkRows(services.database) as bulk:
            for experiment in asked:
                _answer(bulk, world, experiment, scorer, rng)
                await bulk.write_full()
            await Chats(
                world,
                bulk,
                count=amount.generations - amount.experiments * _RUNS * amount.cells,
                until=until,
                seed=rng.getrandbits(32),
                scorer_id=judged.id,
            ).add()
        for experiment in asked:
            clock.moment = experiment.created_at + timedelta(minutes=12)
            await compare_all(services, actor, experiment)
            await services.experiments.set_status(actor, experiment, "completed")


async def _ask(
    services: Services,
    actor: Actor,
    clock: SetClock,
    world: World,
    number: int,
    until: datetime,
    rng: random.Random,
) -> ExperimentView:
    """Make one experiment: two prompt versions on two models."""
    clock.moment = until - timedelta(days=DAYS - 1) * (1 - number / 200) * 0.98
    task = list(world.tasks)[number % len(world.tasks)]
    dataset = list(world.datasets.values())[number % len(world.datasets)][0]
    prompts = rng.sample(list(world.tasks[task]), 2)
    models = rng.sample(list(world.models.values()), 2)
    new = NewExperiment(
        name=f"{task.rpartition('/')[2]}-{number + 1}",
        dataset=dataset,
        variants=tuple(
            RequestedVariant(prompt=prompt, model=model, binding={"text": "text"})
            for prompt in prompts
            for model in models
        ),
        scorers=(parse_scorer(_SCORER).identity(),),
        plan=Plan(margin=0.03),
    )
    experiment = await services.experiments.create(actor, new, again=True)
    job = await services.jobs.begin(actor, experiment.id, concurrency=20)
    clock.moment += timedelta(minutes=10)
    calls = _RUNS * dataset.example_count
    await services.jobs.end(actor, job, status="done", detail={"outcomes": calls, "calls": calls})
    return experiment


def _answer(
    bulk: BulkRows,
    world: World,
    experiment: ExperimentView,
    scorer: ScorerView,
    rng: random.Random,
) -> None:
    """Add a generation for every cell of an experiment, with its texts, call and score."""
    dataset = next(it for it in world.datasets.values() if it[0].reference == experiment.dataset)
    at = experiment.created_at
    for run in experiment.runs:
        passing = rng.uniform(0.55, 0.85)
        for example in dataset[1]:
            at += timedelta(milliseconds=rng.randint(50, 300))
            _answer_cell(bulk, world, run, example, scorer, at, passing, rng)


def _answer_cell(
    bulk: BulkRows,
    world: World,
    run: RunView,
    example: ExampleView,
    scorer: ScorerView,
    at: datetime,
    passing: float,
    rng: random.Random,
) -> None:
    made = cell_id(run.id, example.id, 0)
    model = next(it for it in world.models.values() if it.reference == run.model)
    prompts = world.tasks[str(run.prompt).partition("@")[0]]
    passed, failed = rng.random() < passing, rng.random() < 0.006
    latency = rng.lognormvariate(6.5, 0.5)
    finished = at + timedelta(milliseconds=latency)
    said = example.expected_output if passed else f"answer {rng.randint(17, 40)}"
    facts: dict[str, Any] = {
        "run_id": run.id,
        "input_tokens": rng.randint(40, 200),
        "output_tokens": 0 if failed else rng.randint(2, 30),
        "usage_source": "estimated" if failed else "provider",
        "latency_ms": latency,
        "started_at": at,
    }
    facts["cost"] = dollars(model, facts["input_tokens"], facts["output_tokens"])
    request = f'{{"messages":[{{"role":"user","content":"{example.input["text"]}"}}]}}'
    bulk.add(
        Generation.__table__,
        {
            **facts,
            "id": made,
            "purpose": "experiment",
            "origin": "executed",
            "example_id": example.id,
            "repetition": 0,
            "variant_id": run.variant_id,
            "prompt_version_id": next(it.id for it in prompts if it.reference == run.prompt),
            "model_version_id": model.id,
            "provider": model.provider,
            "status": "failed" if failed else "completed",
            "finish_reason": None if failed else "stop",
            "error_code": "server_error" if failed else None,
            "request_content_id": content(bulk, rng, at, request),
            "output_content_id": None
            if failed
            else content(bulk, rng, finished, f'{{"role":"assistant","content":"{said}"}}'),
            "model_price_id": None if model.price is None else model.price.id,
            "applied_parameters": {"max_tokens": 1024, "temperature": 0.2, "top_p": 0.6},
            "reported_model": model.provider_model,
            "attempt_count": 1,
            "reopened": 0,
            "finished_at": finished,
        },
    )
    attempt = {"id": id_at(finished, rng), "generation_id": made, "number": 1}
    outcome = "server_error" if failed else "ok"
    bulk.add(Attempt.__table__, {**facts, **attempt, "outcome": outcome})
    if not failed:
        bulk.add(
            Score.__table__,
            {
                "id": id_at(finished, rng),
                "generation_id": made,
                "scorer_id": scorer.id,
                "repeat": 0,
                "status": "scored",
                "value": float(passed),
                "passed": passed,
                "created_at": finished,
            },
        )


def _sqlalchemy_url(url: str) -> str:
    for plain, driver in (("sqlite:", "sqlite+aiosqlite:"), ("postgresql:", "postgresql+asyncpg:")):
        url = url.replace(plain, driver, 1) if url.startswith(plain) else url
    return url


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", required=True)
    parser.add_argument("--generations", type=int, default=100_000)
    parser.add_argument("--experiments", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    amount = Amount(given.generations, given.experiments, given.seed)
    asyncio.run(fill(_sqlalchemy_url(given.database), amount))
    print(f"{given.generations:,} generations in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
