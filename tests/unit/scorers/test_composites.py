"""Scorers made of scorers: what they sum up, and what a missing part means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON, content_hash
from tests.unit.scorers.judging import judge
from workbench.scorers import ReasonCode, ScorerConfigError, ScoreStatus, parse_scorer

NEEDS_EXPECTED = "exact_match"
FAILS: dict[str, JSON] = {"name": "regex", "pattern": "(a|aa)+$", "time_limit_s": 0.01}
EVIL = "a" * 40 + "b"


def has(text: str) -> JSON:
    return {"name": "contains", "text": text}


@given(wanted=st.lists(st.sampled_from("abcd"), min_size=1, max_size=6), count=st.integers(1, 6))
def test_composites_count_the_parts_that_are_right(wanted: list[str], count: int) -> None:
    parts = [has(text) for text in wanted]
    right = sum(text in "ab" for text in wanted)

    assert judge({"name": "all_of", "scorers": parts}, "ab").passed is (right == len(parts))
    assert judge({"name": "any_of", "scorers": parts}, "ab").passed is (right > 0)
    if count <= len(parts):
        spec: dict[str, JSON] = {"name": "at_least", "scorers": parts, "count": count}
        assert judge(spec, "ab").passed is (right >= count)


@given(text=st.text(), output=st.text())
def test_not_turns_right_and_wrong_round_and_twice_changes_nothing(text: str, output: str) -> None:
    plain: dict[str, JSON] = {"name": "starts_with", "texts": [text or "a"]}
    once: dict[str, JSON] = {"name": "not", "scorer": plain}

    assert judge(once, output).passed is not judge(plain, output).passed
    assert judge({"name": "not", "scorer": once}, output).value == judge(plain, output).value


def test_not_of_a_graded_scorer_is_graded() -> None:
    result = judge("not:scorer=similarity", "kitten", "sitting")

    assert result.value == pytest.approx(3 / 7)
    assert result.passed is None
    assert parse_scorer("not:scorer=similarity").binary is False


def test_a_threshold_makes_a_graded_scorer_binary() -> None:
    spec = "threshold:scorer=similarity,min=0.5"

    assert parse_scorer(spec).binary is True
    assert judge(spec, "kitten", "sitting").passed is True
    assert judge("threshold:scorer=similarity,min=0.6", "kitten", "sitting").passed is False


@pytest.mark.parametrize("least", ["-1", "0", "1.01", "2"])
def test_a_threshold_that_says_the_same_of_every_output_is_refused(least: str) -> None:
    with pytest.raises(ScorerConfigError, match="says the same of all outputs"):
        parse_scorer(f"threshold:scorer=rouge_l,min={least}")


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=50))
def test_weighted_gives_a_whole_1_where_all_parts_do(weights: list[float]) -> None:
    parts: list[JSON] = [has("a")] * len(weights)
    spec: dict[str, JSON] = {"name": "weighted", "scorers": parts, "threshold": 1.0}
    spec["weights"] = list[JSON](weights)
    result = judge(spec, "a")
    assert (result.value, result.passed) == (1.0, True)


def test_weighted_is_the_mean_by_weights() -> None:
    spec: dict[str, JSON] = {"name": "weighted", "scorers": [has("a"), has("x")], "weights": [3, 1]}

    assert judge(spec, "a").value == pytest.approx(0.75)
    assert judge(spec, "a").passed is None
    assert judge({**spec, "threshold": 0.75}, "a").passed is True
    assert judge({**spec, "threshold": 0.76}, "a").passed is False


@given(
    weights=st.lists(st.floats(min_value=1e-300, max_value=1e300), min_size=1, max_size=8),
    data=st.data(),
)
def test_weighted_never_leaves_the_range_of_its_parts(
    weights: list[float], data: st.DataObject
) -> None:
    texts = data.draw(st.lists(st.sampled_from("ax"), min_size=len(weights), max_size=len(weights)))
    spec: dict[str, JSON] = {
        "name": "weighted",
        "scorers": [has(text) for text in texts],
        "weights": list(weights),
    }
    value = judge(spec, "a").value

    assert value is not None
    assert 0.0 <= value <= 1.0
    if set(texts) == {"a"}:
        assert value == pytest.approx(1.0)


WHOLES: list[dict[str, JSON]] = [
    {"name": "all_of"},
    {"name": "any_of"},
    {"name": "at_least"},
    {"name": "weighted"},
]


@pytest.mark.parametrize("whole", WHOLES, ids=lambda whole: str(whole["name"]))
@pytest.mark.parametrize("other", ["a", "x"], ids=["right", "wrong"])
def test_a_missing_part_leaves_the_whole_without_a_value_whatever_the_others_say(
    whole: dict[str, JSON], other: str
) -> None:
    missing = judge({**whole, "scorers": [has(other), NEEDS_EXPECTED]}, EVIL)
    failed = judge({**whole, "scorers": [NEEDS_EXPECTED, has(other), FAILS]}, EVIL)

    assert (missing.status, missing.value) == (ScoreStatus.UNSCORED, None)
    assert missing.reason is ReasonCode.NO_EXPECTED
    # Failed before unscored: it is the one that somebody must mend.
    assert (failed.status, failed.reason) == (ScoreStatus.FAILED, ReasonCode.TIME_LIMIT)


def test_the_explanation_says_what_each_part_gave() -> None:
    spec: dict[str, JSON] = {"name": "all_of", "scorers": [has("a"), "length:max=3"]}

    assert judge(spec, "abcd").explanation == (
        "contains 1 (contains 'a'); length 0 (4 characters, at most 3 allowed)"
    )


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ({"name": "all_of"}, "name the scorers"),
        ({"name": "all_of", "scorers": ["similarity"]}, "similarity is graded"),
        ({"name": "all_of", "scorers": ["nothing"]}, "There is no scorer 'nothing'"),
        ({"name": "all_of", "scorers": ["contains"] * 51}, "at most 50"),
        ({"name": "any_of", "scorers": ["team.mine"]}, "function of a workspace"),
        ({"name": "not"}, "needs a name"),
        ({"name": "at_least", "scorers": ["contains"], "count": 2}, "more than the 1 scorers"),
        ({"name": "weighted", "scorers": ["contains"], "weights": [1, 2]}, "2 weights"),
        ({"name": "weighted", "scorers": ["contains"], "weights": [0]}, "weights"),
        ("not:scorer=" * 6 + "contains", "more than 5 deep"),
    ],
)
def test_composites_that_cannot_work_are_refused(spec: str | dict[str, JSON], part: str) -> None:
    with pytest.raises(ScorerConfigError, match=part):
        parse_scorer(spec)


def test_parts_are_named_as_any_scorer_and_mean_the_same() -> None:
    text = parse_scorer('not:scorer="contains:text=a,ignore_case=true"')
    mapping = parse_scorer(
        {"name": "not", "scorer": {"name": "contains", "text": "a", "ignore_case": True}}
    )
    listed = parse_scorer('all_of:scorers=["contains:text=a", "length:max=3"]')

    assert text.identity() == mapping.identity()
    assert listed.identity()["config"] == {
        "scorers": [
            {"name": "contains", "version": 1, "config": {"text": "a"}},
            {"name": "length", "version": 1, "config": {"max": 3}},
        ]
    }


@pytest.mark.parametrize(
    "spec",
    [
        'all_of:scorers=["contains:text=a", "not:scorer=length:max=3"]',
        "threshold:scorer=not:scorer=rouge_l,min=0.25",
        'weighted:weights=2,1,scorers=["exact_match", "similarity"]',
    ],
)
def test_a_stored_composite_is_read_back_as_the_same_scorer(spec: str) -> None:
    identity = parse_scorer(spec).identity()
    config = identity["config"]
    assert isinstance(config, dict)

    again = parse_scorer({"name": identity["name"], **config})

    assert content_hash(again.identity()) == content_hash(identity)
