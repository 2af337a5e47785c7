"""Comparisons on a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
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
from workbench.statistics.wording import format_p

__all__ = ["comparison_text", "verdict_line"]

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
    scorer = result["scorer"]
    parts: list[RenderableType] = [
        Text(f"{result['dataset']} · {scorer['name']} v{scorer['version']}", style="dim"),
        verdict_line(result),
        Text(""),
        _sides(result),
    ]
    parts.append(Text(_method(result), style="dim"))
    parts.extend(_warnings(result["warnings"]))
    return Group(*parts)


def _sides(result: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("")
    table.add_column("baseline", overflow="fold")
    table.add_column("candidate", overflow="fold")
    table.add_column("difference", overflow="fold")
    baseline, candidate = result["baseline"], result["candidate"]
    table.add_row("run", str(result["baseline_run"]), str(result["candidate_run"]), "")
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
