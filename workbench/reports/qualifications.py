"""A judge's check against people, as it is printed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workbench.number_text import count_text, percent
from workbench.reports.visible import visible
from workbench.statistics.number_format import format_value

__all__ = ["decision_text", "qualification_text"]

_WORDS: Final = {"passed": "qualified", "not_proven": "not proven", "failed": "not qualified"}
_STYLES: Final = {"passed": "green", "not_proven": "yellow", "failed": "bold red"}
_MARKS: Final = {"passed": "ok", "not_proven": "not proven", "failed": "FAILED"}


def decision_text(decision: str) -> Text:
    """The word for a decision, in its colour."""
    return Text(_WORDS[decision], style=_STYLES[decision])


def qualification_text(result: Mapping[str, Any]) -> RenderableType:
    """Return a check as a person reads it: the word, the checks, then what is behind them."""
    head = decision_text(result["decision"])
    if result["simulated"]:
        head.append("  (simulated judge: to try it out, no judgement of anything)", "yellow")
    labels = count_text(result["n_labels"], "labelled answer")
    people = f"{labels} by {', '.join(result['reviewers'])}"
    about = f"criterion {result['criterion']}, {people}, of {', '.join(result['runs'])}"
    return Group(
        head,
        Text(visible(about), style="dim"),
        Text(),
        _checks(result),
        Text(),
        *(Text(line) for line in _details(result)),
        *(Text(f"! {note['text']}", style="yellow") for note in result["notes"]),
    )


def _checks(result: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for title in ("check", "", "found", "asked"):
        table.add_column(title, overflow="fold")
    for check in result["checks"]:
        decision = check["decision"]
        mark = Text(_MARKS[decision], style=_STYLES[decision])
        table.add_row(check["name"], mark, Text(check["found"]), Text(check["asked"]))
    return table


def _details(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the checks do not say."""
    for name, words in (
        ("accuracy", "Same judgement as people"),
        ("sensitivity", "Good answers that it finds good"),
        ("specificity", "Bad answers that it finds bad"),
        ("self_consistency", "Same judgement when asked again"),
    ):
        if (share := result[name]) is not None:
            yield f"{words}: {_share(share)}"
    if (weighted := result["weighted_kappa"]) is not None:
        yield f"{weighted['measure']}: {_figures(weighted)}"
    if (ceiling := result["ceiling"]) is not None:
        yield (
            f"People among themselves: {ceiling['measure']} {_figures(ceiling)}, "
            f"{ceiling['n_reviewers']} reviewers, {ceiling['n_answers']} answers"
        )
    if result["n_split"]:
        yield f"Left out, because people do not agree: {count_text(result['n_split'], 'answer')}"
    yield from _confusion(result["confusion"])
    for kind, attacks in result["attacks"].items():
        if attacks["names"]:
            told = ", ".join(f"{name} ({n})" for name, n in list(attacks["names"].items())[:10])
            more = "" if len(attacks["names"]) <= 10 else ", ..."
            yield f"Passed {'null answers' if kind == 'null' else 'injections'}: {told}{more}"


def _confusion(confusion: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a matrix in lines: a row for what people say, a column for what the judge says."""
    if confusion is None:
        return
    names = confusion["categories"]
    width = max(6, *(len(name) for name in names)) + 2
    yield ""
    yield "people \\ judge".ljust(18) + "".join(name.rjust(width) for name in names)
    for name, row in zip(names, confusion["people_by_judge"], strict=True):
        yield name.ljust(18) + "".join(str(count).rjust(width) for count in row)


def _share(share: Mapping[str, Any]) -> str:
    return (
        f"{percent(share['share'])} ({share['count']} of {share['n']}; "
        f"95 % CI {100 * share['low']:.1f} to {100 * share['high']:.1f})"
    )


def _figures(figures: Mapping[str, Any]) -> str:
    estimate, low, high = (format_value(figures[n], 2) for n in ("estimate", "low", "high"))
    return f"{estimate} (95 % CI {low} to {high})"
