"""A reply as steps for the connection to play, so that misbehaving is data and not code.

A reply that is one piece of bytes is written at once; anything else is played by a task. A reply
whose last step is neither `Close` nor `Reset` leaves the connection open for the next request.
"""

from typing import NamedTuple

import orjson

from tests.fake_provider import http1

__all__ = ["JSON", "Close", "Drip", "Flood", "Hang", "Reply", "Reset", "Step", "Wait", "json_reply"]

JSON = "application/json"


class Wait(NamedTuple):
    """Nothing for `seconds`."""

    seconds: float


class Drip(NamedTuple):
    """`data` again and again, `interval_s` apart, until the client is gone."""

    data: bytes
    interval_s: float


class Flood(NamedTuple):
    """`data`, `times` times, as fast as the client reads: never more than one piece in memory."""

    data: bytes
    times: int


class Hang:
    """Nothing more, until the client is gone."""


class Close:
    """The connection ends in the orderly way (FIN)."""


class Reset:
    """The connection is torn down (RST)."""


Step = bytes | Wait | Drip | Flood | Hang | Close | Reset


class Reply(NamedTuple):
    """The status that the client sees (0 for none) and the steps to play."""

    status: int
    steps: tuple[Step, ...]


def json_reply(status: int, payload: object) -> Reply:
    """Return an ordinary reply with a JSON body."""
    return Reply(status, (http1.response(status, JSON, orjson.dumps(payload)),))
