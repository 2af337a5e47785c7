"""Evaluators of GitHub Models as scorers."""

from __future__ import annotations

import json

import pytest

from app.core.hashing import JSON
from workbench.interchange.github_models import read_github_models
from workbench.interchange.prompts import Imported
from workbench.scorers import ScoringInput, parse_rule, run_scorer


def read(evaluator: JSON) -> Imported:
    text = json.dumps(
        {"messages": [{"role": "user", "content": "{{q}}"}], "evaluators": [evaluator]}
    )
    return read_github_models(text, source="x.prompt.yml", file_stem="x")


@pytest.mark.parametrize(
    ("output", "passed"), [("a (b", True), ("a (b ", False), ("A (b", False), ("", False)]
)
def test_equals_compares_with_a_text_to_the_letter(output: str, passed: bool) -> None:
    (prompt,) = read({"name": "same", "string": {"equals": "a (b"}}).prompts

    (scorer,) = prompt.scorers
    assert run_scorer(parse_rule(scorer), ScoringInput(output=output)).passed is passed


@pytest.mark.parametrize("length", [999, 10_000])
def test_equals_takes_texts_that_are_too_long_for_a_pattern(length: int) -> None:
    (prompt,) = read({"name": "same", "string": {"equals": "." * length}}).prompts

    assert [parse_rule(scorer).name for scorer in prompt.scorers] == ["exact_match"]


def test_an_evaluator_of_which_no_scorer_can_be_built_is_named() -> None:
    imported = read({"name": "same", "string": {"equals": "x" * 10_001}})

    assert not imported.prompts[0].scorers
    assert [loss.path for loss in imported.report] == ["evaluators[0]"]
