"""What an assistant's message says, as one text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["message_text"]


def message_text(message: Mapping[str, Any]) -> str:
    """Return what an assistant message says: its text, a refusal, the tools it calls."""
    content = message.get("content")
    parts = [content] if isinstance(content, str) else [p.get("text", "") for p in content or ()]
    if refusal := message.get("refusal"):
        parts.append(f"[refused] {refusal}")
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        parts.append(f"[calls] {function.get('name')}({function.get('arguments')})")
    return "\n".join(part for part in parts if part)
