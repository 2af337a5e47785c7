"""Picoschema in both directions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.core.hashing import JSON
from workbench.interchange.picoschema import from_picoschema, to_picoschema

WORDS = st.text("abc", min_size=1, max_size=4)
SCALARS = st.builds(
    lambda kind, told: f"{kind}, {told}" if told else kind,
    st.sampled_from(["string", "integer", "number", "boolean", "any"]),
    st.sampled_from(["", "what it is", "a, b"]),
)


def objects(inner: st.SearchStrategy[JSON]) -> st.SearchStrategy[dict[str, JSON]]:
    entries = st.one_of(
        st.tuples(st.just(""), inner),
        st.tuples(st.sampled_from(["(array)", "(array, of them)"]), inner),
        st.tuples(st.just("(enum, one)"), st.just(["A", "B"])),
    )
    return st.dictionaries(WORDS, st.tuples(st.booleans(), entries), min_size=1, max_size=4).map(
        lambda found: {
            f"{name}{'?' if optional else ''}{form}": value
            for name, (optional, (form, value)) in found.items()
        }
    )


PICO = objects(st.recursive(SCALARS, objects, max_leaves=4))


@given(PICO)
def test_a_schema_comes_back_the_same(pico: dict[str, JSON]) -> None:
    schema = from_picoschema(pico)
    assert isinstance(schema, dict)
    back = to_picoschema(schema)
    assert back is None or from_picoschema(back) == schema


def test_every_form_is_written_back_as_it_was() -> None:
    pico: dict[str, JSON] = {
        "name": "string, the full name",
        "age?": "integer",
        "tags(array, labels)": "string",
        "kind(enum)": ["A", "B"],
        "place(object, where)": {"zip?": "string"},
        "(*)": "any",
    }
    schema = from_picoschema(pico)
    assert isinstance(schema, dict)
    assert schema["required"] == ["name", "tags", "kind", "place"]
    assert schema["additionalProperties"] == {}
    assert to_picoschema(schema) == pico


def test_json_schema_stays_what_it_is() -> None:
    schema: dict[str, JSON] = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert from_picoschema(schema) == schema
    assert from_picoschema({"properties": {}}) == {"properties": {}, "type": "object"}


def test_a_schema_with_rules_of_its_own_has_no_short_form() -> None:
    assert to_picoschema({"type": "object", "properties": {"a": {"minLength": 1}}}) is None


@pytest.mark.parametrize("pico", [{"a": "Customer"}, {"a(map)": "string"}, {"(x)": "string"}, 3])
def test_what_is_no_picoschema_is_refused(pico: JSON) -> None:
    with pytest.raises(Invalid):
        from_picoschema(pico)
