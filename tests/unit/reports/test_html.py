"""What the page says of an experiment, and that it leaves nothing out."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest

from app.schemas.generations import RunTotals
from tests.unit.reports.builders import (
    answer,
    comparison,
    example,
    make_report,
    result,
    run_report,
)
from workbench.reports.experiment import Excerpt, ExperimentReport, excerpt
from workbench.reports.html import experiment_page


class _Text(HTMLParser):
    """The page as it is read, each block on a line of its own, without the links at its head."""

    _INLINE = ("a", "code", "span", "strong", "mark")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(re.sub("<nav.*?</nav>", "", page.partition("<body>")[2], flags=re.DOTALL))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self._INLINE or "block" in (dict(attrs).get("class") or ""):
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _text(report: ExperimentReport) -> str:
    lines = "".join(_Text(experiment_page(report)).parts).split("\n")
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())


def _two_runs(**changes: Any) -> ExperimentReport:
    return make_report(runs=[run_report(**changes), run_report(11, "candidate")])


def test_the_sections_stand_in_the_order_in_which_they_are_needed() -> None:
    page = experiment_page(make_report())
    places = [
        page.index(f'<section id="{name}">')
        for name in ("verdict", "examples", "plan", "runs", "warnings", "method", "provenance")
    ]
    assert places == sorted(places)


def test_the_head_says_what_was_asked_of_what_when_and_by_whom() -> None:
    text = _text(
        make_report(experiment={"repetitions": 3, "example_limit": 50, "example_count": 50})
    )
    assert "Experiment 12 Which prompt routes better?" in text
    assert "tickets@1: the first 50 examples of 200, 3 answers each" in text
    assert "2026-01-31 09:05 UTC by local:ada, completed 2026-01-31 09:05 UTC" in text


def test_the_verdict_word_is_written_beside_its_stored_sentence() -> None:
    text = _text(make_report())
    assert "▲ superior candidate against baseline\nCandidate is better by 6.0 points." in text
    assert "Would be blocked at a gate (warnings): few_units." in text


@pytest.mark.parametrize(
    "verdict",
    [
        "superior",
        "non_inferior",
        "worse_within_margin",
        "inferior",
        "inconclusive",
        "insufficient_data",
    ],
)
def test_every_verdict_has_its_own_colours_and_is_never_said_by_colour_alone(verdict: str) -> None:
    page = experiment_page(make_report(comparisons=[comparison(changes={"verdict": verdict})]))
    tone = f"v-{verdict.replace('_', '-')}"
    assert f'<span class="chip {tone}">' in page
    assert f"</span> {verdict.replace('_', ' ')}</span>" in page
    assert page.count(f".{tone}") >= 1  # in the style sheet


@pytest.mark.parametrize(
    ("changes", "banner"),
    [
        ({"provider": "simulated"}, "Simulated answers. No real model answered in baseline."),
        (
            {"origin": "imported", "source": "old.jsonl", "experiment_id": None},
            "Imported answers. baseline (from old.jsonl): these answers were made elsewhere.",
        ),
        (
            {"totals": RunTotals(by_status={"completed": 80}), "wanted": 200},
            "Not finished. 120 of 400 cells have no outcome yet. Go on with workbench resume 12",
        ),
    ],
)
def test_what_must_be_known_first_stands_above_every_figure(
    changes: dict[str, Any], banner: str
) -> None:
    text = _text(_two_runs(**changes))
    assert banner in text
    assert text.index(banner) < text.index("Verdict")


def test_real_finished_answers_need_no_banner() -> None:
    assert 'class="banner"' not in experiment_page(make_report())


def test_each_run_has_its_cells_by_status_each_with_its_own_denominator() -> None:
    totals = RunTotals(
        by_status={"completed": 180, "failed": 12, "refused": 3},
        by_error={"rate_limited": 12},
        input_tokens=12_000,
        output_tokens=900,
        cost=Decimal("0.0123"),
        unpriced=12,
        reopened=4,
    )
    text = _text(_two_runs(totals=totals))
    row = text[text.index("triage@1") :]
    for told in (
        "180 completed\n12 failed\n3 refused\n5 open\nof 200",
        "12 rate_limited",
        "4 outcomes from a retry",
        "70.0 %",
        "140 of 200; 95 % CI 63.3 to 75.9",
        "12,000 in\n900 out",
        "at least $0.0123: 12 cells of unknown cost",
        "812 ms",
        "1.9 s",
    ):
        assert told in row


def test_what_is_not_known_is_said_and_never_zero() -> None:
    totals = RunTotals(by_status={"completed": 200}, unpriced=200)
    text = _text(_two_runs(totals=totals, latency=None, prompt=None, model=None, scores=()))
    row = text[text.index("unknown prompt") : text.index("triage@2")]
    for told in ("unknown model", "not reported", "unknown", "not scored"):
        assert told in row
    assert "$0" not in row


def test_unknown_cost_and_latency_of_a_comparison_are_said() -> None:
    text = _text(make_report(comparisons=[comparison(changes={"cost": None, "latency": None})]))
    assert "Cost per example\nunknown on at least one side" in text
    assert "Latency\nunknown on at least one side" in text


def test_a_warning_is_said_once_with_the_candidates_it_concerns() -> None:
    shared = {"code": "ceiling", "blocking": False, "text": "Both means are near the top."}
    own = {"code": "sparse", "blocking": False, "text": "The interval was widened."}
    text = _text(
        make_report(
            comparisons=[
                comparison(changes={"candidate_run": "second", "warnings": [shared, own]}),
                comparison(changes={"candidate_run": "third", "warnings": [shared]}),
            ]
        )
    )
    section = text[text.index("\nWarnings\n") : text.index("\nMethod\n")]
    assert section.count("Both means are near the top.") == 1
    assert "second: The interval was widened." in section


def test_warnings_that_block_a_gate_stand_first() -> None:
    mild = {"code": "ceiling", "blocking": False, "text": "Both means are near the top."}
    grave = {"code": "missing", "blocking": True, "text": "Too many cells have no score."}
    text = _text(make_report(comparisons=[comparison(changes={"warnings": [mild, grave]})]))
    section = text[text.index("\nWarnings\n") : text.index("\nMethod\n")]
    assert section.index("missing blocks a gate") < section.index("ceiling")


def test_the_method_is_told_with_its_reason_and_what_the_run_could_show() -> None:
    text = _text(make_report())
    for told in (
        "Difference\n+6.0 points (95 % CI +2.1 to +9.9)",
        "Changed\n14 better, 2 worse, of 200 examples scored on both sides",
        "Method\nEach example passed or failed. (tango)",
        "Test\nexact McNemar test, p = 0.0042",
        "Margin\n3 points, the loss declared acceptable before the run",
        "Could detect\nabout 5.6 points with 80 % power; about 690 examples would do for 3 points",
        "Cost per example\n$0.000100 → $0.000130, 1.30 \N{MULTIPLICATION SIGN} (95 % CI 1.21",
        "Latency p95\n1.9 s → 2.1 s, +200 ms (95 % CI \N{MINUS SIGN}50 ms to +450 ms)",
    ):
        assert told in text


def test_no_pair_at_all_is_a_page_too() -> None:
    nothing = {
        "difference": None,
        "method": None,
        "p_value": None,
        "p_method": None,
        "detectable_difference": None,
        "n_for_margin": None,
        "smallest_margin": None,
        "n_pairs": 0,
        "candidate_only": 0,
        "baseline_only": 0,
        "verdict": "insufficient_data",
    }
    text = _text(make_report(comparisons=[comparison(changes=nothing, examples=[])]))
    assert "no example scored on both sides" in text
    assert "No example changed its score." in text


def test_an_analysis_that_was_not_planned_or_is_out_of_date_says_so() -> None:
    text = _text(make_report(comparisons=[comparison(declared=False, stale=True)]))
    assert "This is not the analysis that was declared before the run." in text
    assert "Make it again with workbench compare baseline candidate" in text


def test_changed_examples_stand_side_by_side_with_both_scores_and_marked_words() -> None:
    page = experiment_page(make_report())
    assert '<div class="text" dir="auto">It is <mark>account</mark>.</div>' in page
    assert '<div class="text" dir="auto">It is <mark>billing</mark>.</div>' in page
    text = _text(make_report())
    for told in ("loss 1 → 0 example-1", "My invoice is wrong.", "contains v1 1 expected billing"):
        assert told in text


def test_it_is_said_how_many_changed_and_how_many_of_them_are_shown() -> None:
    some = comparison(examples=[example(change=-1), example(change=1), example(change=1)])
    assert (
        "16 examples changed: 2 worse, 14 better. Shown here: the worst 1 of the losses, then the "
        "best 2 of the gains." in _text(make_report(comparisons=[some]))
    )
    whole = comparison(examples=[example()] * 3, changes={"baseline_only": 3, "candidate_only": 0})
    assert "All are shown, the worst losses first." in _text(make_report(comparisons=[whole]))


@pytest.mark.parametrize(
    ("side", "told"),
    [
        (
            answer(
                "candidate", None, status="failed", error="timeout: no reply in 60 s", value=None
            ),
            "failed: timeout: no reply in 60 s",
        ),
        (answer("candidate", None), "the text was erased"),
        (answer("candidate", ""), "an empty answer"),
        (answer("candidate", "half an ans", status="incomplete"), "incomplete"),
        (None, "no outcome yet"),
    ],
)
def test_an_answer_without_its_text_says_why(side: Any, told: str) -> None:
    shown = example(answers=(answer("baseline", "billing"), side))
    assert told in _text(make_report(comparisons=[comparison(examples=[shown])]))


def test_what_was_cut_off_is_counted() -> None:
    shown = example(input=excerpt("x" * 7_000, 6_000), expected=None)
    text = _text(make_report(comparisons=[comparison(examples=[shown])]))
    assert (
        "1,000 more characters are on the record: workbench show baseline --key example-1" in text
    )
    assert "Expected\nnone" in text


def test_white_space_of_an_answer_is_kept() -> None:
    shown = example(answers=(answer("baseline", "\n  a\n\n\tb  "), answer("candidate", "c")))
    page = experiment_page(make_report(comparisons=[comparison(examples=[shown])]))
    texts = re.findall(r'<div class="text" dir="auto">(.*?)</div>', page, re.DOTALL)
    assert "\n  a\n\n\tb  " in [unescape(re.sub("</?mark>", "", text)) for text in texts]


def test_without_a_comparison_the_answers_of_all_runs_stand_side_by_side() -> None:
    runs = [run_report(scores=()), run_report(11, "candidate", scores=())]
    shown = [example(change=0.0, scores=None) for _ in range(50)]
    text = _text(make_report(runs=runs, comparisons=[], examples=shown))
    assert "No scorer was used, so there is no verdict" in text
    assert "workbench compare baseline candidate --scorer NAME" in text
    assert "The first 50 of 200 examples, in the dataset's order." in text
    assert text.count("It is account.") == 50
    assert "loss" not in text


def test_one_run_alone_has_its_page() -> None:
    run = run_report()
    shown = example(answers=(answer("baseline", "billing"),), scores=None, change=0.0)
    text = _text(make_report(runs=[run], comparisons=[], examples=[shown]))
    assert "There is one run, so nothing to compare it with." in text
    assert "70.0 %" in text


def test_candidates_with_different_baselines_share_one_chart_by_groups() -> None:
    text = _text(
        make_report(
            comparisons=[
                comparison(),
                comparison(changes={"baseline_run": "candidate", "candidate_run": "baseline"}),
            ]
        )
    )
    assert "against baseline" in text and "against candidate" in text
    assert text.count("Difference in contains v1") == 1


def test_provenance_names_all_that_went_in() -> None:
    report = make_report()
    text = _text(report)
    section = text[text.index("\nProvenance\n") :]
    for told in (
        "Dataset\ntickets@1: sha256:dataset",
        'contains v1 (text = "text"): sha256:scorer',
        "What the prompt changed: triage@1 to triage@2",
        "Hash\nsha256:prompt",
        "Calls\nsmall at endpoint small, a floating name: the model behind it may change",
        "Price\nunknown",
        'max_tokens\nwire "max_completion_tokens"',
        "Reported as\nsmall-2026 (no fingerprint) in 200 answers",
        "temperature = 0 (the experiment)",
        "top_p = 0.6 (the house default)",
        "Left out\ntop_p: shorter",
        "candidate with baseline: sha256:scores",
    ):
        assert told in section
    assert "\N{MINUS SIGN}Classify. Answer with one word." in section
    assert "+Name the queue." in section


def test_the_same_report_gives_the_same_bytes() -> None:
    assert experiment_page(make_report()) == experiment_page(make_report())


def test_texts_of_a_thousand_characters_without_a_space_are_allowed_to_break() -> None:
    page = experiment_page(make_report())
    assert "overflow-wrap: anywhere" in page


def test_an_excerpt_counts_what_it_leaves_out() -> None:
    assert excerpt("abcdef", 4) == Excerpt("abcd", 2)
    assert excerpt("abc", 4) == Excerpt("abc", 0)


def test_a_comparison_counts_all_that_changed() -> None:
    assert replace(comparison(), result=result(candidate_only=3, baseline_only=4)).changed == 7
