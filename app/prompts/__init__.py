"""The prompts that our own code sends, one module each. A team's prompts live in the registry."""

from __future__ import annotations

from app.prompts import default_assistant, passthrough
from app.prompts.builtin import BuiltinPrompt

__all__ = ["BUILTIN_NAMES", "BUILTIN_PROMPTS", "BuiltinPrompt"]

BUILTIN_PROMPTS: tuple[BuiltinPrompt, ...] = (passthrough.PROMPT, default_assistant.PROMPT)

BUILTIN_NAMES = frozenset(prompt.name for prompt in BUILTIN_PROMPTS)
