"""What callers send: cleaned, flagged, or refused with its path."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.core.settings import ChatSettings
from app.llm.types import ImagePart, Message, TextPart, ToolCall
from app.schemas.chat import ChatRequest
from app.services.chat.texts import BIDI_MARKS, CONTROL_CHARACTERS, clean_request

SETTINGS = ChatSettings(max_messages=3, max_message_characters=1_000)


def request(*messages: Message, **changes: object) -> ChatRequest:
    values = {"target": "t", "messages": messages, "request_id": "r", "request_hash": "h"}
    return ChatRequest(**{**values, **changes})  # type: ignore[arg-type] # the tests' own values


def cleaned(text: str) -> tuple[str, set[str]]:
    found, flags = clean_request(request(Message("user", text)), SETTINGS)
    return found.messages[0].text, flags


@given(st.text(max_size=200))
def test_a_text_is_refused_or_keeps_all_but_its_control_characters(text: str) -> None:
    """Hypothesis' texts hold no surrogates, so that only NUL is refused."""
    if "\0" in text:
        with pytest.raises(Invalid):
            cleaned(text)
        return
    kept = "".join(c for c in text if unicodedata.category(c) != "Cc" or c in "\t\n\r")
    found, flags = cleaned(text)
    assert found == kept
    assert (CONTROL_CHARACTERS in flags) == (kept != text)
    assert cleaned(found)[0] == found


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "Zs"]), max_size=50))
def test_an_ordinary_text_passes_as_it_is(text: str) -> None:
    assert cleaned(text) == (text, set())


@pytest.mark.parametrize("mark", ["\u200e", "\u202e", "\u2066", "\u061c"])
def test_marks_of_direction_are_kept_and_flagged(mark: str) -> None:
    assert cleaned(f"a{mark}b") == (f"a{mark}b", {BIDI_MARKS})


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (Message("user", "a\0"), "messages[1].content"),
        (Message("user", (TextPart("ok"), TextPart("\ud800"))), "messages[1].content[1].text"),
        (Message("user", (ImagePart("http://a\n/b"),)), "messages[1].content[0].image_url"),
        (Message("user", "ok", name="\0"), "messages[1].name"),
        (Message("tool", "ok", tool_call_id="\udfff"), "messages[1].tool_call_id"),
        (
            Message("assistant", None, tool_calls=(ToolCall("c", "f", '"\0"'),)),
            "messages[1].tool_calls[0].function.arguments",
        ),
        (Message("user", "x" * 1_001), "messages[1].content"),
    ],
)
def test_a_refusal_names_the_message_and_the_field(message: Message, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        clean_request(request(Message("user", "first"), message), SETTINGS)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"variables": {"a": {"b": ["ok", "\0"]}}}, "variables.a.b[1]"),
        ({"parameters": {"stop": ["\ud800"]}}, "parameters.stop[0]"),
        ({"tools": [{"function": {"description": "\0"}}]}, "tools[0].function.description"),
        ({"response_format": {"type": "\0"}}, "response_format.type"),
        ({"tags": {"k": "\0"}}, "metadata.k"),
        ({"subject": "\0"}, "user"),
    ],
)
def test_every_other_text_is_looked_at_too(changes: dict[str, object], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        clean_request(request(Message("user", "first"), **changes), SETTINGS)
    assert caught.value.path == path


def test_too_many_messages_are_refused() -> None:
    with pytest.raises(Invalid) as caught:
        clean_request(request(*[Message("user", "x")] * 4), SETTINGS)
    assert caught.value.path == "messages"


def test_a_data_url_may_be_longer_than_a_text() -> None:
    image = ImagePart("data:image/png;base64," + "A" * 5_000)
    found, _ = clean_request(request(Message("user", (image,))), SETTINGS)
    assert found.messages[0].content == (image,)
