"""Composition root: settings in, collaborating services out. Nothing else builds them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from opentelemetry.trace import Tracer, TracerProvider
from pydantic import SecretStr

from app.core.clock import Clock, SystemClock
from app.core.errors import ConfigurationError
from app.core.observers import ChatObserver
from app.core.redaction import Redactor
from app.core.settings import EndpointSettings, Settings
from app.core.telemetry import create_tracer
from app.database import Database
from app.llm.account_signals import AccountSignals
from app.llm.budget import BudgetStore
from app.llm.client import LLMClient, ProviderFactory
from app.llm.limits import AccountLimits
from app.llm.providers import Provider
from app.llm.retry import RetryPolicy
from app.services.account_signals import AccountSignalService
from app.services.aliases import AliasService
from app.services.api_keys import ApiKeyService
from app.services.budgets import BudgetService
from app.services.chat import CHAT_RETRY, ChatService
from app.services.comparisons import ComparisonService
from app.services.conversations import ConversationService
from app.services.dataset_contents import DatasetContentService
from app.services.datasets import DatasetService
from app.services.estimates import EstimateService
from app.services.experiment_overviews import ExperimentOverviewService
from app.services.experiments import ExperimentService
from app.services.gates import GateService
from app.services.generation_lists import GenerationListService
from app.services.generation_replays import GenerationReplayService
from app.services.generations import GenerationService
from app.services.idempotency import IdempotencyService
from app.services.jobs import JobService
from app.services.judgements import JudgementService
from app.services.limits import LimitService
from app.services.model_usage import ModelUsageService
from app.services.models import ModelService
from app.services.playground import PlaygroundService
from app.services.prompts import PromptService
from app.services.published_aliases import PublishedAliasService
from app.services.qualifications import QualificationService
from app.services.reported_generations import ReportedGenerationService
from app.services.reviews import ReviewService
from app.services.scores import ScoreService
from app.services.served_models import ServedModelService
from app.services.serving import ServingService
from app.services.sign_in import SignInService, TokenVerifier
from app.services.spending import SpendingService
from app.services.status import StatusService
from app.services.traffic import TrafficService
from app.services.traffic_keeper import TrafficKeeper
from app.services.users import UserService
from app.services.variant_making import VariantMaking
from app.services.variants import VariantService
from app.telemetry_export import exporting_provider

if TYPE_CHECKING:  # the logging library costs every command a tenth of its start
    from app.core.logging import Logger

__all__ = ["Services", "import_providers", "open_services", "redactor"]


@dataclass(frozen=True)
class Services:
    """Every use case of the product over one database."""

    settings: Settings
    clock: Clock
    tracer: Tracer | None
    database: Database
    prompts: PromptService
    models: ModelService
    model_usage: ModelUsageService
    variants: VariantService
    variant_making: VariantMaking
    datasets: DatasetService
    dataset_contents: DatasetContentService
    experiments: ExperimentService
    experiment_overviews: ExperimentOverviewService
    estimates: EstimateService
    jobs: JobService
    generations: GenerationService
    generation_lists: GenerationListService
    generation_replays: GenerationReplayService
    scores: ScoreService
    judgements: JudgementService
    reviews: ReviewService
    qualifications: QualificationService
    comparisons: ComparisonService
    budgets: BudgetService
    spending: SpendingService
    status: StatusService
    gates: GateService
    aliases: AliasService
    users: UserService
    api_keys: ApiKeyService
    sign_in: SignInService
    limits: LimitService
    account_signals: AccountSignalService
    idempotency: IdempotencyService
    serving: ServingService
    published_aliases: PublishedAliasService
    reported_generations: ReportedGenerationService
    served_models: ServedModelService
    chat: ChatService
    conversations: ConversationService
    playground: PlaygroundService
    traffic: TrafficService
    traffic_keeper: TrafficKeeper

    def llm_client(
        self,
        endpoints: Collection[str],
        *,
        concurrency: int | None = None,
        share: float = 1.0,
        budget: BudgetStore | None = None,
    ) -> LLMClient:
        """Return a client of experiments and judges for these endpoints; close it when done.

        It leaves a share of every quota to chats, and waits where anyone on an account was told to.

        `concurrency` None adapts to each provider. `share` is this process's part of every
        limit. `budget` bounds what its calls may cost (`budgets.open`). Raises
        `ConfigurationError` for an endpoint that the settings do not have.
        """
        # Imported here, like the SDKs below: most commands call no model.
        from app.core.logging import create_logger

        chosen = {name: self._endpoint(name, concurrency or 0) for name in endpoints}
        return _llm_client(
            chosen,
            {
                name: AccountLimits.of(it, concurrency, keeps_chat_share=True)
                for name, it in chosen.items()
            },
            self.clock,
            self.tracer,
            create_logger(self.settings.log_level, redact=redactor(self.settings)),
            share=share,
            budget=budget,
            signals=self.account_signals.for_client(),
            gives_way=True,
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
async def open_services(
    settings: Settings,
    clock: Clock | None = None,
    *,
    tracer_provider: TracerProvider | None = None,
    logger: Logger | None = None,
    chat_observer: ChatObserver | None = None,
    local_key: SecretStr | None = None,
) -> AsyncIterator[Services]:
    """Yield the services over the settings' database; connections close at the end.

    Spans go to `tracer_provider`, else to the collector that the environment names, if any.
    Chats are logged to `logger` and told to `chat_observer`; who serves them starts and stops
    `chat`. `local_key` signs in as the operating system's user.
    """
    used = clock or SystemClock()
    with exporting_provider(os.environ) as exporting:
        tracer = create_tracer(tracer_provider or exporting)
        async with _services(settings, used, tracer, logger, chat_observer, local_key) as services:
            yield services


@asynccontextmanager
async def _services(
    settings: Settings,
    used: Clock,
    tracer: Tracer | None,
    logger: Logger | None,
    chat_observer: ChatObserver | None,
    local_key: SecretStr | None,
) -> AsyncIterator[Services]:
    database = Database(settings.database_url, tracer)
    prompts = PromptService(database, used)
    models = ModelService(database, used, settings.endpoints)
    variants = VariantService(database, used)
    datasets = DatasetService(database, used)
    experiments = ExperimentService(database, used, variants)
    generations = GenerationService(database, used)
    budgets = BudgetService(database, used)
    limits = LimitService(database, used)
    signals = AccountSignalService(database, used)
    client = _chat_client(settings.endpoints, used, tracer, logger, signals.for_client())
    serving = ServingService(database, used, variants)
    chat = ChatService(
        database,
        used,
        serving,
        limits,
        client,
        settings.endpoints,
        settings.chat,
        logger=logger,
        observer=chat_observer,
    )
    tokens = _identity_tokens(settings, used)
    sign_in = SignInService(database, used, settings.key_secret, tokens, local_key)
    try:
        yield Services(
            settings=settings,
            clock=used,
            tracer=tracer,
            database=database,
            prompts=prompts,
            models=models,
            model_usage=ModelUsageService(database, used, models),
            variants=variants,
            variant_making=VariantMaking(prompts, models, variants),
            datasets=datasets,
            dataset_contents=DatasetContentService(database, datasets),
            experiments=experiments,
            experiment_overviews=ExperimentOverviewService(database),
            estimates=EstimateService(prompts, models, datasets, experiments, generations, budgets),
            jobs=JobService(database, used),
            generations=generations,
            generation_lists=GenerationListService(database, used),
            generation_replays=GenerationReplayService(database, used),
            scores=ScoreService(database, used),
            judgements=JudgementService(database, used),
            reviews=ReviewService(database, used),
            qualifications=QualificationService(database, used),
            comparisons=ComparisonService(database, used),
            budgets=budgets,
            spending=SpendingService(database, used),
            status=StatusService(database, used),
            gates=GateService(database, used),
            aliases=AliasService(database, used),
            users=UserService(database, used),
            api_keys=ApiKeyService(database, used, settings.key_secret),
            sign_in=sign_in,
            limits=limits,
            account_signals=signals,
            idempotency=IdempotencyService(database, used),
            serving=serving,
            published_aliases=PublishedAliasService(serving),
            reported_generations=ReportedGenerationService(database, used, serving, settings.chat),
            served_models=ServedModelService(database, used),
            chat=chat,
            conversations=ConversationService(database, used, serving, chat),
            traffic=TrafficService(database, used),
            traffic_keeper=TrafficKeeper(database, used, logger=logger),
            playground=PlaygroundService(prompts, models, variants, chat, settings.chat),
        )
    finally:
        await client.close()
        await serving.close()
        await sign_in.close()
        await signals.close()
        await database.close()


def _chat_client(
    endpoints: Mapping[str, EndpointSettings],
    clock: Clock,
    tracer: Tracer | None,
    logger: Logger | None,
    signals: AccountSignals,
) -> LLMClient:
    """Return the client of chats. Somebody waits for each of them: it begins at once instead of
    feeling its way to a provider's concurrency, and is told soon that it failed."""
    return _llm_client(
        endpoints,
        {name: AccountLimits.of(it, it.max_concurrency) for name, it in endpoints.items()},
        clock,
        tracer,
        logger,
        retry=CHAT_RETRY,
        signals=signals,
    )


def _llm_client(
    endpoints: Mapping[str, EndpointSettings],
    limits: Mapping[str, AccountLimits],
    clock: Clock,
    tracer: Tracer | None,
    logger: Logger | None,
    *,
    share: float = 1.0,
    budget: BudgetStore | None = None,
    retry: RetryPolicy | None = None,
    signals: AccountSignals | None = None,
    gives_way: bool = False,
) -> LLMClient:
    return LLMClient(
        {name: _factory(name, endpoint, clock) for name, endpoint in endpoints.items()},
        limits=limits,
        budget=budget,
        share=share,
        retry=retry,
        signals=signals,
        gives_way=gives_way,
        clock=clock,
        tracer=tracer,
        logger=logger,
    )


def _identity_tokens(settings: Settings, clock: Clock) -> TokenVerifier | None:
    if settings.auth is None:
        return None
    # Imported here: the cryptography takes a while to load, and few commands sign anybody in.
    from app.services.identity_tokens import HTTPKeySets, IdentityTokens

    return IdentityTokens(settings.auth, HTTPKeySets(settings.auth.jwks_url), clock)


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


def import_providers(settings: Settings) -> None:
    """Import the SDKs of endpoints that have a key: a second of work that would hold up whoever
    chats first, and everybody beside them."""
    if any(it.provider == "openai" and it.api_key for it in settings.endpoints.values()):
        import app.llm.openai_provider
    if any(it.provider == "ollama" and it.api_key for it in settings.endpoints.values()):
        import app.llm.ollama_provider  # noqa: F401 - likewise


def redactor(settings: Settings) -> Redactor:
    """Return what takes every secret of the settings out of a text."""
    secrets = [
        secret.get_secret_value()
        for endpoint in settings.endpoints.values()
        for secret in (endpoint.api_key, *endpoint.extra_headers.values())
        if secret is not None
    ]
    own = (settings.key_secret, settings.dashboard.client_secret)
    secrets += [secret.get_secret_value() for secret in own if secret is not None]
    if password := urlsplit(settings.database_url).password:
        secrets += [password, unquote(password)]
    return Redactor(secrets)
