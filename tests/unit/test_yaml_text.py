"""What we write as YAML, our strict reader reads back as the same value, byte for byte again."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.core.hashing import JSON
from workbench.workspace.strict_yaml import parse_yaml
from workbench.yaml_text import dump_yaml

_TEXTS = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    st.text(alphabet="a :#-\n\t'\"{}[]|>&*!%@`~,?\\\r\x85\u2028\ufeff0.1e+"),
    st.sampled_from(["no", "1e5", "010", "0x1F", "1_000", "12:30", "2024-01-01", "=", "<<", "~"]),
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXTS,
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)  # the machine's load is not what is tested
@example({"\t0\n": "\ta\n\tb"})
@given(_VALUES)
def test_a_value_survives_writing_and_reading(value: JSON) -> None:
    text = dump_yaml(value)
    read = parse_yaml(text, source="test").value
    assert orjson.dumps(read) == orjson.dumps(value)  # also tells 1 from 1.0 and from true
    assert dump_yaml(read) == text


def test_a_text_of_several_lines_is_a_literal_block() -> None:
    assert dump_yaml({"content": "First.\n\n\tSecond: {{ x }}."}) == (
        "content: |-\n  First.\n\n  \tSecond: {{ x }}.\n"
    )


def test_short_collections_stand_on_one_line() -> None:
    assert dump_yaml({"parameters": {"temperature": 0, "stop": "x"}, "list": ["a", "b"]}) == (
        "parameters: {temperature: 0, stop: x}\nlist: [a, b]\n"
    )


def test_a_long_collection_stands_on_lines_of_its_own() -> None:
    assert dump_yaml({"list": ["a" * 40, "b" * 40]}) == (f"list:\n  - {'a' * 40}\n  - {'b' * 40}\n")


@pytest.mark.parametrize("text", ["yes", "off", "null", "1e5", "0o17", "2024-01-01", "1:30"])
def test_a_word_that_some_reader_takes_for_another_type_is_quoted(text: str) -> None:
    assert dump_yaml({"key": text}) == f"key: '{text}'\n"


def test_spaces_at_a_line_end_are_kept_in_quotes() -> None:
    assert dump_yaml({"content": "a \nb"}) == 'content: "a \\nb"\n'


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\ufeff", "\r", "\x07"])
def test_what_readers_of_yaml_disagree_on_is_written_as_an_escape(character: str) -> None:
    text = dump_yaml({"content": f"a\nb{character}c"})
    assert text.startswith('content: "a\\nb\\')
    assert character not in text
