"""`default_assistant`: a plain assistant for conversations that name no prompt of their own."""

from __future__ import annotations

from app.prompts.builtin import BuiltinPrompt

__all__ = ["PROMPT", "VERSION"]

VERSION = 1

_SYSTEM = """\
You are a helpful assistant. Answer in the language of the person who asks.
Say so plainly when you do not know something or cannot do what is asked; do not invent facts.
Keep answers as short as the question allows."""

PROMPT = BuiltinPrompt(
    name="default_assistant",
    version=VERSION,
    description="A plain assistant.",
    content={
        "messages": [
            {"role": "system", "content": _SYSTEM},
            {"placeholder": "history"},
        ]
    },
)
