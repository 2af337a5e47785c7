"""Built-in prompts in the registry: registered when a process starts, never changed."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.errors import ConfigurationError
from app.core.permissions import system_actor
from app.prompts import BUILTIN_PROMPTS, BuiltinPrompt
from app.schemas.prompts import PromptContent
from app.services.prompts import PromptService

__all__ = ["register_builtin_prompts"]


async def register_builtin_prompts(
    prompts: PromptService, builtins: Sequence[BuiltinPrompt] = BUILTIN_PROMPTS
) -> int:
    """Register what is missing and return how many that were; one read when nothing is.

    Raises `ConfigurationError` if the registry holds other text under one of the versions:
    then the text was changed without a new VERSION, and records of the two would be mixed up.
    """
    contents = [PromptContent.model_validate(builtin.content) for builtin in builtins]
    stored = await prompts.published_hashes(builtin.name for builtin in builtins)
    missing = []
    for builtin, content in zip(builtins, contents, strict=True):
        known = stored.get((builtin.name, builtin.version))
        if known is None:
            missing.append((builtin, content))
        elif known != content.hash:
            raise ConfigurationError(
                f"The built-in prompt {builtin.name}@{builtin.version} has other text in this "
                "database than in this version of the workbench.",
                hint="Install the version that wrote the database. If you changed the text in "
                f"app/prompts/, give it a new VERSION instead of {builtin.version}.",
            )
    for builtin, content in missing:
        await prompts.register(
            system_actor("workbench"),
            builtin.name,
            content,
            number=builtin.version,
            description=builtin.description,
            message="built in",
            origin="builtin",
        )
    return len(missing)
