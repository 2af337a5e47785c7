"""Names fit the columns that hold them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.core.errors import Invalid
from app.models.prompts import Prompt
from app.schemas.names import Name, check_run_name, parse_reference

_LENGTH = 200
_NAME: TypeAdapter[str] = TypeAdapter(Name)


def is_name(text: str) -> bool:
    try:
        return bool(_NAME.validate_python(text))
    except ValidationError:
        return False


def test_a_column_holds_the_longest_name() -> None:
    longest = "t" * 99 + "/" + "n" * 100
    assert is_name(longest)
    assert parse_reference(longest, noun="prompt").name == longest
    assert len(longest) == Prompt.__table__.c.name.type.length == _LENGTH


@pytest.mark.parametrize(
    "text",
    ["t" * 100 + "/n", "t/" + "n" * 101, "n" * 101, "", "/n", "t/", "a/b/c", "A", ".a", "a b"],
)
def test_what_is_too_long_or_misshapen_is_no_name(text: str) -> None:
    assert not is_name(text)
    with pytest.raises(Invalid, match="names are up to 100 lower-case letters"):
        parse_reference(text, noun="prompt")


@given(st.from_regex(r"[a-z0-9._/-]{1,220}", fullmatch=True))
def test_the_two_readings_agree_and_no_name_is_too_long(text: str) -> None:
    if is_name(text):
        assert parse_reference(text, noun="prompt").name == text
        assert len(text) <= _LENGTH
    else:
        with pytest.raises(Invalid):
            parse_reference(text, noun="prompt")


@pytest.mark.parametrize("name", ["recorded", "2/triage@1+openai/x", "Überlauf 2", "12a"])
def test_a_run_may_have_any_name_that_can_be_seen_on_one_line(name: str) -> None:
    check_run_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "  ", " a", "a\nb", "a\tb", "a\x1b[31m", "a\u202eb", "a\0b", "latest", "12", "x" * 201],
)
def test_a_name_by_which_nobody_would_find_the_run_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        check_run_name(name)
