"""Server-sent events, as much of them as model providers use.

Pure and incremental: bytes in, payloads out, wherever the network cut them. A line is complete
with its LF (a CR before it is dropped); only complete lines count, so a stream that stops within
its last line has not said that line. Each `data:` line is one payload: providers write every
event on one line, and some leave out the blank line between events. Comments and the fields
`event`, `id` and `retry` carry nothing and are dropped.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

__all__ = ["EventLines", "EventStreamActivity"]

_DATA = b"data:"


class EventLines:
    """Collects bytes of an event stream and returns the payloads of its complete `data` lines."""

    def __init__(self) -> None:
        self._rest = b""
        self.empty = True  # until a byte came

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the payloads whose lines this chunk completes, in order."""
        self.empty = self.empty and not chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [
            line[len(_DATA) :].removesuffix(b"\r").removeprefix(b" ")
            for line in lines
            if line.startswith(_DATA)
        ]


class EventStreamActivity:
    """Tells which chunks of an event stream carry content: a visible byte of a payload.

    Keep-alives (comments, blank lines, other fields, empty payloads) carry none, so a server
    that sends nothing else is idle.
    """

    def __init__(self) -> None:
        self._line = b""  # up to five bytes: how the line that the last chunk ended in begins

    def feed(self, chunk: bytes) -> bool:
        """Return whether the chunk holds content."""
        content = False
        begun = self._line
        for piece in chunk.split(b"\n"):
            content = content or _adds_payload(begun, piece)
            self._line = (begun + piece)[: len(_DATA)]
            begun = b""
        return content


def _adds_payload(begun: bytes, piece: bytes) -> bool:
    """Return whether `piece`, on a line that began with `begun`, holds a byte of a payload."""
    if not (begun + piece[: len(_DATA)]).startswith(_DATA):
        return False
    return bool(piece[len(_DATA) - len(begun) :].strip())
