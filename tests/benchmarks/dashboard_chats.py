"""Ninety days of chats as rows: who asked through which alias, what served it, how it ended.

Traffic follows the hours of the day; latencies are lognormal, their median and the share of
failures depend on the model and the prompt version; twice a provider has a bad three hours.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from app.core.canary import choose
from app.core.hashing import salted_hash
from app.models import Attempt, ChatCall, Content, Conversation, Generation, Message, Score
from app.schemas.aliases import DeploymentTargetView, DeploymentView
from app.schemas.models import ModelVersionView
from tests.benchmarks.bulk_rows import BulkRows
from tests.benchmarks.dashboard_world import ALIASES, DAYS, Served, World

__all__ = ["Chats", "content", "dollars", "id_at"]

_HOURS: Final = (2, 1, 1, 1, 1, 2, 4, 7, 10, 12, 12, 11, 10, 11, 12, 12, 11, 9, 7, 6, 5, 4, 3, 3)
_MEDIAN_MS: Final = {"gpt-4.1": 1400.0, "gpt-4.1-mini": 700.0, "house-model": 950.0}
_ENDINGS: Final = {
    "failed": ("failed", "server_error", 0.45),
    "timeout": ("failed", "timeout", 0.15),
    "refused": ("refused", "content_filtered", 0.12),
    "upstream_cut": ("incomplete", "truncated_stream", 0.1),
    "client_gone": ("cancelled", None, 0.15),
    "abandoned": ("abandoned", "abandoned", 0.03),
}
_BAD_DAYS: Final = (31.4, 77.55)
_DIRECT, _IN_CONVERSATION, _SCORED, _REPORTED = 0.02, 0.3, 0.04, 0.03
_SUBJECTS: Final = 20_000
_WORDS: Final = ("parcel", "refund", "order", "address", "invoice", "password", "voucher")


@dataclass
class _Open:
    """A conversation that goes on."""

    id: UUID
    alias_id: UUID
    subject: str
    began: datetime
    left: int
    messages: int = 0
    last: datetime | None = None


@dataclass(frozen=True)
class _Call:
    """One chat before it has an outcome."""

    id: UUID
    at: datetime
    alias: Served | None
    deployment: DeploymentView | None
    target: DeploymentTargetView
    bucket: int
    subject: str
    conversation: _Open | None


class Chats:
    """Makes `count` chats that end before `until`, always the same ones for a seed."""

    def __init__(
        self,
        world: World,
        bulk: BulkRows,
        *,
        count: int,
        until: datetime,
        seed: int,
        scorer_id: UUID,
    ) -> None:
        self._world = world
        self._bulk = bulk
        self._count = count
        self._until = until
        self._rng = random.Random(seed)
        self._scorer_id = scorer_id
        self._open: dict[str, list[_Open]] = {name: [] for name in ALIASES}
        self._starts = {it.name: [d.created_at for d in it.history] for it in world.aliases}

    async def add(self) -> None:
        """Add every chat with its texts, calls, messages and scores."""
        rng, aliases = self._rng, self._world.aliases
        weights = [ALIASES[it.name] for it in aliases]
        for number, at in enumerate(self._times()):
            alias = rng.choices(aliases, weights)[0]
            call = self._call(alias, at)
            if call is not None:
                self._add(call)
            if number % 1_000 == 0:
                await self._bulk.write_full()
        for going in self._open.values():
            for conversation in going:
                self._close(conversation)

    def _times(self) -> Iterator[datetime]:
        hours = [self._until - timedelta(hours=DAYS * 24 - i) for i in range(DAYS * 24)]
        weights = [
            _HOURS[hour.hour] * (0.6 if hour.weekday() >= 5 else 1.0) * (1 + i / len(hours))
            for i, hour in enumerate(hours)
        ]
        drawn = self._rng.choices(range(len(hours)), weights, k=self._count)
        return iter(sorted(hours[i] + timedelta(seconds=self._rng.random() * 3600) for i in drawn))

    def _call(self, alias: Served, at: datetime) -> _Call | None:
        rng = self._rng
        deployment = alias.history[bisect_right(self._starts[alias.name], at) - 1]
        if deployment.message is not None:
            return None
        made = id_at(at, rng)
        subject = f"customer-{int(_SUBJECTS * rng.random() ** 2):05d}"
        if rng.random() < _DIRECT:
            return _Call(made, at, None, None, deployment.primary, 0, subject, None)
        conversation = self._conversation(alias, at, subject)
        if conversation is not None:
            subject = conversation.subject
        bucket = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:4], "big") % 10_000
        order = choose(deployment.targets, bucket)
        target = order[-1] if rng.random() < 0.005 else order[0]
        return _Call(made, at, alias, deployment, target, bucket, subject, conversation)

    def _conversation(self, alias: Served, at: datetime, subject: str) -> _Open | None:
        rng = self._rng
        if rng.random() > _IN_CONVERSATION:
            return None
        going = self._open[alias.name]
        if going and rng.random() < 0.8:
            found = rng.choice(going)
        else:
            found = _Open(id_at(at, rng), alias.id, subject, at, rng.randint(1, 9))
            going.append(found)
        found.left -= 1
        if found.left <= 0:
            going.remove(found)
        return found

    def _close(self, conversation: _Open) -> None:
        """Write a conversation's row, now that nothing follows in it."""
        self._bulk.add(
            Conversation.__table__,
            {
                "id": conversation.id,
                "owner": "key:shop",
                "alias_id": conversation.alias_id,
                "subject": conversation.subject,
                "message_count": conversation.messages,
                "created_at": conversation.began,
                "updated_at": conversation.last or conversation.began,
            },
        )

    def _add(self, call: _Call) -> None:
        rng = self._rng
        variant = self._world.variants[call.target.variant_id]
        model = self._world.models[variant.model_version_id]
        ending, status, error_code = self._ending(call, model)
        answered = status in ("completed", "incomplete")
        median = _MEDIAN_MS.get(model.name, 2200.0)
        latency = 30_000.0 if ending == "timeout" else rng.lognormvariate(0, 0.55) * median
        first = latency * rng.uniform(0.15, 0.5) if answered and rng.random() < 0.7 else None
        tokens_in, tokens_out = rng.randint(60, 900), rng.randint(15, 400) if answered else 0
        cost = dollars(model, tokens_in, tokens_out)
        finished = call.at + timedelta(milliseconds=latency)
        word = rng.choice(_WORDS)
        request = content(
            self._bulk,
            rng,
            call.at,
            f'{{"messages":[{{"role":"user","content":"My {word} is wrong. {call.subject}"}}]}}',
        )
        output = error = None
        if answered:
            output = content(
                self._bulk,
                rng,
                finished,
                f'{{"role":"assistant","content":"About your {word}: done ({tokens_out})."}}',
            )
        if error_code is not None:
            error = content(self._bulk, rng, finished, f'{{"message":"{error_code}"}}')
        facts: dict[str, Any] = {
            "input_tokens": tokens_in,
            "output_tokens": tokens_out,
            "usage_source": "provider" if answered else "estimated",
            "cost": cost,
            "latency_ms": latency,
            "started_at": call.at,
        }
        self._bulk.add(
            Generation.__table__,
            {
                **facts,
                "id": call.id,
                "purpose": "chat",
                "origin": "reported" if rng.random() < _REPORTED else "executed",
                "repetition": 0,
                "variant_id": variant.id,
                "prompt_version_id": variant.prompt_version_id,
                "model_version_id": variant.model_version_id,
                "provider": model.provider,
                "status": status,
                "finish_reason": "stop" if status == "completed" else None,
                "error_code": error_code,
                "request_content_id": request,
                "output_content_id": output,
                "error_content_id": error,
                "cached_input_tokens": 0,
                "reasoning_tokens": 0,
                "model_price_id": None if model.price is None else model.price.id,
                "time_to_first_token_ms": first,
                "applied_parameters": variant.applied,
                "left_out_parameters": {},
                "reported_model": model.provider_model,
                "attempt_count": 1,
                "reopened": 0,
                "subject": call.subject,
                "request_id": f"req-{call.id.hex[:20]}",
                "trace_id": call.id.hex,
                "finished_at": finished,
            },
        )
        self._bulk.add(
            Attempt.__table__,
            {
                **facts,
                "id": id_at(finished, rng),
                "generation_id": call.id,
                "number": 1,
                "outcome": error_code or "ok",
                "http_status": 500 if error_code == "server_error" else None,
            },
        )
        self._add_call(call, ending, is_stream=first is not None)
        self._add_turn(call, word, output, finished)
        if status == "completed" and rng.random() < _SCORED:
            value = float(rng.random() < 0.8)
            self._bulk.add(
                Score.__table__,
                {
                    "id": id_at(finished, rng),
                    "generation_id": call.id,
                    "scorer_id": self._scorer_id,
                    "repeat": 0,
                    "status": "scored",
                    "value": value,
                    "passed": value == 1.0,
                    "created_at": finished,
                },
            )

    def _ending(self, call: _Call, model: ModelVersionView) -> tuple[str, str, str | None]:
        age = DAYS - (self._until - call.at) / timedelta(days=1)
        bad = any(0 <= age - day < 0.125 for day in _BAD_DAYS) and model.provider == "openai"
        share = 0.25 if bad else 0.008 + 0.009 * (call.target.variant_id.int % 5)
        if self._rng.random() > share:
            return "completed", "completed", None
        ending = self._rng.choices(list(_ENDINGS), [part for *_, part in _ENDINGS.values()])[0]
        status, error_code, _ = _ENDINGS[ending]
        return ending, status, error_code

    def _add_call(self, call: _Call, ending: str, *, is_stream: bool) -> None:
        self._bulk.add(
            ChatCall.__table__,
            {
                "generation_id": call.id,
                "alias_id": None if call.alias is None else call.alias.id,
                "deployment_id": None if call.deployment is None else call.deployment.id,
                "role": None if call.alias is None else call.target.role,
                "bucket": None if call.alias is None else call.bucket,
                "actor": "key:shop" if call.bucket % 3 else "key:app",
                "conversation_id": None if call.conversation is None else call.conversation.id,
                "is_stream": is_stream,
                "is_exact": True,
                "asked": {},
                "ignored": [],
                "flags": [],
                "server": "bench:1:0",
                "ending": ending,
                "created_at": call.at,
            },
        )

    def _add_turn(self, call: _Call, word: str, output: UUID | None, finished: datetime) -> None:
        talk = call.conversation
        if talk is None:
            return
        said = content(self._bulk, self._rng, call.at, f'"My {word} is wrong."')
        talk.last = finished
        for role, text, at in (("user", said, call.at), ("assistant", output, finished)):
            talk.messages += 1
            self._bulk.add(
                Message.__table__,
                {
                    "id": id_at(at, self._rng),
                    "conversation_id": talk.id,
                    "sequence": talk.messages,
                    "role": role,
                    "content_id": text,
                    "generation_id": call.id,
                    "tokens": 20,
                    "created_at": at,
                },
            )
        if talk.left <= 0:
            self._close(talk)


def id_at(moment: datetime, rng: random.Random) -> UUID:
    """Return a UUIDv7 as one made at a time (RFC 9562, 5.7)."""
    head = int(moment.timestamp() * 1000) << 80 | 0x7 << 76 | rng.getrandbits(12) << 64
    return UUID(int=head | 0b10 << 62 | rng.getrandbits(62))


def dollars(model: ModelVersionView, tokens_in: int, tokens_out: int) -> Decimal | None:
    """Return what a call cost; None if the model has no price."""
    if model.price is None:
        return None
    return (model.price.input * tokens_in + model.price.output * tokens_out) / 1_000_000


def content(bulk: BulkRows, rng: random.Random, at: datetime, body: str) -> UUID:
    """Add one text, given as JSON, and return its id."""
    made, salt, data = id_at(at, rng), rng.randbytes(16), body.encode()
    bulk.add(
        Content.__table__,
        {
            "id": made,
            "body": body,
            "salt": salt,
            "hash": salted_hash(salt, data),
            "size_bytes": len(data),
            "created_at": at,
        },
    )
    return made
