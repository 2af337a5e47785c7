"""What is said of a stored request that is rendered again: only what can be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.core.templating import compile_template
from app.llm.request_identity import identity_hash, identity_of_stored
from app.llm.types import ModelTarget
from app.schemas.generation_replays import ReplaySource, ReplayView
from app.schemas.prompts import PromptContent
from app.services.generation_replays import replayed

ID = UUID(int=1)
SYSTEM = {"role": "system", "content": "Help {{ name }}."}
SENT: dict[str, Any] = {
    "model": "fake-model",
    "messages": [{"role": "system", "content": "Help Ada."}, {"role": "user", "content": "Hi"}],
    "temperature": 0,
}


def prompt(messages: Sequence[Mapping[str, str]]) -> PromptContent:
    names = {name for it in messages for name in compile_template(it.get("content", "")).variables}
    return PromptContent.model_validate(
        {"messages": messages, "variables": {name: {} for name in names}}
    )


def chat(**changes: Any) -> ReplaySource:
    """A chat as it is stored."""
    source = ReplaySource(
        purpose="chat",
        origin="executed",
        repetition=0,
        request=SENT,
        was_stored=True,
        request_hash=None,
        applied={"temperature": 0},
        content=prompt([SYSTEM, {"placeholder": "history"}]),
        provider="openai",
        endpoint="openai",
        provider_model="fake-model",
        digest=None,
        example=None,
        example_was_stored=False,
        binding=None,
    )
    return replace(source, **changes)


def of_text(templates: Sequence[tuple[str, str]], texts: Sequence[str]) -> ReplayView:
    """What is said of a chat with messages of the prompt alone, and what was sent for them."""
    roles = [role for role, _ in templates]
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    return replayed(
        ID,
        chat(
            request={**SENT, "messages": messages},
            content=prompt([{"role": role, "content": text} for role, text in templates]),
        ),
    )


def hash_of(request: Mapping[str, Any]) -> str:
    target = ModelTarget("openai", "openai", "fake-model")
    return identity_hash(identity_of_stored(request, target, None, 0))


def test_without_a_hash_only_what_is_stored_is_said_to_be_checked() -> None:
    found = replayed(ID, chat())
    assert (found.outcome, found.hash_holds) == ("identical", None)
    assert found.checked == ["model", "messages", "parameters.temperature"]


def test_with_a_hash_all_that_was_hashed_is_said_to_be_checked() -> None:
    found = replayed(ID, chat(request_hash=hash_of(SENT)))
    assert (found.outcome, found.hash_holds) == ("identical", True)
    assert {"provider", "endpoint", "repetition"} <= set(found.checked)


def test_another_model_than_the_versions_is_a_difference() -> None:
    found = replayed(ID, chat(request={**SENT, "model": "other-model"}))
    assert (found.outcome, found.identical) == ("different", False)
    [difference] = found.differences
    assert (difference.part, difference.stored) == ("model", '"other-model"')
    assert difference.rendered == '"fake-model"'


def test_a_stored_request_without_its_hash_is_not_what_was_sent() -> None:
    taken = hash_of({**SENT, "temperature": 1})
    found = replayed(ID, chat(request_hash=taken))
    assert (found.outcome, found.identical, found.hash_holds) == ("different", False, False)
    [difference] = found.differences
    assert (difference.part, difference.stored) == ("request_hash", taken)
    assert difference.rendered == hash_of(SENT)


def test_a_question_to_a_judge_without_its_hash_is_not_what_was_sent() -> None:
    judge = chat(purpose="judge", request_hash=hash_of({**SENT, "temperature": 1}))
    found = replayed(ID, judge)
    assert (found.outcome, found.identical, found.hash_holds) == ("different", False, False)
    assert found.reason is not None
    assert replayed(ID, replace(judge, request_hash=hash_of(SENT))).outcome == "impossible"


@pytest.mark.parametrize(
    ("templates", "texts"),
    [
        (
            [("system", "City {{ a }} {{ b }}."), ("user", "{{ b }} in {{ a }}")],
            ["City New York hotels.", "hotels in New York"],
        ),
        (
            [("user", "{{ q }} - repeat: {{ q }} - end")],
            ["a - repeat: b - repeat: a - repeat: b - end"],
        ),
        ([("system", "{{ a }}{{ b }}"), ("user", "{{ b }}")], ["onetwo", "two"]),
    ],
)
def test_values_that_cannot_be_told_apart_are_no_difference(
    templates: list[tuple[str, str]], texts: list[str]
) -> None:
    found = of_text(templates, texts)
    assert (found.outcome, found.identical, found.differences) == ("impossible", None, [])
    assert "the values cannot be told apart in the text" in (found.reason or "")


@pytest.mark.parametrize(
    ("templates", "texts"),
    [
        ([("user", "{{ q }} - repeat: {{ q }} - end")], ["one - repeat: two - end"]),
        ([("system", "City {{ a }} {{ b }}.")], ["Town New York hotels."]),
        ([("system", "City {{ a }} {{ b }}."), ("user", "Go.")], ["City New York inns.", "Stay."]),
    ],
)
def test_a_text_that_no_values_make_is_a_difference(
    templates: list[tuple[str, str]], texts: list[str]
) -> None:
    found = of_text(templates, texts)
    assert found.outcome == "different"
    assert [it.part for it in found.differences] == ["messages"]


def test_ambiguous_values_hide_no_other_difference() -> None:
    messages = [{"role": "user", "content": "a - a - a - b"}]
    found = replayed(
        ID,
        chat(
            request={**SENT, "messages": messages, "temperature": 1},
            content=prompt([{"role": "user", "content": "{{ q }} - {{ q }} - b"}]),
        ),
    )
    assert found.outcome == "different"
    assert "parameters.temperature" in [it.part for it in found.differences]
