"""Statements that read what a stored request was made of."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.database import AsyncSession
from app.models import Example, Experiment, Generation, ModelVersion, Run
from app.repositories.content import ContentRepository
from app.repositories.prompts import PromptRepository
from app.schemas.datasets import ExampleView
from app.schemas.generation_replays import ReplaySource

__all__ = ["GenerationReplayRepository"]


class GenerationReplayRepository:
    """Reads the rows behind one request."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def source(self, generation_id: UUID) -> ReplaySource | None:
        """Return what the request of a generation was made of; None without such a generation."""
        statement = (
            select(Generation, ModelVersion, Example, Experiment.spec, Run.position)
            .outerjoin(ModelVersion, ModelVersion.id == Generation.model_version_id)
            .outerjoin(Example, Example.id == Generation.example_id)
            .outerjoin(Run, Run.id == Generation.run_id)
            .outerjoin(Experiment, Experiment.id == Run.experiment_id)
            .where(Generation.id == generation_id)
        )
        row = (await self._session.execute(statement)).one_or_none()
        if row is None:
            return None
        generation: Generation = row[0]
        model: ModelVersion | None = row[1]
        example: Example | None = row[2]
        ids = [generation.request_content_id, None if example is None else example.content_id]
        bodies = await ContentRepository(self._session).bodies([it for it in ids if it is not None])
        request, said = ((None if it is None else bodies.get(it)) for it in ids)
        prompt = None
        if generation.prompt_version_id is not None:
            prompt = await PromptRepository(self._session).by_id(generation.prompt_version_id)
        return ReplaySource(
            purpose=generation.purpose,
            origin=generation.origin,
            repetition=generation.repetition,
            request=request,
            was_stored=generation.request_content_id is not None,
            request_hash=generation.request_hash,
            applied=generation.applied_parameters or {},
            content=None if prompt is None else prompt.content,
            provider=generation.provider,
            endpoint=None if model is None else model.endpoint,
            provider_model=None if model is None else model.provider_model,
            digest=None if model is None else model.digest,
            example=None if example is None or said is None else _example(example, said),
            example_was_stored=example is not None,
            binding=_binding(row[3], row[4]),
        )


def _example(example: Example, body: Any) -> ExampleView:
    return ExampleView(
        id=example.id,
        position=0,
        key=example.key,
        input=body.get("input", {}),
        messages=body.get("messages"),
    )


def _binding(spec: Any, position: int | None) -> dict[str, str] | None:
    """Return which input fills which variable, as the experiment said it of this run."""
    if spec is None or position is None:
        return None
    binding: dict[str, str] = spec["variants"][position]["binding"]
    return binding
