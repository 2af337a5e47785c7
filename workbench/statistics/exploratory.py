"""Everything beside the one declared primary metric: slices of the data and further metrics.

Looking at many slices finds some that differ by chance. They are shown with q-values
(Benjamini & Hochberg 1995) and called exploratory; no gate stands on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workbench.statistics.analysis import Analysis, analyse_pair
from workbench.statistics.multiplicity import benjamini_hochberg
from workbench.statistics.observations import Observations, all_pass_or_fail, score_bounds
from workbench.statistics.policy import DEFAULT_POLICY, DEFAULT_SEED, Policy
from workbench.statistics.wording import Unit

__all__ = ["ExploratoryResult", "analyse_slices", "exploratory"]


@dataclass(frozen=True, slots=True)
class ExploratoryResult:
    """One of many looks; `q_value` is None if no example has a score on both sides."""

    name: str
    analysis: Analysis
    q_value: float | None


def exploratory(analyses: Mapping[str, Analysis]) -> tuple[ExploratoryResult, ...]:
    """Put the q-value of the whole family beside each analysis."""
    p_values = {name: a.p_value for name, a in analyses.items() if a.p_value is not None}
    adjusted = benjamini_hochberg(list(p_values.values())).tolist()
    q_values = dict(zip(p_values, adjusted, strict=True))
    return tuple(
        ExploratoryResult(name, analysis, q_values.get(name)) for name, analysis in analyses.items()
    )


def analyse_slices(
    baseline: Observations,
    candidate: Observations,
    labels: Mapping[str, str],
    *,
    margin: float | None = None,
    level: float = 0.95,
    seed: int = DEFAULT_SEED,
    higher_is_better: bool = True,
    unit: Unit | None = None,
    policy: Policy = DEFAULT_POLICY,
) -> tuple[ExploratoryResult, ...]:
    """Compare two runs within each slice; `labels` maps example keys to their slice.

    Slices come in the order of their names; examples without a label are left out.
    """
    binary = all_pass_or_fail(baseline, candidate)
    bounds = score_bounds(baseline, candidate)
    analyses = {
        name: analyse_pair(
            _only(baseline, labels, name, binary, bounds),
            _only(candidate, labels, name, binary, bounds),
            margin=margin,
            level=level,
            seed=seed,
            higher_is_better=higher_is_better,
            unit=unit,
            policy=policy,
        )
        for name in sorted(set(labels.values()))
    }
    return exploratory(analyses)


def _only(
    run: Observations,
    labels: Mapping[str, str],
    name: str,
    binary: bool,
    bounds: tuple[float, float],
) -> Observations:
    """Keep the cells of one slice; the whole runs say what kind of metric it is."""
    chosen = [i for i, key in enumerate(run.keys) if labels.get(key) == name]
    clusters = run.clusters
    return Observations(
        keys=[run.keys[i] for i in chosen],
        values=run.values[np.asarray(chosen, dtype=np.intp)],
        statuses=[run.statuses[i] for i in chosen],
        clusters=None if clusters is None else [clusters[i] for i in chosen],
        binary=binary,
        lower=bounds[0],
        upper=bounds[1],
    )
