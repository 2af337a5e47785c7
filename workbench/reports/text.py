"""Comparisons on a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from workbench.number_text import (
    Scale,
    count_text,
    difference_figures,
    difference_text,
    level_text,
    mean_text,
    milliseconds,
    money,
    percent,
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
        *_coverage(result),
        Text(_method(result), style="dim"),
        *_further_looks(result),
        *_warnings(result["warnings"]),
    )


def experiment_text(results: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return several comparisons for the terminal: a table of all, a verdict each, every
    warning once."""
    parts: list[RenderableType] = [_question(results[0])]
    by_baseline: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for number, result in enumerate(results, start=1):
        by_baseline.setdefault(str(result["baseline_run"]), []).append((number, result))
    for name, group in by_baseline.items():
        line = _run_line("against ", name, group[0][1]["baseline"], _scale(results[0]))
        parts += [Text(""), line, _overview(group)]
    parts.append(Text(""))
    for number, result in enumerate(results, start=1):
        parts.append(_hanging(f"{number}", verdict_line(result)))
    parts += [Text(""), *_family(results)]
    labels = {row["text"]: row for r in results for row in r.get("comparability") or ()}
    warnings = {(w["code"], w["text"]): w for result in results for w in result["warnings"]}
    return Group(*parts, *_labels(list(labels.values())), *_warnings(list(warnings.values())))


def _question(result: Mapping[str, Any]) -> Text:
    scorer = result["scorer"]
    return Text(f"{result['dataset']} · {scorer['name']} v{scorer['version']}", style="dim")


def _run_line(lead: str, name: str, side: Mapping[str, Any], scale: Scale) -> Text:
    return Text.assemble(lead, (str(name), "bold"), f"  {mean_text(side, scale)}")


def _overview(group: Sequence[tuple[int, Mapping[str, Any]]]) -> Table:
    scale = _scale(group[0][1])
    table = _table("", "candidate", "score", scale.more, "p")
    for number, result in group:
        side, difference = result["candidate"], result["difference"]
        table.add_row(
            str(number),
            str(result["candidate_run"]),
            "no score" if side["mean"] is None else scale.mean(side["mean"]),
            "" if difference is None else _bounds(difference, scale),
            _p(result.get("p_holm")),
        )
    return table


def _family(results: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """Say what holds for all of them: levels, any difference at all, models."""
    lines: list[RenderableType] = []
    levels = {r["difference"]["level"] for r in results if r["difference"] is not None}
    if len(results) > 1 and levels:
        lines.append(
            Text(
                f"{len(results)} candidates: each interval is at {level_text(max(levels))}, so "
                "that all hold together at 95 %; p by Holm's method.",
                style="dim",
            )
        )
    if overall := results[0].get("overall"):
        lines.append(
            Text(
                f"Does any of the {overall['n_runs']} runs differ? {_TESTS[overall['name']]}: "
                f"{format_p(overall['p_value'])}.",
                style="dim",
            )
        )
    seen: list[Any] = []
    for result in results:
        if (models := result.get("across_models")) and models not in seen:
            seen.append(models)
            lines += _models(models, _scale(result))
    return [*lines, Text("")] if lines else []


_TESTS: Mapping[str, str] = {"cochran_q": "Cochran's Q", "friedman": "Friedman's test"}


def _models(models: Mapping[str, Any], scale: Scale) -> list[RenderableType]:
    title = f"{models['candidate_prompt']} against {models['baseline_prompt']}, by model:"
    table = _table("", "pairs", f"{scale.more} (95 % CI)")
    for row in (*models["by_model"], {"model": "average", **models["average"]}):
        difference = row["difference"]
        table.add_row(
            str(row["model"]),
            f"{row['n_pairs']:,}",
            "" if difference is None else _bounds(difference, scale),
        )
    return [Text(""), Text(title), table]


def _hanging(lead: str, text: Text) -> Table:
    """Put a text beside its number, so that its lines stay apart from the number."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(lead, text)
    return table


def _table(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _scale(result: Mapping[str, Any]) -> Scale:
    return Scale.of(result.get("range"))


def _bounds(row: Mapping[str, Any], scale: Scale) -> str:
    """`+2.7 (−0.9 to +6.2)`, on the scorer's scale."""
    estimate, low, high = difference_figures(row, scale)
    return f"{estimate} ({low} to {high})"


def _p(value: float | None) -> str:
    return "" if value is None else format_p(value).removeprefix("p = ").removeprefix("p ")


def _coverage(result: Mapping[str, Any]) -> list[RenderableType]:
    """Say which examples were not compared, and why; nothing if all were."""
    coverage = result.get("coverage")
    left = [
        f"{coverage[name]:,} {told}"
        for name, told in (
            ("changed", "with the same key say something else"),
            ("only_baseline", "only the baseline's"),
            ("only_candidate", "only the candidate's"),
        )
        if coverage and coverage[name]
    ]
    if not coverage or not left:
        return []
    return [
        Text(
            f"Compared are the {count_text(coverage['common'], 'example')} that both sides have "
            f"alike; left out: {', '.join(left)}."
        )
    ]


def _further_looks(result: Mapping[str, Any]) -> list[RenderableType]:
    return [
        *_sequential(result.get("sequential")),
        *_reliability(result.get("reliability")),
        *_preference(result.get("preference")),
        *_people(result.get("ppi"), _scale(result)),
        *_by_scorer(result.get("secondary") or ()),
        *_exploratory(
            "slice",
            [(f"{row['column']} = {row['value']}", row) for row in result.get("slices") or ()],
            _scale(result),
        ),
        *_left_out(result.get("slices_left_out") or ()),
        *_labels(result.get("comparability") or ()),
    ]


def _sequential(facts: Mapping[str, Any] | None) -> list[RenderableType]:
    if not facts or not facts["calls_saved"]:
        return []
    return [Text(f"Stopping early saved {count_text(facts['calls_saved'], 'call')}.")]


def _reliability(facts: Mapping[str, Any] | None) -> list[RenderableType]:
    if not facts:
        return []
    k = facts["k"]
    table = _table(f"{k} answers an example", "baseline", "candidate")
    sides = facts["baseline"], facts["candidate"]
    for title, name in (("passed at least once", "pass_at_k"), ("passed every time", "pass_hat_k")):
        told = ["no score" if side[name] is None else percent(side[name]) for side in sides]
        table.add_row(title, *told)
    flipped = [f"{side['flipped']:,} of {side['n_examples']:,}" for side in sides]
    table.add_row("sometimes passed", *flipped)
    return [Text(""), table, Text("")]


def _preference(facts: Mapping[str, Any] | None) -> list[RenderableType]:
    if not facts:
        return []
    told = (
        f"Pairs: {facts['wins']:,} won, {facts['losses']:,} lost, {facts['ties']:,} tied; win rate "
        f"{percent(facts['win_rate'])}. Judged alike in both orders: "
        f"{percent(facts['consistency'])}."
    )
    controlled = facts["length_controlled_win_rate"]
    if controlled is not None:
        told += f" Win rate at equal length: {percent(controlled)}."
    return [Text(told)]


def _people(ppi: Mapping[str, Any] | None, scale: Scale) -> list[RenderableType]:
    if not ppi:
        return []
    return [
        Text(
            f"Corrected by {count_text(ppi['n_labels'], 'label')} of people (PPI++): "
            f"{difference_text({'difference': ppi}, scale)}."
        )
    ]


def _by_scorer(rows: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """Return a table of the further scorers of each scale."""
    groups: dict[Scale, list[tuple[str, Mapping[str, Any]]]] = {}
    for row in rows:
        groups.setdefault(_scale(row), []).append((str(row["scorer"]), row))
    tables = [_exploratory("scorer", group, scale) for scale, group in groups.items()]
    return [line for table in tables for line in table]


def _exploratory(
    what: str, rows: Sequence[tuple[str, Mapping[str, Any]]], scale: Scale
) -> list[RenderableType]:
    """Return a table of many looks; those that stand out of chance are bold."""
    if not rows:
        return []
    table = _table(f"by {what} (exploratory)", "pairs", f"{scale.more} (95 % CI)", "q")
    for name, row in rows:
        q_value = row["q_value"]
        stands_out = q_value is not None and q_value <= 0.05
        table.add_row(
            name,
            f"{row['n_pairs']:,}",
            _bounds(row, scale),
            _p(q_value),
            style="bold" if stands_out else None,
        )
    note = "q: the share of false finds among rows with this q or a smaller one."
    return [Text(""), table, Text(note, style="dim"), Text("")]


def _left_out(rows: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    if not rows:
        return []
    told = [
        f"{row['column']}{'' if row['value'] is None else ' = ' + row['value']} ({row['reason']})"
        for row in rows
    ]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return [Text(f"Not sliced by: {', '.join(told[:_NAMED])}{more}.", style="dim")]


_NAMED = 5


def _labels(rows: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    return [
        Text.assemble(
            ("! " if row["blocking"] else "· ", "yellow" if row["blocking"] else "dim"),
            ("not alike: ", "yellow" if row["blocking"] else "dim"),
            str(row["text"]),
        )
        for row in rows
    ]


def _sides(result: Mapping[str, Any]) -> Table:
    table = _table("", "baseline", "candidate", "difference")
    baseline, candidate, scale = result["baseline"], result["candidate"], _scale(result)
    means = mean_text(baseline, scale), mean_text(candidate, scale)
    table.add_row("score", *means, difference_text(result, scale))
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
