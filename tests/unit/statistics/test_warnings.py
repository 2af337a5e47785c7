"""Every warning code has a condition, and arises exactly then."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import count

import pytest

from workbench.statistics import warnings as conditions
from workbench.statistics.policy import Policy
from workbench.statistics.warnings import CONDITIONS, AnalysisWarning, WarningCode

BLOCKING = {"few_units", "missing", "judge_unvalidated", "judge_weak", "peeking", "drift"}


def raised(warning: AnalysisWarning | None) -> str | None:
    if warning is None:
        return None
    assert warning.blocking == (warning.code.value in BLOCKING)
    assert warning.text.endswith(".")
    return warning.code.value


def test_every_code_has_a_condition_and_the_right_ones_block() -> None:
    assert set(CONDITIONS) == set(WarningCode)
    assert {code.value for code, rule in CONDITIONS.items() if rule.blocking} == BLOCKING


@pytest.mark.parametrize(
    ("warning", "code"),
    [
        (conditions.few_units(19), "few_units"),
        (conditions.few_units(500, 9), "few_units"),
        (conditions.few_clusters(10), "few_clusters"),
        (conditions.few_clusters(29), "few_clusters"),
        (conditions.sparse(guarded=True, changed=3, n_pairs=80), "sparse"),
        (conditions.epochs_unequal(2), "epochs_unequal"),
        (conditions.judge_unvalidated(49), "judge_unvalidated"),
        (conditions.judge_weak(0.39), "judge_weak"),
        (conditions.judge_weak(0.90, p_differential=0.04), "judge_weak"),
        (conditions.judge_order(0.79, 1.0), "judge_order"),
        (conditions.judge_order(0.95, 0.01), "judge_order"),
        (conditions.judge_length(0.04, 0.6, 0.5), "judge_length"),
        (conditions.judge_self("gpt", ["claude", "gpt"]), "judge_self"),
        (conditions.peeking(99, 100), "peeking"),
        (conditions.peeking(300, 100, extended=True), "peeking"),
        (conditions.multiplicity(3, corrected=False), "multiplicity"),
        (conditions.reused_set(5), "reused_set"),
        (conditions.drift(["judge"]), "drift"),
    ],
)
def test_warning_arises_on_its_condition(warning: AnalysisWarning | None, code: str) -> None:
    assert raised(warning) == code


@pytest.mark.parametrize(
    "warning",
    [
        conditions.few_units(20),
        conditions.few_units(500, 10),
        conditions.few_units(6, policy=Policy(min_pairs=5)),
        conditions.few_clusters(None),
        conditions.few_clusters(9),
        conditions.few_clusters(30),
        conditions.sparse(guarded=False, changed=3, n_pairs=80),
        conditions.epochs_unequal(0),
        conditions.judge_unvalidated(50),
        conditions.judge_weak(0.40, p_differential=0.05),
        conditions.judge_order(0.80, 0.05),
        conditions.judge_length(0.05, 0.6, 0.5),
        conditions.judge_self("gpt", ["claude"]),
        conditions.peeking(100, 100),
        conditions.peeking(100, None),
        conditions.multiplicity(3, corrected=True),
        conditions.multiplicity(1, corrected=False),
        conditions.reused_set(4),
        conditions.drift([]),
    ],
    ids=count(1),
)
def test_warning_keeps_silent_next_to_its_condition(warning: AnalysisWarning | None) -> None:
    assert warning is None


@pytest.mark.parametrize(
    ("means", "changed", "code"),
    [
        ((0.95, 0.97), 20, "ceiling"),
        ((0.94, 0.97), 20, None),
        ((0.05, 0.02), 20, "floor"),
        ((0.06, 0.02), 20, None),
        ((0.5, 0.5), 4, "ceiling"),
        ((0.5, 0.5), 5, None),
    ],
)
def test_ceiling_and_floor(means: tuple[float, float], changed: int, code: str | None) -> None:
    warning = conditions.ceiling(means, (0.0, 1.0), changed=changed, n_pairs=100)
    assert raised(warning) == code


def test_ceiling_follows_the_range_of_the_score() -> None:
    warning = conditions.ceiling((4.9, 4.95), (1.0, 5.0), changed=50, n_pairs=100)
    assert raised(warning) == "ceiling"


@pytest.mark.parametrize(
    ("shares", "p_differs", "changes", "fragment"),
    [
        ((0.05, 0.05), 0.05, False, None),
        ((0.06, 0.0), 1.0, False, "more than 5.0 % on a side"),
        ((0.0, 0.03), 0.04, False, "clearly more on one side"),
        ((0.01, 0.01), 1.0, True, "the verdict changes"),
    ],
)
def test_missing_scores_block_for_any_of_three_reasons(
    shares: tuple[float, float], p_differs: float, changes: bool, fragment: str | None
) -> None:
    warning = conditions.missing(shares, p_differs=p_differs, verdict_changes=changes)
    if fragment is None:
        assert warning is None
    else:
        assert raised(warning) == "missing"
        assert warning is not None
        assert fragment in warning.text


def test_shared_metadata_suggests_a_cluster_unless_one_is_declared() -> None:
    metadata: Mapping[str, Sequence[Hashable | None]] = {
        "topic": [*(f"topic {i // 3}" for i in range(59)), None],
        "author": [f"author {i}" for i in range(60)],
        "note": [None] * 60,
    }
    warning = conditions.cluster_suspected(metadata, clusters_declared=False)
    assert raised(warning) == "cluster_suspected"
    assert warning is not None
    assert "topic" in warning.text
    assert "author" not in warning.text
    assert "note" not in warning.text
    assert conditions.cluster_suspected(metadata, clusters_declared=True) is None


@pytest.mark.parametrize(
    ("values", "examples_each", "suspected"),
    [(10, 10, True), (9, 10, False), (10, 11, False), (50, 2, True), (50, 1, False)],
)
def test_a_column_of_few_values_or_of_many_examples_each_is_a_category_and_no_cluster(
    values: int, examples_each: int, suspected: bool
) -> None:
    column = [value for value in range(values) for _ in range(examples_each)]
    warning = conditions.cluster_suspected({"column": column}, clusters_declared=False)
    assert (warning is not None) is suspected
