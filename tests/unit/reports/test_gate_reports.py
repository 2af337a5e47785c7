"""Gate decisions as text, Markdown and JUnit: what they say, and that any text stays text."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from app.schemas.gates import DecisionWord, GateDecisionView
from workbench.reports.gate_markdown import gate_markdown
from workbench.reports.gate_text import gate_text
from workbench.reports.junit import junit_xml

ID = UUID(int=1)
DEFAULT = frozenset({"worse", "incomparable", "infrastructure"})


def check(kind: str, decision: str = "passed", **changes: str) -> dict[str, str]:
    return {
        "kind": kind,
        "name": "exact_match",
        "decision": decision,
        "asked": "a loss below 3 points",
        "found": "−9.0 points",
        "sentence": "exact_match: Worse by 9 points.",
        **changes,
    }


def decision(
    word: DecisionWord = "worse",
    *checks: dict[str, str],
    candidate: str = "1/ask@2+openai/x",
    **evidence: Any,
) -> GateDecisionView:
    found = checks or (check("primary", word), check("guard", name="cost"))
    return GateDecisionView(
        id=ID,
        experiment_id=ID,
        baseline_run_id=ID,
        candidate_run_id=ID,
        plan={},
        decision=word,
        exit_code=10,
        binding=False,
        evidence={
            "experiment": 1,
            "dataset": {"reference": "sums@1"},
            "baseline": {"name": "1/ask@1+openai/x"},
            "candidate": {"name": candidate},
            "checks": list(found),
            "reasons": [c["sentence"] for c in found if c["decision"] != "passed"],
            "exceptions": [
                {"name": "floating", "allowed": False, "text": "No snapshot."},
                {"name": "draft", "allowed": True, "text": "A draft."},
            ],
            "notes": [{"code": "stale_baseline", "blocking": False, "text": "It is old."}],
            **evidence,
        },
        evidence_hash="sha256:" + "ab" * 32,
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        created_by="local:ada",
    )


def printed(view: GateDecisionView) -> str:
    console = Console(file=io.StringIO(), width=300)
    console.print(gate_text(view))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_says_the_decision_the_reasons_and_the_standing() -> None:
    told = printed(decision())
    assert "Gate: WORSE, something worse than was agreed to is shown. Advisory (floating)." in told
    assert "- exact_match: Worse by 9 points." in told
    assert "allowed: A draft." in told
    assert "stale_baseline: It is old." in told
    assert "Evidence abababababab, exit code 10." in told


def test_a_binding_decision_lists_the_exceptions_it_was_allowed() -> None:
    allowed = [{"name": "floating", "allowed": True, "text": "No snapshot."}]
    assert "Binding, by exception (floating)." in printed(decision(exceptions=allowed))
    assert "Binding." in printed(decision(exceptions=[]))


def test_markdown_has_a_table_of_the_checks_and_says_how_to_look_again() -> None:
    told = gate_markdown([decision()])
    assert told.startswith("### ❌ Gate worse: ")
    assert "| ❌ primary exact\\_match | **worse** | a loss below 3 points | −9.0 points |" in told
    assert "`workbench gate --show abababababab`" in told


def test_several_candidates_are_summed_up_first() -> None:
    told = gate_markdown([decision(), decision("passed", check("primary"))])
    assert told.startswith("## Experiment 1: 2 candidates")
    assert told.count("\n### ") == 2


def test_markdown_lets_no_text_become_markup() -> None:
    hostile = "<img src=x> | @everyone `x` [a](http://b) ![c](d)\n# head"
    told = gate_markdown([decision(candidate=hostile)])
    assert "<img" not in told
    assert "@everyone" not in told
    assert "\n# head" not in told
    assert "[a](" not in told
    assert "http://" not in told


def test_junit_has_a_suite_for_a_candidate_and_a_case_for_a_check() -> None:
    root = ElementTree.fromstring(
        junit_xml([decision(), decision("passed", check("size"))], DEFAULT)
    )
    assert [suite.get("name") for suite in root] == ["1/ask@2+openai/x"] * 2
    assert (root.get("tests"), root.get("failures")) == ("3", "1")
    failed = root.findall(".//failure")
    assert [f.get("message") for f in failed] == ["exact_match: Worse by 9 points."]


def test_junit_agrees_with_the_exit_code() -> None:
    checks = (check("primary", "not_proven"), check("run", "infrastructure"))
    root = ElementTree.fromstring(junit_xml([decision("infrastructure", *checks)], DEFAULT))
    assert [len(root.findall(f".//{tag}")) for tag in ("failure", "error", "skipped")] == [0, 1, 1]
    strict = junit_xml([decision("infrastructure", *checks)], DEFAULT | {"not_proven"})
    root = ElementTree.fromstring(strict)
    assert [len(root.findall(f".//{tag}")) for tag in ("failure", "error", "skipped")] == [1, 1, 0]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_junit_is_well_formed_for_any_text(text: str) -> None:
    view = decision(
        "worse", check("primary", "worse", sentence=text, found=text, name=text), candidate=text
    )
    root = ElementTree.fromstring(junit_xml([view], DEFAULT))
    message = root.findall(".//failure")[0].get("message") or ""
    assert len(root.findall(".//testcase")) == 1
    kept = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", text)
    assert message == kept


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_markdown_keeps_one_row_a_check_for_any_text(text: str) -> None:
    view = decision("worse", check("primary", "worse", found=text, name="x"))
    rows = [line for line in gate_markdown([view]).split("\n") if line.startswith("| ❌")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 5
