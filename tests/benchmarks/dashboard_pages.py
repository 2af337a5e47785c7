"""What each page of the dashboard asks the API for, and the addresses that people open it by, each
as one table: add a page's requests and addresses here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from workbench.client import (
    Client,
    comparisons,
    datasets,
    experiments,
    generations,
    health,
    jobs,
    keys,
    limits,
    models,
    prompts,
    runs,
    spending,
    traffic,
    users,
    variants,
)
from workbench.client.calls import Call, Listing

__all__ = ["PAGES", "Request", "Sample", "addresses", "ask", "requests", "sample_of"]

Request = Call[Any] | Listing[Any]


@dataclass(frozen=True)
class Sample:
    """What somebody would open in a generated workspace."""

    now: datetime
    experiment: int
    run_id: UUID
    comparison_id: UUID
    example_id: UUID
    prompt: str
    model: str
    dataset: str
    chat_id: UUID
    cell_id: UUID


def sample_of(client: Client) -> Sample:
    """Choose from what there is: an experiment in the middle, the newest chat, and so on."""
    experiment = 100
    run = client.page(runs.listing(experiment), limit=1).items[0]
    comparison = client.page(comparisons.listing(experiment=experiment), limit=1).items[0]
    example = client.page(comparisons.examples(comparison.id), limit=1).items[0]
    chat = client.send(generations.page({"purpose": "chat"}, limit=1)).items[0]
    cell = client.send(generations.page({"run_id": run.id}, limit=1)).items[0]
    return Sample(
        now=datetime.now(UTC),
        experiment=experiment,
        run_id=run.id,
        comparison_id=comparison.id,
        example_id=example.example_id,
        prompt="support-bot",
        model="openai/gpt-4.1@1",
        dataset="tickets@1",
        chat_id=chat.id,
        cell_id=cell.id,
    )


def ask(client: Client, request: Request) -> None:
    """Send a request as a page does: of a list the first page."""
    if isinstance(request, Listing):
        client.page(request, limit=50)
    else:
        client.send(request)


def _window(it: Sample, days: float, **wanted: Any) -> Call[Any]:
    return traffic.view(it.now - timedelta(days=days), it.now, **wanted)


def _chats(**filters: Any) -> Callable[[Sample], Request]:
    return lambda it: generations.page({"purpose": "chat", **filters})


PAGES: Mapping[str, Mapping[str, Callable[[Sample], Request]]] = {
    "home": {
        "experiments": lambda _: experiments.overview(),
        "under way": lambda _: experiments.overview(status="open"),
        "jobs": lambda _: jobs.listing(statuses=("queued", "running")),
        "failed": lambda _: jobs.listing(statuses=("failed",)),
        "verdicts": lambda _: comparisons.listing(),
        "spending": lambda _: spending.of_month(),
        "limits": lambda _: limits.listing(used=True),
    },
    "experiments": {
        "list": lambda _: experiments.overview(),
        "one": lambda it: experiments.standing(it.experiment),
        "results": lambda it: experiments.results(it.experiment),
        "jobs": lambda it: jobs.listing(it.experiment),
        "gates": lambda it: experiments.gate_decisions(it.experiment),
        "runs": lambda it: runs.listing(it.experiment),
        "run": lambda it: runs.standing(it.run_id),
    },
    "compare": {
        "list": lambda it: comparisons.listing(experiment=it.experiment),
        "one": lambda it: comparisons.comparison(it.comparison_id),
        "all": lambda it: comparisons.examples(it.comparison_id),
        "worse": lambda it: comparisons.examples(it.comparison_id, "worse"),
        "example": lambda it: comparisons.example(it.comparison_id, it.example_id),
        "scorers": lambda it: comparisons.scorers(it.run_id),
    },
    "prompts": {
        "list": lambda _: prompts.listing(),
        "search": lambda _: prompts.listing("bot"),
        "timeline": lambda it: prompts.timeline(it.prompt),
        "deployments": lambda it: prompts.deployments(it.prompt),
        "version": lambda it: prompts.version(f"{it.prompt}@1"),
    },
    "models": {
        "list": lambda _: models.listing(),
        "one": lambda it: models.version(it.model),
        "prices": lambda it: models.prices(it.model),
        "usage": lambda it: models.usage(it.model),
        "bindings": lambda it: models.bindings(it.model),
        "variants": lambda _: variants.listing(),
    },
    "datasets": {
        "list": lambda _: datasets.listing(),
        "one": lambda it: datasets.version(it.dataset),
        "examples": lambda it: datasets.example_page(it.dataset),
        "search": lambda it: datasets.example_page(it.dataset, search="Question 7"),
        "profile": lambda it: datasets.profile(it.dataset),
    },
    "generations": {
        "all": lambda _: generations.page({}),
        "chats": _chats(),
        "failed": _chats(status=["failed"]),
        "one alias": _chats(alias="support-bot@production"),
        "one person": _chats(subject="customer-00007"),
        "one model": lambda _: generations.page({"model": "openai/gpt-4.1@1"}),
        "text": lambda _: generations.page({"text": "parcel"}),
        "text that nobody wrote": lambda _: generations.page({"text": "zzyzx"}),
        "dear": lambda _: generations.page({"min_cost": 10}),
        "a chat": lambda it: generations.whole(str(it.chat_id)),
        "a cell": lambda it: generations.whole(str(it.cell_id)),
        "same answers": lambda it: generations.same_answers(str(it.cell_id)),
        "replay": lambda it: generations.replay(str(it.chat_id)),
    },
    "production": {
        "24 h": lambda it: _window(it, 1),
        "7 d": lambda it: _window(it, 7),
        "30 d": lambda it: _window(it, 30),
        "90 d": lambda it: _window(it, 90),
        "90 d by prompt": lambda it: _window(it, 90, group_by="prompt", step="whole"),
        "7 d by model": lambda it: _window(it, 7, group_by="model", step="whole"),
        "7 d of one alias": lambda it: _window(it, 7, alias="support-bot@production"),
        "7 d before": lambda it: traffic.view(
            it.now - timedelta(days=14), it.now - timedelta(days=7), step="whole"
        ),
    },
    "administration": {
        "users": lambda _: users.listing(),
        "roles": lambda _: users.roles(),
        "keys": lambda _: keys.listing(),
        "limits": lambda _: limits.listing(used=True),
        "health": lambda _: health.status(),
    },
}


def requests(sample: Sample) -> Sequence[tuple[str, str, Request]]:
    """Return every request of every page: (page, what for, request)."""
    return [(page, name, make(sample)) for page, of in PAGES.items() for name, make in of.items()]


def addresses(sample: Sample) -> Sequence[str]:
    """Return what people open, each page and what it shows one of, as `/experiments?number=100`."""
    asked: Sequence[tuple[str, Mapping[str, object]]] = (
        ("home", {}),
        ("experiments", {}),
        ("experiments", {"number": sample.experiment}),
        ("compare", {}),
        ("compare", {"id": sample.comparison_id}),
        ("prompts", {}),
        ("prompts", {"name": sample.prompt}),
        ("models", {}),
        ("models", {"model": sample.model}),
        ("datasets", {}),
        ("datasets", {"name": sample.dataset.partition("@")[0]}),
        ("generations", {}),
        ("generations", {"text": "parcel"}),
        ("generations", {"id": sample.chat_id}),
        ("production", {}),
        ("production", {"window": "90d"}),
        ("administration", {}),
    )
    return [f"/{page}?{urlencode(query)}" if query else f"/{page}" for page, query in asked]
