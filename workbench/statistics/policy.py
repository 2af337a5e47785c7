"""The conventions behind verdicts and warnings, in one place.

None of these numbers is a law of statistics: they were chosen from coverage simulations or
from usual practice. A team may declare others; every analysis carries the ones it used.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_POLICY", "DEFAULT_SEED", "Policy"]

DEFAULT_SEED: Final = 20_240_917
"""Seed of every resampling step unless the caller names another: same data, same bytes."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds of verdicts, guard and warnings; shares are fractions between 0 and 1."""

    min_pairs: int = 20
    """Fewer pairs than this give no verdict."""
    min_clusters: int = 10
    """Fewer clusters than this give no verdict, when clusters are declared."""
    comfortable_clusters: int = 30
    """Below this the cluster interval is about one point of coverage short."""
    max_cluster_size: int = 10
    """A metadata column whose values have more examples than this (median) is a category."""
    min_changed: int = 10
    """With fewer examples that changed, the t interval is widened."""
    skew_factor: float = 25.0
    """Cochran's rule: the t interval needs more than this times squared skewness examples."""
    ceiling_share: float = 0.95
    """Both means at or above this share of the range: the dataset is too easy."""
    min_changed_share: float = 0.05
    """Fewer changed examples than this share: the dataset hardly separates the two."""
    max_error_share: float = 0.05
    """More cells without a score than this on either side block a gate."""
    alarm_p: float = 0.05
    """A check on the data (missingness, judge) raises its warning below this p."""
    min_judge_labels: int = 50
    """A judge checked on fewer human labels than this is not validated."""
    min_judge_agreement: float = 0.40
    """The lower bound of agreement with people that a judge must reach."""
    min_judge_labels_rare: int = 10
    """So many of a judge's labels must be good, and so many bad: where nearly all are alike, next
    to nothing is known of how it treats the others."""
    max_false_pass: float = 0.10
    """The upper bound on the share of empty answers, or of attacks, that a judge may pass."""
    min_swap_consistency: float = 0.80
    """Share of pairs on which a judge must decide alike in both orders."""
    max_dataset_uses: int = 5
    """Choosing prompts on one dataset version this often biases the choice."""
    power: float = 0.80
    """Power at which the detectable difference and the needed examples are stated."""
    planning_share: float = 0.03
    """Margin assumed for planning when none is declared, as a share of the range."""


DEFAULT_POLICY: Final = Policy()
