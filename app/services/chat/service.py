"""Chats in production: every answer on record, whatever happens to its client.

`begin` decides whether and with what a request is answered and records that it began; from then on
a task of the service sees the call to its end (`app.services.chat.pump`). Every call that was begun
has exactly one ending, in one terminal row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from uuid import UUID

import orjson

from app.core.clock import Clock
from app.core.errors import (
    Conflict,
    Invalid,
    NotFound,
    Retired,
    Unavailable,
)
from app.core.hashing import JSON
from app.core.ids import new_id
from app.core.observers import ChatObserver, EndedChat
from app.core.permissions import Actor, ActorKind, Permission, require, system_actor
from app.core.settings import CallLimits, ChatSettings, EndpointSettings
from app.core.usage_limits import Claim, Holder
from app.database import Database
from app.llm.breaker import BreakerPolicy
from app.llm.client import LLMClient
from app.llm.retry import RetryPolicy
from app.llm.types import Choice, FinishReason, LLMResponse, Message, Usage
from app.repositories.idempotency_keys import IdempotencyKeyRepository
from app.schemas.aliases import is_alias
from app.schemas.chat import ChatRequest, ChatResult, ServedBy
from app.schemas.chat_calls import CallStart
from app.schemas.idempotency_keys import KeyClaim
from app.services.chat.call import ChatCall, finished_call
from app.services.chat.duplicates import Duplicates
from app.services.chat.guarding import guard_request
from app.services.chat.history import estimated_tokens
from app.services.chat.ledger import Admission, Duplicate, Ledger
from app.services.chat.preparation import Try, check_roles, prepare, served_by, worst_case
from app.services.chat.pump import Pump
from app.services.chat.servers import server_name
from app.services.chat.sweeper import Sweeper
from app.services.chat.texts import clean_request, without_texts
from app.services.chat.tools import Breakers, ChatTools, Drains
from app.services.limits import LimitService
from app.services.serving import ServedAlias, ServedTarget, ServedVariant, ServingService

if TYPE_CHECKING:  # the logging library costs every command a tenth of its start
    from app.core.logging import Logger

__all__ = ["CHAT_RETRY", "ChatService"]

CHAT_RETRY: Final = RetryPolicy(max_attempts=1, budget_s=2.0)
"""How the client of a chat service retries: not at all, for each target is called at most once and
paid for once, and fallbacks do what retries would. Only a rate limit is waited for, if it is short.
"""

_TOTAL_S: Final = CallLimits().total_s
_PATIENT_TRIES: Final = 2
"""How many targets of a call may take all the time that their endpoints have."""
_QUEUE_S: Final = 5.0
"""For how long a call may wait besides until the client makes it."""
_STOPPING: Final = "The server is stopping: ask again."
_SWEEPER: Final = system_actor("chat sweeper")
_LONGEST_KEY: Final = 255  # characters


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What a request's target means; `alias` None is a model that is called directly."""

    alias: ServedAlias | None
    bucket: int | None
    targets: tuple[ServedTarget, ...]


class ChatService:
    """Answers in production; one for each process, started and stopped with it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        serving: ServingService,
        limits: LimitService,
        client: LLMClient,
        endpoints: Mapping[str, EndpointSettings],
        settings: ChatSettings | None = None,
        *,
        breaker: BreakerPolicy | None = None,
        observer: ChatObserver | None = None,
        logger: Logger | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._serving = serving
        self._settings = settings or ChatSettings()
        self._endpoints = endpoints
        self._observer = observer
        self._logger = logger
        self._server = server_name()
        self._limits = limits
        self._ledger = Ledger(database, clock, limits)
        self._tools = ChatTools(
            clock,
            client,
            self._ledger,
            Breakers(breaker),
            Drains(self._settings.most_draining),
            self._settings.drain_s,
            observer,
            logger,
        )
        self._duplicates = Duplicates(database, serving, self._follow, longest_s=self._longest_s)
        self._pumps: dict[UUID, Pump] = {}
        # The event loop itself holds tasks weakly.
        self._carrying: set[asyncio.Task[None]] = set()
        self._following: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._sweeping: asyncio.Task[None] | None = None
        self._sweeper = Sweeper(
            database,
            clock,
            self._ledger,
            server=self._server,
            longest_s=self._longest_s,
            is_carried=self._pumps.__contains__,
            logger=logger,
        )

    @property
    def under_way(self) -> int:
        """How many calls this process carries now."""
        return len(self._pumps)

    async def start(self) -> None:
        """Bring calls to their end whose server is gone, and look for such from time to time."""
        await self.sweep()
        self._sweeping = asyncio.create_task(self._keep_sweeping(), name="chat sweeper")

    async def stop(self, drain_s: float = 25.0) -> None:
        """Begin nothing more, let calls end for at most `drain_s` seconds, then cut them off.

        Every call that was under way is settled when this returns. Those that the database does not
        take any more stay open, and the sweeper of any server ends them.
        """
        self._stopping = True
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
        if self._carrying:
            await asyncio.wait(self._carrying, timeout=drain_s)
        for pump in list(self._pumps.values()):
            pump.abandon()
        for task in self._following:
            task.cancel()
        if left := self._carrying | self._following:
            await asyncio.wait(left)
        await self._ledger.close()

    async def begin(self, actor: Actor, request: ChatRequest) -> ChatCall:
        """Begin an answer, and return it when its beginning is on record.

        An alias that is disabled answers with its fixed text at once: no model is called, and so
        nothing is stored, neither a generation nor the request's idempotency key.

        Raises `NotFound` for a target that there is not, or not for this actor; `Forbidden`;
        `Invalid` with the field's path; `GuardRefused` by an input guard; `Retired`;
        `LimitReached`; `KeyReused` and `InFlight` for an idempotency key that is taken; `Conflict`
        while an answer is under way in the conversation; `Unavailable` if no endpoint of the
        targets may be called now, the database does not answer, or the server stops.
        """
        if self._stopping:
            raise Unavailable(_STOPPING)
        if request.idempotency_key is not None and len(request.idempotency_key) > _LONGEST_KEY:
            raise Invalid(
                f"An idempotency key has at most {_LONGEST_KEY} characters.",
                path="Idempotency-Key",
            )
        alias = await self._alias(actor, request)
        earlier = await self._earlier(actor, request)
        if earlier is not None:
            return earlier
        cleaned, flags = clean_request(request, self._settings)
        settings = None if alias is None else alias.settings
        check_roles(cleaned.messages, settings)
        if settings is not None:
            cleaned, masked = await guard_request(cleaned, settings.guards.input)
            flags |= masked
        resolved = await self._resolved(cleaned, alias)
        if alias is not None and alias.message is not None:
            return self._fixed_answer(alias, alias.message, resolved)
        tries = _tries(cleaned, resolved)
        pump = self._pump(actor, cleaned, resolved, tries, sorted(flags))
        return await self._admitted(pump, request)

    async def sweep(self) -> int:
        """End calls whose server is gone; return how many they were."""
        lost = await self._sweeper.sweep(_SWEEPER)
        await self._limits.purge(_SWEEPER)
        return lost

    async def _earlier(self, actor: Actor, request: ChatRequest) -> ChatCall | None:
        """Return what answers a request whose idempotency key is taken; None if it is not.

        What the alias, its models and their providers have become since does not matter: the same
        request gets the same reply.
        """
        if request.idempotency_key is None:
            return None
        async with self._database.read_session() as session:
            key = await IdempotencyKeyRepository(session).get(
                actor.requester, request.idempotency_key, self._clock.now()
            )
        if key is None:
            return None
        first = None if key.generation_id is None else self._pumps.get(key.generation_id)
        return await self._duplicates.answer(key, request, None if first is None else first.call)

    # --- what the target means -------------------------------------------------------------------

    async def _alias(self, actor: Actor, request: ChatRequest) -> ServedAlias | None:
        """Return the alias that a request names, None for a model; check who may call it."""
        target = request.target
        if not is_alias(target):
            if actor.aliases is not None or not actor.may(Permission.MODEL_DIRECT):
                raise NotFound(f"There is no model {target}.")
            return None
        require(actor, Permission.CHAT_WRITE)
        if not actor.may(Permission.CHAT_WRITE, target) or not actor.may_use_alias(target):
            raise NotFound(f"There is no alias {target}.")
        return await self._serving.resolve(target)

    async def _resolved(self, request: ChatRequest, alias: ServedAlias | None) -> _Resolved:
        """Return the targets in the order in which they are tried; raises `Retired` for none."""
        if alias is None:
            variant = await self._direct(request)
            direct = ServedTarget(variant, "primary", 1.0)
            _require_alive([direct])
            return _Resolved(None, None, (direct,))
        pinned = request.conversation and request.conversation.pinned_variant_id
        if pinned:
            target = ServedTarget(await self._serving.variant(pinned), "primary", 1.0)
            if alias.message is None:
                _require_alive([target])
            return _Resolved(alias, None, (target,))
        bucket, targets = alias.targets_for(_sticky(request, alias))
        if not targets and alias.message is None:
            _require_alive(alias.targets)
        return _Resolved(alias, bucket, targets or alias.targets)

    async def _direct(self, request: ChatRequest) -> ServedVariant:
        """Return what answers a request to a model: a variant of it, or the model alone."""
        if request.variant_id is None:
            return await self._serving.resolve_model(request.target)
        return await self._serving.variant(request.variant_id)

    def _fixed_answer(self, alias: ServedAlias, text: str, resolved: _Resolved) -> ChatCall:
        now = self._clock.now()
        response = LLMResponse(
            choices=(Choice(Message("assistant", text), FinishReason.STOP),),
            usage=Usage(0, 0),
            cost=Decimal(0),
            latency_ms=0.0,
            time_to_first_token_ms=None,
            started_at=now,
            attempts=0,
        )
        served = served_by(resolved.targets[0], alias, resolved.bucket)
        if self._observer is not None:
            self._observer.chat_began()
            self._observer.chat_ended(_fixed(alias.name, served))
        return finished_call(ChatResult(None, served, response, "completed", now))

    # --- the beginning ---------------------------------------------------------------------------

    def _pump(
        self,
        actor: Actor,
        request: ChatRequest,
        resolved: _Resolved,
        tries: Sequence[Try],
        flags: Sequence[str],
    ) -> Pump:
        """Return what carries the call; raises `Unavailable` if no target may be called now."""
        worst = worst_case(tries)
        claim = Claim(_holders(actor, resolved.alias), worst.tokens, worst.dollars)
        alias, started_at, generation_id = resolved.alias, self._clock.now(), new_id()
        said = request.messages[-1].to_json() if request.conversation else None
        start = CallStart(
            id=generation_id,
            served=tries[0].part,
            actor=str(actor),
            server=self._server,
            started_at=started_at,
            request_id=request.request_id,
            alias_id=None if alias is None else alias.id,
            deployment_id=None if alias is None else alias.deployment_id,
            bucket=resolved.bucket,
            is_stream=request.stream,
            asked=_asked(request),
            flags=tuple(flags),
            subject=None if "user" in tries[0].served.ignored else request.subject,
            tags=dict(request.tags) or None,
            conversation=request.conversation,
            said=said,
            said_tokens=None if said is None else estimated_tokens(len(orjson.dumps(said))),
        )
        key = None
        if request.idempotency_key is not None:
            key = KeyClaim(
                id=new_id(),
                actor=actor.requester,
                key=request.idempotency_key,
                request_hash=request.request_hash,
                created_at=started_at,
                expires_at=started_at + timedelta(seconds=self._settings.keep_keys_s),
                generation_id=generation_id,
            )
        return Pump(
            self._tools,
            Admission(start, claim, key),
            tries,
            () if alias is None else alias.settings.guards.output,
            self._deadline_s(tries),
        )

    async def _admitted(self, pump: Pump, request: ChatRequest) -> ChatCall:
        """Start the pump and return its call once that is admitted, or the one it duplicates."""
        if self._stopping:  # since `begin` looked
            raise Unavailable(_STOPPING)
        wait_s = pump.wait_s()
        if wait_s > 0:
            closed = Unavailable("The model's provider fails at present: try again later.")
            closed.retry_after_s = wait_s
            raise closed
        self._pumps[pump.id] = pump
        _keep(self._carrying, asyncio.create_task(self._carry(pump), name="chat"))
        try:
            admitted = await asyncio.shield(pump.admitted)
        except asyncio.CancelledError:
            pump.call.leave()
            raise
        if isinstance(admitted, Duplicate):
            first = self._pumps.get(admitted.key.generation_id or pump.id)
            return await self._duplicates.answer(
                admitted.key, request, None if first is None or first is pump else first.call
            )
        return pump.call

    async def _carry(self, pump: Pump) -> None:
        try:
            await pump.run()
        finally:
            del self._pumps[pump.id]

    def _follow(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start what waits for the answer of another call."""
        return _keep(self._following, asyncio.create_task(work, name="chat duplicate"))

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(self._settings.sweep_s)
            try:
                await self.sweep()
            except Exception as error:  # whatever it is, the next sweep may fare better
                if self._logger is not None:
                    self._logger.warning("chat_sweep_failed", error=type(error).__name__)

    @property
    def _longest_s(self) -> float:
        """The longest that any call may take."""
        most = max((it.limits.total_s for it in self._endpoints.values()), default=_TOTAL_S)
        return _PATIENT_TRIES * most + _QUEUE_S

    def _deadline_s(self, tries: Sequence[Try]) -> float:
        """Return how long a call may take.

        Each target has its endpoint's time, which the client keeps; this is for all together, so
        that one which took all its time for nothing can be followed by another.
        """
        endpoints = [self._endpoints.get(one.request.target.endpoint) for one in tries]
        times = [_TOTAL_S if it is None else it.limits.total_s for it in endpoints]
        return sum(times[:_PATIENT_TRIES]) + _QUEUE_S


def _asked(request: ChatRequest) -> dict[str, JSON]:
    """Return what the caller asked for, as facts."""
    asked: dict[str, JSON] = {"parameters": without_texts(request.parameters)}
    if request.variant_id is not None:
        asked["variant"] = str(request.variant_id)
    return asked


def _keep(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> asyncio.Task[None]:
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


def _tries(request: ChatRequest, resolved: _Resolved) -> list[Try]:
    """Return the calls that may answer; a fallback that cannot take the request is left out."""
    first, *others = resolved.targets
    tries = [prepare(request, first, resolved.alias, resolved.bucket)]
    for target in others:
        try:
            tries.append(prepare(request, target, resolved.alias, resolved.bucket))
        except (Invalid, Conflict):
            continue
    return tries


def _require_alive(targets: Sequence[ServedTarget]) -> None:
    for target in targets:
        variant = target.variant
        if variant.is_retired:
            instead = f": use {variant.successor}" if variant.successor else ""
            raise Retired(f"{variant.model} is retired{instead}.", successor=variant.successor)


def _fixed(alias: str, served: ServedBy) -> EndedChat:
    """Return what is counted of a fixed text; its ending is in no record, since it is no call."""
    return EndedChat(
        alias=alias,
        role=served.role,
        provider=served.provider,
        model=served.model,
        ending="fixed_text",
        error_code=None,
        seconds=0.0,
        time_to_first_token_s=None,
        input_tokens=None,
        output_tokens=None,
        dollars=None,
    )


def _sticky(request: ChatRequest, alias: ServedAlias) -> str:
    """Return what the split goes by: whatever stays the same for a user the longest."""
    if request.sticky is not None:
        return request.sticky
    if request.conversation is not None:
        return str(request.conversation.id)
    if request.subject is not None and "user" in alias.settings.may_override:
        return request.subject
    return request.request_id


def _holders(actor: Actor, alias: ServedAlias | None) -> tuple[Holder, ...]:
    """Return whose limits count a call: the key's, the user's and the alias'."""
    holders: list[Holder] = []
    if actor.credential is not None:
        holders.append(Holder("key", actor.credential.key))
    if actor.kind is ActorKind.USER:
        holders.append(Holder("user", actor.name))
    if alias is not None:
        holders.append(Holder("alias", alias.name))
    return tuple(holders)
