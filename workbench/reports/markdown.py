"""Comparisons as Markdown, for a pull request or a note."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.reports.numbers import (
    difference_text,
    mean_text,
    milliseconds,
    money,
    ratio_text,
    statuses_text,
)

__all__ = ["comparison_markdown"]


def comparison_markdown(result: Mapping[str, Any]) -> str:
    """Return one comparison; names and texts are escaped, so that they stay text."""
    scorer = result["scorer"]
    baseline, candidate = result["baseline"], result["candidate"]
    rows = [
        ("", "baseline", "candidate", "difference"),
        ("run", result["baseline_run"], result["candidate_run"], ""),
        ("score", mean_text(baseline), mean_text(candidate), difference_text(result)),
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
        f"### {result['verdict'].replace('_', ' ')}: {_cell(result['sentence'])}",
        "",
        f"{_cell(result['dataset'])} · {_cell(scorer['name'])} v{scorer['version']}"
        + (" · **simulated**" if result["simulated"] else ""),
        "",
        *(_row(row) for row in rows[:1]),
        "|---|---|---|---|",
        *(_row(row) for row in rows[1:]),
    ]
    if result["warnings"]:
        lines += ["", *(f"- {_warning(warning)}" for warning in result["warnings"])]
    return "\n".join(lines)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Escape what Markdown or HTML would read as markup; one line."""
    out = " ".join(str(text).split())
    for character in "\\`*_{}[]<>|#":
        out = out.replace(character, f"\\{character}")
    return out


def _warning(warning: Mapping[str, Any]) -> str:
    mark = "**blocking** " if warning["blocking"] else ""
    return f"{mark}`{warning['code']}`: {_cell(warning['text'])}"
