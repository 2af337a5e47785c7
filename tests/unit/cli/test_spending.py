"""Amounts of money as they are typed, and the sentence when they are gone."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid
from app.schemas.budgets import BudgetView
from workbench.cli.spending import budget_line, budget_sentence, dollars, parse_budget


def budget(amount: str, spent: str, leased: str = "0") -> BudgetView:
    return BudgetView(
        id=UUID(int=0), amount=Decimal(amount), spent=Decimal(spent), leased=Decimal(leased)
    )


@pytest.mark.parametrize(
    ("text", "amount"),
    [("5", "5"), ("5.00", "5"), ("$7.50", "7.5"), ("1,000", "1000"), (".5", "0.5")],
)
def test_a_budget_is_written_as_money(text: str, amount: str) -> None:
    assert parse_budget(text) == Decimal(amount)


def test_no_budget_is_none() -> None:
    assert parse_budget(None) is None


@pytest.mark.parametrize("text", ["0", "-1", "five", "nan", "inf", "", "1e30", "1_0", "9999999999"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="US dollars"):
        parse_budget(text)


@pytest.mark.parametrize("text", ["1,50", "0,05", "5,0", "1,0000", "1.000,50", ",500"])
def test_a_decimal_comma_is_refused_instead_of_read_as_a_hundred_times_the_amount(
    text: str,
) -> None:
    with pytest.raises(Invalid, match="US dollars, as in"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(5, "$5.00"), (4.93, "$4.93"), (0.2, "$0.20"), (0.00954, "$0.00954"), (0, "$0")],
)
def test_money_is_shown_as_people_write_it(amount: float, text: str) -> None:
    assert dollars(amount) == text


def test_a_reached_budget_says_how_far_it_went_and_how_to_go_on() -> None:
    told = budget_sentence(budget("5", "4.93"), 12, 212, 400, next_call=0.1)
    assert told == (
        "Budget of $5.00 reached: $4.93 spent, 212 of 400 cells done. "
        "Go on with: workbench resume 12 --budget 10"
    )


@pytest.mark.parametrize(("amount", "more"), [("900000", "1500000"), ("0.00001", "0.000015")])
def test_the_amount_to_go_on_with_is_one_that_can_be_typed(amount: str, more: str) -> None:
    told = budget_sentence(budget(amount, "0"), 12, 0, 400)
    assert told.endswith(f"--budget {more}")
    assert parse_budget(more) == Decimal(more)


@given(
    st.decimals("0.0001", 1000, places=4),
    st.floats(0, 1),
    st.integers(0, 100),
    st.floats(0, 10),
)
def test_the_amount_to_go_on_with_is_always_more_than_the_one_reached(
    amount: Decimal, share: float, done: int, next_call: float
) -> None:
    spent = str(amount * Decimal(share))
    told = budget_sentence(budget(str(amount), spent), 1, done, 100, next_call=next_call)
    assert float(told.rpartition(" ")[2]) > float(amount)


def test_money_that_processes_hold_is_said() -> None:
    assert budget_line(budget("5", "1.5", "0.25")) == ("budget $5.00: $1.50 spent, $0.25 taken out")
