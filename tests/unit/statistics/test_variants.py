"""Several candidates, several models, many slices."""

import numpy as np
import pytest

from tests.unit.statistics.builders import paired_runs, run_of
from workbench.statistics.analysis import analyse_pair
from workbench.statistics.effect import Method
from workbench.statistics.exploratory import analyse_slices, exploratory
from workbench.statistics.observations import Observations
from workbench.statistics.variants import analyse_across_models, analyse_variants
from workbench.statistics.verdict import Verdict


def passed(seed: int, rate: float, n: int = 120) -> Observations:
    difficulty = np.random.default_rng(99).random(n)
    noise = np.random.default_rng(seed).normal(0.0, 0.1, n)
    return run_of((difficulty + noise < rate).astype(np.float64))


def test_every_candidate_is_compared_with_the_one_baseline() -> None:
    analysis = analyse_variants(
        passed(1, 0.5), {"same": passed(2, 0.5), "better": passed(3, 0.8)}, margin=0.05
    )
    assert list(analysis.candidates) == ["same", "better"]
    better = analysis.candidates["better"]
    assert better.verdict is Verdict.SUPERIOR
    assert better.difference is not None
    assert better.difference.level == pytest.approx(0.975)
    assert better.comparisons == 2


def test_holm_never_falls_below_the_raw_p_and_keeps_its_order() -> None:
    analysis = analyse_variants(
        passed(1, 0.5), {str(i): passed(i, 0.5 + 0.03 * i) for i in range(2, 7)}
    )
    raw = [a.p_value for a in analysis.candidates.values()]
    for p_value, adjusted in zip(raw, analysis.p_holm.values(), strict=True):
        assert p_value is not None
        assert adjusted is not None
        assert p_value <= adjusted <= min(1.0, 5 * p_value) + 1e-12


def test_omnibus_test_fits_the_kind_of_score() -> None:
    binary = analyse_variants(passed(1, 0.5), {"a": passed(2, 0.5), "b": passed(3, 0.9)})
    assert binary.omnibus is not None
    assert binary.omnibus.name == "cochran_q"
    assert binary.omnibus.p_value < 0.001
    rng = np.random.default_rng(1)
    graded = analyse_variants(run_of(rng.random(50)), {"a": run_of(rng.random(50))})
    assert graded.omnibus is not None
    assert graded.omnibus.name == "friedman"


def test_candidate_without_a_pair_has_no_p_and_still_counts() -> None:
    analysis = analyse_variants(
        passed(1, 0.5), {"failed": run_of([None] * 120), "better": passed(3, 0.8)}
    )
    assert analysis.p_holm["failed"] is None
    assert analysis.candidates["failed"].verdict is Verdict.INSUFFICIENT_DATA
    assert analysis.omnibus is None
    raw = analysis.candidates["better"].p_value
    assert raw is not None
    assert analysis.p_holm["better"] == pytest.approx(2 * raw)


def test_models_are_averaged_within_the_example_and_are_no_examples() -> None:
    rng = np.random.default_rng(2)
    difficulty = rng.random(80)
    pairs = {
        name: paired_runs(
            (rng.random(80) < difficulty).astype(np.float64),
            (rng.random(80) < difficulty + shift).astype(np.float64),
        )
        for name, shift in (("one", 0.2), ("two", 0.1), ("three", -0.05))
    }
    models = analyse_across_models(pairs, margin=0.05)
    assert models.average.n_pairs == 80
    assert models.average.method is Method.T
    estimates = [a.difference.estimate for a in models.by_model.values() if a.difference]
    assert models.average.difference is not None
    assert models.average.difference.estimate == pytest.approx(float(np.mean(estimates)))
    assert (models.smallest, models.largest) == (min(estimates), max(estimates))
    assert models.sign_differs == (min(estimates) < 0.0 < max(estimates))


def test_average_over_models_uses_examples_that_all_have() -> None:
    one = paired_runs([1.0, 0.0, None, 1.0], [1.0, 1.0, 1.0, 1.0])
    two = paired_runs([1.0, 0.0, 1.0, 1.0], [None, 0.0, 1.0, 1.0])
    models = analyse_across_models({"one": one, "two": two})
    assert models.average.n_pairs == 2
    assert models.average.difference is not None
    assert models.average.difference.estimate == pytest.approx(0.25)


def test_one_model_gives_the_plain_analysis() -> None:
    runs = paired_runs([1.0, 0.0] * 20, [1.0, 1.0] * 20, clusters=[str(i // 4) for i in range(40)])
    models = analyse_across_models({"only": runs})
    assert models.average.difference == models.by_model["only"].difference
    assert models.average.n_clusters == 10


def test_slices_are_exploratory_and_carry_q_values() -> None:
    baseline, candidate = passed(1, 0.5), passed(3, 0.7)
    labels = {f"example-{i}": f"topic-{i % 4}" for i in range(116)}
    results = analyse_slices(baseline, candidate, labels)
    assert [result.name for result in results] == [f"topic-{i}" for i in range(4)]
    assert sum(result.analysis.n_pairs for result in results) == 116
    for result in results:
        assert result.q_value is not None
        assert result.analysis.p_value is not None
        assert result.q_value >= result.analysis.p_value


def test_a_slice_is_judged_as_the_whole_metric_and_not_by_what_it_happens_to_hold() -> None:
    scores = [0.0, 1.0] * 20 + [0.5, 0.25] * 20
    baseline, candidate = paired_runs(scores, scores[::-1])
    labels = {f"example-{i}": "first" if i < 40 else "second" for i in range(80)}
    first, _ = analyse_slices(baseline, candidate, labels)
    assert first.analysis.method in (Method.T, Method.T_GUARDED)


def test_metrics_without_pairs_have_no_q_value() -> None:
    empty = analyse_pair(run_of([]), run_of([]))
    full = analyse_pair(passed(1, 0.5), passed(3, 0.7))
    results = exploratory({"empty": empty, "full": full})
    assert results[0].q_value is None
    assert results[1].q_value == full.p_value


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one candidate"):
        analyse_variants(passed(1, 0.5), {})
    with pytest.raises(ValueError, match="at least one model"):
        analyse_across_models({})
