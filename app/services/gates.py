"""Gate decisions are computed by the tools and stored here, with the hash of their evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.clock import Clock
from app.core.errors import Invalid, NotFound
from app.core.hashing import content_hash
from app.core.ids import new_id
from app.core.permissions import Actor, Permission, require
from app.database import Database
from app.repositories.gates import GateRepository
from app.schemas.experiments import RunView
from app.schemas.gates import GateDecisionView, NewGateDecision
from app.schemas.pages import Page, decode_id, page_of
from app.services import audit

__all__ = ["GateService"]

_SHORTEST_PREFIX = 6  # hexadecimal digits
_MOST_ALIKE = 100  # decisions looked at to find out whether a beginning is of one evidence


class GateService:
    """Use cases of gate decisions."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def record(self, actor: Actor, decision: NewGateDecision) -> GateDecisionView:
        """Store one decision with its audit event."""
        require(actor, Permission.GATE_DECIDE)
        values = {
            **decision.model_dump(),
            "id": new_id(),
            "evidence_hash": content_hash(decision.evidence),
            "created_at": self._clock.now(),
            "created_by": str(actor),
        }
        async with self._database.write_session() as session:
            await GateRepository(session).add(values)
            await audit.record(
                session,
                self._clock,
                actor,
                "gate.decided",
                "gate_decision",
                str(values["id"]),
                decision.decision,
                {
                    "candidate_run_id": str(decision.candidate_run_id),
                    "evidence_hash": values["evidence_hash"],
                    "binding": decision.binding,
                },
            )
            await session.commit()
        return GateDecisionView.model_validate(values)

    async def list(
        self, *, experiment_id: UUID | None = None, limit: int = 50
    ) -> Sequence[GateDecisionView]:
        """Return the newest decisions, of one experiment or of all, newest first."""
        async with self._database.read_session() as session:
            return await GateRepository(session).newest(experiment_id=experiment_id, limit=limit)

    async def page(
        self, actor: Actor, *, experiment: int | None = None, cursor: str | None, limit: int
    ) -> Page[GateDecisionView]:
        """Return the decisions that the actor may read, newest first."""
        async with self._database.read_session() as session:
            found, total = await GateRepository(session).page(
                actor.prefixes(Permission.EXPERIMENT_READ),
                experiment=experiment,
                before=None if cursor is None else decode_id(cursor),
                limit=limit + 1,
            )
        return page_of(found, limit=limit, total=total, position=lambda found: (str(found.id),))

    async def read(self, actor: Actor, decision_id: UUID) -> GateDecisionView:
        """Return one decision; `NotFound` for one that the actor may not read."""
        async with self._database.read_session() as session:
            found = await GateRepository(session).seen(
                decision_id, actor.prefixes(Permission.EXPERIMENT_READ)
            )
        if found is None:
            raise NotFound(f"There is no gate decision {decision_id}.")
        return found

    async def get(self, reference: str) -> GateDecisionView:
        """Return the newest decision on the evidence whose hash begins with these digits.

        Raises `Invalid` for fewer than six digits, `NotFound` if no evidence or more than one
        begins so.
        """
        digits = reference.removeprefix("sha256:")
        if not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST_PREFIX},64}}", digits):
            raise Invalid(
                f"{reference!r} is no gate decision: use at least {_SHORTEST_PREFIX} digits of "
                "its evidence hash.",
                path="decision",
                hint=_SEE,
            )
        async with self._database.read_session() as session:
            found = await GateRepository(session).by_hash_prefix(
                f"sha256:{digits}", limit=_MOST_ALIKE
            )
        if not found:
            raise NotFound(f"There is no gate decision {reference}.", hint=_SEE)
        if len({decision.evidence_hash for decision in found}) > 1:
            raise NotFound(f"{reference!r} is the beginning of several decisions: use more digits.")
        return found[0]

    async def whole_run(
        self, variant_id: UUID, dataset_version_id: UUID, *, repetitions: int, examples: int | None
    ) -> str | None:
        """Return the name of the newest run that a candidate can be held against unseen.

        It is a completed one of this variant over this dataset version, with at least as many
        repetitions and examples (None: all); None if there is no such run.
        """
        async with self._database.read_session() as session:
            names = await GateRepository(session).whole_runs(
                variant_id, dataset_version_id, repetitions=repetitions, examples=examples
            )
        return names[0] if names else None

    async def answers_since(self, run: RunView) -> datetime:
        """Return when the oldest answer in a run was given: a run may use older ones again."""
        async with self._database.read_session() as session:
            reused = await GateRepository(session).oldest_reused(run.id)
        return run.created_at if reused is None else min(run.created_at, reused)

    async def reused_keys(self, run_id: UUID, *, besides: str) -> frozenset[str]:
        """Return the keys of a run's examples whose answer was given to another question.

        `besides` is the hash of the specification of this one: asking the same once more is no
        other question.
        """
        async with self._database.read_session() as session:
            return frozenset(await GateRepository(session).reused_keys(run_id, besides=besides))


_SEE = "See `workbench gate --list`."
