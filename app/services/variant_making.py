"""Variants from references, for callers who have names and no objects."""

from __future__ import annotations

from app.core.permissions import Actor, Permission, require
from app.schemas.variants import NewVariant
from app.services.models import ModelService
from app.services.prompts import PromptService
from app.services.variants import Made, VariantService

__all__ = ["VariantMaking"]


class VariantMaking:
    """Looks up what a variant is made of, and makes it."""

    def __init__(
        self, prompts: PromptService, models: ModelService, variants: VariantService
    ) -> None:
        self._prompts = prompts
        self._models = models
        self._variants = variants

    async def make(self, actor: Actor, new: NewVariant) -> Made:
        """Return the variant of a prompt, a model and parameters, stored if it is new.

        Raises `NotFound` for what is not there or not the actor's to see, `Conflict` for a
        retired model, `Invalid` with path `parameters.<name>` for a parameter out of bounds.
        """
        require(actor, Permission.EXPERIMENT_RUN)
        prompt = await self._prompts.read(actor, new.prompt)
        model, _ = await self._models.resolve(actor, new.model, add_missing=False)
        return await self._variants.make(actor, prompt, model, new.parameters)
