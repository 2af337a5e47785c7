"""Checks that an example carries: what they sum up, what is refused, and what stays bounded."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import judge
from workbench.runner.comparison.slices import columns_of
from workbench.scorers import (
    ReasonCode,
    ScorerConfigError,
    ScoreResult,
    ScoreStatus,
    parse_scorer,
)
from workbench.scorers.checks import MAX_CHECKS, MAX_GROUPS, Checks
from workbench.scorers.registry import SCORERS


def has(text: str) -> JSON:
    return {"name": "contains", "text": text}


def checked(checks: JSON, output: str, spec: str = "checks") -> ScoreResult:
    return judge(spec, output, metadata={"checks": checks})


@given(wanted=st.lists(st.sampled_from("abcd"), min_size=1, max_size=8))
def test_without_a_threshold_every_check_has_to_pass(wanted: list[str]) -> None:
    result = checked([has(text) for text in wanted], "ab")

    assert result.passed is all(text in "ab" for text in wanted)
    assert result.value == (1.0 if result.passed else 0.0)


@given(
    checks=st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 5)), min_size=1, max_size=8
    ).filter(lambda found: any(weight for _, weight in found)),
    threshold=st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]),
)
def test_with_a_threshold_the_weighted_mean_decides(
    checks: list[tuple[str, int]], threshold: float
) -> None:
    items: list[JSON] = [{"scorer": has(text), "weight": weight} for text, weight in checks]
    right = sum(weight for text, weight in checks if text in "ab")
    mean = right / sum(weight for _, weight in checks)
    shape: JSON = {"checks": items, "threshold": threshold}

    assert checked(shape, "ab").passed is (mean >= threshold)
    assert checked(shape, "ab", "checks:graded=true").value == pytest.approx(mean)


def test_a_check_may_have_its_own_expected_output() -> None:
    both: JSON = [
        {"scorer": "exact_match", "expected": "Paris"},
        {"scorer": {"name": "edit_distance", "max": 1}, "expected": "Pariss"},
    ]

    assert checked(both, "Paris").passed is True
    assert checked(["exact_match"], "Paris").reason is ReasonCode.NO_EXPECTED


def test_a_group_counts_as_one_check() -> None:
    group: JSON = {"checks": [has("a"), has("x")], "threshold": 0.5}

    assert checked([group, has("b")], "ab").passed is True
    assert checked([group, has("x")], "ab").passed is False
    mean = checked({"checks": [group, has("b")], "threshold": 0}, "ab", "checks:graded=true")
    assert mean.value == pytest.approx(0.75)


def test_the_explanation_names_what_did_not_pass() -> None:
    told = checked([has("Paris"), "length:max=3"], "Rome").explanation

    assert told.startswith("0 of 2 checks passed; not: contains (does not contain 'Paris')")


@pytest.mark.parametrize("checks", [None, [], {}])
def test_an_example_without_checks_is_unscored(checks: JSON) -> None:
    assert checked(checks, "a").reason is ReasonCode.NO_EXPECTED


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        (5, "a list of checks is wanted"),
        (has("a"), "put the one into [ ]"),
        (["nope"], "There is no scorer 'nope'"),
        ([{"name": "judge_rubric", "rubric": "good", "model": "openai/gpt-x"}], "asks a model"),
        (["team.politeness"], "team.politeness is a function of a workspace"),
        (["checks"], "checks cannot stand in checks"),
        ([{"name": "all_of", "scorers": ["checks"]}], "checks cannot stand in checks"),
        ([{"scorer": "exact_match", "expect": 1}], "'expect' is not known here"),
        ({"checks": ["exact_match"], "treshold": 1}, "'treshold' is not known here"),
        ([{"scorer": "exact_match", "weight": -1}], "weight is a number from 0"),
        ([{"scorer": "exact_match", "weight": 1e12}], "weight is a number from 0"),
        ([{"scorer": "exact_match", "weight": 0}], "every weight is 0, so nothing decides."),
        (
            {"checks": [{"checks": ["exact_match"], "weight": 0}], "threshold": 0},
            "every weight is 0, so nothing decides.",
        ),
        ([{"name": "regex", "pattern": "a{20000}{20000}"}], "multiply to too much"),
        ([has("a")] * (MAX_CHECKS + 1), f"more than {MAX_CHECKS}"),
    ],
)
def test_checks_that_cannot_be_read_fail_with_a_sentence(checks: JSON, told: str) -> None:
    result = checked(checks, "a")

    assert result.status is ScoreStatus.FAILED
    assert told in result.explanation


def test_groups_stand_in_groups_only_so_deep() -> None:
    group: JSON = [has("a")]
    for _ in range(MAX_GROUPS):
        group = [{"checks": group}]
    assert checked(group, "a").passed is True
    assert checked([{"checks": group}], "a").status is ScoreStatus.FAILED


def test_a_graded_check_without_a_threshold_is_neither_right_nor_wrong() -> None:
    graded: JSON = {"scorer": "rouge_l", "expected": "a b"}

    assert "give it a threshold" in checked([graded], "a").explanation
    assert checked({"checks": [graded], "threshold": 0.5}, "a").passed is True


def test_one_check_without_a_value_leaves_the_whole_without_one() -> None:
    result = checked([has("a"), "latency:max_ms=5"], "a")

    assert (result.status, result.reason) == (ScoreStatus.UNSCORED, ReasonCode.MISSING_FACT)


def test_the_same_scorer_serves_many_threads() -> None:
    scorer = parse_scorer("checks")
    assert isinstance(scorer, Checks)
    found: list[bool | None] = []

    def ask() -> None:
        for number in range(50):
            found.append(checked([has(str(number))], str(number)).passed)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 200


def test_another_version_of_any_rule_makes_another_version_of_checks() -> None:
    """Checks are data, so that the identity of `checks` cannot name their versions."""
    others = [rule for rule in SCORERS.values() if rule is not Checks]
    assert Checks.version == 1 + sum(rule.version - 1 for rule in others)


def test_the_column_of_checks_makes_no_slices() -> None:
    rows: dict[str, dict[str, JSON]] = {
        str(key): {"checks": [has("ab"[key % 2])], "kind": str(key % 2)} for key in range(4)
    }
    assert list(columns_of(rows, list(rows))) == ["kind"]


def test_an_empty_name_of_a_column_is_refused() -> None:
    with pytest.raises(ScorerConfigError):
        parse_scorer({"name": "checks", "field": ""})
