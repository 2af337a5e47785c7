"""From several opinions to one score: what is missing is never counted against anybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.scorers import ReasonCode, ScoreStatus
from workbench.scorers.judges import Answer, Opinion, Scale, combined, opinion_of


def opinions(*seats: list[float | None]) -> list[Opinion]:
    return [
        Opinion(
            seat, repeat, value, reason=None if value is not None else ReasonCode.JUDGE_UNPARSED
        )
        for seat, values in enumerate(seats)
        for repeat, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("seats", "scale", "value"),
    [
        ([[4]], Scale.FIVE, 4),
        ([[4, 5, 5]], Scale.FIVE, 14 / 3),
        ([[1], [4], [5]], Scale.FIVE, 4),
        ([[1, 2], [5, 5], [4, 5]], Scale.FIVE, 4.5),
        ([[1], [5]], Scale.FIVE, 3),
        ([[1, 1, 0]], Scale.BINARY, 1),
        ([[1, 0]], Scale.BINARY, 0),
        ([[1], [0], [1]], Scale.BINARY, 1),
        ([[1], [0]], Scale.BINARY, 0),
        ([[1, 0, 1], [0, 0, 1], [1, 1, 1]], Scale.BINARY, 1),
        ([[1, 0.5, 1]], Scale.PREFERENCE, 1),
        ([[1, 0, 0.5]], Scale.PREFERENCE, 0.5),
        ([[1], [0]], Scale.PREFERENCE, 0.5),
        # Whoever gave no reply has no voice.
        ([[5, None, 4]], Scale.FIVE, 4.5),
        ([[5], [None], [4]], Scale.FIVE, 4.5),
        ([[1, None, 1], [0, None, None], [1, 1, 0]], Scale.BINARY, 1),
    ],
)
def test_seats_and_samples_make_one_value(
    seats: list[list[float | None]], scale: Scale, value: float
) -> None:
    result = combined(opinions(*seats), scale, len(seats), len(seats[0]))
    assert result.value == pytest.approx(value)


@pytest.mark.parametrize(
    "seats", [[[None]], [[1, None]], [[1], [None]], [[1, 1], [None, 1], [None, None]]]
)
def test_half_of_the_replies_are_not_enough(seats: list[list[float | None]]) -> None:
    result = combined(opinions(*seats), Scale.BINARY, len(seats), len(seats[0]))
    assert (result.status, result.reason) == (ScoreStatus.UNSCORED, ReasonCode.JUDGE_UNPARSED)
    assert result.value is None


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (Answer("Well, pass.", "completed"), "unscored", "judge_unparsed"),
        (Answer(None, "completed"), "unscored", "judge_unparsed"),
        (Answer('{"rea', "completed", "length"), "unscored", "judge_unparsed"),
        (Answer(None, "refused"), "unscored", "judge_refused"),
        (Answer(None, "failed", error_code="timeout"), "failed", "judge_error"),
        (Answer('{"rea', "incomplete"), "failed", "judge_error"),
    ],
)
def test_an_answer_that_says_nothing_has_a_reason_and_no_value(
    answer: Answer, status: str, reason: str
) -> None:
    opinion = opinion_of(answer, Scale.BINARY, 0, 0)
    result = combined([opinion], Scale.BINARY, 1, 1)
    assert (opinion.status, opinion.value) == (status, None)
    assert (result.status, result.reason, result.value) == (status, reason, None)
    assert result.explanation


def test_a_reply_that_was_cut_off_says_what_to_do() -> None:
    opinion = opinion_of(Answer('{"rea', "completed", "length"), Scale.BINARY, 0, 0)
    assert "max_tokens" in opinion.explanation


def test_the_explanation_is_the_reason_of_the_nearest_opinion() -> None:
    replies = [Opinion(0, n, float(v), explanation=f"for {v}") for n, v in enumerate((1, 4, 5))]
    assert combined(replies, Scale.FIVE, 1, 3).explanation == "1, 4, 5 of 3: for 4"


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=1, max_size=7),
    st.sampled_from([Scale.SHARE, Scale.PREFERENCE]),
    st.randoms(use_true_random=False),
)
def test_the_order_of_opinions_changes_nothing(
    values: list[float | None], scale: Scale, chance: object
) -> None:
    given_order = opinions(values)
    mixed = list(given_order)
    chance.shuffle(mixed)  # type: ignore[attr-defined] # a random.Random of hypothesis
    first = combined(given_order, scale, 1, len(values))
    other = combined(mixed, scale, 1, len(values))
    assert (first.status, first.reason) == (other.status, other.reason)
    assert first.value == other.value or first.value == pytest.approx(other.value)
