"""What the fake model says is a function of the request and the seed."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_provider import Arithmetic, request_identity
from tests.fake_provider.answers import (
    BadRequest,
    Echo,
    Fixed,
    answer_chat,
    answer_rule,
    read_chat,
    token_count,
    tokens,
)


def body(**fields: object) -> bytes:
    request: dict[str, object] = {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
    }
    return orjson.dumps(request | fields)


@given(st.text())
def test_tokens_of_a_text_are_as_many_as_counted_and_join_to_it(text: str) -> None:
    assert "".join(tokens(text)) == text
    assert len(tokens(text)) == token_count(text)


@given(st.text(), st.integers(), st.floats(0, 1))
def test_arithmetic_answers_equal_questions_alike(text: str, seed: int, share: float) -> None:
    assert Arithmetic(seed, share)(text) == Arithmetic(seed, share)(text)


@given(st.integers(-999, 999), st.integers(-999, 999), st.integers(0, 100))
def test_arithmetic_is_right_exactly_where_it_says_so(left: int, right: int, seed: int) -> None:
    rule = Arithmetic(seed)
    question = f"What is {left} + {right}?"
    assert (rule(question) == str(left + right)) == rule.is_right(question)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is 12 + 30?", "42"),
        ("12-30", "-18"),
        ("Say 1 + 1, then 6 * 7", "42"),  # the last one counts
        ("6 \u00d7 7", "42"),
        ("no numbers here", "no numbers here"),
    ],
)
def test_arithmetic_reads_the_last_expression(question: str, answer: str) -> None:
    assert Arithmetic(right_share=1.0)(question) == answer


def test_share_of_right_answers_is_the_one_asked_for() -> None:
    rule = Arithmetic(seed=3, right_share=0.808)
    right = sum(rule.is_right(f"What is {n} + 1?") for n in range(5000))
    # 4040 are expected; six standard deviations are 167.
    assert 3873 < right < 4207


def test_rules_are_chosen_by_name() -> None:
    chosen = [answer_rule(spec, seed=1, right_share=0.5) for spec in ("arithmetic", "fixed:a:b")]
    assert chosen == [Arithmetic(1, 0.5), Fixed("a:b")]
    assert isinstance(answer_rule("echo", seed=0, right_share=1), Echo)


@pytest.mark.parametrize(("spec", "share"), [("parrot", 0.5), ("arithmetic", 1.5)])
def test_rule_that_does_not_exist_is_refused(spec: str, share: float) -> None:
    with pytest.raises(ValueError, match=r"use echo|between 0 and 1"):
        answer_rule(spec, seed=0, right_share=share)


def test_text_of_the_last_user_message_is_read_from_either_form_of_content() -> None:
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "no"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "la"}, {"type": "text", "text": "st"}],
        },
        {"role": "assistant", "content": None},
    ]
    assert read_chat(body(messages=messages)).text == "last"


def test_identity_depends_on_model_and_messages_only() -> None:
    plain = read_chat(body())
    assert plain.identity == read_chat(body(temperature=1, stream=True, user="u")).identity
    assert plain.identity == request_identity("m", [{"content": "hello", "role": "user"}])
    assert plain.identity != read_chat(body(model="n")).identity
    other = [{"role": "user", "content": "hello!"}]
    assert plain.identity != read_chat(body(messages=other)).identity


def test_usage_counts_all_messages_and_the_answer() -> None:
    messages = [{"role": "system", "content": "12345"}, {"role": "user", "content": "1234"}]
    answer = answer_chat(read_chat(body(messages=messages)), Fixed("123456789"))
    assert answer.usage == (3, 3, 6)


@pytest.mark.parametrize(
    "limit", [{"max_tokens": 2}, {"max_completion_tokens": 2}, {"options": {"num_predict": 2}}]
)
def test_answer_beyond_the_token_limit_is_cut(limit: dict[str, object]) -> None:
    answer = answer_chat(read_chat(body(**limit)), Fixed("123456789"))
    assert (answer.content, answer.finish_reason) == ("12345678", "length")
    assert answer.usage is not None
    assert answer.usage.completion == 2


def test_demanded_tool_is_called_with_the_question() -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
    for choice in ("required", {"type": "function", "function": {"name": "look_up"}}):
        answer = answer_chat(read_chat(body(tools=[tool], tool_choice=choice)), Echo())
        assert answer.tool_call == ("look_up", '{"text":"hello"}')
        assert (answer.content, answer.finish_reason) == (None, "tool_calls")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"[]",
        body(model=None),
        body(model=""),
        body(messages=[]),
        body(messages="hello"),
        body(messages=[{"content": "no role"}]),
        b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
    ],
)
def test_body_that_is_no_chat_request_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest):
        read_chat(data)


@given(st.binary())
def test_no_bytes_do_worse_than_a_refusal(data: bytes) -> None:
    with pytest.raises(BadRequest):
        read_chat(data)
