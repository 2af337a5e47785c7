"""An experiment ready to run against the fake provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import Services, open_services
from app.core.permissions import Actor
from app.core.settings import EndpointSettings, Settings
from app.schemas.datasets import ExampleInput
from app.schemas.experiments import ExperimentView, NewExperiment, Plan, RequestedVariant
from app.schemas.prompts import PromptContent
from tests.fake_provider import FakeProvider
from workbench.scorers import parse_scorer

OpenServices = Callable[[FakeProvider], Any]


@pytest.fixture
def open_for(database_url: str, tmp_path: Path) -> OpenServices:
    """Open the services over this test's database, with the fake provider as endpoint."""

    @asynccontextmanager
    async def opened(server: FakeProvider) -> AsyncIterator[Services]:
        settings = Settings(
            workspace=tmp_path,
            database_url=database_url,
            endpoints={
                "openai": EndpointSettings(
                    provider="openai", base_url=server.base_url, api_key="sk-test-key"
                ),
                "ollama": EndpointSettings(provider="ollama", base_url=server.ollama_url),
                "simulated": EndpointSettings(provider="simulated"),
            },
        )
        async with open_services(settings) as services:
            yield services

    return opened


def questions(count: int) -> list[ExampleInput]:
    """Additions whose sums are known."""
    return [
        ExampleInput(
            key=f"sum-{i:05d}",
            input={"question": f"What is {i} + {i + 1}?"},
            expected_output=str(2 * i + 1),
        )
        for i in range(count)
    ]


ASK = PromptContent.model_validate(
    {
        "messages": [{"role": "user", "content": "{{ question }}"}],
        "variables": {"question": {}},
        "parameters": {"temperature": 0, "max_tokens": 16},
    }
)
ASK_POLITELY = PromptContent.model_validate(
    {
        "messages": [
            {"role": "system", "content": "Answer with the number only."},
            {"role": "user", "content": "{{ question }}"},
        ],
        "variables": {"question": {}},
        "parameters": {"temperature": 0, "max_tokens": 16},
    }
)


async def make_experiment(
    services: Services,
    actor: Actor,
    *,
    examples: Sequence[ExampleInput],
    prompts: Sequence[PromptContent] = (ASK,),
    models: Sequence[str] = ("openai/fake-model",),
    parameters: Mapping[str, Any] | None = None,
    repetitions: int = 1,
    limit: int | None = None,
    scorers: Sequence[str] = ("numeric_answer",),
    plan: Plan | None = None,
    binding: Mapping[str, str] | None = None,
) -> ExperimentView:
    """Register prompts, models and data, and store the experiment over them."""
    imported = await services.datasets.import_version(actor, "sums", examples, source="test")
    versions = [
        (await services.prompts.register(actor, "ask", content, number=number)).version
        for number, content in enumerate(prompts, start=1)
    ]
    resolved = [(await services.models.resolve(actor, m, add_missing=True))[0] for m in models]
    new = NewExperiment(
        dataset=imported.version,
        variants=tuple(
            RequestedVariant(
                prompt=prompt,
                model=model,
                parameters=dict(parameters or {}),
                binding={"question": "question"} if binding is None else dict(binding),
            )
            for model in resolved
            for prompt in versions
        ),
        repetitions=repetitions,
        example_limit=limit,
        scorers=tuple(dict(parse_scorer(text).identity()) for text in scorers),
        plan=plan or Plan(),
    )
    return await services.experiments.create(actor, new, again=True)
