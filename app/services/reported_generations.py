"""Answers that services got from a provider themselves, put on record like those given here.

A service that fetched an alias (`app.services.published_aliases`) and called the provider by itself
reports what came of it. The row says so (origin `reported`): what it holds is the service's word,
while what is served, what it costs and who says it are known here. It counts for no limit, since
nothing could have been refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

import orjson

from app.core.clock import Clock
from app.core.errors import Forbidden, Invalid, NotFound
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.core.settings import ChatSettings
from app.database import AsyncSession, Database
from app.llm.errors import Timeout, TruncatedStream
from app.llm.pricing import cost
from app.llm.types import (
    CANCELLED,
    OK,
    AttemptRecord,
    LLMRequest,
    Message,
    Price,
    Usage,
    UsageSource,
)
from app.repositories.aliases import AliasRepository
from app.repositories.chat_calls import ChatCallRepository
from app.repositories.models import ModelRepository
from app.schemas.aliases import AliasView, DeploymentTargetView, DeploymentView, parse_alias
from app.schemas.chat import ChatRequest
from app.schemas.chat_calls import CallEnd, CallStart, ServedPart
from app.schemas.generations import GenerationStatus, Provenance
from app.schemas.reported_generations import (
    ReportedEnding,
    ReportedGeneration,
    ReportedGenerationView,
)
from app.services.chat.outcome import estimated_usage
from app.services.chat.texts import clean_request, without_texts
from app.services.serving import ServedVariant, ServingService
from app.services.variants import VariantService

__all__ = ["ReportedGenerationService"]

_SERVER: Final = "reported"
_AHEAD: Final = timedelta(minutes=5)  # by which a service's clock may be wrong
_OLDEST: Final = timedelta(days=31)
_STATUS: Final[dict[ReportedEnding, GenerationStatus]] = {
    "completed": "completed",
    "client_gone": "cancelled",
    "upstream_cut": "incomplete",
    "timeout": "failed",
    "refused": "refused",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an answer belongs: the deployment and the target of it that was served."""

    alias: AliasView
    deployment: DeploymentView
    target: DeploymentTargetView


@dataclass(frozen=True, slots=True)
class _Story:
    """A report that was checked: what was sent, in our types, and what came."""

    report: ReportedGeneration
    served: ServedVariant
    place: _Place | None
    request: LLMRequest
    output: Message | None
    subject: str | None
    tags: dict[str, str]
    flags: frozenset[str]


class ReportedGenerationService:
    """Takes reports."""

    def __init__(
        self, database: Database, clock: Clock, serving: ServingService, settings: ChatSettings
    ) -> None:
        self._database = database
        self._clock = clock
        self._serving = serving
        self._settings = settings
        self._variants = VariantService(database, clock)

    async def report(self, actor: Actor, report: ReportedGeneration) -> ReportedGenerationView:
        """Put one answer on record and return what was recorded.

        The cost is computed by our prices at `started_at`. Raises `NotFound` for an alias or a
        variant that is not there or not the actor's, `Invalid` with the field's path for texts and
        variables that do not fit and for a variant that the deployment does not serve.
        """
        self._require(actor, report)
        self._check_time(report.started_at)
        place = None if report.alias is None else await self._place(report, report.alias)
        served = await self._served(actor, report, place)
        async with self._database.write_session() as session:
            price = await self._price(session, served, report.started_at)
            story = self._story(report, _priced(served, price), place)
            end = _end(story)
            calls = ChatCallRepository(session)
            await calls.add_starts([_start(story, end.id, actor)])
            closed = await calls.close([end])
            await calls.add_ends([end], closed)
            await session.commit()
        return _view(story, end)

    def _require(self, actor: Actor, report: ReportedGeneration) -> None:
        require(actor, Permission.CHAT_REPORT)
        if report.alias is None:
            if actor.aliases is not None:
                raise Forbidden(f"{actor} reports answers of its aliases only: name the alias.")
            return
        require(actor, Permission.CHAT_REPORT, parse_alias(report.alias))
        if not actor.may_use_alias(report.alias):
            raise NotFound(f"There is no alias {report.alias}.")

    def _check_time(self, started_at: datetime) -> None:
        now = self._clock.now()
        if not now - _OLDEST <= started_at <= now + _AHEAD:
            raise Invalid(
                f"An answer is reported within {_OLDEST.days} days: started_at is {started_at}, "
                f"and it is {now:%Y-%m-%d %H:%M} UTC here.",
                path="started_at",
            )

    async def _place(self, report: ReportedGeneration, name: str) -> _Place:
        """Return the deployment that was served, and the target of it that the report names."""
        async with self._database.read_session() as session:
            aliases = AliasRepository(session)
            alias = await aliases.by_name(name)
            if alias is None:
                raise NotFound(f"There is no alias {name}.")
            if report.deployment is None:
                deployment = await aliases.at(alias.id, report.started_at)
            else:
                deployment = await aliases.by_number(alias.id, report.deployment)
        if deployment is None:
            raise Invalid(
                f"{name} has the deployments 1 to {alias.current.number}, and none of them was "
                "meant.",
                path="deployment",
            )
        if report.variant is None:
            return _Place(alias, deployment, deployment.primary)
        named = [target for target in deployment.targets if _is_named(target, report.variant)]
        if len(named) != 1:
            raise Invalid(
                f"Deployment {deployment.number} of {name} does not serve {report.variant}.",
                path="variant",
            )
        return _Place(alias, deployment, named[0])

    async def _served(
        self, actor: Actor, report: ReportedGeneration, place: _Place | None
    ) -> ServedVariant:
        if place is not None:
            return await self._serving.variant(place.target.variant_id)
        variant = await self._variants.get(str(report.variant))
        require(actor, Permission.CHAT_REPORT, variant.prompt.partition("@")[0])
        return await self._serving.variant(variant.id)

    async def _price(
        self, session: AsyncSession, served: ServedVariant, at: datetime
    ) -> Price | None:
        model = await ModelRepository(session, at).by_id(served.model_version_id)
        found = model.price if model is not None else None
        if found is None:
            return None
        return Price(str(found.id), found.input, found.output, found.cached_input)

    def _story(
        self, report: ReportedGeneration, served: ServedVariant, place: _Place | None
    ) -> _Story:
        """Clean what was reported and render what was sent."""
        given = report.history if report.messages is None else report.messages
        output = () if report.output is None else (report.output,)
        cleaned, flags = clean_request(
            ChatRequest(
                target="",
                messages=tuple(message.to_message() for message in (*given, *output)),
                request_id="",
                request_hash="",
                parameters=report.parameters or {},
                variables=report.variables or {},
                subject=report.subject,
                tags=report.tags,
            ),
            self._settings,
        )
        sent = cleaned.messages[: len(given)]
        if report.messages is None:
            sent = served.renderer.render(cleaned.variables, sent)
        applied = served.parameters.applied if report.parameters is None else cleaned.parameters
        return _Story(
            report=report,
            served=served,
            place=place,
            request=LLMRequest(
                served.target,
                sent,
                applied,
                served.tools,
                served.tool_choice,
                served.response_format,
                request_id=report.request_id,
            ),
            output=cleaned.messages[-1] if output else None,
            subject=cleaned.subject,
            tags=dict(cleaned.tags),
            flags=frozenset(flags),
        )


def _is_named(target: DeploymentTargetView, reference: str) -> bool:
    """Whether a target's variant is named by its id or the beginning of its hash.

    No variant is looked up that the alias does not serve: it may not be the service's to know.
    """
    digits = reference.removeprefix("sha256:")
    return reference == str(target.variant_id) or target.variant_hash.startswith(f"sha256:{digits}")


def _priced(served: ServedVariant, price: Price | None) -> ServedVariant:
    """Return the variant at the price of another time."""
    price_id = None if price is None or price.id is None else UUID(price.id)
    return replace(served, target=replace(served.target, price=price), price_id=price_id)


def _start(story: _Story, generation_id: UUID, actor: Actor) -> CallStart:
    report, served, place = story.report, story.served, story.place
    return CallStart(
        id=generation_id,
        served=ServedPart(
            provenance=Provenance(
                run_id=None,
                variant_id=served.variant_id,
                prompt_version_id=served.prompt_version_id,
                model_version_id=served.model_version_id,
                provider=served.provider,
                model_price_id=served.price_id,
                applied_parameters=dict(story.request.parameters)
                if report.parameters is None
                else without_texts(story.request.parameters),
                left_out_parameters=dict(served.parameters.left_out),
            ),
            request=story.request.request_shape,
            role=None if place is None else place.target.role,
            # Only what was rendered here, with the variant's own parameters, is known to be it.
            is_exact=report.messages is None and report.parameters is None,
            ignored=(),
        ),
        actor=str(actor),
        server=_SERVER,
        started_at=report.started_at,
        request_id=report.request_id or str(new_id()),
        alias_id=None if place is None else place.alias.id,
        deployment_id=None if place is None else place.deployment.id,
        bucket=None,
        is_stream=report.is_stream,
        asked={"parameters": without_texts(report.parameters or {})},
        flags=tuple(sorted(story.flags)),
        subject=story.subject,
        tags=dict(story.tags) or None,
        origin="reported",
    )


def _end(story: _Story) -> CallEnd:
    report, usage = story.report, _usage(story)
    price = cost(usage, story.served.target.price)
    error = None if report.error is None else {"message": report.error.message}
    return CallEnd(
        id=new_id(),
        ending=report.ending,
        status=_status(report),
        usage=usage,
        cost=price,
        latency_ms=report.latency_ms,
        finished_at=report.started_at + timedelta(milliseconds=report.latency_ms),
        attempt_count=1,
        attempts=(_attempt(report, usage, price),),
        output=None if story.output is None else story.output.to_json(),
        error=error,
        error_code=_error_code(report),
        finish_reason=None if report.finish_reason is None else report.finish_reason.value,
        time_to_first_token_ms=report.time_to_first_token_ms,
        reported_model=report.reported_model,
    )


def _status(report: ReportedGeneration) -> GenerationStatus:
    """Return the status; an answer that came whole is completed though its client was gone."""
    is_whole = report.output is not None and report.finish_reason is not None
    if report.ending == "client_gone" and is_whole:
        return "completed"
    return _STATUS[report.ending]


def _error_code(report: ReportedGeneration) -> str | None:
    match report.ending:
        case "timeout":
            return Timeout.code
        case "upstream_cut":
            return TruncatedStream.code
        case _:
            return None if report.error is None else report.error.code


def _usage(story: _Story) -> Usage:
    """Return what the provider said was used, else an estimate from what was sent and came."""
    said = story.report.usage
    if said is not None:
        return Usage(
            said.input_tokens,
            said.output_tokens,
            said.cached_input_tokens,
            said.reasoning_tokens,
            UsageSource.PROVIDER,
        )
    received = b"" if story.output is None else orjson.dumps(story.output.to_json())
    return estimated_usage(len(orjson.dumps(story.request.request_shape)), len(received))


def _attempt(report: ReportedGeneration, usage: Usage, price: Decimal | None) -> AttemptRecord:
    return AttemptRecord(
        number=1,
        started_at=report.started_at,
        latency_ms=report.latency_ms,
        outcome=_error_code(report) or (CANCELLED if report.ending == "client_gone" else OK),
        provider_request_id=report.provider_request_id,
        usage=usage,
        cost=price,
        error_message=None if report.error is None else report.error.message,
    )


def _view(story: _Story, end: CallEnd) -> ReportedGenerationView:
    served, place = story.served, story.place
    return ReportedGenerationView(
        id=end.id,
        alias=None if place is None else place.alias.name,
        deployment=None if place is None else place.deployment.number,
        role=None if place is None else place.target.role,
        variant_id=served.variant_id,
        variant_hash=served.variant_hash,
        prompt=served.prompt,
        model=served.model,
        status=end.status,
        ending=end.ending,
        input_tokens=end.usage.input_tokens,
        output_tokens=end.usage.output_tokens,
        usage_source=end.usage.source,
        cost=end.cost,
    )
