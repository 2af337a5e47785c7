"""The simulated model: answers requests without any model behind it.

It is no language model. It is a few hundred rules that honestly try four kinds of task from the
text of the request alone (name a class, fill fields, solve a word problem, judge an answer) and
repeat a sentence of everything else. It has never seen a dataset or an expected answer that stands
outside of a request. What makes it useful for trying the workbench out is that it depends on the
prompt as models do: it does not know labels, keys or forms that the prompt does not mention,
follows instructions only mostly, and takes better care where the prompt asks for it. Its scores
say nothing about any real model.

The engine is a pure function: equal requests get equal answers, on every machine. At temperature 0
seed and repetition change nothing but the latency, which is drawn and not measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.core.hashing import JSON
from app.llm.simulated.ability import Ability, ability_of
from app.llm.simulated.classify import classification
from app.llm.simulated.dice import Dice, key_of
from app.llm.simulated.extract import extraction, is_extraction
from app.llm.simulated.judge import fenced_texts, judgement
from app.llm.simulated.labels import is_classification
from app.llm.simulated.prose import echo
from app.llm.simulated.reading import Reading, read, text_of
from app.llm.simulated.word_problem import is_word_problem, word_problem

__all__ = ["SimulatedAnswer", "answer"]

DEFAULT_TEMPERATURE = 1.0
"""Used when the request names none, as at most providers."""

_CHARACTERS_PER_TOKEN = 4
"""A token is four characters, about the average of English text."""

_TOKENS_PER_MESSAGE = 4
_LATENCY_SPREAD = 0.35
"""Standard deviation of the logarithm of the latency."""


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """One answer; times are in milliseconds and invented."""

    text: str
    finish_reason: Literal["stop", "length"]
    input_tokens: int
    output_tokens: int
    latency_ms: float
    first_token_ms: float


def answer(
    messages: Sequence[Mapping[str, JSON]],
    *,
    model: str,
    temperature: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
    repetition_nonce: str | None = None,
    response_format: Mapping[str, JSON] | None = None,
) -> SimulatedAnswer:
    """Answer a chat request.

    `messages` are in the chat-completions form; images and tool calls are not read. `model` is
    any name: one with the word `small` or `large` in it gets that ability, others one in between.
    `temperature` decides how much of the answer `seed` and `repetition_nonce` may change: nothing
    at 0. `max_tokens` cuts the answer, which then ends for `length`. `response_format` is read for
    `json_object` and `json_schema`.
    """
    heat = DEFAULT_TEMPERATURE if temperature is None else temperature
    belief = key_of(model, list(messages), response_format)
    sample = key_of(belief.hex(), heat, seed, repetition_nonce)
    ability = ability_of(model)
    dice = Dice(belief, sample, heat)
    if judged := fenced_texts(messages):
        whole = judgement(judged, messages, response_format, ability, dice)
    else:
        whole = _write(read(messages), response_format, ability, dice)
    text = whole if max_tokens is None else whole[: max(0, max_tokens) * _CHARACTERS_PER_TOKEN]
    output_tokens = _tokens(text)
    first_token_ms, latency_ms = _times(ability, output_tokens, Dice(sample, sample, 0.0))
    return SimulatedAnswer(
        text=text,
        finish_reason="stop" if text == whole else "length",
        input_tokens=_input_tokens(messages),
        output_tokens=output_tokens,
        latency_ms=latency_ms,
        first_token_ms=first_token_ms,
    )


def _write(
    reading: Reading,
    response_format: Mapping[str, JSON] | None,
    ability: Ability,
    dice: Dice,
) -> str:
    """Return the whole answer to the task that the request seems to set."""
    if is_extraction(reading, response_format):
        return extraction(reading, response_format, ability, dice)
    if is_classification(reading):
        return classification(reading, ability, dice)
    if is_word_problem(reading):
        return word_problem(reading, ability, dice)
    return echo(reading, ability, dice)


def _times(ability: Ability, output_tokens: int, dice: Dice) -> tuple[float, float]:
    """Return (time to the first token, whole latency) in milliseconds, log-normal in total."""
    factor = math.exp(_LATENCY_SPREAD * dice.normal("latency"))
    first = ability.latency_ms * factor
    return round(first, 3), round(first + ability.token_ms * factor * output_tokens, 3)


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def _input_tokens(messages: Sequence[Mapping[str, JSON]]) -> int:
    """Return the tokens of all texts, with a few for each message's role and borders."""
    return sum(_tokens(text_of(message)) + _TOKENS_PER_MESSAGE for message in messages)
