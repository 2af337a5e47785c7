"""Stored gate decisions as JUnit XML, which every CI system shows as tests.

One suite for each candidate, one test case for each check. A check that does not pass is a
failure if its decision fails the job, an error if the runs are not whole, else skipped with its
sentence, so that what CI shows agrees with the exit code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from app.schemas.gates import GateDecisionView
from workbench.gate_words import check_label, decision_word, standing_text
from workbench.xml_text import xml_text

__all__ = ["junit_xml"]

_NAME = "workbench gate"


def junit_xml(decisions: Sequence[GateDecisionView], fail_on: Collection[str]) -> str:
    """Return the document for all candidates of an experiment.

    `fail_on` holds the decisions that fail the job. Any text gives well-formed XML: characters
    that XML cannot hold are replaced.
    """
    root = ElementTree.Element("testsuites", {"name": _NAME})
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for decision in decisions:
        suite, counts = _suite(decision, fail_on)
        root.append(suite)
        for name, count in counts.items():
            totals[name] += count
    _set_counts(root, totals)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(
    decision: GateDecisionView, fail_on: Collection[str]
) -> tuple[ElementTree.Element, dict[str, int]]:
    evidence = decision.evidence
    name = xml_text(evidence["candidate"]["name"])
    suite = ElementTree.Element(
        "testsuite", {"name": name, "timestamp": decision.created_at.isoformat()}
    )
    cases = [_case(name, check, fail_on) for check in evidence["checks"]]
    counts = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    _set_counts(suite, counts)
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (
        ("decision", decision.decision),
        ("standing", standing_text(decision.evidence)),
        ("baseline", evidence["baseline"]["name"]),
        ("dataset", evidence["dataset"]["reference"]),
        ("evidence", decision.evidence_hash),
    ):
        ElementTree.SubElement(properties, "property", {"name": key, "value": xml_text(value)})
    suite.extend(cases)
    return suite, counts


def _case(
    candidate: str, check: Mapping[str, Any], fail_on: Collection[str]
) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        {"classname": candidate, "name": xml_text(check_label(check)), "time": "0"},
    )
    word = check["decision"]
    if word != "passed":
        fails = "error" if word == "infrastructure" else "failure"
        told = ElementTree.SubElement(
            case,
            fails if word in fail_on else "skipped",
            {"message": xml_text(check["sentence"])},
        )
        if word in fail_on:
            told.set("type", word)
        told.text = xml_text(
            f"{decision_word(word)}\nasked: {check['asked']}\nfound: {check['found']}"
        )
    return case


def _set_counts(element: ElementTree.Element, counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        element.set(name, str(count))
