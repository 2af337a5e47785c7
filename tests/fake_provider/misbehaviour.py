"""How each fault of the catalogue looks on the wire.

Every fault is derived from the good reply to the same request: it is replaced by an error
(`_ERRORS`), the answer is changed (`_ANSWERS`), its JSON is (`_SPOILERS`), or its bytes are cut,
padded, delayed or dropped (`_WIRES`). So a fault spoils exactly one thing and the rest is as it
should be. The four tables together hold the names of `faults.FAULTS`, each once.
"""

import math
import time
import zlib
from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from typing import NamedTuple

from tests.fake_provider.answers import Answer, Chat, Payload, Usage
from tests.fake_provider.dialects import Dialect, ErrorBody, Reported, encode
from tests.fake_provider.faults import Fault, FaultScript
from tests.fake_provider.http1 import LAST_CHUNK, chunk, head, response
from tests.fake_provider.replies import JSON, Close, Drip, Flood, Hang, Reply, Reset, Step, Wait

__all__ = [
    "MAX_TOKENS_REFUSED",
    "PLAYED_FAULTS",
    "TEMPERATURE_REFUSED",
    "TOP_P_WITH_TEMPERATURE_REFUSED",
    "Exchange",
    "error_reply",
    "faulty_reply",
    "good_reply",
    "model_not_found",
]

Spoiler = Callable[[Payload], Payload]
Wire = Callable[["Exchange", Fault, FaultScript], Reply]

_HTML = b"<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"
_HTML_TYPE = "text/html; charset=utf-8"
_FLUSH_S = 0.01
"""Long enough on loopback for what was sent to arrive before the connection is reset."""
_SPLIT_WAIT_S = 0.002
_FLOOD_PIECE = b" " * (1 << 16)
_BLOCK = b" " * (1 << 20)
_MULTIBYTE = " é 漢字 🙂"


class Exchange(NamedTuple):
    """A chat request with everything that its reply is made of; `interval_s` stands between two
    events of a good stream."""

    chat: Chat
    dialect: Dialect
    answer: Answer
    reported: Reported
    headers: dict[str, str]
    interval_s: float

    @property
    def content_type(self) -> str:
        """The content type of a good reply."""
        return self.dialect.stream_type if self.chat.stream else JSON

    def objects(self) -> list[Payload]:
        """The JSON objects of a good reply: one, or those of the stream."""
        if self.chat.stream:
            return self.dialect.frames(self.chat, self.answer, self.reported)
        return [self.dialect.plain(self.chat, self.answer, self.reported)]

    def pieces(self, objects: list[Payload]) -> list[bytes]:
        """The bytes of the body that carries `objects`, in the pieces a stream is sent in."""
        if not self.chat.stream:
            return [encode(item) for item in objects]
        frames = [self.dialect.frame(item) for item in objects]
        return [*frames, self.dialect.stream_end] if self.dialect.stream_end else frames

    def body(self) -> bytes:
        """The whole body of a good reply."""
        return b"".join(self.pieces(self.objects()))


def good_reply(exchange: Exchange) -> Reply:
    """Return the reply without fault."""
    return _reply(exchange, exchange.pieces(exchange.objects()))


def faulty_reply(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    """Return the reply that shows `fault`, with the figures of `script`."""
    name = fault.name
    if error := _ERRORS.get(name):
        headers = {**exchange.headers, **_wait_headers(name, script)}
        return error_reply(exchange.dialect, fault.status, error, headers)
    if change := _ANSWERS.get(name):
        return good_reply(exchange._replace(answer=change(exchange.answer)))
    if spoil := _SPOILERS.get(name):
        return _reply(exchange, exchange.pieces([spoil(item) for item in exchange.objects()]))
    wire = _cut_at if fault.cut_at is not None else _WIRES[name]
    return wire(exchange, fault, script)


def error_reply(dialect: Dialect, status: int, error: ErrorBody, headers: dict[str, str]) -> Reply:
    """Return an error with a JSON body in the shape of the dialect."""
    return Reply(status, (response(status, JSON, encode(dialect.error(error)), headers),))


def model_not_found(model: str) -> ErrorBody:
    """Return the error for a model that the provider does not have."""
    return ErrorBody(f"There is no model {model!r} here.", param="model", code="model_not_found")


def _reply(exchange: Exchange, pieces: list[bytes]) -> Reply:
    if not exchange.chat.stream:
        return Reply(200, (response(200, JSON, b"".join(pieces), exchange.headers),))
    if not exchange.interval_s:
        chunks = b"".join(map(chunk, pieces))
        return Reply(200, (_chunked_head(exchange) + chunks + LAST_CHUNK,))
    steps: list[Step] = [_chunked_head(exchange)]
    for piece in pieces:
        steps += (chunk(piece), Wait(exchange.interval_s))
    return Reply(200, (*steps, LAST_CHUNK))


def _chunked_head(exchange: Exchange) -> bytes:
    return head(200, exchange.content_type, None, exchange.headers)


def _sized_head(exchange: Exchange, length: int) -> bytes:
    return head(200, exchange.content_type, length, exchange.headers)


# --- errors: a status and a body that says why ------------------------------------------------

TEMPERATURE_REFUSED = ErrorBody(
    "This model takes no temperature but 1: leave temperature out.",
    param="temperature",
    code="unsupported_value",
)
TOP_P_WITH_TEMPERATURE_REFUSED = ErrorBody(
    "This model takes `temperature` or `top_p` but not both: send one of them."
)
MAX_TOKENS_REFUSED = ErrorBody(
    "This model does not take 'max_tokens': send 'max_completion_tokens'.",
    param="max_tokens",
    code="unsupported_parameter",
)

_RATE_LIMITED = ErrorBody("Too many requests.", "requests", code="rate_limit_exceeded")
_ERRORS: dict[str, ErrorBody] = {
    "429-seconds": _RATE_LIMITED,
    "429-date": _RATE_LIMITED,
    "429-ms": _RATE_LIMITED,
    "429-no-header": _RATE_LIMITED,
    "429-quota": ErrorBody(
        "The quota of this account is used up.", "insufficient_quota", code="insufficient_quota"
    ),
    "500": ErrorBody("Something broke here.", "server_error"),
    "503": ErrorBody("The model is overloaded.", "server_error"),
    "400": ErrorBody("The request makes no sense."),
    "401": ErrorBody("This key is not known here.", code="invalid_api_key"),
    "403": ErrorBody("This key may not use this model.", "permission_error"),
    "404-model": model_not_found("the one asked for"),
    "413": ErrorBody("The request is too large."),
    "422": ErrorBody("messages.0.content: a string was wanted.", param="messages"),
    "400-content-filter": ErrorBody("The prompt was filtered.", code="content_filter"),
    "400-context-length": ErrorBody(
        "The messages do not fit the context window.",
        param="messages",
        code="context_length_exceeded",
    ),
    "400-temperature": TEMPERATURE_REFUSED,
    "400-top-p-with-temperature": TOP_P_WITH_TEMPERATURE_REFUSED,
    "400-max-tokens": MAX_TOKENS_REFUSED,
}


def _wait_headers(name: str, script: FaultScript) -> dict[str, str]:
    if name == "429-seconds":
        return {"Retry-After": str(script.retry_after_s)}
    if name == "429-ms":
        return {"retry-after-ms": str(1000 * script.retry_after_s)}
    if name == "429-date":
        # An HTTP date has no fractions: rounding up keeps the promise that nobody comes early.
        until = math.ceil(time.time() + script.retry_after_s)
        return {"Date": formatdate(usegmt=True), "Retry-After": formatdate(until, usegmt=True)}
    return {}


# --- answers: well-formed, but not what was hoped for -----------------------------------------

_ANSWERS: dict[str, Callable[[Answer], Answer]] = {
    "content-filter": lambda answer: answer._replace(content="", finish_reason="content_filter"),
    "refusal": lambda answer: answer._replace(content=None, refusal="I would rather not."),
    "null-content": lambda answer: answer._replace(content=None, tool_call=None),
    "absent-usage": lambda answer: answer._replace(usage=None),
    "ollama-missing-counts": lambda answer: answer._replace(usage=None),
    "negative-usage": lambda answer: answer._replace(usage=Usage(-1, -1, -2)),
    "string-usage": lambda answer: answer._replace(usage=Usage("many", "12", "many")),
    "awkward-text": lambda answer: answer._replace(content=f"a\x00b\ud800c {answer.content or ''}"),
}


# --- JSON that lacks what every answer has ----------------------------------------------------


def _without_message(payload: Payload) -> Payload:
    """Drop the message and keep the place where it was."""
    spoiled = {key: value for key, value in payload.items() if key != "message"}
    if payload.get("choices"):
        spoiled["choices"] = [{"index": 0, "finish_reason": "stop"}]
    return spoiled


_SPOILERS: dict[str, Spoiler] = {
    "empty-choices": lambda payload: {**payload, "choices": []},
    "missing-message": _without_message,
}


# --- bytes ------------------------------------------------------------------------------------


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _bad_gateway(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    reply = response(fault.status, _HTML_TYPE, _HTML, exchange.headers)
    return Reply(fault.status, (reply,))


def _empty(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    reply = response(fault.status, exchange.content_type, b"", exchange.headers)
    return Reply(fault.status, (reply,))


def _redirect(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    headers = {**exchange.headers, "Location": "/elsewhere"}
    return Reply(fault.status, (response(fault.status, JSON, b"", headers),))


def _malformed(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    """Break the body, or the event in the middle of a stream."""
    pieces = exchange.pieces(exchange.objects())
    middle = len(pieces) // 2
    pieces[middle] = _half(pieces[middle]) + b"\n\n"
    return _reply(exchange, pieces)


def _error_as_success(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    return error_reply(exchange.dialect, 200, _ERRORS["500"], exchange.headers)


def _truncated_body(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    body = exchange.body()
    return Reply(200, (_sized_head(exchange, len(body)) + _half(body), Close()))


def _truncated_chunked(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    body = exchange.body()
    first = _half(body)
    rest = body[len(first) :]
    broken = b"%x\r\n%b" % (len(rest), _half(rest))
    return Reply(200, (_chunked_head(exchange) + chunk(first) + broken, Close()))


def _endless(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    """Drip spaces after half a body, or one delta after another."""
    if exchange.chat.stream:
        start, drip = b"", _one_delta(exchange)
    else:
        start, drip = _half(exchange.body()), b" "
    opening = _chunked_head(exchange) + chunk(start)
    return Reply(200, (opening, Drip(chunk(drip), script.drip_interval_s)))


def _one_delta(exchange: Exchange) -> bytes:
    """Return an event of a stream that carries text and no finish reason."""
    talking = exchange._replace(answer=Answer("more", "stop", None))
    unfinished = [item for item in talking.objects() if not exchange.dialect.finishes(item)]
    return exchange.dialect.frame(unfinished[-1])


def _padding(exchange: Exchange) -> tuple[bytes, bytes]:
    """Return what stands before and after padding with spaces in front of a good body."""
    return exchange.dialect.stream_padding if exchange.chat.stream else (b"", b"")


def _oversized(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    start, end = _padding(exchange)
    times = -(-script.oversized_bytes // len(_FLOOD_PIECE))
    rest = end + exchange.body()
    length = len(start) + times * len(_FLOOD_PIECE) + len(rest)
    return Reply(200, (_sized_head(exchange, length) + start, Flood(_FLOOD_PIECE, times), rest))


def _gzip_bomb(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    """Compress one block of padding and send it as often as needed.

    After a full flush the compressor has no memory, so equal blocks give equal bytes and the
    stream (RFC 1951, 1952) can be put together without ever compressing the whole.
    """
    start, end = _padding(exchange)
    times = -(-script.oversized_bytes // len(_BLOCK))
    rest = end + exchange.body()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    opening = deflate.compress(start) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(_BLOCK) + deflate.flush(zlib.Z_FULL_FLUSH)
    closing = deflate.compress(rest) + deflate.flush(zlib.Z_FINISH)
    size = len(start) + times * len(_BLOCK) + len(rest)
    check = zlib.crc32(rest, _padding_crc(zlib.crc32(start), times))
    trailer = check.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
    magic = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    headers = {**exchange.headers, "Content-Encoding": "gzip"}
    length = len(magic) + len(opening) + times * len(block) + len(closing) + len(trailer)
    first = head(200, exchange.content_type, length, headers) + magic + opening
    return Reply(200, (first, Flood(block, times), closing + trailer))


@cache
def _padding_crc(crc: int, times: int) -> int:
    """Return the CRC-32 after `times` blocks of padding: some 50 ms for 256, so done once."""
    for _ in range(times):
        crc = zlib.crc32(_BLOCK, crc)
    return crc


def _silence(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    return Reply(0, (Hang(),))


def _idle_gap(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    return Reply(200, (_chunked_head(exchange) + chunk(_half(exchange.body())), Hang()))


def _reset(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    return Reply(0, (Reset(),))


def _reset_after_headers(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    return Reply(200, (_sized_head(exchange, len(exchange.body())), Wait(_FLUSH_S), Reset()))


def _reset_mid_body(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    body = exchange.body()
    return Reply(200, (_sized_head(exchange, len(body)) + _half(body), Wait(_FLUSH_S), Reset()))


def _close(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    return Reply(0, (Close(),))


def _comments(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    opening = _chunked_head(exchange) + chunk(_one_delta(exchange))
    return Reply(200, (opening, Drip(chunk(b": keep-alive\n\n"), script.drip_interval_s)))


def _ended(exchange: Exchange, body: bytes) -> Reply:
    """Return a stream that ends cleanly, as HTTP sees it, after `body`."""
    return Reply(200, (_chunked_head(exchange) + chunk(body) + LAST_CHUNK,))


def _finish_index(exchange: Exchange, objects: list[Payload]) -> int:
    return next(index for index, item in enumerate(objects) if exchange.dialect.finishes(item))


def _cut_before_finish(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    objects = exchange.objects()
    kept = objects[: _finish_index(exchange, objects)]
    return _ended(exchange, b"".join(map(exchange.dialect.frame, kept)))


def _cut_before_done(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    objects = exchange.objects()
    kept = objects[: _finish_index(exchange, objects) + 1]
    return _ended(exchange, b"".join(map(exchange.dialect.frame, kept)))


def _cut_at(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    return _ended(exchange, exchange.body()[: fault.cut_at])


def _error_in_stream(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    error = exchange.dialect.error(_ERRORS["500"])
    return _ended(exchange, _one_delta(exchange) + exchange.dialect.frame(error))


def _split_utf8(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    """Cut behind the first byte of every character that has several, and let each part arrive."""
    answer = exchange.answer._replace(content=(exchange.answer.content or "") + _MULTIBYTE)
    body = exchange._replace(answer=answer).body()
    cuts = [index + 1 for index, byte in enumerate(body) if byte >= 0xC0]
    steps: list[Step] = [_chunked_head(exchange)]
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        steps += (chunk(body[start:end]), Wait(_SPLIT_WAIT_S))
    return Reply(200, (*steps, LAST_CHUNK))


def _merged_frames(exchange: Exchange, fault: Fault, script: FaultScript) -> Reply:
    return _ended(exchange, exchange.body())


_WIRES: dict[str, Wire] = {
    "307-redirect": _redirect,
    "502-html": _bad_gateway,
    "504": _empty,
    "malformed-json": _malformed,
    "html-200": _bad_gateway,
    "error-200": _error_as_success,
    "empty-body": _empty,
    "truncated-body": _truncated_body,
    "truncated-chunked": _truncated_chunked,
    "endless-body": _endless,
    "oversized-body": _oversized,
    "gzip-bomb": _gzip_bomb,
    "slow-first-byte": _silence,
    "idle-gap": _idle_gap,
    "reset-before-headers": _reset,
    "reset-after-headers": _reset_after_headers,
    "reset-mid-body": _reset_mid_body,
    "close-without-reply": _close,
    "keep-alive-comments": _comments,
    "stream-cut-before-finish": _cut_before_finish,
    "stream-cut-before-done": _cut_before_done,
    "stream-error-event": _error_in_stream,
    "ollama-error-line": _error_in_stream,
    "split-utf8": _split_utf8,
    "merged-frames": _merged_frames,
}

PLAYED_FAULTS = (*_ERRORS, *_ANSWERS, *_SPOILERS, *_WIRES)
"""The names that can be played, in no order that matters."""
