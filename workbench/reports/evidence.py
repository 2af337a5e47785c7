"""What a stored comparison knows beside its difference: what was compared, how it ended, what
it looks like in parts. A stored result in, names with sentences out; pure.

A result that was stored by an earlier version lacks some keys, so every one of them is read as
if it could be absent, and of what is absent nothing is said. Nothing is escaped here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.schemas.experiments import Plan
from workbench.reports.numbers import (
    RATES,
    Scale,
    count_text,
    difference_figures,
    difference_text,
    level_text,
    percent,
)
from workbench.scorers import parse_scorer
from workbench.statistics.number_format import format_p

__all__ = [
    "EXPLORATORY",
    "coverage_text",
    "dataset_versions",
    "evidence_facts",
    "marks",
    "plan_facts",
    "remedy",
    "secondary_facts",
    "slice_figures",
    "slice_label",
]

EXPLORATORY: Final = (
    "Exploratory: nobody declared these before the run. What stands out is a question for a next "
    "run and no verdict; q is the p-value corrected for all parts that were looked at."
)

Facts = list[tuple[str, str]]

_TESTS: Final[Mapping[str, str]] = {"cochran_q": "Cochran's Q", "friedman": "Friedman's test"}

_REMEDIES: Final[Mapping[str, tuple[str, str]]] = {
    "few_units": ("Run more examples; to learn how many the margin needs:", "workbench power"),
    "few_clusters": ("Add examples from other clusters: more of the same ones do not help.", ""),
    "ceiling": ("Add harder examples: these can hardly show a difference.", ""),
    "floor": ("Add easier examples, or see whether the scorer expects another form of answer.", ""),
    "missing": ("Try the failed cells again:", "workbench resume {number} --retry-failed"),
    "epochs_unequal": ("Finish both runs:", "workbench resume {number}"),
    "cluster_suspected": (
        "Declare the shared value as the cluster:",
        "workbench datasets import FILE --cluster COLUMN",
    ),
    "judge_unvalidated": (
        "Label some outputs by hand and check the judge against them:",
        "workbench judges qualify",
    ),
    "judge_weak": ("Make the judge's rubric clearer, or take another judge model.", ""),
    "judge_order": ("Take another judge model: this one looks at the place of an answer.", ""),
    "judge_length": ("Read the win rate with lengths held equal beside the plain one.", ""),
    "judge_self": ("Let a model of another family judge.", ""),
    "peeking": ("For a run that may stop early, declare plan: {{mode: sequential}}.", ""),
    "multiplicity": ("Compare all candidates at once, so that their intervals are widened.", ""),
    "reused_set": ("Decide on examples by which no prompt was chosen.", ""),
    "drift": ("Run both sides again, close to each other in time.", ""),
    "simulated": ("Run it on a real model before anything is decided by it.", ""),
    "unfinished": ("Finish it:", "workbench resume {number}"),
}


def remedy(code: str, experiment: int) -> tuple[str, str]:
    """Return what to do about a warning and the command for it; both may be empty."""
    text, line = _REMEDIES.get(code, ("", ""))
    return text.format(), line.format(number=experiment)


def marks(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels that must stand beside a verdict."""
    judge, sequential = result.get("judge") or {}, result.get("sequential")
    held = {
        "sequential": sequential is not None,
        "preference": result.get("preference") is not None,
        "judge not qualified": judge.get("qualified") is False,
        "different dataset versions": len(dataset_versions(result)) > 1,
        "simulated": bool(result.get("simulated")),
    }
    return tuple(mark for mark, holds in held.items() if holds)


def dataset_versions(result: Mapping[str, Any]) -> list[str]:
    """Return the dataset versions of both sides, each once; none if the result does not know."""
    coverage = result.get("coverage") or {}
    names = [coverage.get("baseline_dataset"), coverage.get("candidate_dataset")]
    return list(dict.fromkeys(str(name) for name in names if name))


def coverage_text(result: Mapping[str, Any]) -> str:
    """Say which examples both sides share, and how many of these could be paired.

    Empty if the result does not know.
    """
    coverage = result.get("coverage")
    if not coverage:
        return ""
    common = coverage["common"]
    left_out = [
        f"{coverage[f'only_{side}']:,} only in the {side}"
        for side in ("baseline", "candidate")
        if coverage[f"only_{side}"]
    ]
    if coverage.get("changed"):
        left_out.append(f"{coverage['changed']:,} whose text changed")
    versions = " and ".join(dataset_versions(result))
    told = f"{count_text(common, 'example')} on both sides"
    pairs = result.get("n_pairs", common)
    scored = "" if pairs >= common else f"; {pairs:,} of them scored on both"
    if not left_out:
        return f"all {told}{scored}"
    return f"{told} ({versions}){scored}; left out: {', '.join(left_out)}"


def _comparability(result: Mapping[str, Any]) -> Facts:
    """Say what differs between the sides apart from what is compared."""
    return [
        (
            f"Differs in {str(found['field']).replace('_', ' ')}",
            str(found["text"]) + (" This blocks a gate." if found.get("blocking") else ""),
        )
        for found in result.get("comparability") or ()
    ]


def evidence_facts(result: Mapping[str, Any]) -> Facts:
    """Say what is known of coverage, the stop, repetitions, preferences, judge and labels."""
    scale = Scale.of(result.get("range"))
    told = [
        ("Coverage", coverage_text(result)),
        *_comparability(result),
        ("Stopping", _stopping(result.get("sequential"))),
        ("Repetitions", _reliability(result.get("reliability"))),
        ("Preference", _preference(result.get("preference"))),
        ("Order and length", _bias(result.get("preference"))),
        ("Judge", _judge(result.get("judge"))),
        ("With human labels", _labels(result.get("ppi"), scale)),
        ("Any difference at all", _overall(result.get("overall"))),
        ("On each model", _across_models(result.get("across_models"), scale)),
    ]
    return [(name, text) for name, text in told if text]


def _stopping(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    used = f"{found['n_used']:,} of at most {count_text(found['n_max'], 'example')}"
    looks = f"after {count_text(found['looks'], 'look')}" if found.get("looks") else ""
    how = "stopped as soon as it was decided" if found.get("decided") else "went on to the end"
    told = f"sequential: {how}, {used} {looks}".rstrip()
    saved = found.get("calls_saved")
    return f"{told}, {count_text(saved, 'call')} saved" if saved else told


def _reliability(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    k, before, after = found["k"], found["baseline"], found["candidate"]
    return "; ".join(
        f"{words} of {k}: {_share(before.get(name))} → {_share(after.get(name))}"
        for words, name in (
            ("right at least once", "pass_at_k"),
            ("right every time", "pass_hat_k"),
        )
    )


def _share(value: float | None) -> str:
    return "unknown" if value is None else percent(value)


def _preference(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    told = f"{found['wins']:,} won, {found['losses']:,} lost, {found['ties']:,} tied"
    if found.get("win_rate") is not None:
        told += f"; win rate {percent(found['win_rate'])}"
    if found.get("length_controlled_win_rate") is not None:
        told += f", with lengths held equal {percent(found['length_controlled_win_rate'])}"
    return told


def _bias(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    parts = []
    if found.get("consistency") is not None:
        parts.append(f"the same in both orders: {percent(found['consistency'])}")
    if found.get("first_share") is not None:
        parts.append(
            _with_p(f"first place preferred: {percent(found['first_share'])}", found, "first")
        )
    if found.get("length_slope") is not None:
        parts.append(_with_p(f"slope on length {found['length_slope']:.2g}", found, "length"))
    return "; ".join(parts)


def _with_p(told: str, found: Mapping[str, Any], name: str) -> str:
    p_value = found.get(f"{name}_p")
    return told if p_value is None else f"{told} ({format_p(p_value)})"


def _judge(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    standing = found.get("qualified")
    told = "not checked" if standing is None else "qualified" if standing else "not qualified"
    return f"{told}: {found['sentence']}" if found.get("sentence") else told


def _labels(found: Mapping[str, Any] | None, scale: Scale) -> str:
    if not found:
        return ""
    return (
        f"{difference_text({'difference': found}, scale)}, corrected by "
        f"{count_text(found['n_labels'], 'label')}"
    )


def _overall(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    name = str(found["name"])
    test = _TESTS.get(name, name.replace("_", " "))
    return f"between {count_text(found['n_runs'], 'run')}: {test}, {format_p(found['p_value'])}"


def _across_models(found: Mapping[str, Any] | None, scale: Scale) -> str:
    """Say what one change of the prompt does on each model, then on average."""
    if not found:
        return ""
    rows = [*found["by_model"], {"model": "on average", **found["average"]}]
    return "; ".join(f"{row['model']}: {difference_text(row, scale) or 'no pairs'}" for row in rows)


def slice_label(found: Mapping[str, Any]) -> str:
    """`en`; a missing value is said."""
    value = found.get("value")
    return "no value" if value is None else str(value)


def slice_figures(found: Mapping[str, Any], scale: Scale = RATES) -> str:
    """`+4.0 (−2.0 to +10.0), n = 48, q = 0.21`, or how few examples there are."""
    pairs = f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{found['n_pairs']:,}"
    if any(found.get(name) is None for name in ("estimate", "low", "high")):
        return f"no interval, {pairs}"
    estimate, low, high = difference_figures(found, scale)
    q_value = found.get("q_value")
    corrected = "" if q_value is None else f", {format_p(q_value).replace('p', 'q', 1)}"
    return f"{estimate} ({low} to {high}), {pairs}{corrected}"


def _secondary_figures(found: Mapping[str, Any]) -> str:
    """Differences are in points, unless a range of the scorer's own is named."""
    scale = Scale.of(found.get("range"))
    figures = slice_figures(found, scale)
    return figures if scale.is_rate else f"{figures}; {scale.unit}"


def secondary_facts(result: Mapping[str, Any]) -> Facts:
    """Return what the scorers that decide nothing say."""
    return [
        (_scorer_name(found["scorer"]), _secondary_figures(found))
        for found in result.get("secondary") or ()
    ]


def _scorer_name(scorer: object) -> str:
    if isinstance(scorer, Mapping):
        return f"{scorer['name']} v{scorer['version']}"
    return str(scorer)


def plan_facts(plan: Plan, spec: Mapping[str, Any]) -> Facts:
    """Say what was declared before the run; empty if nothing was."""
    if plan == Plan():
        return []
    scorers: Sequence[Mapping[str, Any]] = spec.get("scorers") or ()
    primary = plan.scorer or (str(scorers[0]["name"]) if scorers else "the first scorer")
    scales = {str(scorer["name"]): _declared_scale(scorer) for scorer in scorers}
    goal = _goal(plan, primary, scales.get(primary, RATES))
    facts = [("To show", goal), ("Looks", _looks(plan))]
    facts += [
        ("Guard", _guard(guard.metric, guard.margin, scales.get(guard.metric, RATES)))
        for guard in plan.guards
    ]
    facts += [
        (
            "Safety",
            f"every output passes {safety.scorer}; the share of failures is below "
            f"{percent(safety.limit)} with {level_text(0.95)} confidence",
        )
        for safety in plan.safety
    ]
    if plan.allow:
        facts.append(("Allowed", ", ".join(plan.allow)))
    return facts


def _declared_scale(scorer: Mapping[str, Any]) -> Scale:
    return Scale.of(parse_scorer({"name": scorer["name"], **scorer.get("config", {})}).range)


def _goal(plan: Plan, primary: str, scale: Scale) -> str:
    if plan.goal == "superiority":
        return f"better in {primary}"
    if plan.margin is None:
        return f"not worse in {primary}; no margin was declared"
    return f"not worse in {primary} by more than {scale.distance(plan.margin)}"


def _looks(plan: Plan) -> str:
    if plan.mode == "fixed":
        return f"one, at the end of {_planned(plan)}"
    return f"sequential, in random order of seed {plan.seed}, at most {_planned(plan)}"


def _planned(plan: Plan) -> str:
    return "all examples in use" if plan.n is None else count_text(plan.n, "example")


def _guard(metric: str, margin: float, scale: Scale) -> str:
    if metric in ("cost", "latency"):
        return f"{metric} rises by at most {percent(margin)}"
    if metric == "latency_p95":
        return f"the 95th percentile of latency rises by at most {margin:g} ms"
    return f"{metric} loses at most {scale.distance(margin)}"
