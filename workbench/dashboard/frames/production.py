"""Production's traffic as tables (pure). Durations are in seconds; what is not known is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pandas as pd

from workbench.client.traffic import (
    Deployment,
    Estimate,
    Group,
    Measures,
    Percentiles,
    Point,
    Score,
    Traffic,
)
from workbench.dashboard.text import dollars, shortened

__all__ = [
    "ENDINGS",
    "Figure",
    "between",
    "cost_frame",
    "deployment_frame",
    "duration_frame",
    "ending_frame",
    "error_frame",
    "figures",
    "group_frame",
    "move_kind",
    "score_frame",
    "seconds",
    "share",
    "token_frame",
]

ENDINGS: Final[Mapping[str, str]] = {
    "completed": "completed",
    "client_gone": "caller left",
    "refused": "refused",
    "upstream_cut": "cut upstream",
    "timeout": "timed out",
    "failed": "failed",
    "abandoned": "abandoned",
}
"""How an answer may end, and how that is told."""

_PERCENTILES: Final = ("p50", "p95", "p99")
_LABEL_DISTANCE: Final = 0.04
"""What part of the window two labels lie apart at least."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the page's leading figures, held against the window before.

    `change` is told with a sign; None if there is nothing to hold it against. `is_worse` is None
    where no direction is bad, or where the intervals overlap and chance may be all there is.
    """

    label: str
    value: str
    help: str
    change: str | None = None
    is_worse: bool | None = None


def figures(now: Measures, before: Measures) -> list[Figure]:
    """Return the leading figures of a window, each with how it changed."""
    return [
        Figure(
            "Answers",
            f"{now.calls:,}",
            "Answers that began in the window and have ended, however.",
            _percent_change(now.calls, before.calls),
        ),
        _error_figure(now, before),
        _duration_figure("Latency p50", "p50", now.latency, before.latency),
        _duration_figure("Latency p95", "p95", now.latency, before.latency),
        _duration_figure(
            "First token p50", "p50", now.time_to_first_token, before.time_to_first_token
        ),
        Figure(
            "Tokens",
            "unknown" if _tokens(now) is None else _short(_tokens(now) or 0),
            _left_out("Input and output tokens.", now.uncounted, "are uncounted"),
            _percent_change(_tokens(now), _tokens(before)),
        ),
        Figure(
            "Cost",
            dollars(_number(now.cost)),
            _left_out("US dollars.", now.unpriced, "have no known price"),
            _percent_change(_number(now.cost), _number(before.cost)),
        ),
    ]


def ending_frame(traffic: Traffic) -> pd.DataFrame:
    """Return how many answers ended how, by step of time."""
    rows = [
        {"from": at, "to": end, "ending": told, "answers": point.endings[ending], "rank": rank}
        for at, end, point in _steps(traffic)
        for rank, (ending, told) in enumerate(ENDINGS.items())
        if point.endings.get(ending)
    ]
    return pd.DataFrame(rows, columns=["from", "to", "ending", "answers", "rank"])


def error_frame(traffic: Traffic) -> pd.DataFrame:
    """Return the error rate by step of time, with its interval; steps without answers have none."""
    rows = [
        {
            "at": at + (end - at) / 2,
            "rate": point.error_rate.value,
            "low": point.error_rate.low,
            "high": point.error_rate.high,
            "errors": point.errors,
            "answers": point.calls,
        }
        for at, end, point in _steps(traffic)
        if point.error_rate is not None
    ]
    return pd.DataFrame(rows, columns=["at", "rate", "low", "high", "errors", "answers"])


def duration_frame(
    traffic: Traffic, *, first_token: bool = False, named: Iterable[str] = _PERCENTILES
) -> pd.DataFrame:
    """Return percentiles by step of time in seconds, with their intervals."""
    rows = [
        {
            "at": at + (end - at) / 2,
            "percentile": name,
            **_in_seconds(getattr(found, name)),
            "answers": found.n,
        }
        for at, end, point in _steps(traffic)
        for found in (point.time_to_first_token if first_token else point.latency,)
        if found is not None
        for name in named
    ]
    return pd.DataFrame(rows, columns=["at", "percentile", "seconds", "low", "high", "answers"])


def token_frame(traffic: Traffic) -> pd.DataFrame:
    """Return the tokens by step of time; steps where none are known are left out."""
    rows = [
        {"from": at, "to": end, "kind": kind, "tokens": count}
        for at, end, point in _steps(traffic)
        for kind, count in (("input", point.input_tokens), ("output", point.output_tokens))
        if count
    ]
    return pd.DataFrame(rows, columns=["from", "to", "kind", "tokens"])


def cost_frame(traffic: Traffic) -> pd.DataFrame:
    """Return the cost by step of time in US dollars; steps of unknown cost are left out."""
    rows = [
        {"from": at, "to": end, "dollars": float(point.cost), "unpriced": point.unpriced}
        for at, end, point in _steps(traffic)
        if point.cost is not None and point.calls
    ]
    return pd.DataFrame(rows, columns=["from", "to", "dollars", "unpriced"])


def deployment_frame(traffic: Traffic) -> pd.DataFrame:
    """Return the moves of aliases in order of time.

    `label` names a move in a plot. Those that would lie over the one before have none, and are
    counted in its label.
    """
    labels = _labels(traffic.deployments, (traffic.until - traffic.since) * _LABEL_DISTANCE)
    rows = [
        {
            "at": it.at,
            "alias": it.alias,
            "number": it.number,
            "kind": move_kind(it),
            "label": label,
            "prompt": it.prompt,
            "model": it.model,
            "by": it.by,
            "reason": it.reason,
        }
        for it, label in zip(traffic.deployments, labels, strict=True)
    ]
    columns = ["at", "alias", "number", "kind", "label", "prompt", "model", "by", "reason"]
    return pd.DataFrame(rows, columns=columns)


def move_kind(deployment: Deployment) -> str:
    """Return what a move was, in a word or two."""
    if deployment.is_disabled:
        return "disabled"
    if deployment.kind == "move" and deployment.canary_share:
        return f"canary {deployment.canary_share:.0%}"
    return {"settings": "settings", "rollback": "rollback"}.get(deployment.kind, deployment.kind)


def group_frame(groups: Iterable[Group]) -> pd.DataFrame:
    """Return one row a group: its figures with the ends of their intervals."""
    rows = [
        {
            "name": group.name or "",
            "answers": group.total.calls,
            "errors": group.total.errors,
            **_ends("error rate", group.total.error_rate, 1.0),
            **_all_ends("latency", group.total.latency, _PERCENTILES),
            **_all_ends("first token", group.total.time_to_first_token, ("p50",)),
            "input tokens": group.total.input_tokens,
            "output tokens": group.total.output_tokens,
            "US dollars": _number(group.total.cost),
            "unpriced": group.total.unpriced,
        }
        for group in groups
    ]
    return pd.DataFrame(rows)


def score_frame(scores: Iterable[Score]) -> pd.DataFrame:
    """Return the mean of each scorer with its interval."""
    rows = [
        {
            "scorer": f"{score.scorer} v{score.version}",
            "scored answers": score.n,
            **_ends("mean", score.mean, 1.0),
        }
        for score in scores
    ]
    return pd.DataFrame(rows)


def seconds(milliseconds: float | None) -> str:
    """Return a duration as people read it: `820 ms`, `1.60 s`, `31.2 s`; `unknown` for None."""
    if milliseconds is None:
        return "unknown"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    places = 2 if milliseconds < 10_000 else 1
    return f"{milliseconds / 1000:.{places}f} s"


def share(value: float) -> str:
    """Return a share as a percentage that tells small ones apart."""
    return f"{value:.2%}" if value < 0.1 else f"{value:.1%}"


def between(low: str | None, high: str | None) -> str:
    """Return an interval in words; an end that is None is not bounded by the data."""
    if low is None and high is None:
        return "too few answers for an interval"
    if low is None:
        return f"95 % interval: up to {high}"
    return f"95 % interval: from {low}" if high is None else f"95 % interval: {low} to {high}"


def _steps(traffic: Traffic) -> Iterator[tuple[datetime, datetime, Point]]:
    """Yield each point with the time that it stands for, cut by the window."""
    if traffic.step_s is None or not traffic.groups:
        return
    for point in traffic.groups[0].points:
        end = min(point.at + timedelta(seconds=traffic.step_s), traffic.until)
        yield max(point.at, traffic.since), end, point


def _labels(deployments: Sequence[Deployment], distance: timedelta) -> list[str]:
    labels: list[str] = []
    first, hidden = 0, 0
    for place, it in enumerate(deployments):
        if labels and it.at - deployments[first].at < distance:
            hidden += 1
            labels.append("")
            labels[first] = f"{_move_name(deployments[first])} +{hidden}"
            continue
        first, hidden = place, 0
        labels.append(_move_name(it))
    return labels


def _move_name(deployment: Deployment) -> str:
    name = deployment.alias.partition("@")[0].rpartition("/")[2]
    return f"{shortened(name, 16)} {deployment.number} {move_kind(deployment)}"


def _error_figure(now: Measures, before: Measures) -> Figure:
    if now.error_rate is None:
        return Figure("Error rate", "unknown", "No answer has ended in the window.")
    told = "Cut upstream, timed out, failed or abandoned, of all answers. " + between(
        *(None if end is None else share(end) for end in (now.error_rate.low, now.error_rate.high))
    )
    figure = Figure("Error rate", share(now.error_rate.value), f"{told}.")
    if before.error_rate is None:
        return figure
    points = (now.error_rate.value - before.error_rate.value) * 100
    worse = _is_worse(now.error_rate, before.error_rate)
    return Figure(figure.label, figure.value, figure.help, f"{points:+.2f} points", worse)


def _duration_figure(
    label: str, name: str, now: Percentiles | None, before: Percentiles | None
) -> Figure:
    if now is None:
        return Figure(label, "unknown", "No answer of the window has this time.")
    estimate: Estimate = getattr(now, name)
    ends = (None if end is None else seconds(end) for end in (estimate.low, estimate.high))
    how = "exact" if now.is_exact else "within 2 %"
    told = f"Of {now.n:,} answers, {how}. {between(*ends)}."
    if before is None:
        return Figure(label, seconds(estimate.value), told)
    earlier: Estimate = getattr(before, name)
    change = _percent_change(estimate.value, earlier.value)
    return Figure(label, seconds(estimate.value), told, change, _is_worse(estimate, earlier))


def _is_worse(now: Estimate, before: Estimate) -> bool | None:
    """Whether a figure of which more is worse has risen or fallen beyond both intervals."""
    if now.low is not None and before.high is not None and now.low > before.high:
        return True
    if now.high is not None and before.low is not None and now.high < before.low:
        return False
    return None


def _percent_change(now: float | None, before: float | None) -> str | None:
    if now is None or not before:
        return None
    return f"{now / before - 1:+.1%}" if now / before < 10 else f"×{now / before:.0f}"


def _tokens(found: Measures) -> int | None:
    if found.input_tokens is None or found.output_tokens is None:
        return None
    return found.input_tokens + found.output_tokens


def _short(count: int) -> str:
    """Return a large count in three digits, as in `4.01M`."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        amount = count / size
        if amount >= (10 if letter == "k" else 1):
            places = 0 if amount >= 100 else 1 if amount >= 10 else 2
            return f"{amount:,.{places}f}{letter}"
    return f"{count:,}"


def _left_out(sentence: str, count: int, told: str) -> str:
    return sentence if not count else f"{sentence} {count:,} answers {told} and are left out."


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _in_seconds(estimate: Estimate) -> dict[str, float | None]:
    return {
        "seconds": estimate.value / 1000,
        "low": None if estimate.low is None else estimate.low / 1000,
        "high": None if estimate.high is None else estimate.high / 1000,
    }


def _all_ends(
    name: str, found: Percentiles | None, named: Iterable[str]
) -> dict[str, float | None]:
    ends: dict[str, float | None] = {}
    for percentile in named:
        estimate = None if found is None else getattr(found, percentile)
        ends |= _ends(f"{name} {percentile}", estimate, 1 / 1000)
    return ends


def _ends(name: str, estimate: Estimate | None, factor: float) -> dict[str, float | None]:
    ends = (None,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)
    return {
        f"{name}{end}": None if value is None else value * factor
        for end, value in zip(("", " low", " high"), ends, strict=True)
    }
