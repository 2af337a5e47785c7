"""Requests are cut from a stream of bytes that arrives in any pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_provider.http1 import LAST_CHUNK, ProtocolError, chunk, next_request, response


def request(path: str = "/", body: bytes = b"", extra: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\ncontent-LENGTH: {len(body)}\r\n{extra}\r\n".encode() + body


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 600))
def test_request_is_whole_or_not_there_whatever_has_arrived(
    body: bytes, following: bytes, cut: int
) -> None:
    whole = request("/path", body)
    arrived = (whole + following)[:cut]
    parsed = next_request(arrived)
    if cut < len(whole):
        assert parsed is None
    else:
        assert parsed is not None
        assert (parsed.method, parsed.path, parsed.body, parsed.size) == (
            "POST",
            "/path",
            body,
            len(whole),
        )


def test_query_is_no_part_of_the_path() -> None:
    parsed = next_request(request("/v1/models?limit=2"))
    assert parsed is not None
    assert parsed.path == "/v1/models"


def test_header_values_keep_their_case_and_names_have_none() -> None:
    parsed = next_request(request(extra="AUTHORIZATION: Bearer Key\r\n"))
    assert parsed is not None
    assert parsed.authorization == "Bearer Key"
    assert parsed.keep_alive


def test_client_that_wants_to_close_is_heard() -> None:
    parsed = next_request(request(extra="Connection: Close\r\n"))
    assert parsed is not None
    assert not parsed.keep_alive


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"x" * 70_000, 431),
    ],
)
def test_bytes_that_cannot_be_a_request_get_the_right_status(data: bytes, status: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        next_request(data)
    assert caught.value.status == status


def test_reply_has_its_length_and_its_headers() -> None:
    assert response(429, "text/plain", b"abc", {"Retry-After": "1"}) == (
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n"
        b"Content-Length: 3\r\nRetry-After: 1\r\n\r\nabc"
    )


def test_empty_chunk_is_never_sent_by_accident() -> None:
    assert chunk(b"") == b""
    assert chunk(b"a" * 17) == b"11\r\n" + b"a" * 17 + b"\r\n"
    assert LAST_CHUNK == b"0\r\n\r\n"
