from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON, content_hash
from tests.unit.scorers.judging import minimal
from workbench.scorers import (
    SCORERS,
    ScorerConfig,
    ScorerConfigError,
    describe_scorers,
    parse_scorer,
)
from workbench.scorers.interface import AnyScorer

# Some value, away from its default, for every option of every scorer.
TEXTS: dict[str, JSON] = {"texts": ["refund"], "ignore_case": True}
OPTIONS: dict[str, dict[str, JSON]] = {
    "all_of": {"scorers": ["length:max=3"]},
    "any_of": {"scorers": ["length:max=3"]},
    "at_least": {"scorers": ["length:max=3", "contains"], "count": 2},
    "bleu": {"tokenize": "char", "ignore_case": True},
    "checks": {"field": "rules", "graded": True},
    "chrf": {"word_order": 2, "ignore_case": True},
    "contains": {"text": "refund", "ignore_case": True},
    "contains_all": TEXTS,
    "contains_any": TEXTS,
    "cost": {"max": 0.5, "min": 0.001},
    "date": {
        "tolerance_days": 1,
        "min": "2025-01-01",
        "max": "2025-12-31",
        "order": "day_first",
        "which": "first",
    },
    "edit_distance": {"ignore_case": True, "max": 3},
    "ends_with": {**TEXTS, "strip": False},
    "exact_match": {
        "ignore_case": True,
        "strip": False,
        "collapse_whitespace": True,
        "json": True,
        "texts": ["refund"],
        "any_expected": True,
        "unicode_form": "NFC",
    },
    "finish_reason": {"allowed": ["length"]},
    "gleu": {},
    "html_valid": {"allow_fence": False, "anywhere": True},
    "json_field": {"path": "queue", "paths": ["queue", "priority"], "allow_fence": False},
    "json_path": {"path": "queue", "condition": "differs", "value": 3, "allow_fence": False},
    "json_schema": {"schema": {"type": "object"}, "allow_fence": False, "anywhere": True},
    "json_subset": {"value": {"queue": "bug"}, "allow_fence": False},
    "json_valid": {"kind": "object", "allow_fence": False, "anywhere": True},
    "label": {"labels": ["other"], "aliases": {"bug": ["error"]}, "whole": True},
    "latency": {"max_ms": 500, "min_ms": 10},
    "length": {"unit": "words", "min": 1, "max": 50},
    "list_overlap": {"metric": "recall", "separator": "|", "ignore_case": True, "ordered": True},
    "not": {"scorer": "length:max=3"},
    "numeric_answer": {
        "marker": "####",
        "tolerance": 0.01,
        "relative_tolerance": 0.05,
        "min": 1,
        "max": 2,
    },
    "refusal": {"wanted": "refusal"},
    "regex": {
        "pattern": r"^\d+$",
        "fullmatch": True,
        "ignore_case": True,
        "time_limit_s": 0.5,
    },
    "rouge_l": {"metric": "recall"},
    "rouge_n": {"metric": "recall", "n": 2},
    "set_overlap": {"metric": "recall", "separator": "|", "ignore_case": True},
    "similarity": {"ignore_case": True},
    "starts_with": {**TEXTS, "strip": False},
    "threshold": {"scorer": "rouge_l", "min": 0.75},
    "tokens": {"kind": "total", "max": 50, "min": 1},
    "tool_call_overlap": {"calls": ["search"], "metric": "recall"},
    "tool_calls": {"calls": ["search"], "arguments": "any", "order": "any"},
    "tool_calls_valid": {"tools": {"find": True}, "min": 0, "max": 3},
    "weighted": {"scorers": ["length:max=3", "similarity"], "weights": [1, 3], "threshold": 0.5},
    "xml_valid": {"elements": ["a.b"], "allow_fence": False, "anywhere": True},
}
EACH_OPTION = [(name, option) for name, options in OPTIONS.items() for option in options]


def hash_of(scorer: AnyScorer[ScorerConfig]) -> str:
    return content_hash(scorer.identity())


def refusal(spec: str | dict[str, JSON]) -> str:
    with pytest.raises(ScorerConfigError) as caught:
        parse_scorer(spec)
    return caught.value.message


def test_every_rule_is_registered_under_its_own_name_in_alphabetical_order() -> None:
    assert list(SCORERS) == sorted(OPTIONS)
    assert all(scorer.name == name for name, scorer in SCORERS.items())


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("numeric_answer", {"name": "numeric_answer"}),
        ("contains:ignore_case=true", {"name": "contains", "ignore_case": True}),
        ("json_field:path=queue", {"name": "json_field", "path": "queue"}),
        # A list separated by commas, and one written as JSON.
        (
            "json_field:paths=queue, priority",
            {"name": "json_field", "paths": ["queue", "priority"]},
        ),
        ('json_field:paths=["queue"]', {"name": "json_field", "paths": ["queue"]}),
        # A comma that no option follows belongs to the value, and so does every colon.
        (
            r"regex:pattern=^a:\d{1,3}$,fullmatch=true",
            {"name": "regex", "pattern": r"^a:\d{1,3}$", "fullmatch": True},
        ),
        # A text that looks like JSON stays the text that was written.
        ("regex:pattern=[0]", {"name": "regex", "pattern": "[0]"}),
        ("regex:pattern=[0-9]+", {"name": "regex", "pattern": "[0-9]+"}),
        ("contains:text=true", {"name": "contains", "text": "true"}),
        ('contains:text="a" or b', {"name": "contains", "text": '"a" or b'}),
        # Double quotes protect what would read as the next option.
        (
            'contains:text="a,b=c",ignore_case=true',
            {"name": "contains", "text": "a,b=c", "ignore_case": True},
        ),
        (
            'json_schema:schema={"required": ["a", "b"]},allow_fence=false',
            {"name": "json_schema", "schema": {"required": ["a", "b"]}, "allow_fence": False},
        ),
        ("numeric_answer:tolerance=0.5", {"name": "numeric_answer", "tolerance": 0.5}),
        # White space round names is no part of them.
        (" contains : ignore_case =true", {"name": "contains", "ignore_case": True}),
        ("contains:", {"name": "contains"}),
    ],
)
def test_text_and_mapping_name_the_same_scorer(text: str, mapping: dict[str, JSON]) -> None:
    assert parse_scorer(text).identity() == parse_scorer(mapping).identity()


@given(pattern=st.text(min_size=1).filter(lambda text: "=" not in text))
def test_any_text_without_an_equals_sign_survives_as_an_option_unless_it_is_quoted(
    pattern: str,
) -> None:
    if pattern.startswith('"'):
        return
    assert parse_scorer(f"contains:text={pattern}").identity()["config"] == {"text": pattern}


def test_an_unknown_scorer_is_refused_with_the_nearest_name() -> None:
    assert refusal("numeric") == (
        "There is no scorer 'numeric'; did you mean 'numeric_answer'? "
        "All of them: `workbench scorers list`."
    )


def test_an_unknown_option_is_refused_with_the_nearest_one_and_the_list() -> None:
    sentence = (
        "contains has no option 'ignorecase'; did you mean 'ignore_case'? "
        "Options: text, ignore_case."
    )
    assert refusal("contains:ignorecase=true") == sentence
    assert refusal({"name": "contains", "ignorecase": True}) == sentence


def test_a_misspelt_option_behind_a_text_is_refused_and_not_taken_for_text() -> None:
    assert "no option 'ignorecase'" in refusal("contains:text=a,ignorecase=true")


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("contains:refund", "'refund' is not of the form option=value"),
        ("contains:ignore_case=yes", "ignore_case (true or false) cannot be 'yes'"),
        ({"name": "contains", "ignore_case": 1}, "ignore_case (true or false) cannot be 1"),
        ("contains:text=a,text=b", "text is given twice"),
        ("contains:text=", "text (text) cannot be ''"),
        ("numeric_answer:tolerance=-1", "tolerance (number) cannot be -1"),
        ("numeric_answer:tolerance=NaN", "tolerance (number) cannot be nan"),
        ("regex:time_limit_s=60", "less than or equal to 10"),
        ({"name": "json_field", "paths": ["a", 3]}, "paths (list of texts)"),
        ({"name": "json_schema", "schema": "x"}, "schema (JSON) cannot be 'x'"),
        ({}, "A scorer needs a name"),
        ({"name": 3}, "A scorer needs a name"),
        ("", "A scorer needs a name"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(spec: str | dict[str, JSON], part: str) -> None:
    assert part in refusal(spec)


@given(spec=st.text(alphabet='contains_regx:,=" {}[]tru1.\\'))
def test_any_text_is_either_a_scorer_or_refused_in_a_sentence(spec: str) -> None:
    try:
        parse_scorer(spec)
    except ScorerConfigError as error:
        assert error.message.endswith(".")


def test_the_table_of_this_test_has_every_option() -> None:
    assert {name: set(options) for name, options in OPTIONS.items()} == {
        scorer.name: {option.name for option in scorer.options} for scorer in describe_scorers()
    }


@pytest.mark.parametrize(("name", "option"), EACH_OPTION)
def test_every_option_changes_the_content_hash(name: str, option: str) -> None:
    plain = minimal(name)
    with_option = plain | {option: OPTIONS[name][option]}
    if name == "json_field" and option == "paths":
        del with_option["path"]  # one of the two ways to name a field
    if (name, option) == ("at_least", "count"):
        plain = with_option = {"name": name, "scorers": OPTIONS[name]["scorers"]}
        with_option = plain | {"count": 2}

    assert hash_of(parse_scorer(with_option)) != hash_of(parse_scorer(plain))


def test_every_scorer_and_option_is_described_in_words() -> None:
    for scorer in describe_scorers():
        assert scorer.summary.endswith(".")
        assert "\n" not in scorer.summary
        for option in scorer.options:
            assert option.description.endswith(".")
            assert option.kind
