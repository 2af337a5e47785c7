"""Several candidates against one baseline, and one comparison over several models.

With m candidates every interval is at level 1 - alpha / m, so the verdicts hold together, and
the p-values are adjusted by Holm's method. Models are not examples: with several model versions
each gets its own estimate, and the overall one averages an example over the models first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.statistics.analysis import Analysis, analyse_pair
from workbench.statistics.arrays import FloatArray
from workbench.statistics.multiplicity import holm
from workbench.statistics.observations import Observations, align, paired_examples, score_bounds
from workbench.statistics.policy import DEFAULT_POLICY, DEFAULT_SEED, Policy
from workbench.statistics.rank_tests import OmnibusTest, cochran_q, friedman
from workbench.statistics.wording import Unit

__all__ = [
    "ModelsAnalysis",
    "VariantsAnalysis",
    "analyse_across_models",
    "analyse_variants",
    "holm_p_values",
    "overall_test",
]


@dataclass(frozen=True, slots=True)
class VariantsAnalysis:
    """Each candidate against the baseline, by name, in the order given.

    `p_holm` is adjusted for the number of candidates; `omnibus` asks whether any of all the
    variants differs, on the examples that every one of them has a score for.
    """

    candidates: dict[str, Analysis]
    p_holm: dict[str, float | None]
    omnibus: OmnibusTest | None


@dataclass(frozen=True, slots=True)
class ModelsAnalysis:
    """The same comparison on several models, and averaged over them.

    `smallest` and `largest` are the extreme estimates; `sign_differs` warns that the candidate
    is better on one model and worse on another.
    """

    by_model: dict[str, Analysis]
    average: Analysis
    smallest: float | None
    largest: float | None
    sign_differs: bool


def analyse_variants(
    baseline: Observations,
    candidates: Mapping[str, Observations],
    *,
    margin: float | None = None,
    level: float = 0.95,
    seed: int = DEFAULT_SEED,
    higher_is_better: bool = True,
    unit: Unit | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> VariantsAnalysis:
    """Compare every candidate with one declared baseline."""
    if not candidates:
        raise ValueError("Name at least one candidate.")
    analyses = {
        name: analyse_pair(
            baseline,
            candidate,
            margin=margin,
            level=level,
            comparisons=len(candidates),
            seed=seed,
            higher_is_better=higher_is_better,
            unit=unit,
            policy=policy,
        )
        for name, candidate in candidates.items()
    }
    p_holm = holm_p_values([a.p_value for a in analyses.values()])
    return VariantsAnalysis(
        candidates=analyses,
        p_holm=dict(zip(analyses, p_holm, strict=True)),
        omnibus=overall_test([baseline, *candidates.values()]),
    )


def holm_p_values(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values of several candidates by Holm's method.

    A candidate without any pair has None and counts as a comparison that could not succeed.
    """
    adjusted = holm([1.0 if p is None else p for p in p_values]).tolist()
    return [None if p is None else a for p, a in zip(p_values, adjusted, strict=True)]


def _complete_table(runs: Sequence[Observations]) -> FloatArray:
    """Return the example means of all runs, for the examples that every run has."""
    columns: list[dict[str, float]] = []
    for run in runs:
        pairs = paired_examples(align(run, run))
        columns.append(dict(zip(pairs.keys, pairs.baseline.tolist(), strict=True)))
    keys = [key for key in columns[0] if all(key in column for column in columns)]
    return np.array([[column[key] for column in columns] for key in keys])


def overall_test(runs: Sequence[Observations]) -> OmnibusTest | None:
    """Test whether any of the runs differs, on the examples that all have a score for.

    Cochran's Q if every example passed or failed as a whole, else Friedman's test; None with
    fewer than two such examples.
    """
    table = _complete_table(runs)
    if len(table) < 2:
        return None
    single = bool(((table == 0.0) | (table == 1.0)).all())
    return cochran_q(table) if single else friedman(table)


def analyse_across_models(
    pairs: Mapping[str, tuple[Observations, Observations]],
    *,
    margin: float | None = None,
    level: float = 0.95,
    seed: int = DEFAULT_SEED,
    higher_is_better: bool = True,
    unit: Unit | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> ModelsAnalysis:
    """Compare baseline and candidate on each model and averaged over the models.

    `pairs` maps a model to its (baseline, candidate). The average uses the examples that have a
    score on both sides on every model, so that no model's mix of examples shifts it; what is
    missing is reported by the analyses of the single models.
    """
    if not pairs:
        raise ValueError("Name at least one model.")

    def analyse(baseline: Observations, candidate: Observations) -> Analysis:
        return analyse_pair(
            baseline,
            candidate,
            margin=margin,
            level=level,
            seed=seed,
            higher_is_better=higher_is_better,
            unit=unit,
            policy=policy,
        )

    by_model = {name: analyse(*sides) for name, sides in pairs.items()}
    estimates = [a.difference.estimate for a in by_model.values() if a.difference is not None]
    return ModelsAnalysis(
        by_model=by_model,
        average=analyse(*_averaged(list(pairs.values()))),
        smallest=min(estimates, default=None),
        largest=max(estimates, default=None),
        sign_differs=bool(estimates) and min(estimates) < 0.0 < max(estimates),
    )


def _averaged(
    pairs: list[tuple[Observations, Observations]],
) -> tuple[Observations, Observations]:
    """Average each example over the models; every model counts alike."""
    aligned = [align(*sides) for sides in pairs]
    matched = [paired_examples(a) for a in aligned]
    places = [{key: i for i, key in enumerate(m.keys)} for m in matched]
    keys = [key for key in matched[0].keys if all(key in place for place in places)]
    order = [[place[key] for key in keys] for place in places]
    baseline = np.mean([m.baseline[o] for m, o in zip(matched, order, strict=True)], axis=0)
    candidate = np.mean([m.candidate[o] for m, o in zip(matched, order, strict=True)], axis=0)
    lower, upper = score_bounds(*(run for sides in pairs for run in sides))
    clusters = _clusters_of(pairs, keys)

    def observations(values: FloatArray) -> Observations:
        return Observations(
            keys=keys,
            values=np.asarray(values, dtype=np.float64),
            statuses=["scored"] * len(keys),
            clusters=clusters,
            # An average over several models is graded even if it happens to be 0 or 1.
            binary=None if len(pairs) == 1 else False,
            lower=lower,
            upper=upper,
        )

    return observations(baseline), observations(candidate)


def _clusters_of(
    pairs: list[tuple[Observations, Observations]], keys: list[str]
) -> list[str | None] | None:
    known: dict[str, str | None] = {}
    for sides in pairs:
        for run in sides:
            known.update(
                (key, cluster)
                for key, cluster in zip(run.keys, run.clusters or (), strict=False)
                if cluster is not None
            )
    return [known.get(key) for key in keys] if known else None
