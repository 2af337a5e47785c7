"""Composition root: settings in, collaborating services out. Nothing else builds them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.clock import Clock, SystemClock
from app.core.errors import ConfigurationError
from app.core.redaction import Redactor
from app.core.settings import EndpointSettings, Settings
from app.core.telemetry import create_tracer
from app.database import Database
from app.llm.budget import BudgetStore
from app.llm.client import LLMClient, ProviderFactory
from app.llm.limits import AccountLimits
from app.llm.providers import Provider
from app.services.aliases import AliasService
from app.services.budgets import BudgetService
from app.services.comparisons import ComparisonService
from app.services.datasets import DatasetService
from app.services.experiments import ExperimentService
from app.services.gates import GateService
from app.services.generations import GenerationService
from app.services.judgements import JudgementService
from app.services.models import ModelService
from app.services.prompts import PromptService
from app.services.qualifications import QualificationService
from app.services.reviews import ReviewService
from app.services.scores import ScoreService
from app.services.variants import VariantService

__all__ = ["Services", "open_services"]


@dataclass(frozen=True)
class Services:
    """Every use case of the product over one database."""

    settings: Settings
    clock: Clock
    database: Database
    prompts: PromptService
    models: ModelService
    variants: VariantService
    datasets: DatasetService
    experiments: ExperimentService
    generations: GenerationService
    scores: ScoreService
    judgements: JudgementService
    reviews: ReviewService
    qualifications: QualificationService
    comparisons: ComparisonService
    budgets: BudgetService
    gates: GateService
    aliases: AliasService

    def llm_client(
        self,
        endpoints: Collection[str],
        *,
        concurrency: int | None = None,
        share: float = 1.0,
        budget: BudgetStore | None = None,
    ) -> LLMClient:
        """Return a client for these endpoints of the settings; close it when done.

        `concurrency` None adapts to each provider. `share` is this process's part of every
        limit. `budget` bounds what its calls may cost (`budgets.open`). Raises
        `ConfigurationError` for an endpoint that the settings do not have.
        """
        # Imported here, like the SDKs below: most commands call no model.
        from app.core.logging import create_logger

        chosen = {name: self._endpoint(name, concurrency or 0) for name in endpoints}
        return LLMClient(
            {name: _factory(name, endpoint, self.clock) for name, endpoint in chosen.items()},
            limits={
                name: AccountLimits(
                    max_concurrency=endpoint.max_concurrency,
                    concurrency=concurrency,
                    requests_per_minute=endpoint.requests_per_minute,
                    tokens_per_minute=endpoint.tokens_per_minute,
                )
                for name, endpoint in chosen.items()
            },
            budget=budget,
            share=share,
            clock=self.clock,
            tracer=create_tracer(),
            logger=create_logger(self.settings.log_level, redact=_redactor(self.settings)),
        )

    def _endpoint(self, name: str, concurrency: int) -> EndpointSettings:
        """Return an endpoint whose connection pool holds as many calls as were asked for."""
        try:
            endpoint = self.settings.endpoints[name]
            pool = max(endpoint.max_concurrency, concurrency)
            return endpoint.model_copy(update={"max_concurrency": pool})
        except KeyError:
            known = ", ".join(sorted(self.settings.endpoints))
            raise ConfigurationError(
                f"There is no endpoint {name!r} in the settings; known are {known}.",
                hint="Declare it under `endpoints` in workbench.yaml.",
            ) from None


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Services]:
    """Yield the services over the settings' database; connections close at the end."""
    used = clock or SystemClock()
    database = Database(settings.database_url)
    variants = VariantService(database, used)
    try:
        yield Services(
            settings=settings,
            clock=used,
            database=database,
            prompts=PromptService(database, used),
            models=ModelService(database, used, settings.endpoints),
            variants=variants,
            datasets=DatasetService(database, used),
            experiments=ExperimentService(database, used, variants),
            generations=GenerationService(database, used),
            scores=ScoreService(database, used),
            judgements=JudgementService(database, used),
            reviews=ReviewService(database, used),
            qualifications=QualificationService(database, used),
            comparisons=ComparisonService(database, used),
            budgets=BudgetService(database, used),
            gates=GateService(database, used),
            aliases=AliasService(database, used),
        )
    finally:
        await database.close()


def _factory(name: str, endpoint: EndpointSettings, clock: Clock) -> ProviderFactory:
    """Return what makes the provider on its first use.

    The imports are inside, because an SDK takes up to a second to import and most commands
    call no model.
    """

    def openai() -> Provider:
        from app.llm.openai_provider import OpenAIProvider

        return OpenAIProvider(name, endpoint, clock=clock)

    def ollama() -> Provider:
        from app.llm.ollama_provider import OllamaProvider

        return OllamaProvider(name, endpoint, clock=clock)

    def simulated() -> Provider:
        from app.llm.simulated_provider import SimulatedProvider

        return SimulatedProvider(name)

    factories: dict[str, ProviderFactory] = {
        "openai": openai,
        "ollama": ollama,
        "simulated": simulated,
    }
    try:
        return factories[endpoint.provider]
    except KeyError:
        raise ConfigurationError(
            f"Endpoint {name}: unknown provider {endpoint.provider!r}; "
            f"known are {', '.join(sorted(factories))}.",
            path=f"endpoints.{name}.provider",
        ) from None


def _redactor(settings: Settings) -> Redactor:
    secrets = [
        secret.get_secret_value()
        for endpoint in settings.endpoints.values()
        for secret in (endpoint.api_key, *endpoint.extra_headers.values())
        if secret is not None
    ]
    return Redactor(secrets)
