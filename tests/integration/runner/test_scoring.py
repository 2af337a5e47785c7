"""Scoring stored outputs: away from the event loop, resumable, with the facts of each answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select, update

from app.bootstrap import Services
from app.core.errors import ConfigurationError
from app.core.permissions import Actor
from app.models import Content, Generation
from app.schemas.experiments import RunView
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.runner.conftest import OpenServices, make_experiment, questions
from workbench.runner.generation.execute import ExecutionOptions, execute
from workbench.runner.scoring import score_run
from workbench.scorers import Scorer, ScorerConfig, ScoreResult, ScoringInput, parse_rule
from workbench.team_scorers import workspace_scorer


@asynccontextmanager
async def answered(
    open_for: OpenServices, actor: Actor, count: int
) -> AsyncGenerator[tuple[Services, RunView]]:
    """A run whose every example has an answer."""
    async with (
        FakeProvider(ProviderOptions(answer="arithmetic")) as server,
        open_for(server) as services,
    ):
        experiment = await make_experiment(services, actor, examples=questions(count))
        await execute(services, actor, experiment, ExecutionOptions(concurrency=4))
        yield services, experiment.runs[0]


def write_function(services: Services, name: str, text: str) -> None:
    folder = services.settings.workspace / "scorers"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)


class Waits(Scorer[ScorerConfig]):
    """Waits for something that only the event loop can do."""

    name = "waits"
    version = 1
    config_type = ScorerConfig

    def __init__(self) -> None:
        super().__init__(ScorerConfig())
        self.started, self.released = threading.Event(), threading.Event()

    def score(self, given: ScoringInput) -> ScoreResult:
        self.started.set()
        return ScoreResult.verdict(self.released.wait(20), "waited")


async def test_the_event_loop_goes_on_while_a_rule_scores(
    open_for: OpenServices, actor: Actor
) -> None:
    async with answered(open_for, actor, 1) as (services, run):
        rule = Waits()
        scoring = asyncio.create_task(score_run(services, actor, run, [rule]))
        await asyncio.to_thread(rule.started.wait, 20)
        rule.released.set()
        [view] = await scoring

        assert (await services.scores.summary(run.id, view.id)).n_correct == 1


async def test_what_was_recorded_of_an_answer_reaches_the_rules(
    open_for: OpenServices, actor: Actor
) -> None:
    async with answered(open_for, actor, 3) as (services, run):
        specs = ["latency:max_ms=60000", "tokens:kind=total,min=2", "finish_reason"]
        views = await score_run(services, actor, run, [parse_rule(spec) for spec in specs])

        for view in views:
            assert (await services.scores.summary(run.id, view.id)).n_correct == 3, view.name


async def test_progress_is_told_and_nothing_is_scored_twice(
    open_for: OpenServices, actor: Actor
) -> None:
    async with answered(open_for, actor, 5) as (services, run):
        told: list[int] = []
        for _ in range(2):
            await score_run(services, actor, run, [parse_rule("length:max=9")], told.append)

        assert told == [5]


async def test_a_team_s_function_scores_a_run_and_its_faults_are_not_zero(
    open_for: OpenServices, actor: Actor
) -> None:
    async with answered(open_for, actor, 6) as (services, run):
        write_function(
            services,
            "picky",
            "import os\n"
            "def picky(output: str, expected: str | None) -> bool:\n"
            "    if expected == '5': os._exit(1)\n"
            "    if expected == '7': raise ValueError(output)\n"
            "    return expected in output\n",
        )
        scorer = workspace_scorer(services.settings.workspace, "team.picky")
        [view] = await score_run(services, actor, run, [scorer])

        summary = await services.scores.summary(run.id, view.id)
        assert summary.by_status == {"scored": 4, "failed": 2}
        assert summary.mean == 1.0


async def test_a_team_s_function_that_was_changed_is_not_run_under_its_old_name(
    open_for: OpenServices, actor: Actor
) -> None:
    async with answered(open_for, actor, 1) as (services, run):
        write_function(services, "kind", "def kind(output: str) -> bool:\n    return True\n")
        scorer = workspace_scorer(services.settings.workspace, "team.kind")
        write_function(services, "kind", "def kind(output: str) -> bool:\n    return False\n")

        with pytest.raises(ConfigurationError, match="was changed"):
            await score_run(services, actor, run, [scorer])


async def test_a_function_that_is_given_up_keeps_the_scores_that_it_gave_before(
    open_for: OpenServices, actor: Actor
) -> None:
    async with answered(open_for, actor, 14) as (services, run):
        write_function(
            services,
            "tires",
            "import os\n"
            "SEEN = []\n"
            "def tires(output: str) -> bool:\n"
            "    SEEN.append(output)\n"
            "    if len(SEEN) > 3 or os.path.exists('tired'):\n"
            "        open('tired', 'w').close()\n"
            "        os._exit(1)\n"
            "    return True\n",
        )
        scorer = workspace_scorer(services.settings.workspace, "team.tires")
        with pytest.raises(ConfigurationError, match="10 outputs in a row"):
            await score_run(services, actor, run, [scorer])

        [view] = await services.scores.scorers_of(run.id)
        summary = await services.scores.summary(run.id, view.id)
        assert (summary.n_scored, summary.n_correct) == (3, 3)
        assert summary.by_status == {"scored": 3, "missing": 11}


async def test_a_function_that_is_given_up_at_once_is_told_by_its_own_error(
    open_for: OpenServices, actor: Actor
) -> None:
    async with answered(open_for, actor, 12) as (services, run):
        write_function(
            services, "dies", "import os\ndef dies(output: str) -> bool:\n    os._exit(1)\n"
        )
        scorer = workspace_scorer(services.settings.workspace, "team.dies")
        with pytest.raises(ConfigurationError, match="10 outputs in a row"):
            await score_run(services, actor, run, [scorer])

        assert await services.scores.scorers_of(run.id) == []


async def test_outputs_behind_a_page_of_erased_ones_are_scored(
    open_for: OpenServices, actor: Actor
) -> None:
    async with answered(open_for, actor, 6) as (services, run):
        ids = sorted(s.id for s in await services.generations.stories(run.id, limit=10))
        async with services.database.write_session() as session:
            for generation_id in ids[:3]:
                await session.execute(
                    update(Content)
                    .where(
                        Content.id.in_(
                            select(Generation.output_content_id).where(
                                Generation.id == generation_id
                            )
                        )
                    )
                    .values(body=None, salt=None, erased_at=Content.created_at)
                )
            await session.commit()
        view = await services.scores.ensure_scorer(actor, parse_rule("contains:text=1").identity())

        page = await services.scores.scorable(run.id, view.id, limit=3)

        assert [item.generation_id for item in page] == ids[3:]
