"""The fields of a chat-completions request, and what becomes of each one.

A field is passed on, ignored (the reply then names it in `x-workbench-ignored`), or refused with
400 and its name as `param`. What would change the answer and cannot be done here is refused; what
only tunes the provider's service is ignored. A field that is null is absent. Fields that the
protocol does not know are ignored as well: a newer client never fails for a word we have not read.
The fields are those of the `openai` package 3.54 for Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.core.hashing import JSON

__all__ = ["EXTENSIONS", "FIELDS", "REQUEST_SCHEMA", "Field", "Handling"]


class Handling(StrEnum):
    """What becomes of a field."""

    PASSED = "passed"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Field:
    """`note` is a sentence for users; `schema` is the part of JSON Schema that is documented."""

    handling: Handling
    note: str
    schema: Mapping[str, JSON]


_TEXT: Final[Mapping[str, JSON]] = {"type": "string"}
_NUMBER: Final[Mapping[str, JSON]] = {"type": "number"}
_INTEGER: Final[Mapping[str, JSON]] = {"type": "integer"}
_BOOLEAN: Final[Mapping[str, JSON]] = {"type": "boolean"}
_OBJECT: Final[Mapping[str, JSON]] = {"type": "object"}
_OBJECTS: Final[Mapping[str, JSON]] = {"type": "array", "items": _OBJECT}
_TEXTS: Final[Mapping[str, JSON]] = {"type": "array", "items": _TEXT}


def _passed(note: str, schema: Mapping[str, JSON]) -> Field:
    return Field(Handling.PASSED, note, schema)


def _ignored(note: str, schema: Mapping[str, JSON]) -> Field:
    return Field(Handling.IGNORED, note, schema)


def _refused(note: str, schema: Mapping[str, JSON]) -> Field:
    return Field(Handling.REFUSED, note, schema)


FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "messages": _passed(
            "Texts and images; audio and files are refused.", {**_OBJECTS, "minItems": 1}
        ),
        "model": _passed("An alias, or a model for which the caller has the permission.", _TEXT),
        "audio": _refused("Answers are text.", _OBJECT),
        "frequency_penalty": _passed("An override of the variant's parameter.", _NUMBER),
        "function_call": _refused("Replaced by `tool_choice`.", _OBJECT),
        "functions": _refused("Replaced by `tools`.", _OBJECTS),
        "logit_bias": _refused("Tokens differ between models. An empty one is absent.", _OBJECT),
        "logprobs": _passed("An override; `false` is absent.", _BOOLEAN),
        "max_completion_tokens": _passed("An override of `max_tokens`, downwards.", _INTEGER),
        "max_tokens": _passed("The older name of `max_completion_tokens`.", _INTEGER),
        "metadata": _passed(
            "The caller's tags: at most 16, keys of 64 and values of 512 characters.",
            {"type": "object", "additionalProperties": _TEXT},
        ),
        "modalities": _refused("Answers are text. `text` alone is absent.", _TEXTS),
        "moderation": _ignored("An alias has guards of its own.", _OBJECT),
        "n": _passed("An override; one stream carries all choices, told apart by index.", _INTEGER),
        "parallel_tool_calls": _refused("Only `true`, the default, can be promised.", _BOOLEAN),
        "prediction": _ignored("It saves time and changes no answer.", _OBJECT),
        "presence_penalty": _passed("An override of the variant's parameter.", _NUMBER),
        "prompt_cache_key": _ignored("Caching at the provider is its own affair.", _TEXT),
        "prompt_cache_options": _ignored("As `prompt_cache_key`.", _OBJECT),
        "prompt_cache_retention": _ignored("As `prompt_cache_key`.", _TEXT),
        "reasoning_effort": _passed("An override of the variant's parameter.", _TEXT),
        "response_format": _passed(
            "Used if the variant has none: `text`, `json_object` or `json_schema`.", _OBJECT
        ),
        "safety_identifier": _passed("The end user, at most 200 characters.", _TEXT),
        "seed": _passed("An override of the variant's parameter.", _INTEGER),
        "service_tier": _ignored("The account's own tier serves. `auto` is absent.", _TEXT),
        "stop": _passed("An override that is allowed by default.", {"anyOf": [_TEXT, _TEXTS]}),
        "store": _ignored("Every answer is on record here. `true` is absent.", _BOOLEAN),
        "stream": _passed("Answers as server-sent events.", _BOOLEAN),
        "stream_options": _passed("`include_usage`; anything else in it is ignored.", _OBJECT),
        "temperature": _passed("An override of the variant's parameter.", _NUMBER),
        "tool_choice": _passed("Used with the caller's own tools.", {"anyOf": [_TEXT, _OBJECT]}),
        "tools": _passed("Used if the variant has none; functions only.", _OBJECTS),
        "top_logprobs": _passed("An override of the variant's parameter.", _INTEGER),
        "top_p": _passed("An override of the variant's parameter.", _NUMBER),
        "user": _passed("The older name of `safety_identifier`.", _TEXT),
        "verbosity": _passed("An override of the variant's parameter.", _TEXT),
        "web_search_options": _refused("Models search nothing here.", _OBJECT),
    }
)
"""What becomes of each field of OpenAI's protocol."""

EXTENSIONS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        "prompt": _passed(
            '`{"variables": {...}}`: the values of the prompt\'s variables.',
            {"type": "object", "properties": {"variables": _OBJECT}},
        ),
        "top_k": _passed("An override of the variant's parameter.", _INTEGER),
    }
)
"""Fields of our own; with the SDK they travel in `extra_body`."""


def _property(field: Field) -> dict[str, JSON]:
    return {
        "anyOf": [field.schema, {"type": "null"}],
        "description": f"{field.handling.value}: {field.note}",
    }


_QUESTION: Final = "Where is my parcel?"

REQUEST_SCHEMA: Final[Mapping[str, JSON]] = MappingProxyType(
    {
        "type": "object",
        "required": ["model", "messages"],
        "properties": {name: _property(field) for name, field in {**FIELDS, **EXTENSIONS}.items()},
        "example": {
            "model": "support-bot@production",
            "messages": [{"role": "user", "content": _QUESTION}],
        },
    }
)
"""The JSON Schema of a request, for the OpenAPI document; parsing is `requests`' matter."""
