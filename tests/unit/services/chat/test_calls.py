"""Who waits for an answer, and when nobody does any more."""

from __future__ import annotations

import asyncio

from app.core.ids import new_id
from app.schemas.chat import ChatEvent, ServedBy
from app.services.chat.call import ChatCall

SERVED = ServedBy(
    alias=None,
    alias_id=None,
    deployment_id=None,
    deployment_number=None,
    role=None,
    bucket=None,
    variant_id=new_id(),
    variant_hash="sha256:0",
    prompt="passthrough@1",
    model="openai/x@1",
    provider="openai",
    is_exact=True,
    ignored=(),
)


class Heard:
    """A call that keeps what it tells of its readers."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.call = ChatCall(
            new_id(),
            SERVED,
            {},
            lambda: self.told.append("left"),
            lambda: self.told.append("returned"),
        )


def test_a_client_that_leaves_twice_has_left_once() -> None:
    heard = Heard()
    heard.call.join()
    heard.call.leave()
    heard.call.leave()
    assert heard.told == []
    heard.call.part()
    assert heard.told == ["left"]


def test_whoever_joins_a_call_that_all_have_left_brings_it_back() -> None:
    heard = Heard()
    heard.call.leave()
    heard.call.join()
    heard.call.part()
    assert heard.told == ["left", "returned", "left"]


async def test_nothing_is_kept_for_a_client_that_has_left() -> None:
    heard = Heard()
    heard.call.pass_on(ChatEvent("before"))
    heard.call.leave()
    heard.call.pass_on(ChatEvent("after"))
    heard.call.finish(RuntimeError("it is over"))
    texts = []
    try:
        async with asyncio.timeout(5):
            async for event in heard.call.events():
                texts.append(event.text)
    except RuntimeError:
        pass
    assert texts == []
