"""The simulated model as a judge: good enough to try judging out, and never an unfenced reader."""

from __future__ import annotations

import pytest

from app.llm.simulated import answer
from app.prompts import BUILTIN_PROMPTS
from app.schemas.prompts import PromptContent
from app.services.rendering import PromptRenderer
from workbench.scorers.judges import Reply, ReplyError, Scale, read_reply, response_format
from workbench.scorers.judges.fence import fenced

CODE = "0" * 32
PROMPTS = {prompt.name: prompt for prompt in BUILTIN_PROMPTS}


def ask(prompt: str, scale: Scale, *, schema: bool = True, **texts: str) -> Reply:
    content = PromptContent.model_validate(PROMPTS[prompt].content)
    values = {label: fenced(label, text, CODE) for label, text in texts.items()}
    values |= {"code": CODE, "rubric": "The answer is about the weather."}
    messages = [message.to_json() for message in PromptRenderer(content).render(values)]
    form = response_format(scale) if schema else None
    told = answer(messages, model="large", temperature=0, response_format=form)
    return read_reply(told.text, scale)


@pytest.mark.parametrize(
    ("output", "verdict"),
    [("The result is 18.", "pass"), ("The result is 19.", "fail"), (":", "fail")],
)
def test_it_holds_an_answer_against_the_expected_one(output: str, verdict: str) -> None:
    reply = ask("judge_correctness", Scale.BINARY, input="6 x 3?", expected="18", output=output)
    assert reply.label == verdict


def test_it_looks_for_the_words_of_an_answer_in_the_context() -> None:
    context = "The kettle boils in four minutes and costs thirty dollars."
    told = {"input": "How fast?", "context": context}
    scale = Scale.BINARY
    assert ask("judge_faithfulness", scale, output="It boils in four minutes.", **told).value == 1
    invented = "Engineers praise magnificent titanium handles."
    assert ask("judge_faithfulness", scale, output=invented, **told).value == 0


@pytest.mark.parametrize(
    ("prompt", "scale"),
    [
        ("judge_rubric", Scale.FIVE),
        ("judge_rubric_share", Scale.SHARE),
        ("judge_rubric_pass_fail", Scale.BINARY),
    ],
)
@pytest.mark.parametrize("schema", [True, False])
def test_it_answers_on_every_scale(prompt: str, scale: Scale, schema: bool) -> None:
    told = {"input": "What is the weather like today?", "output": "The weather today is fine."}
    good = ask(prompt, scale, schema=schema, **told)
    empty = ask(prompt, scale, schema=schema, **{**told, "output": ""})
    assert good.value > empty.value


def test_it_prefers_an_answer_to_none_in_both_orders() -> None:
    told = {"input": "What is the weather like?", "first": "The weather is fine.", "second": ""}
    assert ask("judge_preference", Scale.PREFERENCE, **told).label == "first"
    swapped = {**told, "first": told["second"], "second": told["first"]}
    assert ask("judge_preference", Scale.PREFERENCE, **swapped).label == "second"


def test_without_a_schema_it_does_not_always_obey() -> None:
    def is_read(number: int) -> bool:
        try:
            ask("judge_rubric", Scale.FIVE, schema=False, input=str(number), output="Fine.")
        except ReplyError:
            return False
        return True

    assert {is_read(number) for number in range(200)} == {True, False}
