"""Something to measure, for tests of what stands on experiments, and a worker that measures it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx2

from app.bootstrap import Services
from app.core.logging import create_logger
from app.core.permissions import local_actor
from app.schemas.datasets import ExampleInput
from app.schemas.prompts import PromptContent
from workbench.worker import Desk

__all__ = ["asked", "done", "measure", "stock"]

_MODEL = "simulated/small"


async def stock(
    services: Services, *, dataset: str = "sums", prompt: str = "ask", examples: int = 10
) -> None:
    """Make a prompt in two versions, a model and a dataset of additions."""
    actor = local_actor()
    for number, text in enumerate(("{{ question }}", "Only the number: {{ question }}"), start=1):
        content = PromptContent.model_validate(
            {"messages": [{"role": "user", "content": text}], "variables": {"question": {}}}
        )
        await services.prompts.register(actor, prompt, content, number=number)
    await services.models.resolve(actor, _MODEL, add_missing=True)
    additions = [
        ExampleInput(
            key=f"sum-{i}", input={"question": f"What is {i} + 1?"}, expected_output=str(i + 1)
        )
        for i in range(examples)
    ]
    await services.datasets.import_version(actor, dataset, additions, source="test")


def asked(*, dataset: str = "sums", prompt: str = "ask", **changes: Any) -> dict[str, Any]:
    """An experiment over what `stock` made, as the body of a request."""
    return {
        "dataset": f"{dataset}@1",
        "prompts": [f"{prompt}@1", f"{prompt}@2"],
        "models": [_MODEL],
        "scorers": ["numeric_answer"],
        **changes,
    }


async def done(services: Services, client: httpx2.AsyncClient, job: httpx2.Response) -> Any:
    """Do the job of a reply as a worker does, and return what the API says of it then."""
    assert job.status_code == 202, job.text
    desk = Desk(services, create_logger("CRITICAL"))
    assert await desk.do(UUID(job.json()["id"])) is None
    return (await client.get(job.headers["location"])).json()


async def measure(services: Services, client: httpx2.AsyncClient, **changes: Any) -> Any:
    """Carry out an experiment over what `stock` made and return it as the API tells it."""
    progress = await done(
        services, client, await client.post("/api/experiments", json=asked(**changes))
    )
    assert progress["job"]["status"] == "done", progress
    return (await client.get(f"/api/experiments/{progress['job']['experiment']}")).json()
