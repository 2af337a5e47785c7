"""Comparisons and experiments as Markdown, for a pull request or a note.

Names and sentences are escaped, so that they stay text. What a model, a prompt or a dataset
says stands in code spans only: there neither markup nor a mention nor an address means
anything, and a span's fence is longer than any run of backticks in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from workbench.comparison_words import EXPLORATORY, evidence_facts
from workbench.number_text import (
    Scale,
    difference_text,
    mean_text,
    milliseconds,
    money,
    ratio_text,
    statuses_text,
)
from workbench.reports.decisions import GateText, gate_texts
from workbench.reports.examples import more_changes
from workbench.reports.experiment import ComparisonReport, Example, ExperimentReport
from workbench.reports.figures import Slices, slices
from workbench.reports.markdown_text import code_span, escaped, table_row
from workbench.reports.plan_words import plan_facts
from workbench.reports.provenance import record_facts
from workbench.reports.sections import (
    Facts,
    Note,
    RunRow,
    banners,
    header_facts,
    no_verdict,
    run_rows,
    verdicts,
    warnings,
)

__all__ = ["comparison_markdown", "experiment_markdown"]

_MAX_EXAMPLES: Final = 10  # of each comparison: a comment is skimmed, the page is read
_MAX_TEXT: Final = 240  # characters of one answer


def comparison_markdown(result: Mapping[str, Any]) -> str:
    """Return one comparison; names and texts are escaped, so that they stay text."""
    scorer, scale = result["scorer"], Scale.of(result.get("range"))
    baseline, candidate = result["baseline"], result["candidate"]
    rows = [
        ("", "baseline", "candidate", "difference"),
        ("run", result["baseline_run"], result["candidate_run"], ""),
        (
            "score",
            mean_text(baseline, scale),
            mean_text(candidate, scale),
            difference_text(result, scale),
        ),
        (
            "cells",
            statuses_text(baseline),
            statuses_text(candidate),
            f"{result['candidate_only']} better, {result['baseline_only']} worse",
        ),
    ]
    if cost := result["cost"]:
        rows.append(
            (
                "cost/example",
                money(cost["baseline"]),
                money(cost["candidate"]),
                ratio_text(cost["ratio"]),
            )
        )
    if latency := result["latency"]:
        rows.append(
            (
                "latency p95",
                milliseconds(latency["baseline"]["p95"]),
                milliseconds(latency["candidate"]["p95"]),
                "",
            )
        )
    lines = [
        f"### {result['verdict'].replace('_', ' ')}: {escaped(result['sentence'])}",
        "",
        f"{escaped(result['dataset'])} · {escaped(scorer['name'])} v{scorer['version']}"
        + (" · **simulated**" if result["simulated"] else ""),
        "",
        *(_row(row) for row in rows[:1]),
        "|---|---|---|---|",
        *(_row(row) for row in rows[1:]),
    ]
    if facts := evidence_facts(result):
        lines += ["", *_list(facts)]
    if result["warnings"]:
        lines += ["", *(f"- {_warning(warning)}" for warning in result["warnings"])]
    return "\n".join(lines)


def experiment_markdown(report: ExperimentReport, spec_hash: str) -> str:
    """Return what the page says of an experiment, verdicts and changed examples first."""
    experiment = report.experiment
    lines = [
        f"## Experiment {experiment.number}: {escaped(experiment.name or experiment.dataset)}",
        "",
        *_list(header_facts(report)),
    ]
    for banner in banners(report):
        lines += ["", f"> **{escaped(banner.title)}.** {_note(banner.text, banner.command)}"]
    lines += _verdicts(report)
    for comparison in report.comparisons:
        lines += _changes(comparison)
    for gate in gate_texts(report):
        lines += _gate(gate)
    if plan := plan_facts(experiment.plan, experiment.spec):
        lines += ["", "### Plan", "", *_list(plan)]
    for part in slices(report):
        lines += _slices(part)
    lines += ["", "### Runs", "", *_runs(run_rows(report))]
    lines += _warnings(report)
    lines += ["", "### Provenance", "", *_list(record_facts(report, spec_hash))]
    return "\n".join(lines) + "\n"


def _verdicts(report: ExperimentReport) -> list[str]:
    if not report.comparisons:
        return ["", _note(*_parts(no_verdict(report)))]
    lines = ["", "### Verdict", ""]
    for verdict in verdicts(report):
        marks = "".join(f" · {mark}" for mark in verdict.marks)
        lines.append(
            f"- {verdict.symbol} **{verdict.word}**{marks}: {code_span(verdict.candidate)} against "
            f"{code_span(verdict.baseline)}. {escaped(verdict.sentence)}"
        )
        if verdict.blocking:
            lines.append(f"  - would be blocked at a gate: {escaped(verdict.blocking)}")
        lines += [f"  - {_note(*_parts(note))}" for note in verdict.notes]
    return lines


def _changes(comparison: ComparisonReport) -> list[str]:
    """Return the changed examples as a table, losses before gains."""
    result, shown = comparison.result, comparison.examples[:_MAX_EXAMPLES]
    if not shown:
        return []
    losses, gains = f"{result['baseline_only']:,}", f"{result['candidate_only']:,}"
    candidate = code_span(str(result["candidate_run"]))
    lines = [
        "",
        f"### Changed: {losses} worse, {gains} better with {candidate}",
        "",
        "| example | score | input | expected | baseline | candidate |",
        "|---|---|---|---|---|---|",
        *(_example(example) for example in shown),
    ]
    if more := more_changes(comparison, len(shown)):
        lines += ["", _note(*_parts(more))]
    return lines


def _example(example: Example) -> str:
    before, after = example.scores or (None, None)
    score = "" if before is None or after is None else f"{before:.3g} → {after:.3g}"
    answers = [
        answer.text.text if answer and answer.text else (answer.status if answer else "no outcome")
        for answer in example.answers
    ]
    given = [text.text if text else "" for text in (example.input, example.expected)]
    cells = [example.key, *given, *answers]
    key, *texts = (code_span(text, limit=_MAX_TEXT) for text in cells)
    return f"| {key} | {score} | {' | '.join(texts)} |"


def _gate(gate: GateText) -> list[str]:
    return [
        "",
        f"### Gate: {gate.symbol} {gate.word}, {code_span(gate.candidate)} against "
        f"{code_span(gate.baseline)}",
        "",
        f"{gate.standing}, decided {escaped(gate.made)} on {code_span(gate.evidence_hash)}",
        *(f"- exception {escaped(text)}" for text in gate.exceptions),
        "",
        "| check | decides | asked | found |",
        "|---|---|---|---|",
        *(_row((c.name, c.word, c.asked, c.found)) for c in gate.checks),
    ]


def _slices(part: Slices) -> list[str]:
    lines = ["", f"### Slices: {code_span(part.candidate)} against {code_span(part.baseline)}", ""]
    lines += [escaped(EXPLORATORY), "", f"| slice | difference {part.told} |", "|---|---|"]
    lines += [
        f"| {code_span(f'{row.group} = {row.label}', limit=_MAX_TEXT)} | {escaped(row.figures)} |"
        for row in part.rows
    ]
    lines += [f"| {code_span(name)} | {escaped(told)} |" for name, told in part.secondary]
    if part.more:
        lines += ["", _note(f"{part.more:,} more slices:", part.command)]
    return lines


def _runs(rows: Sequence[RunRow]) -> list[str]:
    titles = ("run", "cells", "score", "tokens", "cost", "latency p50", "p95")
    lines = [_row(titles), "|" + "---|" * len(titles)]
    for run in rows:
        scores = "; ".join(
            f"{s.scorer}: {s.mean} {f'({s.basis})' if s.basis else ''}" for s in run.scores
        )
        marks = f" ({', '.join(run.marks)})" if run.marks else ""
        cells = (
            f"{run.name}{marks}",
            ", ".join((*run.cells, *run.problems)),
            scores or "not scored",
            ", ".join(run.tokens),
            run.cost,
            *run.latency,
        )
        lines.append(_row(cells))
    return lines


def _warnings(report: ExperimentReport) -> list[str]:
    found = warnings(report)
    if not found:
        return []
    lines = ["", "### Warnings", ""]
    for warning in found:
        mark = "**blocks a gate** " if warning.blocking else ""
        told = " ".join(escaped(text) for text in warning.texts)
        lines.append(f"- {mark}`{warning.code}`: {told} {_note(*_parts(warning.remedy))}".rstrip())
    return lines


def _list(facts: Facts) -> list[str]:
    return [f"- {escaped(name)}: {escaped(text)}" for name, text in facts]


def _parts(note: Note) -> tuple[str, str]:
    return note.text, note.command


def _note(text: str, command: str) -> str:
    return f"{escaped(text)} {code_span(command)}" if command else escaped(text)


def _row(cells: Sequence[str]) -> str:
    return table_row([escaped(cell) for cell in cells])


def _warning(warning: Mapping[str, Any]) -> str:
    mark = "**blocking** " if warning["blocking"] else ""
    return f"{mark}`{warning['code']}`: {escaped(warning['text'])}"
