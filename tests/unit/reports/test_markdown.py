"""An experiment as Markdown and as JSON: the same facts, and hostile texts stay texts."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.reports.builders import (
    Texts,
    comparison,
    evidence,
    example,
    gate_decision,
    make_report,
    result,
    run_report,
)
from tests.unit.reports.test_html_security import HOSTILE
from workbench.reports.experiment import ExperimentReport
from workbench.reports.markdown import comparison_markdown
from workbench.reports.write import ReportForm, render


def _markdown(report: ExperimentReport) -> str:
    return render(report, ReportForm.MARKDOWN)


def _full(text: str) -> ExperimentReport:
    texts = Texts.all_of(text)
    compared = comparison(texts, changes=evidence(texts))
    return make_report(texts, comparisons=[compared], gates=[gate_decision(texts)], extends=7)


def _outside_code(markdown: str) -> str:
    """Return what is no code span: a span begins and ends with equally many backticks."""
    unescaped = re.sub(r"\\.", "", markdown)
    return re.sub(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", "", unescaped)


def test_the_verdict_stands_first_then_the_changed_examples() -> None:
    text = _markdown(make_report())
    headings = re.findall(r"^### (\w+)", text, re.MULTILINE)
    assert headings == ["Verdict", "Changed", "Plan", "Runs", "Warnings", "Provenance"]
    assert "▲ **superior**" in text
    assert "`It is account.` | `It is billing.`" in text


def test_examples_beyond_the_first_ten_are_counted_with_a_command() -> None:
    shown = comparison(examples=[example(change=-1)] * 16)
    text = _markdown(make_report(comparisons=[shown]))
    assert text.count("| `example-1` |") == 10
    assert "6 more: `workbench compare baseline candidate --format json`" in text


def test_a_long_answer_is_cut_to_one_short_line() -> None:
    long = Texts(after="word " * 500)
    line = next(
        row for row in _markdown(make_report(long)).splitlines() if row.startswith("| `example-1")
    )
    assert len(line) < 800 and "…" in line


def test_gates_plans_slices_and_evidence_have_their_places() -> None:
    text = _markdown(_full("en"))
    assert "### Gate: ■ blocked" in text
    assert "advisory: no promotion may rest on it" in text
    assert "| size: examples | blocked | 400 examples | 200 examples |" in text
    assert "Exploratory" in text and "`language = en`" in text
    assert "An extension" in text


def test_one_run_alone_and_no_score_at_all_are_reports_too() -> None:
    alone = make_report(runs=[run_report(scores=())], comparisons=[])
    assert "There is one run, so nothing to compare it with." in _markdown(alone)
    assert "not scored" in _markdown(alone)


@pytest.mark.parametrize("payload", HOSTILE)
def test_outside_code_a_hostile_text_leaves_no_markup(payload: str) -> None:
    rest = _outside_code(_markdown(_full(payload)))
    assert not re.search(r"[<\[\]]", rest)


@given(st.text(st.sampled_from("`|\\\\<[@ \nx"), min_size=1, max_size=30))
def test_no_text_breaks_out_of_its_table_row(text: str) -> None:
    ordinary = _markdown(_full("plain text")).splitlines()
    hostile = _markdown(_full(text)).splitlines()
    assert len(hostile) == len(ordinary)
    for row, model in zip(hostile, ordinary, strict=True):
        if model.startswith("|"):
            assert row.startswith("|") and row.endswith("|")


def test_a_comparison_alone_says_what_it_knows() -> None:
    text = comparison_markdown(result(**evidence()))
    for told in ("Coverage: 190 examples", "Judge: not qualified", "Stopping: sequential"):
        assert told in text
    assert "Coverage" not in comparison_markdown(result())


def test_json_holds_the_same_facts_and_null_for_what_is_not_known() -> None:
    report = make_report(gates=[gate_decision()])
    facts = json.loads(render(report, ReportForm.JSON))
    [compared] = facts["comparisons"]
    assert compared["sentence"] == report.comparisons[0].result["sentence"]
    assert compared["changed_examples"][0]["answers"][0]["text"]["text"] == "It is account."
    assert facts["runs"][0]["cost"] == "0.0123"
    assert facts["gates"][0]["decision"] == "blocked"
    bare = make_report(runs=[run_report(latency=None, prompt=None)], comparisons=[])
    [run] = json.loads(render(bare, ReportForm.JSON))["runs"]
    assert run["prompt"] is None and run["latency_ms"] is None


def test_half_a_character_can_be_written_in_every_form() -> None:
    report = make_report(Texts.all_of("half \ud83d"))
    for form in ReportForm:
        assert render(report, form).encode()
