from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.hashing import JSON
from tests.unit.scorers.judging import NEEDS_NO_EXPECTED, minimal
from workbench.scorers import (
    SCORERS,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoreStatus,
    ScoringInput,
    parse_rule,
    parse_scorer,
    run_scorer,
)
from workbench.scorers.interface import MAX_EXPLANATION, MAX_LABEL

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)
ONE_OF_EACH = [parse_rule(minimal(name)) for name in SCORERS]
NEEDS_EXPECTED = [scorer for scorer in ONE_OF_EACH if scorer.name not in NEEDS_NO_EXPECTED]


class Fixed(Scorer[ScorerConfig]):
    """Gives the result it was built with."""

    name = "fixed"
    version = 3
    config_type = ScorerConfig

    def __init__(self, result: ScoreResult) -> None:
        super().__init__(ScorerConfig())
        self._result = result

    def score(self, given: ScoringInput) -> ScoreResult:
        return self._result


class Broken(Scorer[ScorerConfig]):
    """Raises the error it was built with."""

    name = "broken"
    version = 1
    config_type = ScorerConfig

    def __init__(self, error: Exception) -> None:
        super().__init__(ScorerConfig())
        self._error = error

    def score(self, given: ScoringInput) -> ScoreResult:
        raise self._error


def run(scorer: Scorer[ScorerConfig]) -> ScoreResult:
    return run_scorer(scorer, ScoringInput(output="anything"))


@pytest.mark.parametrize("scorer", ONE_OF_EACH, ids=lambda scorer: scorer.name)
@given(output=st.text(), expected=JSON_VALUES)
def test_any_output_and_expected_value_give_a_result_in_range_or_a_reason(
    scorer: Scorer[ScorerConfig], output: str, expected: JSON
) -> None:
    result = run_scorer(scorer, ScoringInput(output=output, expected=expected))

    low, high = scorer.range
    assert result.status is not ScoreStatus.FAILED
    assert (result.value is None) == (result.status is ScoreStatus.UNSCORED)
    assert (result.reason is not None) == (result.value is None)
    assert result.value is None or low <= result.value <= high
    assert 0 < len(result.explanation) <= MAX_EXPLANATION
    if scorer.binary:
        assert result.value in (None, low, high)
        assert result.passed is (None if result.value is None else result.value == high)


@pytest.mark.parametrize("scorer", NEEDS_EXPECTED, ids=lambda scorer: scorer.name)
def test_an_example_without_expected_value_is_unscored_and_never_zero(
    scorer: Scorer[ScorerConfig],
) -> None:
    result = run_scorer(scorer, ScoringInput(output="18"))

    assert (result.status, result.value) == (ScoreStatus.UNSCORED, None)
    assert result.reason is ReasonCode.NO_EXPECTED


@pytest.mark.parametrize("scorer", ONE_OF_EACH, ids=lambda scorer: scorer.name)
@given(output=st.text(), expected=JSON_VALUES)
def test_the_same_input_gives_the_same_result(
    scorer: Scorer[ScorerConfig], output: str, expected: JSON
) -> None:
    given_once = ScoringInput(output=output, expected=expected)

    assert run_scorer(scorer, given_once) == run_scorer(scorer, given_once)


def test_an_exception_inside_a_scorer_is_failed_and_keeps_the_text_to_itself() -> None:
    result = run(Broken(KeyError("a secret part of the output")))

    assert (result.status, result.reason) == (ScoreStatus.FAILED, ReasonCode.EXCEPTION)
    assert result.value is None
    assert result.explanation == "broken stopped with KeyError."


def test_running_out_of_stack_is_failed_too() -> None:
    assert run(Broken(RecursionError())).status is ScoreStatus.FAILED


def test_a_value_outside_the_declared_range_is_failed_and_not_clamped() -> None:
    result = run(Fixed(ScoreResult.graded(1.5, "too good")))

    assert (result.status, result.reason) == (ScoreStatus.FAILED, ReasonCode.OUT_OF_RANGE)
    assert result.explanation == "fixed gave 1.5, outside its range 0 to 1."


def test_long_explanations_and_labels_are_cut_and_marked() -> None:
    wordy = ScoreResult(
        status=ScoreStatus.SCORED, value=1.0, label="l" * 999, explanation="e" * 999
    )

    result = run(Fixed(wordy))

    assert len(result.explanation) == MAX_EXPLANATION
    assert result.label is not None
    assert len(result.label) == MAX_LABEL
    assert result.explanation.endswith("…")


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_scored_result_needs_a_finite_value(value: float | None) -> None:
    with pytest.raises(ValueError, match="finite"):
        ScoreResult(status=ScoreStatus.SCORED, value=value)


def test_a_scored_result_has_no_reason_for_being_absent() -> None:
    with pytest.raises(ValueError, match="no reason"):
        ScoreResult(status=ScoreStatus.SCORED, value=1.0, reason=ReasonCode.EXCEPTION)


@pytest.mark.parametrize("status", [ScoreStatus.UNSCORED, ScoreStatus.FAILED])
def test_a_result_without_a_value_needs_a_reason_and_carries_nothing_else(
    status: ScoreStatus,
) -> None:
    with pytest.raises(ValueError, match="reason code"):
        ScoreResult(status=status)
    with pytest.raises(ValueError, match="no value"):
        ScoreResult(status=status, value=0.0, reason=ReasonCode.EXCEPTION)
    with pytest.raises(ValueError, match="no value"):
        ScoreResult(status=status, passed=False, reason=ReasonCode.EXCEPTION)
    with pytest.raises(ValueError, match="no value"):
        ScoreResult(status=status, label="none", reason=ReasonCode.EXCEPTION)


def test_identity_names_the_scorer_its_version_and_only_the_options_that_were_set() -> None:
    assert parse_scorer("contains:ignore_case=true").identity() == {
        "name": "contains",
        "version": 1,
        "config": {"ignore_case": True},
    }


def test_an_option_written_out_at_its_default_is_the_same_scorer() -> None:
    assert parse_scorer("exact_match:strip=true").identity() == (
        parse_scorer("exact_match").identity()
    )
