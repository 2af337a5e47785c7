"""What a built-in prompt is: data, with a version of its own.

The text of a version never changes: whoever changes one raises its VERSION. A database
that holds other text under the same version refuses to start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.hashing import JSON

__all__ = ["BuiltinPrompt"]


@dataclass(frozen=True)
class BuiltinPrompt:
    """A prompt that our own code sends; `content` has the shape of a prompt version's content."""

    name: str
    version: int
    description: str
    content: Mapping[str, JSON]
