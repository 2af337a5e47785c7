"""Comparisons on a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from workbench.reports.numbers import (
    difference_text,
    mean_text,
    milliseconds,
    money,
    ratio_text,
    statuses_text,
)
from workbench.statistics.number_format import format_p

__all__ = ["comparison_text", "experiment_text", "verdict_line"]

VERDICT_STYLES: Mapping[str, str] = {
    "superior": "bold green",
    "non_inferior": "green",
    "worse_within_margin": "yellow",
    "inferior": "bold red",
    "inconclusive": "bold yellow",
    "insufficient_data": "dim",
}


def verdict_line(result: Mapping[str, Any]) -> Text:
    """Return `superior  Candidate is better by ...`."""
    verdict = str(result["verdict"])
    return Text.assemble(
        (verdict.replace("_", " ").upper(), VERDICT_STYLES[verdict]),
        "  ",
        str(result["sentence"]),
    )


def comparison_text(result: Mapping[str, Any]) -> RenderableType:
    """Return one comparison for the terminal, from its stored result."""
    return Group(
        _question(result),
        verdict_line(result),
        Text(""),
        Text.assemble(("baseline   ", "bold"), str(result["baseline_run"])),
        Text.assemble(("candidate  ", "bold"), str(result["candidate_run"])),
        _sides(result),
        Text(_method(result), style="dim"),
        *_warnings(result["warnings"]),
    )


def experiment_text(results: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return several comparisons for the terminal: a verdict each, every warning once."""
    parts: list[RenderableType] = [_question(results[0])]
    baseline = None
    for result in results:
        if result["baseline_run"] != baseline:
            baseline = result["baseline_run"]
            parts.append(Text(""))
            parts.append(_run_line("against ", result["baseline_run"], result["baseline"]))
        parts.append(_run_line("  ", result["candidate_run"], result["candidate"]))
        parts.append(Padding(verdict_line(result), (0, 0, 0, 4)))
    warnings = {(w["code"], w["text"]): w for result in results for w in result["warnings"]}
    return Group(*parts, Text(""), *_warnings(list(warnings.values())))


def _question(result: Mapping[str, Any]) -> Text:
    scorer = result["scorer"]
    return Text(f"{result['dataset']} · {scorer['name']} v{scorer['version']}", style="dim")


def _run_line(lead: str, name: str, side: Mapping[str, Any]) -> Text:
    return Text.assemble(lead, (str(name), "bold"), f"  {mean_text(side)}")


def _sides(result: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for title in ("", "baseline", "candidate", "difference"):
        table.add_column(title, overflow="fold")
    baseline, candidate = result["baseline"], result["candidate"]
    table.add_row("score", mean_text(baseline), mean_text(candidate), difference_text(result))
    table.add_row("cells", statuses_text(baseline), statuses_text(candidate), _flips(result))
    if cost := result["cost"]:
        table.add_row(
            "cost/example",
            money(cost["baseline"]),
            money(cost["candidate"]),
            ratio_text(cost["ratio"]),
        )
    else:
        table.add_row("cost/example", "unknown", "unknown", "")
    if latency := result["latency"]:
        for name in ("p50", "p95"):
            before, after = latency["baseline"][name], latency["candidate"][name]
            table.add_row(
                f"latency {name}",
                milliseconds(before),
                milliseconds(after),
                milliseconds(after - before, signed=True),
            )
    return table


def _flips(result: Mapping[str, Any]) -> str:
    return f"{result['candidate_only']} better, {result['baseline_only']} worse"


def _method(result: Mapping[str, Any]) -> str:
    if result["method"] is None:
        return str(result["reason"])
    p_value = result["p_value"]
    told = "" if p_value is None else f" {format_p(p_value)} ({result['p_method']})."
    return f"Method {result['method']}: {result['reason']}{told}"


def _warnings(warnings: Sequence[Mapping[str, Any]]) -> list[Text]:
    return [
        Text.assemble(
            ("! " if warning["blocking"] else "· ", "yellow" if warning["blocking"] else "dim"),
            (f"{warning['code']}: ", "yellow" if warning["blocking"] else "dim"),
            str(warning["text"]),
        )
        for warning in warnings
    ]
