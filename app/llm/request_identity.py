"""What makes two requests the same: the fields that decide the answer, hashed in one form.

A stored answer may be used again only for an equal request. Equal is what the model reads and
how it is told to answer; how the call is made (retries, limits, keys, price) is no part of it.
Every field of `LLMRequest` and `ModelTarget` is on one side or the other, by name: a test fails
for a new field until somebody has decided.

The order of names inside tools, schemas and parameter values reaches the model and is part of
the identity; the order of the parameters themselves is not. `_FORM` is part of what is hashed:
whoever changes the form below changes it too, and no older answer is taken for an equal one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from app.core.errors import Invalid
from app.core.hashing import JSON, ordered_json
from app.llm.types import LLMRequest, ModelTarget

__all__ = [
    "IDENTITY_FIELDS",
    "TRANSPORT_FIELDS",
    "RequestHasher",
    "changed_parts",
    "identity_hash",
    "identity_of",
    "identity_of_stored",
    "request_hash",
]

_FORM: Final = "request/1"

IDENTITY_FIELDS: Final = frozenset(
    {
        *(f"LLMRequest.{name}" for name in ("target", "messages", "parameters", "repetition")),
        *(f"LLMRequest.{name}" for name in ("tools", "tool_choice", "response_format")),
        *(f"ModelTarget.{name}" for name in ("provider", "endpoint", "provider_model")),
    }
)
"""Fields that decide the answer; `repetition` because a second sample is another answer."""

TRANSPORT_FIELDS: Final = frozenset(
    {
        *(f"LLMRequest.{name}" for name in ("request_id", "prompt", "conversation_id")),
        "ModelTarget.price",
    }
)
"""Fields that only name or price the call."""

_OWN: Final = frozenset({"messages", "repetition"})
"""What differs between the requests of one run; it is hashed after all else."""

_NOT_PARAMETERS: Final = frozenset({"model", "messages", "tools", "tool_choice", "response_format"})

Identity = Mapping[str, JSON]
"""The parts of a request that decide its answer, by name, in one order."""


class RequestHasher:
    """Hashes the requests of one run, which differ in messages and repetition alone.

    What they share is hashed once, so that a call pays some microseconds. `like` is any one of
    them; `digest` is that of the model version, where the provider pins one. Raises `Invalid` for
    what JSON cannot hold.
    """

    def __init__(self, like: LLMRequest, digest: str | None = None) -> None:
        self._shared = hashlib.sha256(_shared_bytes(identity_of(like, digest)))

    def hash(self, request: LLMRequest) -> str:
        """Return `sha256:<hex>` over the identity of a request; 71 characters."""
        messages = [message.to_json() for message in request.messages]
        digest = self._shared.copy()
        digest.update(_own_bytes(messages, request.repetition))
        return f"sha256:{digest.hexdigest()}"


def request_hash(request: LLMRequest, digest: str | None = None) -> str:
    """Return the hash of a single request, as `RequestHasher` returns it."""
    return RequestHasher(request, digest).hash(request)


def identity_hash(identity: Identity) -> str:
    """Return the hash of an identity as one of the functions here returned it."""
    hashed = hashlib.sha256(_shared_bytes(identity))
    hashed.update(_own_bytes(identity["messages"], identity["repetition"]))
    return f"sha256:{hashed.hexdigest()}"


def _shared_bytes(identity: Identity) -> bytes:
    shared = {name: value for name, value in identity.items() if name not in _OWN}
    return ordered_json(shared).encode()


def _own_bytes(messages: JSON, repetition: JSON) -> bytes:
    """Return the rest of what is hashed; messages hold texts only, so nothing is normalised."""
    try:
        return orjson.dumps([messages, repetition])
    except TypeError as error:
        raise Invalid(f"This request cannot be written as JSON: {error}.") from error


def identity_of(request: LLMRequest, digest: str | None = None) -> dict[str, JSON]:
    """Return the identity of a request that is about to be sent."""
    return _identity(
        request.target,
        digest,
        messages=[message.to_json() for message in request.messages],
        parameters=request.parameters,
        tools=request.tools,
        tool_choice=request.tool_choice,
        response_format=request.response_format,
        repetition=request.repetition,
    )


def identity_of_stored(
    shape: Mapping[str, JSON], target: ModelTarget, digest: str | None, repetition: int
) -> dict[str, JSON]:
    """Return the identity of a stored request; `shape` is its `LLMRequest.request_shape`."""
    return _identity(
        target,
        digest,
        messages=shape.get("messages"),
        parameters={n: value for n, value in shape.items() if n not in _NOT_PARAMETERS},
        tools=shape.get("tools"),
        tool_choice=shape.get("tool_choice"),
        response_format=shape.get("response_format"),
        repetition=repetition,
    )


def _identity(
    target: ModelTarget,
    digest: str | None,
    *,
    messages: JSON,
    parameters: Mapping[str, JSON],
    tools: JSON,
    tool_choice: JSON,
    response_format: JSON,
    repetition: int,
) -> dict[str, JSON]:
    return {
        "form": _FORM,
        "provider": target.provider,
        "endpoint": target.endpoint,
        "model": target.provider_model,
        "digest": digest,
        "messages": messages,
        "parameters": {name: parameters[name] for name in sorted(parameters)},
        "tools": tools,
        "tool_choice": tool_choice,
        "response_format": response_format,
        "repetition": repetition,
    }


def changed_parts(before: Identity, after: Identity) -> Sequence[str]:
    """Return the names of the parts that differ, in the order of an identity.

    A parameter is a part of its own: `parameters.temperature`.
    """
    flat = [_by_part(identity) for identity in (before, after)]
    names = dict.fromkeys((*flat[0], *flat[1]))
    return [name for name in names if flat[0].get(name) != flat[1].get(name)]


def _by_part(identity: Identity) -> dict[str, str]:
    """Return each part as the text that is hashed; what is absent is missing or `null`."""
    parts = {name: value for name, value in identity.items() if name != "parameters"}
    parameters = identity.get("parameters")
    if isinstance(parameters, Mapping):
        parts |= {f"parameters.{name}": value for name, value in parameters.items()}
    return {name: ordered_json(value) for name, value in parts.items()}
