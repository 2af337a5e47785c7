"""The part of HTTP/1.1 that a provider needs, on bytes alone.

One request is cut from the front of a buffer; replies are built as bytes. Requests have to carry
Content-Length (every JSON client does); bodies in chunks are refused with 411. Header names are
compared in lower case, values are kept as they came.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

__all__ = ["LAST_CHUNK", "ProtocolError", "Request", "chunk", "head", "next_request", "response"]

LAST_CHUNK = b"0\r\n\r\n"

_HEAD_LIMIT = 64 << 10
_BODY_LIMIT = 64 << 20
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class ProtocolError(Exception):
    """Bytes that are no request this server reads; `status` is the reply they deserve."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Request(NamedTuple):
    """One request; `size` is the number of bytes that it took from the buffer."""

    method: str
    path: str
    authorization: str
    body: bytes
    keep_alive: bool
    size: int


def next_request(buffer: bytes | bytearray) -> Request | None:
    """Return the request at the front of the buffer, None while part of it is still to come.

    Raises:
        ProtocolError: the bytes cannot become a request, or exceed 64 KiB of head or 64 MiB of
            body.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > _HEAD_LIMIT:
            raise ProtocolError(431, "The head of the request is longer than 64 KiB.")
        return None
    raw = bytes(buffer[: end + 2])
    lowered = raw.lower()
    length = _content_length(raw, lowered)
    size = end + 4 + length
    if len(buffer) < size:
        return None
    method, path = _request_line(raw)
    return Request(
        method,
        path,
        _header(raw, lowered, b"authorization").decode("latin-1"),
        bytes(buffer[end + 4 : size]),
        _header(raw, lowered, b"connection").lower() != b"close",
        size,
    )


def _request_line(raw: bytes) -> tuple[str, str]:
    parts = raw[: raw.find(b"\r\n")].decode("latin-1").split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise ProtocolError(400, "The first line is no HTTP/1 request line.")
    return parts[0], parts[1].partition("?")[0]


def _header(raw: bytes, lowered: bytes, name: bytes) -> bytes:
    start = lowered.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    return raw[start : raw.find(b"\r\n", start)].strip()


def _content_length(raw: bytes, lowered: bytes) -> int:
    value = _header(raw, lowered, b"content-length")
    if not value:
        if b"\r\ntransfer-encoding:" in lowered:
            raise ProtocolError(411, "Send the body with Content-Length, not in chunks.")
        return 0
    if not value.isdigit():
        raise ProtocolError(400, "Content-Length is no number.")
    length = int(value)
    if length > _BODY_LIMIT:
        raise ProtocolError(413, "The body is longer than 64 MiB.")
    return length


def head(
    status: int, content_type: str, length: int | None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return the head of a reply, with Content-Length, or in chunks when `length` is None."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
    lines.append(f"Content-Type: {content_type}")
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    lines.extend(f"{name}: {value}" for name, value in (headers or {}).items())
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def response(
    status: int, content_type: str, body: bytes, headers: Mapping[str, str] | None = None
) -> bytes:
    """Return a whole reply with Content-Length."""
    return head(status, content_type, len(body), headers) + body


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body; empty data gives b"", since an empty chunk ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
