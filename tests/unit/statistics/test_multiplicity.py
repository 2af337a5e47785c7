"""Adjusted p-values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.multiplicity import (
    benjamini_hochberg,
    bonferroni,
    holm,
    simultaneous_level,
)

p_values = st.lists(st.floats(0.0, 1.0), min_size=0, max_size=20)


@given(p_values)
def test_methods_are_ordered_by_how_much_they_promise(values: list[float]) -> None:
    q_values, stepped, whole = benjamini_hochberg(values), holm(values), bonferroni(values)
    assert (np.array(values) <= q_values + 1e-12).all()
    assert (q_values <= stepped + 1e-12).all()
    assert (stepped <= whole + 1e-12).all()
    assert (whole <= 1.0).all()


@given(p_values, st.randoms())
def test_results_follow_their_p_value_through_any_order(
    values: list[float], random: np.random.Generator
) -> None:
    order = list(range(len(values)))
    random.shuffle(order)
    for method in (benjamini_hochberg, holm, bonferroni):
        adjusted = method(values)
        assert method([values[i] for i in order]).tolist() == pytest.approx(
            adjusted[order].tolist()
        )


@given(p_values)
def test_adjusting_keeps_the_order_of_evidence(values: list[float]) -> None:
    order = np.argsort(values, kind="stable")
    for method in (benjamini_hochberg, holm, bonferroni):
        assert (np.diff(method(values)[order]) >= -1e-12).all()


def test_holm_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_level_is_shared_among_comparisons() -> None:
    assert simultaneous_level(0.95, 5) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="at least 1"):
        simultaneous_level(0.95, 0)


def test_what_is_no_p_value_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.1, 1.1])
