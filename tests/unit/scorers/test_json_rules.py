"""Rules on JSON, XML and HTML: valid, contained, at a path."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScorerConfigError, parse_scorer

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3)
    ),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


@pytest.mark.parametrize(
    ("spec", "output", "passed"),
    [
        ("json_valid", '{"a": 1}', True),
        ("json_valid", "3", True),
        ("json_valid", "three", False),
        ("json_valid", '{"a": NaN}', False),
        ("json_valid", '```json\n{"a": 1}\n```', True),
        ("json_valid:allow_fence=false", '```json\n{"a": 1}\n```', False),
        ("json_valid:kind=object", "[1]", False),
        ("json_valid:kind=array", "[1]", True),
        ("json_valid:kind=object", "3", False),
        ("json_valid", 'Here: {"a": 1}.', False),
        ("json_valid:anywhere=true", 'Here: {"a": 1}.', True),
        ("json_valid:anywhere=true", "a set {1, 2} and then [3]", True),
        ("json_valid:anywhere=true", "none {a} here", False),
        ("json_valid:anywhere=true", "", False),
    ],
)
def test_json_is_valid_or_not(spec: str, output: str, passed: bool) -> None:
    assert judge(spec, output).passed is passed


@given(value=VALUES, before=st.text(alphabet="abc .,"), after=st.text(alphabet="abc .,"))
def test_an_object_is_found_within_any_prose(value: JSON, before: str, after: str) -> None:
    text = before + json.dumps({"value": value}) + after

    assert judge("json_valid:anywhere=true,kind=object", text).passed is True


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, '["' + "a" * 1_000_000])
def test_hostile_brackets_are_searched_in_bounded_time(text: str) -> None:
    started = time.process_time()

    assert judge("json_valid:anywhere=true", text).passed is False
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("output", "expected", "passed"),
    [
        ('{"a": 1, "b": 2}', {"a": 1}, True),
        ('{"a": 1}', {"a": 1, "b": 2}, False),
        ('{"a": {"b": [1, 2, 3]}}', {"a": {"b": [3, 1]}}, True),
        ('{"a": {"b": [1, 2]}}', {"a": {"b": [4]}}, False),
        ('[{"id": 1, "x": 0}, {"id": 2}]', [{"id": 2}, {"id": 1}], True),
        ('{"a": 1.0}', {"a": 1}, True),
        ('{"a": true}', {"a": 1}, False),
        ('{"a": 1}', '{"a": 1}', True),
        ("[]", {}, False),
        ("{}", {}, True),
        ("no JSON", {"a": 1}, False),
    ],
)
def test_expected_json_is_contained_or_not(output: str, expected: JSON, passed: bool) -> None:
    assert judge("json_subset", output, expected).passed is passed


def test_the_first_thing_that_is_missing_is_named() -> None:
    told = judge("json_subset", '{"a": {"b": [1]}}', {"a": {"b": [1], "c": 2}}).explanation

    assert told == "a.c: missing"


def test_the_json_to_be_contained_can_be_the_same_for_all() -> None:
    spec: dict[str, JSON] = {"name": "json_subset", "value": {"ok": True}}

    assert judge(spec, '{"ok": true, "more": 1}').passed is True


@pytest.mark.parametrize("expected", ["text", 3, True])
def test_what_is_no_object_or_array_cannot_be_contained(expected: JSON) -> None:
    assert judge("json_subset", "{}", expected).reason is ReasonCode.EXPECTED_UNUSABLE


@given(value=OBJECTS, more=OBJECTS)
def test_every_object_contains_itself_and_less(
    value: dict[str, JSON], more: dict[str, JSON]
) -> None:
    assert judge("json_subset", json.dumps({**more, **value}), value).passed is True


def test_arrays_that_would_take_too_many_comparisons_are_failed() -> None:
    output = json.dumps([[[-1] * 50] * 50] * 50)
    expected: JSON = [[[-1] * 49 + [0]] * 50] * 50

    result = judge("json_subset", output, expected)

    assert (result.value, result.reason) == (None, ReasonCode.SIZE_LIMIT)


DOCUMENT = '{"orders": [{"total": 18.5, "tags": ["new"]}], "note": "paid", "none": null}'


@pytest.mark.parametrize(
    ("options", "passed"),
    [
        ({"path": "note", "value": "paid"}, True),
        ({"path": "note", "value": "open"}, False),
        ({"path": "orders[0].total", "value": 18.5}, True),
        ({"path": "orders[1].total", "value": 18.5}, False),
        ({"path": "none"}, True),
        ({"path": "note"}, False),
        ({"path": "note", "condition": "differs", "value": "open"}, True),
        ({"path": "gone", "condition": "differs", "value": "open"}, False),
        ({"path": "note", "condition": "contains", "value": "ai"}, True),
        ({"path": "orders[0].tags", "condition": "contains", "value": "new"}, True),
        ({"path": "orders[0]", "condition": "contains", "value": "tags"}, True),
        ({"path": "orders[0].total", "condition": "contains", "value": "18"}, False),
        ({"path": "orders[0].total", "condition": "at_least", "value": 18.5}, True),
        ({"path": "orders[0].total", "condition": "at_most", "value": 18}, False),
        ({"path": "note", "condition": "at_least", "value": 1}, False),
        ({"path": "gone", "condition": "exists"}, False),
        ({"path": "gone", "condition": "missing"}, True),
        ({"path": "none", "condition": "exists"}, True),
        ({"path": "none", "condition": "missing"}, False),
    ],
)
def test_what_stands_at_a_path_meets_a_condition(options: dict[str, JSON], passed: bool) -> None:
    assert judge({"name": "json_path", **options}, DOCUMENT).passed is passed


def test_output_that_is_no_json_meets_no_condition() -> None:
    assert judge("json_path:path=a,condition=missing", "none").passed is False


@pytest.mark.parametrize(
    "spec",
    [
        "json_path",
        "json_path:path=..a",
        "json_path:path=a,condition=at_least",
        {"name": "json_path", "path": "a", "condition": "contains", "value": ""},
    ],
)
def test_a_path_or_condition_that_cannot_work_is_refused(spec: str | dict[str, JSON]) -> None:
    with pytest.raises(ScorerConfigError, match="json_path"):
        parse_scorer(spec)


@pytest.mark.parametrize(
    ("spec", "output", "passed"),
    [
        ("xml_valid", "<a><b/></a>", True),
        ("xml_valid", "<a><b></a>", False),
        ("xml_valid", "", False),
        ("xml_valid", "text", False),
        ("xml_valid", "<a/><b/>", False),
        ("xml_valid", "```xml\n<a/>\n```", True),
        ("xml_valid:allow_fence=false", "```xml\n<a/>\n```", False),
        ("xml_valid", "Sure: <a/>", False),
        ("xml_valid:anywhere=true", "Sure: <a/> done.", True),
        ("xml_valid:elements=a.b", "<a><b>1</b></a>", True),
        ("xml_valid:elements=a.b,b", "<a><b>1</b></a>", False),
        ("xml_valid", "<a>&amp;&#65;</a>", True),
        # No declaration, hence no entity of any kind.
        ("xml_valid", "<a>&unknown;</a>", False),
        ("xml_valid", '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', False),
        ("xml_valid", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', False),
        ("xml_valid", "<a>" * 201 + "</a>" * 201, False),
        ("xml_valid", "<a>\ud800</a>", False),
        ("xml_valid", "<a>\x00</a>", False),
    ],
)
def test_xml_is_well_formed_or_not(spec: str, output: str, passed: bool) -> None:
    assert judge(spec, output).passed is passed


def test_entities_that_multiply_are_refused_before_they_do() -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "lol">{entities}]><a>&e9;</a>'

    assert judge("xml_valid", bomb).explanation == (
        "not XML: a document type declaration is not taken"
    )


def test_long_names_deep_down_take_no_memory() -> None:
    name = "n" * 4_000
    deep = f"<{name}>" * 100 + "<a/>" * 20_000 + f"</{name}>" * 100

    assert judge("xml_valid:elements=n.a", deep).passed is False
    assert judge("xml_valid", "<a>" + "x" * 1_000_000 + "</a>").reason is ReasonCode.SIZE_LIMIT


@given(text=st.text())
def test_any_text_inside_an_element_is_xml_once_it_is_escaped(text: str) -> None:
    kept = "".join(c for c in text if c.isprintable() and c.isascii())
    escaped = kept.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;")

    assert judge("xml_valid", f"<a>{escaped}</a>").passed is True


@pytest.mark.parametrize(
    ("spec", "output", "passed"),
    [
        ("html_valid", "<p>One<p>Two", False),
        ("html_valid", "<div><p>One<p>Two</div>", True),
        ("html_valid", "<!DOCTYPE html><html><body><h1>Hi</h1><br><img src=x></body></html>", True),
        ("html_valid", "<UL><LI>a<LI>b</UL>", True),
        ("html_valid", "<b><i>x</b></i>", False),
        ("html_valid", "<div>", False),
        ("html_valid", "</div>", False),
        ("html_valid", "<answer>yes</answer>", False),
        ("html_valid", "<x-card>yes</x-card>", True),
        ("html_valid", "<div><br/><hr /></div>", True),
        ("html_valid", "<svg><path d='M0'/><g></g></svg>", True),
        ("html_valid", "<script>if (a < b) { '<i>' }</script>", True),
        ("html_valid", "<div><!-- <b> --></div>", True),
        ("html_valid", "<!-- <b></b> -->", False),
        ("html_valid", "", False),
        ("html_valid", "2 < 3 > 1", False),
        ("html_valid", "Here: <b>x</b>", False),
        ("html_valid:anywhere=true", "Here: <b>x</b> and 2 < 3.", True),
        ("html_valid", "```html\n<b>x</b>\n```", True),
        ("html_valid:allow_fence=false", "```html\n<b>x</b>\n```", False),
    ],
)
def test_html_is_closed_in_order_or_not(spec: str, output: str, passed: bool) -> None:
    assert judge(spec, output).passed is passed


@given(names=st.lists(st.sampled_from(["div", "b", "table", "p", "li"]), min_size=1, max_size=9))
def test_elements_in_elements_are_html_and_lose_that_with_one_end_tag_too_many(
    names: list[str],
) -> None:
    nested = "".join(f"<{n}>" for n in names) + "".join(f"</{n}>" for n in reversed(names))

    assert judge("html_valid", nested).passed is True
    assert judge("html_valid", nested + "</div>").passed is False
