"""Equal requests have one hash, and every field that decides the answer is part of it."""

from __future__ import annotations

import dataclasses
import timeit
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.llm.request_identity import (
    IDENTITY_FIELDS,
    TRANSPORT_FIELDS,
    RequestHasher,
    changed_parts,
    identity_hash,
    identity_of,
    identity_of_stored,
    request_hash,
)
from app.llm.types import (
    ImagePart,
    LLMRequest,
    Message,
    ModelTarget,
    Price,
    TextPart,
    ToolCall,
)

words = st.text(max_size=6)
numbers = st.integers(-1000, 1000) | st.floats(-1e6, 1e6)
values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
parts = st.builds(TextPart, words) | st.builds(ImagePart, words, st.none() | words)
messages = st.builds(
    Message,
    role=st.sampled_from(("system", "developer", "user", "assistant", "tool")),
    content=st.none() | words | st.lists(parts, min_size=1, max_size=3).map(tuple),
    name=st.none() | words,
    tool_calls=st.lists(st.builds(ToolCall, words, words, words), max_size=2).map(tuple),
    tool_call_id=st.none() | words,
    refusal=st.none() | words,
    reasoning=st.none() | words,
)
prices = st.none() | st.builds(
    Price, st.none() | words, st.decimals(0, 100, places=2), st.decimals(0, 100, places=2)
)
names = st.sampled_from(("temperature", "top_p", "seed", "max_tokens", "stop", "reasoning_effort"))
targets = st.builds(ModelTarget, words, words, words, prices)
requests = st.builds(
    LLMRequest,
    target=targets,
    messages=st.lists(messages, min_size=1, max_size=3).map(tuple),
    parameters=st.dictionaries(names, values, max_size=4),
    tools=st.none() | st.lists(values, min_size=1, max_size=2),
    tool_choice=st.none() | words,
    response_format=st.none() | st.dictionaries(words, values, min_size=1, max_size=2),
    repetition=st.integers(0, 50),
    request_id=st.none() | words,
)
strategies = {
    "LLMRequest.messages": st.lists(messages, min_size=1, max_size=3).map(tuple),
    "LLMRequest.parameters": st.dictionaries(names, values, max_size=4),
    "LLMRequest.tools": st.lists(values, min_size=1, max_size=2),
    "LLMRequest.tool_choice": words,
    "LLMRequest.response_format": st.dictionaries(words, values, min_size=1, max_size=2),
    "LLMRequest.repetition": st.integers(0, 50),
    "LLMRequest.request_id": words,
    "LLMRequest.prompt": words,
    "LLMRequest.conversation_id": words,
    "ModelTarget.provider": words,
    "ModelTarget.endpoint": words,
    "ModelTarget.provider_model": words,
    "ModelTarget.price": prices,
}


def changed(request: LLMRequest, field: str, value: Any) -> LLMRequest:
    owner, _, name = field.partition(".")
    if owner == "LLMRequest":
        return dataclasses.replace(request, **{name: value})
    return dataclasses.replace(request, target=dataclasses.replace(request.target, **{name: value}))


def as_sent(value: Any) -> Any:
    """Return a value as JSON tells it apart: true is not 1, but 0.0 is 0."""
    if isinstance(value, dict):
        return [(key, as_sent(item)) for key, item in value.items()]
    if isinstance(value, list):
        return ["list", *map(as_sent, value)]
    return (isinstance(value, bool), value)


def same(field: str, before: LLMRequest, after: LLMRequest) -> bool:
    owner, _, name = field.partition(".")
    sides = (before, after) if owner == "LLMRequest" else (before.target, after.target)
    values = [getattr(side, name) for side in sides]
    if name == "parameters":
        values = [{key: value[key] for key in sorted(value)} for value in values]
    return bool(as_sent(values[0]) == as_sent(values[1]))


@given(requests, st.sampled_from(sorted(IDENTITY_FIELDS - {"LLMRequest.target"})), st.data())
def test_a_change_of_what_decides_the_answer_misses(
    request: LLMRequest, field: str, data: st.DataObject
) -> None:
    other = changed(request, field, data.draw(strategies[field]))
    assert (request_hash(request) == request_hash(other)) is same(field, request, other)


@given(requests, st.sampled_from(sorted(TRANSPORT_FIELDS)), st.data())
def test_a_change_of_how_the_call_is_made_hits(
    request: LLMRequest, field: str, data: st.DataObject
) -> None:
    other = changed(request, field, data.draw(strategies[field]))
    assert request_hash(request) == request_hash(other)


@given(requests, st.none() | words, st.none() | words)
def test_another_digest_is_another_model(
    request: LLMRequest, digest: str | None, other: str | None
) -> None:
    assert (request_hash(request, digest) == request_hash(request, other)) is (digest == other)


@given(messages, messages)
def test_two_messages_are_equal_only_if_every_field_is(one: Message, other: Message) -> None:
    target = ModelTarget("openai", "openai", "m")
    hashes = [request_hash(LLMRequest(target, (message,))) for message in (one, other)]
    assert (hashes[0] == hashes[1]) is (one == other)


@given(requests)
def test_the_order_of_the_parameters_is_no_difference(request: LLMRequest) -> None:
    reversed_ = dict(reversed(list(request.parameters.items())))
    assert request_hash(request) == request_hash(
        changed(request, "LLMRequest.parameters", reversed_)
    )


@given(requests, messages, st.integers(0, 50))
def test_the_hasher_of_a_run_hashes_each_of_its_requests(
    like: LLMRequest, message: Message, repetition: int
) -> None:
    other = dataclasses.replace(like, messages=(message,), repetition=repetition)
    assert RequestHasher(like).hash(other) == request_hash(other)


@given(requests, st.none() | words)
def test_what_is_stored_of_a_request_has_the_hash_of_the_request(
    request: LLMRequest, digest: str | None
) -> None:
    stored = identity_of_stored(request.request_shape, request.target, digest, request.repetition)
    assert identity_hash(stored) == request_hash(request, digest)


@given(requests, requests)
def test_parts_differ_exactly_if_the_hashes_do(one: LLMRequest, other: LLMRequest) -> None:
    parts_that_differ = changed_parts(identity_of(one), identity_of(other))
    assert bool(parts_that_differ) is (request_hash(one) != request_hash(other))


def test_every_field_of_a_request_is_decided_upon() -> None:
    fields = {
        f"{kind.__name__}.{field.name}"
        for kind in (LLMRequest, ModelTarget)
        for field in dataclasses.fields(kind)
    }
    assert fields == IDENTITY_FIELDS | TRANSPORT_FIELDS
    assert not IDENTITY_FIELDS & TRANSPORT_FIELDS


def test_a_changed_parameter_is_named_by_itself() -> None:
    target = ModelTarget("openai", "openai", "m", Price(None, Decimal(1), Decimal(2)))
    one = LLMRequest(target, (Message("user", "hi"),), {"temperature": 0, "top_p": 1})
    other = LLMRequest(target, (Message("user", "ho"),), {"temperature": 1.0, "top_p": 1.0})
    assert changed_parts(identity_of(one), identity_of(other)) == [
        "messages",
        "parameters.temperature",
    ]


def test_the_order_of_a_schemas_properties_is_part_of_it() -> None:
    target = ModelTarget("openai", "openai", "m")
    schemas = [{"properties": {"a": 1, "b": 2}}, {"properties": {"b": 2, "a": 1}}]
    hashes = {request_hash(LLMRequest(target, (), response_format=schema)) for schema in schemas}
    assert len(hashes) == 2


def test_the_form_is_the_one_under_which_answers_are_stored() -> None:
    request = LLMRequest(
        ModelTarget("openai", "openai", "gpt-4.1"), (Message("user", "hi"),), {"temperature": 0.0}
    )
    assert request_hash(request) == (
        "sha256:83218aaff16c2699f5a96be36870ef569e9a306adabff86662fa84fc3599ef60"
    )


def test_what_no_json_can_hold_is_refused() -> None:
    target = ModelTarget("openai", "openai", "m")
    with pytest.raises(Invalid, match="NaN"):
        request_hash(LLMRequest(target, (), {"temperature": float("nan")}))
    with pytest.raises(Invalid, match="cannot be written as JSON"):
        request_hash(LLMRequest(target, (Message("user", "\ud800"),)))


def test_a_typical_request_is_hashed_in_next_to_no_time() -> None:
    request = LLMRequest(
        ModelTarget("openai", "openai", "gpt-4.1-mini"),
        (Message("system", "Sort the ticket. " * 60), Message("user", "My parcel is lost. " * 30)),
        {"temperature": 0.0, "max_tokens": 256, "top_p": 1, "seed": 7},
    )
    hasher = RequestHasher(request)
    seconds = min(timeit.repeat(lambda: hasher.hash(request), number=200, repeat=10)) / 200
    assert seconds < 50e-6
