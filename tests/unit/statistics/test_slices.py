"""Differences slice by slice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.statistics.effect import Differences, estimate_effect
from workbench.statistics.multiplicity import benjamini_hochberg
from workbench.statistics.slices import slice_effects


def differences(values: np.ndarray, clusters: np.ndarray | None = None) -> Differences:
    return Differences(values.astype(float), True, 1.0, clusters)


@given(st.lists(st.tuples(st.integers(-1, 1), st.sampled_from("abc")), min_size=1, max_size=200))
def test_every_example_with_a_label_is_in_exactly_one_slice(
    rows: list[tuple[int, str]],
) -> None:
    values = np.array([value for value, _ in rows])
    labels = [label for _, label in rows]
    effects, small = slice_effects(differences(values), {"column": labels})
    sizes = {e.value: e.effect.n_pairs for e in effects} | {s.value: s.n_pairs for s in small}
    assert sizes == {label: labels.count(label) for label in set(labels)}
    for each in effects:
        own = values[[label == each.value for label in labels]]
        assert each.effect == estimate_effect(differences(own))


def test_all_columns_share_one_set_of_q_values() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(-1, 2, size=200)
    columns = {"half": ["a", "b"] * 100, "quarter": ["u", "v", "w", "x"] * 50}
    effects, small = slice_effects(differences(values), columns)
    assert (len(effects), small) == (6, ())
    expected = benjamini_hochberg([e.test.p_value for e in effects])
    assert [e.q_value for e in effects] == expected.tolist()
    alone, _ = slice_effects(differences(values), {"half": columns["half"]})
    assert [e.q_value for e in alone] != [e.q_value for e in effects[:2]]


def test_a_slice_below_what_a_verdict_needs_is_named_and_not_estimated() -> None:
    labels = ["few"] * 19 + ["enough"] * 20
    effects, small = slice_effects(differences(np.ones(39)), {"size": labels})
    assert [e.value for e in effects] == ["enough"]
    assert [(s.value, s.n_pairs) for s in small] == [("few", 19)]


def test_clusters_stay_together_within_a_slice() -> None:
    rng = np.random.default_rng(8)
    values = rng.integers(-1, 2, size=120)
    clusters = np.repeat(np.arange(30), 4)
    labels = ["a" if cluster < 12 else "b" for cluster in clusters]
    effects, _ = slice_effects(differences(values, clusters), {"part": labels})
    assert [e.effect.n_clusters for e in effects] == [12, 18]
    few, small = slice_effects(
        differences(values, clusters), {"part": ["a" if c < 9 else "b" for c in clusters]}
    )
    assert [e.value for e in few] == ["b"]
    assert (small[0].n_pairs, small[0].n_clusters) == (36, 9)


def test_examples_without_a_value_are_in_no_slice() -> None:
    effects, small = slice_effects(differences(np.zeros(30)), {"c": [None] * 30})
    assert (effects, small) == ((), ())


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_figures(seed: int) -> None:
    values = np.random.default_rng(0).normal(size=80)
    graded = Differences(values, False, 1.0)
    columns = {"c": ["a", "b"] * 40}
    assert slice_effects(graded, columns, seed=seed) == slice_effects(graded, columns, seed=seed)
