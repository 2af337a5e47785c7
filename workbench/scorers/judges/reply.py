"""What a judge has to answer, and how its answer is read.

A reply counts only if it says one thing and nothing else: one JSON object with exactly the two
keys of its scale. The object may stand alone or in one code block that is the whole reply,
because many models cannot do without one. Everything else is no reply: other text around it, a
second object, a key too many or twice, a verdict that is not on the scale, a number as a text.
There is no looking for the first or last verdict in a text, which is where a candidate's words,
repeated by the judge, would be taken for the judge's own.

What is no reply says nothing of the answer that was judged: it is unscored, never 0.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from app.core.hashing import JSON

__all__ = ["Reply", "ReplyError", "Scale", "read_reply", "response_format"]

_REASON: Final = "reason"
_BLOCK: Final = re.compile(r"```(?:json|JSON)?[ \t]*\r?\n(?P<inside>.*)\r?\n[ \t]*```", re.DOTALL)
_LONGEST_REPLY: Final = 100_000
"""Characters; a longer text is no reply, and is not parsed."""


class Scale(StrEnum):
    """What a judge may say."""

    FIVE = "1-5"
    SHARE = "0-1"
    BINARY = "pass_fail"
    PREFERENCE = "preference"

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        return (1.0, 5.0) if self is Scale.FIVE else (0.0, 1.0)

    @property
    def binary(self) -> bool:
        """Whether only the two ends of the range occur."""
        return self is Scale.BINARY

    @property
    def key(self) -> str:
        """The key that holds the judgement."""
        return "score" if self in (Scale.FIVE, Scale.SHARE) else "verdict"


_VERDICTS: Final[Mapping[Scale, Mapping[str, float]]] = MappingProxyType(
    {
        Scale.BINARY: MappingProxyType({"pass": 1.0, "fail": 0.0}),
        # Of the answer that stands first: 1 it is better, 0 it is worse.
        Scale.PREFERENCE: MappingProxyType({"first": 1.0, "second": 0.0, "tie": 0.5}),
    }
)


class ReplyError(ValueError):
    """The text is no reply; the message says why, in a sentence without the text itself."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a judge said: a value on the scale, the word for it, and its reason."""

    value: float
    label: str | None
    reason: str


def response_format(scale: Scale) -> dict[str, JSON]:
    """Return the request's `response_format`: the same form that `read_reply` demands."""
    if scale is Scale.FIVE:
        judgement: dict[str, JSON] = {"type": "integer", "enum": [1, 2, 3, 4, 5]}
    elif scale is Scale.SHARE:
        judgement = {"type": "number", "minimum": 0, "maximum": 1}
    else:
        judgement = {"type": "string", "enum": list(_VERDICTS[scale])}
    schema: dict[str, JSON] = {
        "type": "object",
        # The reason first, so that the judgement follows from it and not the other way round.
        "properties": {_REASON: {"type": "string"}, scale.key: judgement},
        "required": [_REASON, scale.key],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "judgement", "strict": True, "schema": schema},
    }


def read_reply(text: str, scale: Scale) -> Reply:
    """Return what the judge said; raises `ReplyError` for what is no reply."""
    shape = _object(text)
    wanted = {_REASON, scale.key}
    if set(shape) != wanted:
        raise ReplyError(f"The reply has not exactly the keys {_REASON} and {scale.key}.")
    reason, judgement = shape[_REASON], shape[scale.key]
    if not isinstance(reason, str):
        raise ReplyError(f"The reply's {_REASON} is no text.")
    if scale in _VERDICTS:
        return Reply(_verdict(judgement, scale), str(judgement), reason.strip())
    return Reply(_score(judgement, scale), None, reason.strip())


def _object(text: str) -> Mapping[str, JSON]:
    if len(text) > _LONGEST_REPLY:
        raise ReplyError("The reply is too long.")
    stripped = text.strip()
    block = _BLOCK.fullmatch(stripped)
    try:
        value = json.loads(
            block["inside"] if block else stripped,
            object_pairs_hook=_without_repeats,
            parse_constant=_no_number,
        )
    except ReplyError:
        raise
    except (ValueError, RecursionError):
        raise ReplyError("The reply is not one JSON object and nothing else.") from None
    if not isinstance(value, dict):
        raise ReplyError("The reply is no JSON object.")
    return value


def _without_repeats(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    """Two values under one key are two replies; JSON readers disagree on which one counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ReplyError("The reply has a key twice.")
    return found


def _no_number(word: str) -> float:
    raise ReplyError(f"The reply holds {word}, which is no JSON.")


def _verdict(judgement: JSON, scale: Scale) -> float:
    verdicts = _VERDICTS[scale]
    if not isinstance(judgement, str) or judgement not in verdicts:
        raise ReplyError(f"The reply's verdict is none of {', '.join(verdicts)}.")
    return verdicts[judgement]


def _score(judgement: JSON, scale: Scale) -> float:
    low, high = scale.range
    if isinstance(judgement, bool) or not isinstance(judgement, (int, float)):
        raise ReplyError("The reply's score is no number.")
    # Compared before it is converted: a whole number may be too large for a float.
    if not low <= judgement <= high or not math.isfinite(judgement):
        raise ReplyError(f"The reply's score is not between {low:g} and {high:g}.")
    value = float(judgement)
    if scale is Scale.FIVE and not value.is_integer():
        raise ReplyError("The reply's score is no whole number.")
    return value
