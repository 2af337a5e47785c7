"""Untrusted text: nothing in it is read as Markdown, and nothing in it goes unseen; money."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dashboard.hostile import PAYLOADS
from workbench.dashboard.text import dollars, escaped, shortened, visible

_ADDED = re.compile("[\u2060\u2068\u2069]")
_UNESCAPED = re.compile(r"(?<!\\)(?:\\\\)*[`*_{}\[\]()<>#+\-.!|~:$&@/=^]")
_WRITTEN_OUT = re.compile("⟨U\\+[0-9A-F]{4,6}⟩")


def read(markdown: str) -> str:
    """Return what a reader of Markdown makes of escapes, without what `escaped` has added."""
    return re.sub(r"\\(.)", r"\1", _ADDED.sub("", markdown))


@given(st.text())
def test_escaped_text_reads_as_the_text_itself_on_one_line(text: str) -> None:
    assert read(escaped(text)) == re.sub(r"\s+", " ", visible(text))


@given(st.text())
def test_no_sign_of_markdown_stands_without_its_escape(text: str) -> None:
    assert _UNESCAPED.search(escaped(text)) is None


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_payload_is_escaped_whole(name: str) -> None:
    text = shortened(PAYLOADS[name], 2_000)
    assert _UNESCAPED.search(escaped(text)) is None
    assert read(escaped(text)) == re.sub(r"\s+", " ", visible(text))


@pytest.mark.parametrize(
    "text",
    [
        "https://collector.example/a",
        "www.collector.example",
        "ana@example.com",
        ":material_home:",
        ":streamlit:",
        ":smile:",
        ":+1:",
        "a -> b",
        "<-> x",
        "x -- y",
        "score >= 3",
    ],
)
def test_what_is_found_after_the_escapes_are_read_is_parted_by_a_word_joiner(text: str) -> None:
    assert "\u2060" in escaped(text)


@pytest.mark.parametrize(
    "text",
    ["triage@3", "support-bot@production", "openai/gpt-4.1-mini@2", "10:20:30", "a-b", "x=1"],
)
def test_names_and_times_are_copied_as_they_are(text: str) -> None:
    assert "\u2060" not in escaped(text)
    assert read(escaped(text)) == text


def test_text_from_right_to_left_cannot_turn_the_words_beside_it() -> None:
    assert escaped("שלום 12") == "\u2068שלום 12\u2069"


@given(st.text())
def test_what_has_no_shape_is_written_out(text: str) -> None:
    for one in visible(text):
        hidden = unicodedata.category(one) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
        assert not hidden or one in "\t\n\r\u200c\u200d"


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P", "S"])))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",
        "क्\u200dष",
        "👩\u200d💻",
        "👩🏽\u200d🚀",
        "❤\ufe0f\u200d🔥",
        "1\ufe0f\u20e3",
        "葛\U000e0100",
        "Ĥéllò ñ",
        "ภาษาไทยที่นี้",
        "naïve\u00a0text",
    ],
)
def test_what_writing_needs_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("a\u200db", "a⟨U+200D⟩b"),
        ("\u202efdp.exe", "⟨U+202E⟩fdp.exe"),
        ("\x1b[31m", "⟨U+001B⟩[31m"),
        ("\ufeffa", "⟨U+FEFF⟩a"),
        ("a\u00adb", "a⟨U+00AD⟩b"),
        ("\u3164x", "⟨U+3164⟩x"),
        ("a\ufe01\ufe02", "a\ufe01⟨U+FE02⟩"),
        ("\ufe0f", "⟨U+FE0F⟩"),
        ("a \ufe0f", "a ⟨U+FE0F⟩"),
        ("🏴\U000e0067\U000e007f", "🏴⟨U+E0067⟩⟨U+E007F⟩"),
        ("\ud800", "⟨U+D800⟩"),
    ],
)
def test_what_hides_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_marks_that_would_paint_over_other_lines_are_written_out() -> None:
    shown = visible("Z" + "\u0301" * 30)
    assert shown.startswith("Z" + "\u0301" * 8 + "⟨U+0301⟩")
    assert len(_WRITTEN_OUT.findall(shown)) == 22


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_shortened_text_has_at_most_its_length_and_says_that_there_is_more(
    text: str, length: int
) -> None:
    short = shortened(text, length)
    assert len(short) <= length
    assert short == text or short.endswith("…")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown"),
        (0, "$0"),
        (Decimal("0.00"), "$0"),
        (2, "$2.00"),
        (1234.5, "$1,234.50"),
        (0.5, "$0.50"),
        (0.0312, "$0.0312"),
        (Decimal("0.000075"), "$0.000075"),
        (1e-6, "$0.000001"),
        (2e-7, "< $0.000001"),
        (0.99999, "$1.00"),
    ],
)
def test_money_is_written_as_far_as_it_says_something(
    amount: Decimal | float | None, text: str
) -> None:
    assert dollars(amount) == text


@given(st.floats(0, 1e9) | st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=12))
def test_an_amount_reads_as_itself_and_only_nothing_as_nothing(amount: Decimal | float) -> None:
    text = dollars(amount)
    assert re.fullmatch(r"\$0|< \$0\.000001|\$[\d,]+\.\d{2,6}", text)
    told = float(text.removeprefix("< ").removeprefix("$").replace(",", ""))
    assert (told == 0) == (amount == 0)
    assert told == pytest.approx(float(amount), rel=0.005, abs=1e-6)
