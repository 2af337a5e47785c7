"""Runs to be judged, and a judge of one's own beside the model that is judged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import Services, open_services
from app.core.hashing import JSON
from app.core.permissions import Actor, local_actor
from app.core.settings import EndpointSettings, Settings
from app.schemas.experiments import ExperimentView, RunView
from app.schemas.models import ModelDeclaration
from app.schemas.prompts import PromptContent
from app.services.builtin_prompts import register_builtin_prompts
from tests.fake_provider import FakeProvider, ProviderOptions
from tests.integration.runner.conftest import ASK, make_experiment, questions
from workbench.runner.generation.execute import ExecutionOptions, execute
from workbench.scorers import AnyScorer
from workbench.workspace.experiments import resolve_scorer

JUDGE = "openai/fake-judge"


@dataclass
class Court:
    """An open workspace with a model, and a judge on an endpoint of its own."""

    services: Services
    actor: Actor
    judge_server: FakeProvider

    async def judge(self, name: str, **options: JSON) -> Any:
        """Return a judge, resolved against the workspace."""
        if "models" not in options:
            options.setdefault("model", JUDGE)
        spec = {"name": name, **options}
        scorer: AnyScorer[Any] = await resolve_scorer(
            self.services, self.actor, spec, lambda text: None
        )
        return scorer

    async def experiment(
        self, count: int, prompts: Sequence[PromptContent] = (ASK,), **more: Any
    ) -> ExperimentView:
        """Return an experiment over so many sums, carried out."""
        made = await make_experiment(
            self.services, self.actor, examples=questions(count), prompts=prompts, **more
        )
        await execute(self.services, self.actor, made, ExecutionOptions(concurrency=8))
        return made

    async def run(self, count: int) -> RunView:
        """Return a run over so many sums."""
        return (await self.experiment(count)).runs[0]

    @property
    def calls(self) -> int:
        """How many calls the judge has received."""
        return self.judge_server.ledger.summary()["received"]


OpenCourt = Callable[..., Any]


@pytest.fixture(scope="session")
def sqlite_template(used_sqlite: Path) -> Path:
    """Every test starts on a database with the built-in prompts, as commands leave it."""
    return used_sqlite


@pytest.fixture
def open_court(database_url: str, tmp_path: Path) -> OpenCourt:
    """Open a workspace whose judge answers as `ProviderOptions` say."""

    @asynccontextmanager
    async def opened(judge: ProviderOptions, answer: str = "arithmetic") -> AsyncIterator[Court]:
        async with (
            FakeProvider(ProviderOptions(answer=answer)) as server,
            FakeProvider(judge) as judge_server,
        ):
            settings = Settings(
                workspace=tmp_path,
                database_url=database_url,
                endpoints={
                    name: EndpointSettings(
                        provider="openai", base_url=where.base_url, api_key="sk-test-key"
                    )
                    for name, where in (("openai", server), ("court", judge_server))
                },
            )
            async with open_services(settings) as services:
                await register_builtin_prompts(services.prompts)
                declaration = ModelDeclaration(model=JUDGE, endpoint="court")
                await services.models.declare(local_actor(), declaration)
                yield Court(services, local_actor(), judge_server)

    return opened
