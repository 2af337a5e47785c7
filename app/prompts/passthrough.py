"""`passthrough`: sends the caller's messages as they are.

Direct calls to a model use it, so that every generation has a prompt version.
"""

from __future__ import annotations

from app.prompts.builtin import BuiltinPrompt

__all__ = ["PROMPT", "VERSION"]

VERSION = 1

PROMPT = BuiltinPrompt(
    name="passthrough",
    version=VERSION,
    description="The caller's messages as they are.",
    content={"messages": [{"placeholder": "history"}]},
)
