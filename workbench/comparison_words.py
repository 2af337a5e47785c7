"""What a stored comparison says, in words: what was compared, how it ended, what it looks like in
parts, how it was computed. A stored result in, names with sentences out; pure.

A result that was stored by an earlier version lacks some keys: whatever came later than the first
version is read as if it could be absent, and of what is absent nothing is said. Nothing is escaped
here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from workbench.number_text import (
    RATES,
    Scale,
    count_text,
    difference_figures,
    difference_text,
    milliseconds,
    money,
    percent,
    ratio_text,
)
from workbench.statistics.number_format import format_p

__all__ = [
    "EXPLORATORY",
    "coverage_text",
    "dataset_versions",
    "evidence_facts",
    "marks",
    "method_facts",
    "remedy",
    "result_scorer",
    "scorer_name",
    "secondary_facts",
    "slice_figures",
    "slice_label",
]

EXPLORATORY: Final = (
    "Exploratory: nobody declared these before the run. What stands out is a question for a next "
    "run and no verdict; q is the p-value corrected for all parts that were looked at."
)

Facts = list[tuple[str, str]]

_TESTS: Final[Mapping[str, str]] = {
    "cochran_q": "Cochran's Q",
    "friedman": "Friedman's test",
    "mcnemar_exact": "exact McNemar test",
    "sign_flip": "sign-flip permutation test",
    "sign_flip_exact": "exact sign-flip permutation test",
    "cluster_sign_flip": "sign-flip permutation test of whole clusters",
    "cluster_sign_flip_exact": "exact sign-flip permutation test of whole clusters",
}

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


def scorer_name(name: str, version: int, config: Mapping[str, Any]) -> str:
    """`contains v1 (ignore_case = true)`."""
    options = ", ".join(
        f"{option} = {json.dumps(value, ensure_ascii=False)}" for option, value in config.items()
    )
    return f"{name} v{version}" + (f" ({options})" if options else "")


def result_scorer(result: Mapping[str, Any]) -> str:
    """Name the scorer of a stored comparison, with its options."""
    scorer = result["scorer"]
    return scorer_name(scorer["name"], scorer["version"], scorer["config"])


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


def method_facts(result: Mapping[str, Any]) -> Facts:
    """Say how a difference was computed, what it could have shown, and what else changed."""
    clusters = "" if result["n_clusters"] is None else f" in {result['n_clusters']:,} clusters"
    difference = difference_text(result, Scale.of(result.get("range")))
    facts = [
        ("Scorer", result_scorer(result)),
        ("Difference", difference or "none: no example has a score on both sides"),
        (
            "Changed",
            f"{result['candidate_only']:,} better, {result['baseline_only']:,} worse, of "
            f"{count_text(result['n_pairs'], 'example')} scored on both sides{clusters}",
        ),
        ("Method", _method(result)),
        *evidence_facts(result),
    ]
    if result["p_value"] is not None:
        facts.append(("Test", _test(result)))
    facts.append(("Margin", _margin(result)))
    if result["detectable_difference"] is not None:
        facts.append(("Could detect", _detectable(result)))
    facts.append(("Cost per example", _cost_change(result["cost"])))
    facts += _latency_change(result["latency"])
    facts.append(("Seed of resampling", str(result["seed"])))
    return facts


def _method(result: Mapping[str, Any]) -> str:
    method = "" if result["method"] is None else f" ({result['method']})"
    return f"{result['reason']}{method}"


def _test(result: Mapping[str, Any]) -> str:
    name = _TESTS.get(str(result["p_method"]), str(result["p_method"]).replace("_", " "))
    return f"{name}, {format_p(result['p_value'])}"


def _margin(result: Mapping[str, Any]) -> str:
    if result["margin"] is not None:
        margin = Scale.of(result.get("range")).distance(result["margin"])
        return f"{margin}, the loss declared acceptable before the run"
    return "none declared"


def _detectable(result: Mapping[str, Any]) -> str:
    scale = Scale.of(result.get("range"))
    told = f"about {scale.distance(result['detectable_difference'], '.2g')} with 80 % power"
    if result["n_for_margin"] is None:
        return told
    needed = float(f"{result['n_for_margin']:.2g}")  # planning knows no more than two digits
    margin = scale.distance(result["planning_margin"])
    return f"{told}; about {needed:,.0f} examples would do for {margin}"


def _cost_change(cost: Mapping[str, Any] | None) -> str:
    if cost is None:
        return "unknown on at least one side"
    told = f"{money(cost['baseline'])} → {money(cost['candidate'])}"
    ratio = ratio_text(cost["ratio"])
    return f"{told}, {ratio}" if ratio else told


def _latency_change(latency: Mapping[str, Any] | None) -> Facts:
    if latency is None:
        return [("Latency", "unknown on at least one side")]
    before, after = latency["baseline"], latency["candidate"]
    tail = ""
    if difference := latency["p95_difference"]:
        low, high = (milliseconds(difference[name], signed=True) for name in ("low", "high"))
        change = milliseconds(difference["estimate"], signed=True)
        tail = f", {change} (95 % CI {low} to {high})"
    return [
        ("Latency p50", f"{milliseconds(before['p50'])} → {milliseconds(after['p50'])}"),
        ("Latency p95", f"{milliseconds(before['p95'])} → {milliseconds(after['p95'])}{tail}"),
    ]
