"""A name that is not known is answered with the one that was probably meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.core.suggestions import did_you_mean, nearest_name


def test_the_most_similar_name_is_suggested() -> None:
    assert nearest_name("triag", ["triage", "triage-2", "sums"]) == "triage"
    assert did_you_mean("triag", ["triage", "sums"]) == " Did you mean triage?"


def test_nothing_is_suggested_where_nothing_is_alike() -> None:
    assert nearest_name("triage", ["sums"]) is None
    assert did_you_mean("triage", []) == ""


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=6))
def test_only_a_known_name_is_suggested(word: str, known: list[str]) -> None:
    nearest = nearest_name(word, known)
    assert nearest is None or nearest in known
