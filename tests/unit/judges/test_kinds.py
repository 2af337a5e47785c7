"""Judges as people name them, and what their prompts are filled with."""

from __future__ import annotations

from uuid import RFC_4122

import pytest

from app.core.hashing import JSON
from app.core.ids import derived_id
from app.core.model_families import family_name
from app.prompts import BUILTIN_PROMPTS
from app.schemas.prompts import PromptContent
from workbench.scorers import (
    ReasonCode,
    ScorerConfigError,
    ScoringInput,
    describe_judges,
    parse_rule,
    parse_scorer,
)
from workbench.scorers.judges import (
    JUDGES,
    Judge,
    JudgeFaithfulness,
    JudgePreference,
    JudgeRubric,
    NotJudgeable,
    OutputJudge,
)

MODEL = "openai/gpt-4.1-mini"
ALL = frozenset({"input", "output", "expected", "context"})
GIVEN = ScoringInput(
    output="18",
    expected={"total": 18},
    variables={"question": "6 x 3?"},
    metadata={"source": "a book", "page": 7},
)


def judge(spec: str) -> Judge:  # type: ignore[type-arg] # any of them
    scorer = parse_scorer(spec)
    assert isinstance(scorer, Judge)
    return scorer


def test_the_text_form_and_the_mapping_give_the_same_judge() -> None:
    text = f"judge_rubric:model={MODEL},rubric=Polite, short,scale=0-1,samples=3,temperature=0.7"
    mapping: dict[str, JSON] = {
        "name": "judge_rubric",
        "model": MODEL,
        "rubric": "Polite, short",
        "scale": "0-1",
        "samples": 3,
        "temperature": 0.7,
    }
    assert parse_scorer(text).identity() == parse_scorer(mapping).identity()


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("judge_correctness", "give one of model and models"),
        (f"judge_correctness:model={MODEL},models={MODEL}", "give one of model and models"),
        (f"judge_rubric:model={MODEL}", "give a rubric"),
        (f"judge_rubric:model={MODEL},rubric=r,scale=1-7", "scale"),
        (f"judge_correctness:model={MODEL},samples=0", "from 1 to 100"),
        (f"judge_correctness:model={MODEL},samples=many", "samples"),
        (f"judge_faithfulness:model={MODEL}", "which columns are the context"),
        (f'judge_correctness:model={MODEL},parameters={{"temperature": 1}}', "option of its own"),
        (f'judge_correctness:model={MODEL},pinned={{"variants": []}}', "leave it out"),
    ],
)
def test_options_that_cannot_work_are_refused_in_a_sentence(spec: str, told: str) -> None:
    with pytest.raises(ScorerConfigError, match=told):
        parse_scorer(spec)


def test_a_judge_is_no_rule() -> None:
    with pytest.raises(ScorerConfigError, match="asks a model"):
        parse_rule(f"judge_correctness:model={MODEL}")


@pytest.mark.parametrize(
    ("scale", "bounds", "binary"),
    [("1-5", (1.0, 5.0), False), ("0-1", (0.0, 1.0), False), ("pass_fail", (0.0, 1.0), True)],
)
def test_the_scale_of_a_rubric_decides_range_and_prompt(
    scale: str, bounds: tuple[float, float], binary: bool
) -> None:
    found = judge(f"judge_rubric:model={MODEL},rubric=r,scale={scale}")
    assert (found.range, found.binary) == (bounds, binary)


@pytest.mark.parametrize("kind", JUDGES, ids=lambda kind: kind.name)
def test_every_built_in_prompt_is_one_that_its_judge_can_fill(kind: type[Judge]) -> None:  # type: ignore[type-arg] # any of them
    contents = {f"{p.name}@{p.version}": p.content for p in BUILTIN_PROMPTS}
    for reference in kind.built_in.values():
        variables = set(PromptContent.model_validate(contents[reference]).variables)
        assert kind.required_variables <= variables <= kind.variables


def test_a_prompt_is_filled_with_what_it_names() -> None:
    found = judge(f"judge_rubric:model={MODEL},rubric=r,context=question,metadata.source")
    assert isinstance(found, OutputJudge)
    assert found.texts(GIVEN, ALL) == {
        "input": "6 x 3?",
        "output": "18",
        "expected": '{"total":18}',
        "context": '{"question":"6 x 3?","metadata.source":"a book"}',
    }
    assert found.texts(GIVEN, frozenset({"code", "output"})) == {"output": "18"}


@pytest.mark.parametrize(
    ("given", "spec", "reason"),
    [
        (ScoringInput(output="18"), f"judge_correctness:model={MODEL}", ReasonCode.NO_EXPECTED),
        (GIVEN, f"judge_faithfulness:model={MODEL},context=document", ReasonCode.MISSING_FACT),
    ],
)
def test_an_example_that_lacks_what_the_prompt_needs_is_not_judged(
    given: ScoringInput, spec: str, reason: ReasonCode
) -> None:
    found = judge(spec)
    assert isinstance(found, OutputJudge)
    with pytest.raises(NotJudgeable) as caught:
        found.texts(given, ALL if found.context else ALL - {"context"})
    assert caught.value.reason is reason


def test_an_answer_without_text_is_shown_as_what_it_is() -> None:
    found = judge(f"judge_rubric:model={MODEL},rubric=r")
    assert isinstance(found, JudgeRubric)
    call = [{"id": "1", "type": "function", "function": {"name": "search", "arguments": "{}"}}]
    given = ScoringInput(output="", message={"role": "assistant", "tool_calls": call})
    assert '"search"' in found.texts(given, ALL - {"expected", "context"})["output"]


def test_only_the_rubric_stands_outside_of_the_fences() -> None:
    pinned = {"prompt_hash": "sha256:0", "variants": ["sha256:1"]}
    found = parse_scorer(
        {"name": "judge_rubric", "models": [MODEL], "rubric": "<<<r>>>", "pinned": pinned}
    )
    assert isinstance(found, JudgeRubric)
    values = found.fenced_values({"output": "18", "input": "6 x 3?"}, bytes(32), 0)
    assert set(values) == {"rubric", "code", "output", "input"}
    assert values["rubric"] == "<<<r>>>"
    for name in ("output", "input"):
        assert str(values[name]).startswith(f"<<<DATA {name} {values['code']}>>>\n")


def test_a_pair_is_shown_in_the_order_given() -> None:
    found = judge(f"judge_preference:model={MODEL}")
    assert isinstance(found, JudgePreference)
    first, second = ScoringInput(output="a"), ScoringInput(output="b")
    texts = found.texts(first, second, frozenset({"first", "second"}))
    assert texts == {"first": "a", "second": "b"}


def test_judges_are_described_like_every_scorer() -> None:
    described = {judge.name: judge for judge in describe_judges()}
    assert JudgeFaithfulness.name in described
    assert all(d.summary and all(o.description for o in d.options) for d in described.values())


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4.1-mini-2025-04-14", "gpt"),
        ("o3", "gpt"),
        ("ft:gpt-4o-mini:acme::abc", "gpt"),
        ("llama3.1:8b", "llama"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama"),
        ("Meta-Llama-3.1-8B", "llama"),
        ("qwen2.5:7b", "qwen"),
        ("7b", "7b"),
    ],
)
def test_models_of_one_family_are_known_by_their_names(model: str, family: str) -> None:
    assert family_name("ollama", model) == family


def test_the_id_of_a_question_follows_from_all_of_its_parts() -> None:
    asked = derived_id("scorer", "answer", "0", "1")
    assert asked == derived_id("scorer", "answer", "0", "1")
    assert (asked.version, asked.variant) == (8, RFC_4122)
    others = {derived_id("scorer", "answer", "01"), derived_id("scorer", "answer", "01", "")}
    assert len({asked, *others}) == 3
