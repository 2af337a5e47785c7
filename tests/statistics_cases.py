"""Evaluate a file of statistics cases with our functions: `python -m tests.statistics_cases FILE`.

A file holds `cases`, each with `name`, `kind`, `inputs`, `expected`, `tolerance` and `source`.
For every case one prints pass or fail with what was got and what was expected, then the counts;
the exit code is 1 if any case failed. Tolerances hold for each number: `abs` or `rel`, a more
specific key for one entry (`abs_estimate`), `abs_if_monte_carlo` where a p-value had to be
drawn, `upper` for "at most". null is not checked; booleans and strings must be equal.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.statistics_simulations import simulate
from workbench.statistics import agreement, multiplicity, paired_binary, proportions
from workbench.statistics.arrays import FloatArray, encode_labels
from workbench.statistics.bootstrap import Statistic, bootstrap_bca
from workbench.statistics.bradley_terry import fit_bradley_terry
from workbench.statistics.clusters import clustered_mean
from workbench.statistics.effect import Differences, estimate_effect
from workbench.statistics.interval import Interval
from workbench.statistics.missingness import describe_missing
from workbench.statistics.observations import Observations, align
from workbench.statistics.paired_graded import difference_interval, t_interval, t_test, tost
from workbench.statistics.pass_at_k import pass_at_k, pass_hat_k
from workbench.statistics.permutation import sign_flip_test
from workbench.statistics.policy import Policy
from workbench.statistics.ppi import classical_mean, ppi_mean
from workbench.statistics.preferences import Choice, analyse_preferences, swap_outcomes
from workbench.statistics.rank_tests import wilcoxon_signed_rank
from workbench.statistics.repetitions import split_variance
from workbench.statistics.sample_size import (
    Variance,
    minimum_detectable_effect,
    planned_examples,
    relative_variance,
)
from workbench.statistics.sequential import (
    confidence_sequence_half_width,
    e_value,
    mixture_variance,
)
from workbench.statistics.verdict import decide, passes_gate

__all__ = ["Case", "Outcome", "evaluate", "load_cases", "main"]

# Inputs and expectations are whatever JSON holds; every evaluator reads the keys of its kind.
Json = Any
Inputs = Mapping[str, Json]
Results = dict[str, Json]

SEED: Final = 20_240_917


@dataclass(frozen=True)
class Case:
    """One case of a file."""

    name: str
    kind: str
    inputs: Inputs
    expected: Mapping[str, Json]
    tolerance: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class Outcome:
    """A case, what our functions gave, and every entry that differs too much."""

    case: Case
    got: Results
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything expected was met."""
        return not self.differences


def load_cases(path: Path) -> list[Case]:
    """Read the cases of a file."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return [
        Case(
            name=entry["name"],
            kind=entry["kind"],
            inputs=entry["inputs"],
            expected=entry["expected"],
            tolerance=entry.get("tolerance", {}),
            source=entry.get("source", ""),
        )
        for entry in document["cases"]
    ]


def _array(values: Sequence[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _bounds(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _level(inputs: Inputs) -> float:
    return float(inputs.get("confidence", 0.95))


def _table(inputs: Inputs) -> paired_binary.PairedTable:
    return paired_binary.PairedTable(inputs["n11"], inputs["n10"], inputs["n01"], inputs["n00"])


def _proportion(inputs: Inputs) -> Results:
    counts = inputs["successes"], inputs["n"], _level(inputs)
    return {
        "wilson": _bounds(proportions.wilson_interval(*counts)),
        "clopper_pearson": _bounds(proportions.clopper_pearson_interval(*counts)),
        "agresti_coull": _bounds(proportions.agresti_coull_interval(*counts)),
        "beta_uniform_prior": _bounds(proportions.beta_interval(*counts)),
    }


def _mcnemar(inputs: Inputs) -> Results:
    counts = inputs["n10"], inputs["n01"]
    return {
        "p_exact": paired_binary.mcnemar_exact(*counts),
        "p_midp": paired_binary.mcnemar_mid_p(*counts),
        "p_asymptotic": paired_binary.mcnemar_asymptotic(*counts),
        "p_asymptotic_cc": paired_binary.mcnemar_asymptotic(*counts, continuity_correction=True),
    }


def _paired_proportions(inputs: Inputs) -> Results:
    table, level = _table(inputs), _level(inputs)
    tango = paired_binary.tango_interval(table.candidate_only, table.baseline_only, table.n, level)
    return {
        "estimate": table.difference,
        "tango": _bounds(tango),
        "newcombe": _bounds(paired_binary.newcombe_interval(table, level)),
    }


def _wilcoxon(inputs: Inputs) -> Results:
    test = wilcoxon_signed_rank(_array(inputs["d"]), inputs.get("alternative", "two-sided"))
    return {
        "statistic_min": test.statistic,
        "statistic_positive": test.rank_sum_positive,
        "p": test.p_value,
        "monte_carlo": not test.exact,
    }


def _permutation(inputs: Inputs) -> Results:
    alternative = inputs.get("alternative", "two-sided")
    test = sign_flip_test(_array(inputs["d"]), seed=SEED, alternative=alternative)
    return {"p": test.p_value, "monte_carlo": not test.exact}


def _paired_t(inputs: Inputs) -> Results:
    test = t_test(_array(inputs["d"]), _level(inputs))
    return {
        "mean": test.mean,
        "se": test.standard_error,
        "t": test.statistic,
        "df": test.df,
        "p": test.p_value,
        "ci": _bounds(test.interval),
    }


_STATISTICS: Final[Mapping[str, Statistic]] = {
    "mean": lambda samples: samples.mean(axis=-1),
    "median": lambda samples: np.median(samples, axis=-1),
    "population_variance": lambda samples: samples.var(axis=-1),
    "sample_variance": lambda samples: samples.var(axis=-1, ddof=1),
    "standard_deviation": lambda samples: samples.std(axis=-1, ddof=1),
}


def _bca(inputs: Inputs) -> Results:
    values, statistic = _array(inputs["x"]), _STATISTICS[inputs["statistic"]]
    interval = bootstrap_bca(
        values,
        statistic,
        _level(inputs),
        resamples=inputs.get("n_resamples", 20_000),
        seed=SEED,
    )
    return {"estimate": float(statistic(values[np.newaxis])[0]), "ci": _bounds(interval)}


def _multiple(inputs: Inputs) -> Results:
    p_values, alpha = inputs["p"], inputs.get("alpha", 0.05)
    results: Results = {}
    for name, adjust in (
        ("bh", multiplicity.benjamini_hochberg),
        ("bonferroni", multiplicity.bonferroni),
        ("holm", multiplicity.holm),
    ):
        adjusted = adjust(p_values)
        results[f"n_reject_{name}"] = int(np.count_nonzero(adjusted <= alpha))
        results[f"{name}_adjusted"] = adjusted.tolist()
    return results


def _cohen(inputs: Inputs) -> Results:
    kappa = agreement.cohen_kappa(
        np.array(inputs["table"], dtype=np.float64), inputs.get("weights"), _level(inputs)
    )
    return {
        "kappa": kappa.kappa,
        "ase": kappa.standard_error,
        "ci": _bounds(kappa.interval),
        "p_two_sided": kappa.p_value,
        "observed_agreement": kappa.observed_agreement,
        "expected_agreement": kappa.expected_agreement,
    }


def _krippendorff(inputs: Inputs) -> Results:
    ratings = np.array([_array(row) for row in inputs["raters_by_units"]])
    scales: Sequence[agreement.AlphaScale] = ("nominal", "ordinal", "interval", "ratio")
    return {scale: agreement.krippendorff_alpha(ratings, scale) for scale in scales}


def _fleiss(inputs: Inputs) -> Results:
    return {"kappa": agreement.fleiss_kappa(np.array(inputs["counts"], dtype=np.float64))}


def _bradley_terry(inputs: Inputs) -> Results:
    items = inputs["items"]
    fit = fit_bradley_terry(
        np.array(inputs["wins"], dtype=np.float64),
        reference=items.index(inputs.get("reference", items[0])),
        names=items,
    )
    return {
        "log_strength": fit.log_strength.tolist(),
        "se": fit.standard_error.tolist(),
        "win_rate": fit.win_rate.tolist(),
    }


def _pass_at_k(inputs: Inputs) -> Results:
    cases = [(case["n"], case["c"], case["k"]) for case in inputs["cases"]]
    return {
        "pass_at_k": [pass_at_k(*case) for case in cases],
        "pass_hat_k": [pass_hat_k(*case) for case in cases],
    }


def _clustered(inputs: Inputs) -> Results:
    mean = clustered_mean(_array(inputs["d"]), encode_labels(inputs["cluster"]), _level(inputs))
    return {
        "mean": mean.mean,
        "se_naive": mean.se_independent,
        "se_clustered_miller": mean.se_uncorrected,
        "se_clustered_cr1": mean.se_cr1,
        "df": mean.df,
        "n_clusters": mean.n_clusters,
        "ci_cr1_t": _bounds(mean.interval),
    }


def _as_cells(rows: Sequence[Sequence[float | None]]) -> Observations:
    keys = [str(example) for example, row in enumerate(rows) for _ in row]
    return Observations.from_values(keys, _array([value for row in rows for value in row]))


def _epochs(inputs: Inputs) -> Results:
    aligned = align(_as_cells(inputs["baseline"]), _as_cells(inputs["candidate"]))
    differences = (aligned.candidate.means - aligned.baseline.means)[aligned.is_paired]
    estimate = t_interval(differences, _level(inputs))
    results: Results = {
        "n_units": differences.size,
        "mean": estimate.mean,
        "se": estimate.standard_error,
        "ci_t": _bounds(estimate.interval),
    }
    split = split_variance(aligned.baseline, aligned.candidate)
    if split is not None:
        results |= {
            "sigma2_within_baseline": split.within_baseline,
            "sigma2_within_candidate": split.within_candidate,
            "omega2_raw": split.between_raw,
            "omega2_for_planning": split.between,
        }
    return results


def _variance_reduction(inputs: Inputs) -> Results:
    if "uniform on (0,1)" not in inputs["model"]:
        raise ValueError(f"No variances are known for this model: {inputs['model']}")
    return {"relative_variance": [relative_variance(1 / 12, 1 / 6, k) for k in inputs["k"]]}


def _sample_size(inputs: Inputs) -> Results:
    n = planned_examples(
        inputs["delta"],
        Variance(inputs["omega2"], inputs["sigma2_a"], inputs["sigma2_b"]),
        repetitions_baseline=inputs["k_a"],
        repetitions_candidate=inputs["k_b"],
        alpha=inputs["alpha"],
        power=inputs["power"],
    )
    return {"n": n}


def _detectable(inputs: Inputs) -> Results:
    return {
        "mde": [
            minimum_detectable_effect(
                case["sd_diff"] / math.sqrt(case["n"]), alpha=case["alpha"], power=case["power"]
            )
            for case in inputs["cases"]
        ]
    }


def _noninferiority(inputs: Inputs) -> Results:
    table, alpha = _table(inputs), inputs["alpha_one_sided"]
    counts = table.candidate_only, table.baseline_only, table.n
    p_value = paired_binary.tango_noninferiority_p(*counts, inputs["margin"])
    return {
        "z": paired_binary.tango_statistic(*counts, -inputs["margin"]),
        "p_one_sided": p_value,
        "ci95": _bounds(paired_binary.tango_interval(*counts, 0.95)),
        "noninferior_at_2_5pct": p_value <= alpha,
    }


def _equivalence(inputs: Inputs) -> Results:
    differences = _array(inputs["x"]) - _array(inputs["y"])
    estimate = t_interval(differences, 0.90)
    return {
        "mean": estimate.mean,
        "se": estimate.standard_error,
        "df": estimate.df,
        "ci90": _bounds(estimate.interval),
        "p_tost": tost(differences, inputs["low"], inputs["upp"]),
    }


def _ppi(inputs: Inputs) -> Results:
    human, judged = _array(inputs["human"]), _array(inputs["judge_on_labelled"])
    ones, zeros = inputs["judge_unlabelled_ones"], inputs["judge_unlabelled_zeros"]
    rest, level = np.repeat((1.0, 0.0), (ones, zeros)), _level(inputs)
    means = {
        "classical": classical_mean(human, level),
        "ppi_lambda1": ppi_mean(human, judged, rest, level, weight=1.0),
        "ppi_plus_plus": ppi_mean(human, judged, rest, level),
    }
    return {
        name: {"estimate": mean.estimate, "ci": _bounds(mean.interval)}
        for name, mean in means.items()
    }


def _e_values(inputs: Inputs) -> Results:
    values = [e_value(case["wins"], case["losses"]) for case in inputs["cases"]]
    return {"e": values, "reject": [value >= 1.0 / inputs["alpha"] for value in values]}


def _confidence_sequence(inputs: Inputs) -> Results:
    half_width = confidence_sequence_half_width(
        inputs["n"], inputs["sd"], alpha=inputs["alpha"], n_optimal=inputs["t_opt"]
    )
    mean = inputs.get("mean", 0.0)
    return {
        "rho2": mixture_variance(inputs["alpha"], inputs["t_opt"]),
        "half_width": half_width,
        "ci": [mean - half_width, mean + half_width],
    }


_CHOICES: Final = {"A": Choice.CANDIDATE, "B": Choice.BASELINE, "T": Choice.TIE}


def _swap(inputs: Inputs) -> Results:
    first = [_CHOICES[verdict[0]] for verdict in inputs["verdicts"]]
    second = [_CHOICES[verdict[1]] for verdict in inputs["verdicts"]]
    analysis = analyse_preferences(first, second, level=_level(inputs))
    by_t = t_interval((1.0 + swap_outcomes(first, second)) / 2.0, _level(inputs))
    return {
        "wins": analysis.wins,
        "losses": analysis.losses,
        "ties": analysis.ties,
        "win_rate_a": analysis.win_rate,
        "consistency": analysis.order.consistency,
        "always_first": analysis.order.always_first,
        "always_second": analysis.order.always_second,
        "p_position_bias": analysis.order.p_position,
        "p_sign_test": analysis.test.p_value,
        "ci_win_rate": _bounds(analysis.win_rate_interval),
        "ci_win_rate_t": _bounds(by_t.interval),
    }


def _missingness(inputs: Inputs) -> Results:
    worst, best = inputs["score_range"]
    runs = [_as_cells([[score] for score in inputs[side]]) for side in ("baseline", "candidate")]
    missing = describe_missing(align(*runs), worst=worst, best=best)
    return {
        "n_complete": missing.n_pairs,
        "complete_case": missing.complete_case,
        "n_error_baseline": missing.incomplete_baseline,
        "n_error_candidate": missing.incomplete_candidate,
        "errors_as_zero": missing.errors_as_worst,
        "worst_case_for_candidate": missing.worst_case_for_candidate,
        "p_error_flags": missing.p_differs,
    }


def _gate(inputs: Inputs) -> Results:
    table, level = _table(inputs), _level(inputs)
    counts = table.candidate_only, table.baseline_only
    values = np.repeat((1.0, -1.0, 0.0), (*counts, table.both + table.neither))
    effect = estimate_effect(Differences(values, binary=True, score_range=1.0), level)
    policy = Policy(min_pairs=inputs.get("min_units", 20))
    verdict = decide(effect.interval, inputs["margin"], n_pairs=table.n, policy=policy)
    exact_p = paired_binary.mcnemar_exact(*counts)
    return {
        "verdict": str(verdict),
        "ci": _bounds(effect.interval),
        "promote_if_gate_is_non_inferiority": passes_gate(verdict, "non_inferiority"),
        "promote_if_gate_is_superiority": passes_gate(
            verdict, "superiority", exact_p=exact_p, alpha=1.0 - level
        ),
    }


def _graded(inputs: Inputs) -> Results:
    low, high = inputs["score_range"]
    estimate = difference_interval(_array(inputs["d"]), high - low, _level(inputs))
    return {
        "n_units": len(inputs["d"]),
        "estimate": estimate.mean,
        "guarded": estimate.guarded,
        "ci": _bounds(estimate.interval),
    }


def _simulation(inputs: Inputs) -> Results:
    return dict(simulate(inputs["dgp"], inputs.get("n_sims", 2_000), SEED))


EVALUATORS: Final[Mapping[str, Callable[[Inputs], Results]]] = {
    "asymptotic_confidence_sequence": _confidence_sequence,
    "bootstrap_bca": _bca,
    "bradley_terry": _bradley_terry,
    "clustered_mean": _clustered,
    "cohen_kappa": _cohen,
    "epochs_paired": _epochs,
    "equivalence_paired_mean": _equivalence,
    "fleiss_kappa": _fleiss,
    "gate_verdict": _gate,
    "graded_default_interval": _graded,
    "krippendorff_alpha": _krippendorff,
    "mcnemar": _mcnemar,
    "minimum_detectable_effect": _detectable,
    "missingness": _missingness,
    "multiple_comparisons": _multiple,
    "noninferiority_paired_binary": _noninferiority,
    "paired_permutation": _permutation,
    "paired_proportion_ci": _paired_proportions,
    "paired_t": _paired_t,
    "pairwise_swap": _swap,
    "pass_at_k": _pass_at_k,
    "ppi_mean": _ppi,
    "proportion_interval": _proportion,
    "sample_size": _sample_size,
    "sequential_e_value": _e_values,
    "simulation": _simulation,
    "variance_reduction": _variance_reduction,
    "wilcoxon_signed_rank": _wilcoxon,
}


def evaluate(case: Case) -> Outcome:
    """Evaluate one case; an error counts as a difference and is not raised."""
    evaluator = EVALUATORS.get(case.kind)
    if evaluator is None:
        return Outcome(case, {}, (f"unknown kind {case.kind!r}",))
    try:
        got = evaluator(case.inputs)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return Outcome(case, {}, (f"{type(error).__name__}: {error}",))
    tolerance = dict(case.tolerance)
    if got.pop("monte_carlo", False) and "abs_if_monte_carlo" in tolerance:
        tolerance["abs"] = tolerance["abs_if_monte_carlo"]
    differences: list[str] = []
    for key, expected in case.expected.items():
        own = tolerance.get(f"abs_{key}")
        allowed = tolerance if own is None else {"abs": own}
        differences += _compare(key, expected, got.get(key), allowed)
    return Outcome(case, {key: got.get(key) for key in case.expected}, tuple(differences))


def _compare(path: str, expected: Json, got: Json, tolerance: Mapping[str, float]) -> list[str]:
    """Name every entry below `path` that differs by more than is allowed."""
    if expected is None:
        return []
    if isinstance(expected, Mapping):
        inner = got if isinstance(got, Mapping) else {}
        return [
            line
            for key, value in expected.items()
            for line in _compare(f"{path}.{key}", value, inner.get(key), tolerance)
        ]
    if isinstance(expected, list):
        if not isinstance(got, list) or len(got) != len(expected):
            return [f"{path}: got {got}, expected {expected}"]
        return [
            line
            for position, value in enumerate(expected)
            for line in _compare(f"{path}[{position}]", value, got[position], tolerance)
        ]
    if _matches(expected, got, tolerance):
        return []
    return [f"{path}: got {got}, expected {expected}"]


def _matches(expected: Json, got: Json, tolerance: Mapping[str, float]) -> bool:
    if isinstance(expected, bool | str) or isinstance(got, bool | str) or got is None:
        return type(expected) is type(got) and bool(expected == got)
    if "upper" in tolerance:
        return bool(got <= tolerance["upper"])
    allowed = max(tolerance.get("abs", 0.0), tolerance.get("rel", 0.0) * abs(expected), 1e-12)
    return bool(abs(got - expected) <= allowed)


def _report(outcome: Outcome) -> str:
    word = "pass" if outcome.passed else "FAIL"
    lines = [
        f"{word} {outcome.case.name} ({outcome.case.kind})",
        f"     got      {json.dumps(outcome.got)}",
        f"     expected {json.dumps(outcome.case.expected)}",
    ]
    lines += [f"     differs  {difference}" for difference in outcome.differences]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Evaluate the file named by the only argument; return the exit code."""
    if len(arguments) != 1:
        print("Usage: python -m tests.statistics_cases FILE", file=sys.stderr)
        return 2
    outcomes = []
    for case in load_cases(Path(arguments[0])):
        outcomes.append(evaluate(case))
        print(_report(outcomes[-1]), flush=True)
    failed = sum(not outcome.passed for outcome in outcomes)
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
