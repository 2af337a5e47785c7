"""Patterns for streams: what is taken, and what is refused before it costs anything."""

from __future__ import annotations

import pytest

from app.core.errors import Invalid
from app.core.patterns import compile_stream_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"secret", r"\bword\b", r"[^$]+x", r"(?:a|b)c", r"(?P<name>a)+", r"a{2,5}?", r"\$\^",
        r"[\]^]x", r"\{x", r"a\\", r"\p{Lu}{3}",
    ],
)  # fmt: skip
def test_a_plain_pattern_is_taken(pattern: str) -> None:
    compile_stream_pattern(pattern)


def test_case_can_be_ignored() -> None:
    assert compile_stream_pattern("(?i)Secret").search("my SECRET")


@pytest.mark.parametrize(
    "pattern",
    [
        r"^a", r"a$", r"\Aa", r"a\Z", r"a\z", r"a\Bb", r"\Ga", r"a\Kb", r"\ma", r"a\M", r"a\Rb",
        r"\X", r"(?=a)b", r"a(?!b)", r"(?<=a)b", r"(?<!a)b", r"(a)\1", r"(?P<n>a)(?P=n)",
        r"(?R)", r"(a)(?1)", r"a{e<=1}", r"(?x) a", r"(?r)a", r"(?>a)b", r"(?|a|b)", r"\L<words>",
    ],
)  # fmt: skip
def test_what_asks_for_the_end_or_the_surroundings_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid, match="looks into a stream"):
        compile_stream_pattern(pattern)


@pytest.mark.parametrize("pattern", [r"a*", r"\b", r"(a|)", r"x?\b"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern: str) -> None:
    with pytest.raises(Invalid, match="empty text"):
        compile_stream_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", [r"a{1000000}", r"(?:(?:a{100}){100}){100}", r"((ab){200}){60}"]
)
def test_repeats_that_multiply_are_refused_before_they_are_compiled(pattern: str) -> None:
    with pytest.raises(Invalid, match="multiply"):
        compile_stream_pattern(pattern)


@pytest.mark.parametrize("pattern", ["", "a" * 1_001])
def test_a_pattern_has_a_length(pattern: str) -> None:
    with pytest.raises(Invalid, match="1 to 1,000 characters"):
        compile_stream_pattern(pattern)


@pytest.mark.parametrize("pattern", [r"(a", r"a)", r"[a", r"*a", r"a{5,2}"])
def test_a_broken_pattern_is_told(pattern: str) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        compile_stream_pattern(pattern)
