"""Guards of a request: every string that goes to the model, and the others' turn in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from app.core.guards import Guard, GuardRefused
from app.llm.types import ImagePart, Message, TextPart, ToolCall
from app.schemas.chat import ChatRequest
from app.services.chat.guarding import guard_request

SECRET = "secret-1234"
BLOCK = Guard(kind="regex", pattern="secret-[0-9]{4}", label="secret")
MASK = BLOCK.model_copy(update={"action": "mask"})

CALL = ToolCall("c1", "look", "{}")
PIXELS = "data:image/png;base64,iVBORw0KGgo="
BASE = ChatRequest(
    "support-bot@production",
    (
        Message("user", (TextPart("Look:"), ImagePart(PIXELS, "low")), name="ann"),
        Message("assistant", None, tool_calls=(CALL,), refusal="no", reasoning="so"),
        Message("tool", "Found.", tool_call_id="c1"),
    ),
    "r",
    "h",
    parameters={"stop": ["."], "temperature": 0.5},
    variables={"customer": {"name": "Ada", "tags": ["new"]}},
    tools=[{"type": "function", "function": {"name": "look", "description": "Look it up."}}],
    tool_choice={"type": "function", "function": {"name": "look"}},
    response_format={"type": "json_schema", "json_schema": {"name": "form", "schema": {}}},
)


def _said(number: int, **changes: Any) -> dict[str, Any]:
    messages = list(BASE.messages)
    messages[number] = replace(messages[number], **changes)
    return {"messages": tuple(messages)}


TEXTS = {
    "a content": ("messages[2].content", _said(2, content=SECRET)),
    "a text part": ("messages[0].content[0].text", _said(0, content=(TextPart(SECRET),))),
    "arguments": (
        "messages[1].tool_calls[0].function.arguments",
        _said(1, tool_calls=(replace(CALL, arguments=SECRET),)),
    ),
    "a refusal": ("messages[1].refusal", _said(1, refusal=SECRET)),
    "reasoning": ("messages[1].reasoning", _said(1, reasoning=SECRET)),
    "a variable": ("variables.a.b[0]", {"variables": {"a": {"b": [SECRET]}}}),
    "a stop text": ("parameters.stop[1]", {"parameters": {"stop": [".", SECRET]}}),
    "a tool's words": (
        "tools[0].function.description",
        {"tools": [{"type": "function", "function": {"name": "look", "description": SECRET}}]},
    ),
    "a choice": ("tool_choice.function.name", {"tool_choice": {"function": {"name": SECRET}}}),
    "a form": (
        "response_format.json_schema.name",
        {"response_format": {"type": "json_schema", "json_schema": {"name": SECRET}}},
    ),
}
NAMES = {
    "an author": ("messages[0].name", _said(0, name=SECRET)),
    "a call's id": (
        "messages[1].tool_calls[0].id",
        _said(1, tool_calls=(replace(CALL, id=SECRET),)),
    ),
    "a call's name": (
        "messages[1].tool_calls[0].function.name",
        _said(1, tool_calls=(replace(CALL, name=SECRET),)),
    ),
    "the id of a result": ("messages[2].tool_call_id", _said(2, tool_call_id=SECRET)),
    "an image's address": (
        "messages[0].content[0].image_url",
        _said(0, content=(ImagePart(f"https://example.com/?k={SECRET}"),)),
    ),
    "an inline text": (
        "messages[0].content[0].image_url",
        _said(0, content=(ImagePart(f"data:text/plain,{SECRET}"),)),
    ),
    "an image's detail": (
        "messages[0].content[0].image_url.detail",
        _said(0, content=(ImagePart(PIXELS, SECRET),)),
    ),
    "a variable's key": ("variables.a", {"variables": {"a": {SECRET: 1}}}),
    "a schema's key": ("tools[0].parameters", {"tools": [{"parameters": {SECRET: {}}}]}),
}


@pytest.mark.parametrize(
    ("path", "changes"), [*TEXTS.values(), *NAMES.values()], ids=[*TEXTS, *NAMES]
)
async def test_whatever_goes_to_the_model_is_looked_at(path: str, changes: dict[str, Any]) -> None:
    with pytest.raises(GuardRefused) as caught:
        await guard_request(replace(BASE, **changes), [BLOCK])
    assert caught.value.path == path
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("changes", [it for _, it in TEXTS.values()], ids=TEXTS)
async def test_texts_are_masked(changes: dict[str, Any]) -> None:
    checked, flags = await guard_request(replace(BASE, **changes), [MASK])
    assert SECRET not in repr(checked) and "[secret]" in repr(checked)
    assert flags == {"masked:secret"}


@pytest.mark.parametrize(("path", "changes"), NAMES.values(), ids=NAMES)
async def test_what_means_something_else_with_a_mask_in_it_is_refused(
    path: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(GuardRefused) as caught:
        await guard_request(replace(BASE, **changes), [MASK])
    assert (caught.value.path, caught.value.name) == (path, "secret")


async def test_a_request_without_anything_to_find_stays_as_it_is() -> None:
    assert await guard_request(BASE, [BLOCK, MASK]) == (BASE, set())


async def test_pixels_are_no_text() -> None:
    looks_like_an_account = "data:image/png;base64,iVBO/GB82WEST12345698765432/w=="
    request = replace(BASE, **_said(0, content=(ImagePart(looks_like_an_account),)))
    assert await guard_request(request, [Guard(kind="iban")]) == (request, set())


async def test_others_have_their_turn_while_many_texts_are_looked_at() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    request = replace(BASE, messages=(Message("user", "a1.b2@c3 " * 400),) * 60)
    task = asyncio.create_task(other())
    await guard_request(request, [Guard(kind="email"), Guard(kind="iban")])
    task.cancel()
    assert turns
