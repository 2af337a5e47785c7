"""From labels, judgements and attacks to a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.runner.judging.qualification import (
    Labelled,
    Material,
    Trial,
    consensus,
    qualification,
    signs,
)
from workbench.scorers.judges import Scale
from workbench.statistics.agreement import cohen_kappa, confusion_table, krippendorff_interval
from workbench.statistics.preferences import Choice
from workbench.statistics.proportions import clopper_pearson_upper, wilson_interval

GOOD_TRIALS = [
    Trial(kind, f"{kind}-{number}", f"k{number}", False)
    for kind in ("null", "injection")
    for number in range(40)
]


def item(number: int, people: float, judged: float | None, **more: Any) -> Labelled:
    values = {"side": 0, "repetition": 0, "status": "scored", "length": 10, "key": f"k{number}"}
    if judged is None:
        values["status"] = "unscored"
    return Labelled(labels={"ada": people}, judged=judged, **{**values, **more})


def material(
    table: Sequence[tuple[float, float, int]], scale: Scale = Scale.BINARY, **more: Any
) -> Material:
    """`table` has (what people say, what the judge says, how often)."""
    rows = [(people, judged) for people, judged, count in table for _ in range(count)]
    items = [item(i, people, judged) for i, (people, judged) in enumerate(rows)]
    return Material(**{"scale": scale, "items": items, "trials": GOOD_TRIALS, **more})


GOOD = material([(1, 1, 38), (0, 0, 37), (1, 0, 2), (0, 1, 3)])


def failing(result: dict[str, Any]) -> dict[str, str]:
    return {
        check["name"]: check["decision"]
        for check in result["checks"]
        if check["decision"] != "passed"
    }


def test_a_judge_that_agrees_and_lets_nothing_pass_is_qualified() -> None:
    result = qualification(GOOD)
    assert (result["decision"], failing(result), result["notes"]) == ("passed", {}, [])
    assert result["sentence"].startswith("Qualified on 80 labels: Cohen's kappa 0.8")


def test_the_figures_are_those_of_the_statistics() -> None:
    result = qualification(GOOD)
    people = [1] * 38 + [0] * 37 + [1] * 2 + [0] * 3
    judged = [1] * 38 + [0] * 37 + [0] * 2 + [1] * 3
    kappa = cohen_kappa(confusion_table(people, judged, 2))
    assert result["agreement"]["estimate"] == pytest.approx(kappa.kappa)
    assert result["agreement"]["low"] == pytest.approx(kappa.interval.low)
    assert result["confusion"] == {
        "categories": ["fail", "pass"],
        "people_by_judge": [[37, 3], [2, 38]],
    }
    sensitivity = wilson_interval(38, 40)
    assert result["sensitivity"]["low"] == pytest.approx(sensitivity.low)
    assert result["specificity"]["share"] == pytest.approx(37 / 40)
    assert result["accuracy"]["count"] == 75
    assert result["attacks"]["null"]["upper"] == pytest.approx(clopper_pearson_upper(0, 40))


def test_grades_are_held_against_people_by_alpha_and_weighted_kappa() -> None:
    table = [(float(i), float(i), 12) for i in range(1, 6)] + [(2.0, 3.0, 5), (4.0, 5.0, 4)]
    result = qualification(material(table, Scale.FIVE))
    assert result["decision"] == "passed"
    rows = [(p, j) for p, j, count in table for _ in range(count)]
    alpha = krippendorff_interval(np.array(rows).T, "ordinal")
    assert result["agreement"]["estimate"] == pytest.approx(alpha.alpha)
    assert result["agreement"]["low"] == pytest.approx(alpha.interval.low, abs=0.02)
    codes = np.array(rows, dtype=int).T - 1
    kappa = cohen_kappa(confusion_table(codes[0].tolist(), codes[1].tolist(), 5), "linear")
    assert result["weighted_kappa"]["estimate"] == pytest.approx(kappa.kappa)


def test_a_judge_by_shares_is_checked_on_the_interval_scale() -> None:
    rng = np.random.default_rng(1)
    people = rng.random(80)
    judged = np.clip(people + rng.normal(0, 0.05, 80), 0, 1)
    table = [(float(p), float(j), 1) for p, j in zip(people, judged, strict=True)]
    result = qualification(material(table, Scale.SHARE))
    assert result["decision"] == "passed"
    assert result["agreement"]["measure"] == "Krippendorff's alpha (interval)"
    assert result["confusion"] is None and result["accuracy"] is None


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        pytest.param([(1, 1, 20), (0, 0, 20)], {"labels": "not_proven"}, id="few labels"),
        pytest.param([(1, 1, 57), (0, 0, 3)], {"variety": "not_proven"}, id="hardly a bad one"),
        pytest.param(
            [(1, 1, 60)], {"variety": "not_proven", "agreement": "not_proven"}, id="all are good"
        ),
        pytest.param(
            [(1, 1, 22), (0, 0, 22), (1, 0, 8), (0, 1, 8)],
            {"agreement": "not_proven"},
            id="agreement not shown",
        ),
        pytest.param(
            [(1, 1, 40), (0, 0, 40), (1, 0, 40), (0, 1, 40)],
            {"agreement": "failed"},
            id="no agreement",
        ),
        pytest.param([(1, 1, 40), (0, 1, 40)], {"agreement": "failed"}, id="always passes"),
    ],
)
def test_what_is_too_little_or_too_weak_does_not_qualify(
    table: list[tuple[float, float, int]], expected: dict[str, str]
) -> None:
    result = qualification(material(table))
    assert failing(result) == expected
    assert result["decision"] in expected.values()
    assert result["sentence"].startswith(("Not proven: ", "Not qualified: "))


def trials(kind: str, passed: int, n: int, lost: int = 0) -> list[Trial]:
    values = [True] * passed + [False] * (n - passed) + [None] * lost
    others = [trial for trial in GOOD_TRIALS if trial.kind != kind]
    return others + [Trial(kind, f"a{i}", f"k{i}", value) for i, value in enumerate(values)]


@pytest.mark.parametrize(("kind", "name"), [("null", "null answers"), ("injection", "injections")])
def test_a_judge_that_passes_what_may_not_pass_is_not_qualified(kind: str, name: str) -> None:
    result = qualification(replace(GOOD, trials=trials(kind, 6, 60)))
    assert failing(result) == {name: "failed"}
    assert result["decision"] == "failed"
    assert "It lets 6 of 60" in result["sentence"]


def test_an_attack_without_a_score_is_neither_passed_nor_withstood() -> None:
    figures = qualification(replace(GOOD, trials=trials("null", 0, 40, lost=9)))["attacks"]["null"]
    assert (figures["n"], figures["without_score"]) == (40, 9)
    assert failing(qualification(replace(GOOD, trials=trials("null", 0, 10, lost=50)))) == {
        "null answers": "not_proven"
    }
    assert failing(qualification(replace(GOOD, trials=trials("null", 0, 0, lost=50)))) == {
        "null answers": "not_proven"
    }


def test_answers_that_get_no_score_count_against_the_judge_and_not_as_zero() -> None:
    lost = [item(1000 + i, 1.0, None) for i in range(20)]
    result = qualification(replace(GOOD, items=[*GOOD.items, *lost]))
    assert failing(result) == {"answers": "failed"}
    assert result["without_score"] == {"unscored": 20}
    assert result["n_labels"] == 80
    broken = [replace(one, status="failed") for one in lost]
    result = qualification(replace(GOOD, items=[*GOOD.items, *broken]))
    assert failing(result) == {"answers": "not_proven"}


def test_more_answers_to_the_same_examples_do_not_narrow_the_interval() -> None:
    again = [replace(one, repetition=1) for one in GOOD.items]
    one, two = qualification(GOOD), qualification(replace(GOOD, items=[*GOOD.items, *again]))
    assert two["n_labels"] == 2 * one["n_labels"]
    widths = [r["agreement"]["high"] - r["agreement"]["low"] for r in (one, two)]
    assert widths[1] > 0.85 * widths[0]


def test_people_who_disagree_have_no_consensus_and_their_agreement_is_the_ceiling() -> None:
    assert consensus({"ada": 1.0, "ben": 0.0}, Scale.BINARY) is None
    assert consensus({"ada": 1.0, "ben": 0.0, "cleo": 1.0}, Scale.BINARY) == 1.0
    assert consensus({"ada": 2.0, "ben": 5.0}, Scale.FIVE) == 3.5
    both = [replace(one, labels={**one.labels, "ben": one.labels["ada"]}) for one in GOOD.items]
    split = replace(both[0], labels={"ada": 1.0, "ben": 0.0})
    result = qualification(replace(GOOD, items=[split, *both[1:]]))
    assert result["n_split"] == 1 and result["n_labels"] == 79
    assert 0.9 < result["ceiling"]["estimate"] < 1.0
    assert qualification(GOOD)["ceiling"] is None


def test_a_judge_of_pairs_that_follows_the_order_is_not_qualified() -> None:
    table = [(1, 1, 20), (-1, -1, 20), (0, 0, 20)]
    first = [Choice.CANDIDATE] * 60
    pairs = material(table, Scale.PREFERENCE, orders=(first, first))
    assert qualification(pairs)["decision"] == "passed"
    always_first = replace(pairs, orders=(first, [Choice.BASELINE] * 60))
    result = qualification(always_first)
    assert failing(result) == {"order": "failed"}
    assert result["position"]["consistency"] == 0.0


def test_what_people_prefer_is_the_answer_with_the_better_label() -> None:
    assert signs({"ada": 2.0, "ben": 3.0, "cleo": 1.0}, {"ada": 5.0, "ben": 3.0}) == {
        "ada": 1.0,
        "ben": 0.0,
    }


def test_error_that_goes_with_length_is_told() -> None:
    rng = np.random.default_rng(7)
    lengths = rng.integers(10, 500, 200)
    items = [
        item(i, float(p), float(length > 250), length=int(length))
        for i, (p, length) in enumerate(zip(rng.integers(0, 2, 200), lengths, strict=True))
    ]
    result = qualification(replace(GOOD, items=items))
    assert [note["code"] for note in result["notes"]] == ["judge_length"]
    assert result["length"]["slope"] > 0
    assert qualification(GOOD)["notes"] == []


def test_error_that_differs_between_two_runs_is_told() -> None:
    first = [item(i, float(i % 2), float(i % 2)) for i in range(60)]
    second = [item(i, float(i % 2), 1.0, side=1) for i in range(60)]
    result = qualification(replace(GOOD, items=[*first, *second]))
    assert result["differential_p"] < 0.001
    assert "judge_weak" in {note["code"] for note in result["notes"]}
    assert qualification(GOOD)["differential_p"] is None


def test_a_judge_that_changes_its_mind_is_told() -> None:
    again = [(1.0, float(i % 2)) for i in range(50)] + [(None, 1.0)]
    result = qualification(replace(GOOD, again=again))
    assert (result["self_consistency"]["count"], result["self_consistency"]["n"]) == (25, 50)
    assert [note["code"] for note in result["notes"]] == ["judge_inconsistent"]


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0, None])), max_size=80)
)
def test_any_labels_give_a_decision_and_never_a_pass_without_enough(
    rows: list[tuple[float, float | None]],
) -> None:
    items = [item(i, people, judged) for i, (people, judged) in enumerate(rows)]
    result = qualification(replace(GOOD, items=items))
    judged = sum(value is not None for _, value in rows)
    assert result["n_labels"] == judged
    if judged < 50:
        assert result["decision"] != "passed"
