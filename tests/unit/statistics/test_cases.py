"""Every kept case gives its published or independently computed figures."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.statistics_cases import Case, Outcome, evaluate, load_cases, main
from tests.statistics_simulations import simulate

KEPT = Path(__file__).parents[2] / "data" / "statistics_cases.json"
GIVEN = Path(__file__).parents[4] / "shared" / "stats_cases.json"
CASES = load_cases(KEPT)
SIMULATIONS = [case for case in CASES if case.kind == "simulation"]
FACTS = [case for case in CASES if case.kind != "simulation"]

FULL_SIZE = 2_000
SMALL_SIZE = 300


def case_name(case: Case) -> str:
    return case.name


def resized(case: Case, n_sims: int) -> Case:
    """Run fewer experiments and allow for the Monte-Carlo error that this adds."""
    (rate,) = case.expected.values()
    added = 3.0 * math.sqrt(rate * (1.0 - rate)) * (n_sims**-0.5 - FULL_SIZE**-0.5)
    wider = {key: value + added for key, value in case.tolerance.items()}
    return replace(case, inputs={**case.inputs, "n_sims": n_sims}, tolerance=wider)


def with_wrong_method(case: Case) -> Outcome:
    """Judge what a method that is wrong on purpose gives, by the case's own rule."""
    got = simulate(case.inputs["dgp"], case.inputs["n_sims"], seed=11, wrong_method=True)
    ((name, rate),) = got.items()
    tolerance: Mapping[str, float] = case.tolerance
    if "upper" in tolerance:
        failed = rate > tolerance["upper"]
    else:
        failed = abs(rate - case.expected[name]) > tolerance["abs"]
    return Outcome(case, dict(got), (f"{name}: {rate}",) if failed else ())


def test_there_are_forty_five_cases_of_twenty_eight_kinds() -> None:
    assert len(CASES) == 45
    assert len({case.kind for case in CASES}) == 28
    assert len(SIMULATIONS) == 7
    assert all(case.source for case in CASES)


@pytest.mark.parametrize("case", FACTS, ids=case_name)
def test_case_is_met_within_its_tolerance(case: Case) -> None:
    assert evaluate(case).differences == ()


@pytest.mark.parametrize("case", SIMULATIONS, ids=case_name)
def test_simulated_promise_is_kept(case: Case) -> None:
    assert evaluate(resized(case, SMALL_SIZE)).differences == ()


@pytest.mark.parametrize("case", SIMULATIONS, ids=case_name)
def test_simulation_exposes_a_wrong_method(case: Case) -> None:
    assert not with_wrong_method(resized(case, SMALL_SIZE)).passed


@pytest.mark.nightly
@pytest.mark.parametrize("case", SIMULATIONS, ids=case_name)
def test_simulated_promise_is_kept_at_full_size(case: Case) -> None:
    assert evaluate(resized(case, FULL_SIZE)).differences == ()


def test_evaluator_prints_every_case_and_the_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        {
            "name": "right",
            "kind": "mcnemar",
            "inputs": {"n11": 1, "n10": 0, "n01": 0, "n00": 1},
            "expected": {"p_exact": 1.0, "p_midp": None},
            "tolerance": {"abs": 1e-9},
            "source": "definition",
        },
        {
            "name": "wrong",
            "kind": "gate_verdict",
            "inputs": {"n11": 8, "n10": 4, "n01": 0, "n00": 3, "margin": 0.03},
            "expected": {"verdict": "superior"},
            "tolerance": {},
        },
        {"name": "unknown", "kind": "palmistry", "inputs": {}, "expected": {"luck": 1}},
        {"name": "broken", "kind": "mcnemar", "inputs": {}, "expected": {"p_exact": 1}},
    ]
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"cases": cases}), encoding="utf-8")

    assert main([str(file)]) == 1

    printed = capsys.readouterr().out
    assert "pass right (mcnemar)" in printed
    assert "FAIL wrong (gate_verdict)" in printed
    assert "got insufficient_data, expected superior" in printed
    assert "unknown kind 'palmistry'" in printed
    assert "FAIL broken" in printed
    assert printed.splitlines()[-1] == "1 passed, 3 failed"


def test_evaluator_reports_success_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(KEPT.read_text(encoding="utf-8"))
    document["cases"] = [case for case in document["cases"] if case["kind"] == "gate_verdict"]
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(document), encoding="utf-8")

    assert main([str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "6 passed, 0 failed"


def test_evaluator_wants_exactly_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage" in capsys.readouterr().err


def test_simulation_reads_the_numbers_from_the_sentence() -> None:
    process = (
        "60 items iid; P(both pass)=.5, P(candidate only)=.3, P(baseline only)=.1, P(neither)=.1"
    )

    coverage = simulate(process, 100, seed=3)["coverage"]

    assert 0.85 <= coverage <= 1.0
    with pytest.raises(ValueError, match="No simulation is known"):
        simulate("tea leaves", 1, seed=3)


@pytest.mark.skipif(not GIVEN.exists(), reason="the original case file is not part of the project")
def test_kept_cases_state_the_same_facts_as_the_original_file() -> None:
    def facts(path: Path) -> list[tuple[str, str, object, object]]:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [
            (
                case["name"],
                case["kind"],
                {key: value for key, value in case["inputs"].items() if key != "meaning"},
                (case["expected"], case["tolerance"]),
            )
            for case in document["cases"]
        ]

    assert facts(KEPT) == facts(GIVEN)
