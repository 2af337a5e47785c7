"""Texts inside Markdown stay text: no markup, no mention, no link, no second line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.reports.markdown_text import code_span, escaped, table_row


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1/ask@2+openai/x", "1/ask@2+openai/x"),  # a name keeps its form
        ("@everyone (@team)", "&#64;everyone (&#64;team)"),  # nobody is notified
        ("http://a.b", "http&#58;//a.b"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("a_b*c|d", r"a\_b\*c\|d"),
        ("one\n\n# two", r"one \# two"),
        ("a\u202eb", "a⟨U+202E⟩b"),
    ],
)
def test_a_text_is_read_as_text(text: str, told: str) -> None:
    assert escaped(text) == told


@given(st.text(max_size=60))
def test_any_text_is_one_cell_on_one_line(text: str) -> None:
    row = table_row([escaped(text), code_span(text)])
    assert len(row.splitlines()) == 1
    assert len(re.findall(r"(?<!\\)\|", re.sub(r"\\\\", "", row))) == 3
    assert "<" not in escaped(text)


@given(st.text("`a |", max_size=20))
def test_no_text_closes_its_code_span(text: str) -> None:
    line = " ".join(text.split())
    span = code_span(text)
    if not line:
        assert span == ""
        return
    fence = re.match("`+", span)
    assert fence is not None
    runs = re.findall("`+", span)
    assert runs.count(fence[0]) == 2
    assert span.endswith(fence[0])
