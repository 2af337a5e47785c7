"""What callers send, made safe to store and to pass on (pure).

NUL characters and lone surrogates are refused: no database keeps them, and to drop them silently
would change what was said. Other control characters are taken out, and marks that change the
direction of writing are kept, since names and languages need them; both are flagged.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.settings import ChatSettings
from app.llm.types import ImagePart, Message, TextPart, ToolCall
from app.schemas.chat import ChatRequest

__all__ = ["BIDI_MARKS", "CONTROL_CHARACTERS", "clean_request", "without_texts"]

BIDI_MARKS: Final = "bidi_marks"
CONTROL_CHARACTERS: Final = "control_characters"

_LEVELS: Final = frozenset({"none", "minimal", "low", "medium", "high", "xhigh"})
"""Words that parameters take, of effort and verbosity: facts, and nobody's text."""

_LONGEST_LABEL = 200  # characters, of a subject
_CONTROL = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NOT_IN_AN_ADDRESS = re.compile("[\x00-\x20\x7f-\x9f\ud800-\udfff]")
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")


def clean_request(request: ChatRequest, settings: ChatSettings) -> tuple[ChatRequest, set[str]]:
    """Return the request as it may be passed on, and the flags of what was found in its texts.

    Raises `Invalid` with the field's path for a text that is refused or too long, and for too many
    messages.
    """
    if len(request.messages) > settings.max_messages:
        raise Invalid(
            f"A request may have {settings.max_messages:,} messages, and this one has "
            f"{len(request.messages):,}.",
            path="messages",
        )
    cleaner = _Cleaner(settings.max_message_characters)
    if request.subject is not None and len(request.subject) > _LONGEST_LABEL:
        raise Invalid(f"A user is named by at most {_LONGEST_LABEL} characters.", path="user")
    cleaned = replace(
        request,
        messages=tuple(
            cleaner.message(message, f"messages[{number}]")
            for number, message in enumerate(request.messages)
        ),
        variables={
            cleaner.text(name, "variables"): cleaner.json(value, f"variables.{name}")
            for name, value in request.variables.items()
        },
        parameters={
            name: cleaner.json(value, f"parameters.{name}")
            for name, value in request.parameters.items()
        },
        tools=cleaner.json(request.tools, "tools"),
        tool_choice=cleaner.json(request.tool_choice, "tool_choice"),
        response_format=cleaner.json(request.response_format, "response_format"),
        subject=None if request.subject is None else cleaner.text(request.subject, "user"),
        tags={
            cleaner.text(name, "metadata"): cleaner.text(value, f"metadata.{name}")
            for name, value in request.tags.items()
        },
    )
    return cleaned, cleaner.flags


def without_texts(parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return a caller's parameters as facts, which outlive every text.

    What may hold texts, `stop` above all, becomes how many they are; what was sent stands with the
    rendered request, which is a text and can be erased.
    """
    return {name: _fact(value) for name, value in parameters.items()}


def _fact(value: JSON) -> JSON:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if value in _LEVELS else {"texts": 1}
    return {"texts": len(value)}


class _Cleaner:
    """Cleans texts and remembers what it found."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self.flags: set[str] = set()

    def text(self, text: str, path: str) -> str:
        if len(text) > self._longest:
            raise Invalid(
                f"{path} has {len(text):,} characters, and at most {self._longest:,} are taken.",
                path=path,
            )
        if text.isascii() and text.isprintable():  # nearly always, and much faster
            return text
        if found := _FORBIDDEN.search(text):
            raise Invalid(
                f"{path} has a character that no text may have (U+{ord(found[0]):04X}) at "
                f"{found.start()}.",
                path=path,
            )
        if _BIDI.search(text):
            self.flags.add(BIDI_MARKS)
        cleaned = _CONTROL.sub("", text)
        if cleaned != text:
            self.flags.add(CONTROL_CHARACTERS)
        return cleaned

    def json(self, value: JSON, path: str) -> JSON:
        """Clean every text in a value; keys are cleaned too."""
        if isinstance(value, str):
            return self.text(value, path)
        if isinstance(value, Mapping):
            return {
                self.text(key, path): self.json(item, f"{path}.{key}")
                for key, item in value.items()
            }
        if isinstance(value, Sequence):
            return [self.json(item, f"{path}[{n}]") for n, item in enumerate(value)]
        return value

    def message(self, message: Message, path: str) -> Message:
        content = message.content
        if isinstance(content, str):
            content = self.text(content, f"{path}.content")
        elif content is not None:
            content = tuple(
                self._part(part, f"{path}.content[{number}]") for number, part in enumerate(content)
            )
        return Message(
            message.role,
            content,
            self._optional(message.name, f"{path}.name"),
            tuple(
                self._call(call, f"{path}.tool_calls[{number}]")
                for number, call in enumerate(message.tool_calls)
            ),
            self._optional(message.tool_call_id, f"{path}.tool_call_id"),
            self._optional(message.refusal, f"{path}.refusal"),
            self._optional(message.reasoning, f"{path}.reasoning"),
        )

    def _optional(self, text: str | None, path: str) -> str | None:
        return None if text is None else self.text(text, path)

    def _part(self, part: TextPart | ImagePart, path: str) -> TextPart | ImagePart:
        if isinstance(part, TextPart):
            return TextPart(self.text(part.text, f"{path}.text"))
        # A data URL is long by nature; the limit of the body bounds it.
        if _NOT_IN_AN_ADDRESS.search(part.url):
            raise Invalid(f"{path}.image_url is no address.", path=f"{path}.image_url")
        return ImagePart(part.url, self._optional(part.detail, f"{path}.image_url.detail"))

    def _call(self, call: ToolCall, path: str) -> ToolCall:
        return ToolCall(
            self.text(call.id, f"{path}.id"),
            self.text(call.name, f"{path}.function.name"),
            self.text(call.arguments, f"{path}.function.arguments"),
        )
