"""The warnings that an analysis can carry: what each means, when it arises, whether it blocks.

A blocking warning keeps a gate shut until a person overrides it by name; the others are shown.
Each function looks at numbers, returns its warning or None, and never decides anything else.
Thresholds are conventions and live in `workbench.statistics.policy`.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from types import MappingProxyType
from typing import Final

from workbench.statistics.policy import DEFAULT_POLICY, Policy

__all__ = [
    "CONDITIONS",
    "AnalysisWarning",
    "Condition",
    "WarningCode",
    "ceiling",
    "cluster_suspected",
    "drift",
    "epochs_unequal",
    "few_clusters",
    "few_units",
    "judge_length",
    "judge_order",
    "judge_self",
    "judge_unvalidated",
    "judge_weak",
    "missing",
    "models_disagree",
    "multiplicity",
    "peeking",
    "reused_set",
    "sparse",
]


class WarningCode(StrEnum):
    """Stable names of the warnings; stored with every comparison."""

    FEW_UNITS = "few_units"
    FEW_CLUSTERS = "few_clusters"
    SPARSE = "sparse"
    CEILING = "ceiling"
    FLOOR = "floor"
    MISSING = "missing"
    EPOCHS_UNEQUAL = "epochs_unequal"
    CLUSTER_SUSPECTED = "cluster_suspected"
    JUDGE_UNVALIDATED = "judge_unvalidated"
    JUDGE_WEAK = "judge_weak"
    JUDGE_ORDER = "judge_order"
    JUDGE_LENGTH = "judge_length"
    JUDGE_SELF = "judge_self"
    PEEKING = "peeking"
    MULTIPLICITY = "multiplicity"
    REUSED_SET = "reused_set"
    DRIFT = "drift"
    MODELS_DISAGREE = "models_disagree"


@dataclass(frozen=True, slots=True)
class Condition:
    """When a warning arises, in words, and whether it blocks a gate."""

    blocking: bool
    text: str


@dataclass(frozen=True, slots=True)
class AnalysisWarning:
    """One warning raised by the data at hand."""

    code: WarningCode
    blocking: bool
    text: str


CONDITIONS: Final[Mapping[WarningCode, Condition]] = MappingProxyType(
    {
        WarningCode.FEW_UNITS: Condition(True, "fewer than 20 pairs, or fewer than 10 clusters"),
        WarningCode.FEW_CLUSTERS: Condition(False, "10 to 29 clusters"),
        WarningCode.SPARSE: Condition(
            False, "hardly any example changed or the differences are very skewed"
        ),
        WarningCode.CEILING: Condition(
            False, "both means at 0.95 of the range or more, or fewer than 5 % changed"
        ),
        WarningCode.FLOOR: Condition(False, "both means at 0.05 of the range or less"),
        WarningCode.MISSING: Condition(
            True,
            "more than 5 % without a score on a side, or clearly more on one side than on the "
            "other, or the verdict changes when they count as worst",
        ),
        WarningCode.EPOCHS_UNEQUAL: Condition(
            False, "the number of scored repetitions of an example differs between the sides"
        ),
        WarningCode.CLUSTER_SUSPECTED: Condition(
            False,
            "a metadata column has 10 values or more with a median of at most 10 examples each, "
            "some of them shared, and no cluster is declared",
        ),
        WarningCode.JUDGE_UNVALIDATED: Condition(
            True, "fewer than 50 human labels for this judge version and dataset"
        ),
        WarningCode.JUDGE_WEAK: Condition(
            True,
            "lower bound of the agreement with people below 0.40, or the judge errs differently "
            "on the two variants",
        ),
        WarningCode.JUDGE_ORDER: Condition(
            False, "under 80 % alike in both orders, or one position is preferred"
        ),
        WarningCode.JUDGE_LENGTH: Condition(False, "the longer answer wins more or less often"),
        WarningCode.JUDGE_SELF: Condition(
            False, "judge and a compared model are of the same family"
        ),
        WarningCode.PEEKING: Condition(
            True, "a verdict before the planned number, or the number was extended"
        ),
        WarningCode.MULTIPLICITY: Condition(
            False, "several candidates or primary metrics without correction"
        ),
        WarningCode.REUSED_SET: Condition(
            False, "the dataset version was used 5 times or more to choose prompts"
        ),
        WarningCode.DRIFT: Condition(
            True, "judge, dataset or model snapshot differs between the sides"
        ),
        WarningCode.MODELS_DISAGREE: Condition(
            False, "the candidate is better on one model version and worse on another"
        ),
    }
)
"""The rule behind each code at the default policy."""


def _raise(code: WarningCode, text: str) -> AnalysisWarning:
    return AnalysisWarning(code, CONDITIONS[code].blocking, text)


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def few_units(
    n_pairs: int, n_clusters: int | None = None, policy: Policy = DEFAULT_POLICY
) -> AnalysisWarning | None:
    """Too few pairs, or clusters, for any verdict."""
    if n_pairs < policy.min_pairs:
        text = f"Only {n_pairs} pairs; a verdict needs {policy.min_pairs}. Add examples."
        return _raise(WarningCode.FEW_UNITS, text)
    if n_clusters is not None and n_clusters < policy.min_clusters:
        text = (
            f"Only {n_clusters} clusters; a verdict needs {policy.min_clusters}. Add examples "
            "from other clusters: more of the same do not help."
        )
        return _raise(WarningCode.FEW_UNITS, text)
    return None


def few_clusters(n_clusters: int | None, policy: Policy = DEFAULT_POLICY) -> AnalysisWarning | None:
    """Enough clusters for a verdict, too few for the exact level."""
    if n_clusters is None or not policy.min_clusters <= n_clusters < policy.comfortable_clusters:
        return None
    text = (
        f"{n_clusters} clusters: below {policy.comfortable_clusters} the interval covers about "
        "one point less than it says."
    )
    return _raise(WarningCode.FEW_CLUSTERS, text)


def sparse(*, guarded: bool, changed: int, n_pairs: int) -> AnalysisWarning | None:
    """The guard widened the interval."""
    if not guarded:
        return None
    text = (
        f"Sparse or skewed data ({changed} of {n_pairs} examples changed): the interval was "
        "widened."
    )
    return _raise(WarningCode.SPARSE, text)


def ceiling(
    means: tuple[float, float],
    bounds: tuple[float, float],
    *,
    changed: int,
    n_pairs: int,
    policy: Policy = DEFAULT_POLICY,
) -> AnalysisWarning | None:
    """The dataset is too easy or too hard to tell the two apart.

    `means` are baseline and candidate, `bounds` lowest and highest possible score.
    """
    low, high = bounds
    places = [(mean - low) / (high - low) for mean in means]
    advice = "the dataset can hardly separate these"
    if min(places) >= policy.ceiling_share:
        text = f"Both means are near the top of the range: {advice}; add harder examples."
        return _raise(WarningCode.CEILING, text)
    if max(places) <= 1.0 - policy.ceiling_share:
        text = f"Both means are near the bottom of the range: {advice}; add easier examples."
        return _raise(WarningCode.FLOOR, text)
    if n_pairs and changed < policy.min_changed_share * n_pairs:
        text = f"Only {changed} of {n_pairs} examples changed: {advice}; add harder examples."
        return _raise(WarningCode.CEILING, text)
    return None


def missing(
    shares: tuple[float, float],
    *,
    p_differs: float,
    verdict_changes: bool,
    policy: Policy = DEFAULT_POLICY,
) -> AnalysisWarning | None:
    """Outcomes without a score could carry the result.

    `shares` are the shares of cells without a score (baseline, candidate), `p_differs` the
    exact McNemar p of the flags "has a cell without a score".
    """
    reasons = []
    if max(shares) > policy.max_error_share:
        reasons.append(f"more than {_percent(policy.max_error_share)} on a side")
    if p_differs < policy.alarm_p:
        reasons.append("clearly more on one side than on the other")
    if verdict_changes:
        reasons.append("the verdict changes when they count as the worst score")
    if not reasons:
        return None
    text = (
        f"Without a score: {_percent(shares[0])} of the baseline, {_percent(shares[1])} of the "
        f"candidate ({'; '.join(reasons)}). Repeat the failed examples before deciding."
    )
    return _raise(WarningCode.MISSING, text)


def epochs_unequal(n_unequal: int) -> AnalysisWarning | None:
    """Some examples have more scored repetitions on one side than on the other."""
    if n_unequal == 0:
        return None
    text = (
        f"{n_unequal} examples have different numbers of scored repetitions on the two sides; "
        "each side was averaged over what it has."
    )
    return _raise(WarningCode.EPOCHS_UNEQUAL, text)


def cluster_suspected(
    metadata: Mapping[str, Sequence[Hashable | None]],
    *,
    clusters_declared: bool,
    policy: Policy = DEFAULT_POLICY,
) -> AnalysisWarning | None:
    """A metadata column (one value an example) groups examples and no cluster is declared.

    Documents, users and templates have few examples each and there are many of them; a column of
    few values with many examples each is a category, by which examples are described and not
    sampled.
    """
    if clusters_declared:
        return None
    columns = [name for name, values in metadata.items() if _may_be_clusters(values, policy)]
    if not columns:
        return None
    text = (
        f"Examples share values of {', '.join(sorted(columns))} and no cluster is declared. If "
        "examples of one value resemble each other, declare that column as the cluster: else "
        "the interval is too short."
    )
    return _raise(WarningCode.CLUSTER_SUSPECTED, text)


def _may_be_clusters(values: Sequence[Hashable | None], policy: Policy) -> bool:
    counts = Counter(values)
    counts.pop(None, None)
    if len(counts) < policy.min_clusters or max(counts.values()) < 2:
        return False
    return median(counts.values()) <= policy.max_cluster_size


def judge_unvalidated(n_labels: int, policy: Policy = DEFAULT_POLICY) -> AnalysisWarning | None:
    """The deciding judge was not checked against enough human labels."""
    if n_labels >= policy.min_judge_labels:
        return None
    text = (
        f"This judge was checked against {n_labels} human labels on this dataset; "
        f"{policy.min_judge_labels} are needed before it may decide."
    )
    return _raise(WarningCode.JUDGE_UNVALIDATED, text)


def judge_weak(
    agreement_low: float, *, p_differential: float = 1.0, policy: Policy = DEFAULT_POLICY
) -> AnalysisWarning | None:
    """The judge agrees too little with people, or errs differently on the two variants.

    `agreement_low` is the lower 95 % bound of Cohen's kappa or Krippendorff's alpha,
    `p_differential` the p of equal judge error on both variants.
    """
    reasons = []
    if agreement_low < policy.min_judge_agreement:
        reasons.append(
            f"its agreement with people may be as low as {agreement_low:.2f} "
            f"(needed: {policy.min_judge_agreement:.2f})"
        )
    if p_differential < policy.alarm_p:
        reasons.append("it errs differently on the two variants, which biases the difference")
    if not reasons:
        return None
    return _raise(WarningCode.JUDGE_WEAK, f"The judge is too weak: {'; '.join(reasons)}.")


def judge_order(
    consistency: float, p_position: float, policy: Policy = DEFAULT_POLICY
) -> AnalysisWarning | None:
    """The judge's choice depends on which answer it sees first."""
    reasons = []
    if consistency < policy.min_swap_consistency:
        reasons.append(
            f"only {_percent(consistency)} of the pairs were judged alike in both orders"
        )
    if p_position < policy.alarm_p:
        reasons.append("one position is preferred")
    if not reasons:
        return None
    return _raise(WarningCode.JUDGE_ORDER, f"Order matters to the judge: {'; '.join(reasons)}.")


def judge_length(
    p_slope: float, raw: float, controlled: float, policy: Policy = DEFAULT_POLICY
) -> AnalysisWarning | None:
    """Winning depends on length; `raw` and `controlled` are win rates of the candidate."""
    if p_slope >= policy.alarm_p:
        return None
    text = (
        "The judge's choice goes with the length of the answer: win rate "
        f"{_percent(raw)}, at equal length {_percent(controlled)}."
    )
    return _raise(WarningCode.JUDGE_LENGTH, text)


def judge_self(judge_family: str, compared_families: Sequence[str]) -> AnalysisWarning | None:
    """The judge may favour its own family of models."""
    if judge_family not in compared_families:
        return None
    text = f"Judge and a compared model are both of the family {judge_family}."
    return _raise(WarningCode.JUDGE_SELF, text)


def peeking(n_pairs: int, planned: int | None, *, extended: bool = False) -> AnalysisWarning | None:
    """A fixed-n plan is read before its end, or its end was moved; None plans nothing."""
    if extended:
        text = (
            "The planned number of examples was changed after the run began; plan a new run or "
            "a sequential one."
        )
        return _raise(WarningCode.PEEKING, text)
    if planned is not None and n_pairs < planned:
        text = (
            f"{n_pairs} of {planned} planned examples are in. Wait for the rest, or declare a "
            "sequential plan."
        )
        return _raise(WarningCode.PEEKING, text)
    return None


def multiplicity(n_comparisons: int, *, corrected: bool) -> AnalysisWarning | None:
    """Several comparisons, each at the full level."""
    if n_comparisons <= 1 or corrected:
        return None
    text = (
        f"{n_comparisons} comparisons, each at the full level: some will look real by chance. "
        "Declare one primary metric and compare the candidates together."
    )
    return _raise(WarningCode.MULTIPLICITY, text)


def reused_set(n_uses: int, policy: Policy = DEFAULT_POLICY) -> AnalysisWarning | None:
    """The dataset version has chosen prompts before, so it favours what was chosen on it."""
    if n_uses < policy.max_dataset_uses:
        return None
    text = (
        f"This dataset version was used {n_uses} times to choose prompts; confirm on one that "
        "was held out."
    )
    return _raise(WarningCode.REUSED_SET, text)


def drift(differing: Sequence[str]) -> AnalysisWarning | None:
    """Something that should be equal differs between the sides; `differing` names it."""
    if not differing:
        return None
    text = f"Not the same on both sides: {', '.join(differing)}. Run both sides again."
    return _raise(WarningCode.DRIFT, text)


def models_disagree(better_on: Sequence[str], worse_on: Sequence[str]) -> AnalysisWarning | None:
    """The estimates of one change have different signs on different model versions."""
    if not better_on or not worse_on:
        return None
    text = (
        f"Better on {', '.join(better_on)} and worse on {', '.join(worse_on)}: decide for each "
        "model, not by the average."
    )
    return _raise(WarningCode.MODELS_DISAGREE, text)
