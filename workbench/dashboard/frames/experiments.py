"""Experiments as tables, figures and sentences (pure).

Money is in US dollars and unknown where None stands; a rate is in cells a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import pandas as pd

from workbench.client.experiments import (
    CandidateVerdict,
    ExperimentEstimate,
    ExperimentResults,
    ExperimentStanding,
    ExperimentSummary,
)
from workbench.client.jobs import Job
from workbench.client.runs import RunStanding
from workbench.dashboard.text import dollars
from workbench.dashboard.verdicts import verdict_text

__all__ = [
    "ANSWERED",
    "STATUS_ORDER",
    "ErrorClass",
    "Looked",
    "cell_frame",
    "cells_by_status",
    "cost_of",
    "dollars_between",
    "done_count",
    "duration",
    "duration_between",
    "error_classes",
    "estimate_frame",
    "estimate_remarks",
    "job_error",
    "job_frame",
    "list_frame",
    "rate",
    "run_frame",
    "run_title",
    "seconds_left",
    "standing_word",
    "variants_text",
    "warnings_of",
]

ANSWERED: Final = ("completed", "refused")
"""How a cell ends that a model answered."""

STATUS_ORDER: Final = (
    "completed",
    "refused",
    "failed",
    "incomplete",
    "cancelled",
    "abandoned",
    "open",
)
"""How cells stand, from the best to what is still to do."""

_RATE_S: Final = 15.0
"""The rate is over the reads of so many last seconds."""

_ADVICE: Final[Mapping[str, str]] = {
    "rate_limited": "The provider asked for patience. Resume later, with this class retried.",
    "quota_exhausted": "The account has no credit left. Top it up, then resume and retry these.",
    "timeout": "The model took too long. Resume and retry; a smaller max_tokens helps.",
    "connection": "The connection broke. Resume and retry these.",
    "endpoint_unreachable": "Nothing answers at the model's address. Start it, then retry these.",
    "server_error": "The provider failed. Resume later and retry these.",
    "bad_request": "The provider refuses the request. Read one of them, then ask a new question.",
    "parameter_not_supported": "The model takes one of the parameters no longer. Ask anew without.",
    "unknown_model": "The provider has no such model. Look at the model's page.",
    "authentication": "The provider refuses the key. Mend it in the settings, then retry these.",
    "content_filtered": "The provider's filter stopped these. Retrying rarely helps.",
    "malformed_response": "The reply was no answer. Resume and retry these.",
    "response_too_large": "The reply was too large. Ask for fewer tokens.",
    "truncated_stream": "The stream broke off before its end. Resume and retry these.",
    "not_started": "The process stopped before these calls. Resume the experiment.",
    "invalid": "These examples do not fit the prompt. Mend the dataset in a new version.",
    "budget_reached": "The budget is used up. Resume with a higher one.",
}
_NO_ADVICE: Final = "Open one of these cells in Generations: its story has the provider's words."


class Looked(NamedTuple):
    """One look at the record: when (seconds of any steady clock), and how many cells were done."""

    at_s: float
    done: int


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """Cells that ended by one class of error, and what to do about them."""

    code: str
    count: int
    advice: str


def standing_word(status: str, work: str | None) -> str:
    """Say how an experiment stands: its own status, or what is being done for it."""
    if status != "open":
        return status
    return {"running": "running", "queued": "waiting"}.get(work or "", "stopped")


def variants_text(prompts: Sequence[str], models: Sequence[str]) -> str:
    """`2 prompts x 3 models`, or the names themselves where there is one of each."""
    return f"{_several(prompts, 'prompt')} × {_several(models, 'model')}"


def _several(names: Sequence[str], noun: str) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} {noun}s"


def run_title(name: str) -> str:
    """Return a run's name without its experiment's number."""
    return name.partition("/")[2] or name


def dollars_between(low: float, high: float) -> str:
    return dollars(low) if low == high else f"{dollars(low)} to {dollars(high)}"


def duration(seconds: float) -> str:
    """Return a time span in the two units that matter."""
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def duration_between(low: float, high: float) -> str:
    first, last = duration(low), duration(high)
    return first if first == last else f"{first} to {last}"


def list_frame(experiments: Iterable[ExperimentSummary]) -> pd.DataFrame:
    """Return the list for taking away: one row an experiment."""
    return pd.DataFrame(
        [
            {
                "number": it.number,
                "name": it.name,
                "dataset": it.dataset,
                "prompts": ", ".join(it.prompts),
                "models": ", ".join(it.models),
                "status": standing_word(it.status, it.work),
                "cells done": it.done,
                "cells wanted": it.wanted,
                "cells failed": it.failed,
                "cost in US dollars": it.cost,
                "outcomes without a cost": it.unpriced,
                "scorer": it.scorer,
                "verdicts": _verdict_texts(it.verdicts),
                "created at": it.created_at,
                "created by": it.created_by,
            }
            for it in experiments
        ]
    )


def _verdict_texts(verdicts: Iterable[CandidateVerdict]) -> str:
    return "; ".join(f"{run_title(it.candidate)}: {verdict_text(it.verdict)}" for it in verdicts)


def done_count(standing: ExperimentStanding) -> int:
    """Return how many cells have an outcome of any kind."""
    return sum(sum(run.totals.by_status.values()) for run in standing.runs)


def cells_by_status(standing: ExperimentStanding) -> dict[str, int]:
    """Return how many cells stand in each status, those still to do as `open`; none that is 0."""
    counts = dict.fromkeys(STATUS_ORDER, 0)
    for run in standing.runs:
        for status, count in run.totals.by_status.items():
            counts[status] = counts.get(status, 0) + count
    counts["open"] = max(0, standing.wanted - done_count(standing))
    return {status: count for status, count in counts.items() if count}


def cell_frame(standing: ExperimentStanding) -> pd.DataFrame:
    """Return one row for each run and status that has cells: `run`, `status`, `cells`, `rank`."""
    share = standing.wanted // max(1, len(standing.runs))
    rows = []
    for run in standing.runs:
        counts = dict(run.totals.by_status)
        counts["open"] = max(0, share - sum(counts.values()))
        rows += [
            {
                "run": run_title(run.run.name),
                "status": status,
                "cells": counts[status],
                "rank": STATUS_ORDER.index(status),
            }
            for status in STATUS_ORDER
            if counts.get(status)
        ]
    return pd.DataFrame(rows, columns=["run", "status", "cells", "rank"])


def cost_of(runs: Iterable[RunStanding]) -> float | None:
    """Return what the runs cost as far as it is known; None if nothing is."""
    known = [run.totals.cost for run in runs if run.totals.cost is not None]
    return sum(known) if known else None


def run_frame(standing: ExperimentStanding, results: ExperimentResults) -> pd.DataFrame:
    """Return one row a run, with a column for the mean under each scorer; counts that are mostly 0
    are there if one is not."""
    scorers = list(dict.fromkeys(_scorer_name(it.scorer, it.version) for it in results.means))
    means = {(it.run_id, _scorer_name(it.scorer, it.version)): it.mean for it in results.means}
    rows = []
    for it in standing.runs:
        counts, totals = it.totals.by_status, it.totals
        answered = sum(counts.get(status, 0) for status in ANSWERED)
        rows.append(
            {
                "run": run_title(it.run.name),
                **{f"mean {name}": means.get((it.run.id, name)) for name in scorers},
                "answered": answered,
                "failed": sum(counts.values()) - answered,
                "used again": totals.reused,
                "tokens in": totals.input_tokens,
                "tokens out": totals.output_tokens,
                "US dollars": totals.cost,
                "without a price": totals.unpriced,
            }
        )
    frame = pd.DataFrame(rows)
    rare = [name for name in ("used again", "without a price") if not frame[name].any()]
    return frame.drop(columns=rare)


def _scorer_name(name: str, version: int) -> str:
    return name if version == 1 else f"{name} v{version}"


def error_classes(standing: ExperimentStanding) -> list[ErrorClass]:
    """Return the errors of all runs by class, the most frequent first."""
    counts: dict[str, int] = {}
    for run in standing.runs:
        for code, count in run.totals.by_error.items():
            counts[code] = counts.get(code, 0) + count
    return [
        ErrorClass(code, count, _ADVICE.get(code, _NO_ADVICE))
        for code, count in sorted(counts.items(), key=lambda it: (-it[1], it[0]))
    ]


def rate(looks: Sequence[Looked]) -> float | None:
    """Return the cells a second over the last seconds of looks; None with less than two."""
    if not looks:
        return None
    recent = [look for look in looks if look.at_s >= looks[-1].at_s - _RATE_S]
    first, last = recent[0], recent[-1]
    passed = last.at_s - first.at_s
    return max(0, last.done - first.done) / passed if passed > 0 else None


def seconds_left(open_cells: int, cells_a_second: float | None) -> float | None:
    """Return how long the rest takes at this rate; None where it cannot be said."""
    if open_cells == 0:
        return 0.0
    return open_cells / cells_a_second if cells_a_second else None


def warnings_of(standing: ExperimentStanding, results: ExperimentResults) -> list[str]:
    """Return in plain words what has to be known before the figures are believed."""
    runs = standing.runs
    told = []
    if any(run.run.provider == "simulated" for run in runs):
        told.append("Simulated models answer: the figures show how it works, not how models do.")
    unpriced = sum(run.totals.unpriced for run in runs)
    if unpriced:
        models = ", ".join(
            dict.fromkeys(run.run.model or "?" for run in runs if run.totals.unpriced)
        )
        told.append(
            f"{unpriced:,} outcomes have no cost, as there is no price for {models}: the cost "
            "shown leaves them out."
        )
    failed = sum(error.count for error in error_classes(standing))
    if failed:
        told.append(
            f"{failed:,} cells failed and have no score. They are missing, not wrong: resume the "
            "experiment to try them again."
        )
    texts = (str(it.get("text", "")) for found in results.verdicts for it in found.warnings)
    said = [text for text in dict.fromkeys(texts) if text and "imulated model" not in text]
    return told + said


def job_frame(jobs: Iterable[Job]) -> pd.DataFrame:
    """Return one row a job, newest first; times are UTC."""
    return pd.DataFrame(
        [
            {
                "kind": job.kind,
                "status": "stopping" if _is_stopping(job) else job.status,
                "asked by": job.actor,
                "queued at": job.queued_at,
                "started at": job.started_at,
                "ended at": job.ended_at,
            }
            for job in jobs
        ]
    )


def _is_stopping(job: Job) -> bool:
    return job.stop_asked_at is not None and not job.ended


def job_error(job: Job) -> tuple[str, str | None] | None:
    """Return why a job failed, with what to do, and the field that was wrong; None if it did
    not fail."""
    error = job.detail.get("error")
    if not isinstance(error, dict):
        return None
    parts = [str(error[name]) for name in ("message", "hint") if error.get(name)]
    path = error.get("path")
    return " ".join(parts), path if isinstance(path, str) else None


def estimate_frame(found: ExperimentEstimate) -> pd.DataFrame:
    """Return one row a variant; figures go from likely to possible."""
    return pd.DataFrame(
        [
            {
                "prompt": it.prompt,
                "model": it.model,
                "calls": it.calls,
                "used again": it.reused,
                "tokens in": f"{it.input_tokens.low:,.0f} to {it.input_tokens.high:,.0f}",
                "tokens out": f"{it.output_tokens.low:,.0f} to {it.output_tokens.high:,.0f}",
                "cost": "unknown"
                if it.cost is None
                else dollars_between(it.cost.low, it.cost.high),
                "time": "unknown"
                if it.seconds is None
                else duration_between(it.seconds.low, it.seconds.high),
            }
            for it in found.variants
        ]
    )


def estimate_remarks(found: ExperimentEstimate) -> list[str]:
    """Return what has to be said of an estimate's figures."""
    sample = "all" if found.rendered == found.examples else f"{found.rendered:,} evenly spaced"
    basis = {
        "prompt": "earlier answers of the same prompt",
        "model": "earlier answers of the same model",
        "rule": "a quarter of the bytes in and a tenth of max_tokens out",
    }
    low = "; ".join(dict.fromkeys(basis.get(it.basis, it.basis) for it in found.variants))
    lines = [
        f"From {sample} of {found.examples:,} examples. Low: {low}. High: every byte a token and "
        "max_tokens each, which is what a budget reserves. Retries are not in it."
    ]
    lines += [f"The cost is unknown: {reason}." for reason in found.unknown]
    lines += [
        f"{judge} asks its model about each answer: those calls come on top. A budget bounds them."
        for judge in found.judges_left_out
    ]
    return lines
