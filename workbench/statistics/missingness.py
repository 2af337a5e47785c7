"""What outcomes without a score could do to a comparison.

The headline uses the examples that have a score on both sides. That is right only if having no
score has nothing to do with being good or bad, which nobody knows; so the same difference is
computed with missing scores counted as the worst score on both sides, and once more as unkindly
to the candidate as possible: its missing scores worst, the baseline's best.
"""

from dataclasses import dataclass

import numpy as np

from workbench.statistics.observations import Aligned
from workbench.statistics.paired_binary import mcnemar_exact

__all__ = ["Missingness", "describe_missing"]


@dataclass(frozen=True, slots=True)
class Missingness:
    """Coverage of a comparison and what the missing scores could change.

    Differences are candidate minus baseline in the metric's unit, not oriented; None without
    an example.
    """

    n_examples: int
    n_pairs: int
    incomplete_baseline: int
    incomplete_candidate: int
    share_baseline: float
    share_candidate: float
    p_differs: float
    complete_case: float | None
    errors_as_worst: float | None
    worst_case_for_candidate: float | None

    @property
    def is_complete(self) -> bool:
        """Whether every cell of every example has a score on both sides."""
        return self.incomplete_baseline == 0 and self.incomplete_candidate == 0


def describe_missing(aligned: Aligned, *, worst: float, best: float) -> Missingness:
    """Describe the cells without a score; `worst` and `best` are the ends of the metric.

    An example that only one run has counts as missing from the other.
    """
    before, after = aligned.baseline, aligned.candidate
    flags_before, flags_after = before.is_incomplete, after.is_incomplete
    paired = aligned.is_paired
    differences = (after.means - before.means)[paired]
    as_worst = after.filled_means(worst) - before.filled_means(worst)
    worst_case = after.filled_means(worst) - before.filled_means(best)
    return Missingness(
        n_examples=len(aligned.keys),
        n_pairs=int(paired.sum()),
        incomplete_baseline=int(flags_before.sum()),
        incomplete_candidate=int(flags_after.sum()),
        share_baseline=before.missing_share(),
        share_candidate=after.missing_share(),
        p_differs=mcnemar_exact(
            int(np.count_nonzero(flags_after & ~flags_before)),
            int(np.count_nonzero(flags_before & ~flags_after)),
        ),
        complete_case=float(differences.mean()) if differences.size else None,
        errors_as_worst=float(as_worst.mean()) if as_worst.size else None,
        worst_case_for_candidate=float(worst_case.mean()) if worst_case.size else None,
    )
