"""Samples of OpenAI Evals: what each class asks, and what is named."""

from __future__ import annotations

import json

import pytest

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.datasets import ExampleInput
from workbench.interchange.evaluations import ForeignFile, ImportedEvaluation
from workbench.interchange.losses import Loss
from workbench.interchange.openai_evals import CLASSES, read_openai_evals
from workbench.scorers import ScoringInput, parse_rule, run_scorer

SYSTEM: JSON = {"role": "system", "content": "Answer in one word."}
USER: JSON = {"role": "user", "content": "Capital of Peru?"}
REGISTRY = """\
capitals:
  id: capitals.dev.v0
  description: Capitals of countries
  metrics: [accuracy]
capitals.dev.v0:
  class: evals.elsuite.basic.includes:Includes
  args: {samples_jsonl: capitals/samples.jsonl, ignore_case: true}
other.dev.v0:
  class: evals.elsuite.basic.match:Match
  args: {samples_jsonl: other/samples.jsonl}
"""


def sample(ideal: JSON, turns: JSON = None, **more: JSON) -> str:
    return json.dumps({"input": turns or [SYSTEM, USER], "ideal": ideal, **more})


def read(*samples: str, eval_class: str = "Match") -> ImportedEvaluation:
    file = ForeignFile("samples.jsonl", "\n".join(samples))
    return read_openai_evals(file, eval_class=eval_class)


def losses(found: ImportedEvaluation) -> dict[str, Loss]:
    return {loss.path: loss for _, report in found.reports for loss in report}


def verdict(found: ImportedEvaluation, output: str) -> bool | None:
    (scorer,) = found.scorers
    expected = found.examples[0].get("expected_output")
    rule = parse_rule(dict(scorer) if not isinstance(scorer, str) else scorer)
    return run_scorer(rule, ScoringInput(output=output, expected=expected)).passed


@pytest.mark.parametrize(
    ("eval_class", "ideal", "output", "passed"),
    [
        ("Match", "Lima", "Lima.", True),
        ("Match", ["Lima", "Cusco"], "Cusco", True),
        ("Match", "Lima", " Lima", False),
        ("Match", "Lima", "lima", False),
        ("Includes", "Lima", "It is Lima.", True),
        ("Includes", ["[1]"], "see [1] there", True),
        ("Includes", "[1]", "see 1 there", False),
        ("Includes", "Lima", "It is LIMA.", False),
        ("FuzzyMatch", "Lima", "it is LIMA", True),
        ("JsonMatch", '{"a": [1, 2]}', '{ "a": [1.0, 2] }', True),
        ("JsonMatch", ['{"a": 1}', "[1]"], "[1]", True),
        ("JsonMatch", '["a"]', '"a"', False),
        ("JsonMatch", '{"a": 1}', '{"a": 1, "b": 2}', False),
        ("JsonValidator", None, "[1, 2]", True),
        ("JsonValidator", None, "```json\n[1]\n```", False),
    ],
)
def test_each_class_judges_as_there(
    eval_class: str, ideal: JSON, output: str, passed: bool
) -> None:
    assert verdict(read(sample(ideal), eval_class=eval_class), output) is passed


def test_the_turns_before_the_question_are_the_conversation() -> None:
    found = read(sample("Lima", metadata={"area": "south"}))
    (row,) = found.examples

    assert row["input"] == {"message": "Capital of Peru?"}
    assert row["messages"] == [SYSTEM]
    assert row["metadata"] == {"area": "south"}
    assert (found.registered, found.parameters) == (["passthrough@1"], {"temperature": 0})
    ExampleInput.model_validate(row)
    assert not losses(found)


@pytest.mark.parametrize(
    ("turns", "place"),
    [
        ("Capital of Peru?", "line 1.input"),
        ([USER, SYSTEM], "line 1.input"),
        ([{**SYSTEM, "name": "example_user"}, USER], "line 1.input[0].name"),  # type: ignore[dict-item]  # an object
        ([{"role": "tool", "content": "x"}, USER], "line 1.input[0]"),
    ],
)
def test_turns_that_a_model_would_get_otherwise_change_the_meaning(turns: JSON, place: str) -> None:
    assert losses(read(sample("Lima", turns)))[place].changes_meaning


def test_fields_that_nobody_knows_are_named() -> None:
    named = losses(read(sample("Lima", zz=1), sample("Lima", [{**USER, "zz": 2}])))  # type: ignore[dict-item]  # an object

    assert set(named) == {"line 1.zz", "line 2.input[0].zz"}


def test_a_registry_says_how_its_samples_are_judged() -> None:
    found = read_openai_evals(
        ForeignFile("capitals.yaml", REGISTRY.replace("other/samples", "other/others")),
        samples=[ForeignFile("here/samples.jsonl", sample("lima"))],
    )

    assert (found.name, found.description) == ("capitals", "Capitals of countries")
    assert found.scorers == [{"name": "contains_any", "ignore_case": True}]
    assert set(losses(found)) == {"capitals.metrics", "other.dev.v0"}


@pytest.mark.parametrize(
    ("text", "samples", "told"),
    [
        (REGISTRY, [], "does not hold them"),
        (REGISTRY, ["samples.jsonl"], "is not certain"),
        ("a: {b: 1}", ["samples.jsonl"], "no entry with a class"),
        (
            "a: {class: evals.elsuite.modelgraded.classify:ModelBasedClassify}",
            ["s.jsonl"],
            "There is no scorer here",
        ),
        (
            "a: {class: m:ModelBasedClassify, args: {modelgraded_spec: fact}}",
            ["s.jsonl"],
            "not known which",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused_with_a_sentence(
    text: str, samples: list[str], told: str
) -> None:
    files = [ForeignFile(name, sample("Lima")) for name in samples]
    with pytest.raises(Invalid) as caught:
        read_openai_evals(ForeignFile("evals.yaml", text), samples=files)
    assert told in caught.value.message


def test_samples_alone_need_a_class() -> None:
    with pytest.raises(Invalid, match="do not say how"):
        read_openai_evals(ForeignFile("samples.jsonl", sample("Lima")))
    assert set(CLASSES) == {"Match", "Includes", "FuzzyMatch", "JsonMatch", "JsonValidator"}


def test_a_line_that_is_no_json_is_named() -> None:
    with pytest.raises(Invalid, match=r"samples.jsonl \(2\)"):
        read(sample("Lima"), "{no json")


def test_samples_with_a_second_file_of_samples_are_refused() -> None:
    file = ForeignFile("samples.jsonl", sample("Lima"))
    with pytest.raises(Invalid, match="--tests names others"):
        read_openai_evals(file, eval_class="Match", samples=[file])
