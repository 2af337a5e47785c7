"""The prompts that our own code sends, one module each. A team's prompts live in the registry."""

from __future__ import annotations

from app.prompts import (
    default_assistant,
    judge_correctness,
    judge_faithfulness,
    judge_preference,
    judge_rubric,
    judge_rubric_pass_fail,
    judge_rubric_share,
    passthrough,
)
from app.prompts.builtin import BuiltinPrompt

__all__ = ["BUILTIN_NAMES", "BUILTIN_PROMPTS", "BuiltinPrompt"]

BUILTIN_PROMPTS: tuple[BuiltinPrompt, ...] = (
    passthrough.PROMPT,
    default_assistant.PROMPT,
    judge_correctness.PROMPT,
    judge_faithfulness.PROMPT,
    judge_preference.PROMPT,
    judge_rubric.PROMPT,
    judge_rubric_pass_fail.PROMPT,
    judge_rubric_share.PROMPT,
)

BUILTIN_NAMES = frozenset(prompt.name for prompt in BUILTIN_PROMPTS)
