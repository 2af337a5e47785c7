"""An event stream means the same however the network cuts it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.llm.sse import EventLines, EventStreamActivity

STREAM = 'data: {"a": "é漢🙂"}\n\n: keep-alive\nevent: x\ndata:{"b":1}\r\ndata: [DONE]\n\n'.encode()
PAYLOADS = ['{"a": "é漢🙂"}'.encode(), b'{"b":1}', b"[DONE]"]


def payloads(chunks: list[bytes]) -> list[bytes]:
    lines = EventLines()
    return [payload for chunk in chunks for payload in lines.feed(chunk)]


def test_payloads_are_those_of_the_data_lines() -> None:
    assert payloads([STREAM]) == PAYLOADS


@given(st.sets(st.integers(0, len(STREAM))))
def test_payloads_do_not_depend_on_where_the_stream_is_cut(cuts: set[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in pairwise(places)]

    assert payloads(chunks) == PAYLOADS


@pytest.mark.parametrize("end", range(STREAM.index(b"[DONE]\n") + len(b"[DONE]\n")))
def test_a_line_is_not_said_before_its_end_has_come(end: int) -> None:
    assert b"[DONE]" not in payloads([STREAM[:end]])


@pytest.mark.parametrize(
    ("chunk", "content"),
    [
        (b": keep-alive\n\n", False),
        (b"\n\r\n\n", False),
        (b"event: ping\nid: 7\nretry: 10\n\n", False),
        (b"data:\n\ndata: \r\n\n", False),  # an empty payload says nothing
        (b"data: x\n\n", True),
        (b": note\ndata: {}\n", True),
        (b"database: x\n", False),
    ],
)
def test_only_payload_is_a_sign_of_life(chunk: bytes, content: bool) -> None:
    assert EventStreamActivity().feed(chunk) is content


@given(
    st.lists(st.sampled_from([b": c\n", b"\n", b"data: ab\n", b"data:\n", b"event: e\r\n"])),
    st.lists(st.integers(1, 7), min_size=1),
)
def test_activity_counts_each_payload_byte_wherever_the_stream_is_cut(
    lines: list[bytes], sizes: list[int]
) -> None:
    stream = b"".join(lines)
    activity, position, step = EventStreamActivity(), 0, 0
    is_payload = [
        line.startswith(b"data: ab") and byte in b"ab" and index >= 6
        for line in lines
        for index, byte in enumerate(line)
    ]
    while position < len(stream):
        size = sizes[step % len(sizes)]
        expected = any(is_payload[position : position + size])
        assert activity.feed(stream[position : position + size]) is expected
        position, step = position + size, step + 1
