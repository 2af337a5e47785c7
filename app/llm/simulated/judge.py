"""Judging: a reply to the question of a judge, by comparing words.

What is to be judged stands in fences, as our judges' prompts put it there. The model holds the
answer against whatever else is there: the expected answer, the context, or at least the task. It
knows no rubric and notices no contradiction; it is a judge to try judging out with, and a bad one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from app.core.hashing import JSON
from app.llm.simulated.ability import Ability
from app.llm.simulated.dice import Dice
from app.llm.simulated.reading import stems, text_of

__all__ = ["fenced_texts", "judgement"]

_FENCE = re.compile(r"<<<DATA (\w+) ([0-9a-f]+)>>>\n(.*?)\n?<<<END \1 \2>>>", re.DOTALL)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_NOISE = 0.35
_FIRST_ADVANTAGE = 0.05
"""How much better the first of two answers looks: models have such a bias, and so has this one."""

_ENOUGH = 0.5
_CLEARLY = 0.1
_UNRELATED = 0.3


def fenced_texts(messages: Sequence[Mapping[str, JSON]]) -> dict[str, str]:
    """Return the texts that a judge's question holds in fences, by label; empty for no judge."""
    asked = [text_of(message) for message in messages if message.get("role") == "user"]
    texts = {label: text for label, _, text in _FENCE.findall(asked[-1])} if asked else {}
    return texts if "output" in texts or {"first", "second"} <= texts.keys() else {}


def judgement(
    texts: Mapping[str, str],
    messages: Sequence[Mapping[str, JSON]],
    response_format: Mapping[str, JSON] | None,
    ability: Ability,
    dice: Dice,
) -> str:
    """Return the reply to a judge's question; `texts` are its fenced ones.

    Without a response format a model does not always obey, and says something before the JSON.
    """
    form = json.dumps(response_format) if response_format else _rules(messages)
    key: str
    value: JSON
    if "first" in texts:
        key, value = "verdict", _preference(texts, ability, dice)
    else:
        quality = _quality(texts["output"], texts) + _NOISE * ability.noise * dice.normal("judge")
        key, value = _on_scale(min(1.0, max(0.0, quality)), form)
    reply = json.dumps({"reason": f"The words of the answer say {value}.", key: value})
    if response_format is None and not dice.chance("judge form", ability.obedience):
        return f"Here is my judgement:\n{reply}"
    return reply


def _rules(messages: Sequence[Mapping[str, JSON]]) -> str:
    return "\n".join(text_of(message) for message in messages if message.get("role") != "user")


def _on_scale(quality: float, form: str) -> tuple[str, JSON]:
    """Return key and value of the reply; `form` is a schema, or rules that describe the reply."""
    if '"score"' not in form:
        return "verdict", "pass" if quality > _ENOUGH else "fail"
    if '"enum"' in form or "whole number" in form:
        return "score", 1 + round(4 * quality)
    return "score", round(quality, 1)


def _preference(texts: Mapping[str, str], ability: Ability, dice: Dice) -> str:
    noise = _NOISE * ability.noise * dice.normal("judge")
    lead = _quality(texts["first"], texts) - _quality(texts["second"], texts)
    lead += noise + _FIRST_ADVANTAGE
    if abs(lead) <= _CLEARLY:
        return "tie"
    return "first" if lead > 0 else "second"


def _quality(answer: str, texts: Mapping[str, str]) -> float:
    """Return how good an answer looks, from 0 to 1."""
    words = stems(answer)
    if not words and not _NUMBER.search(answer):
        return 0.0
    if "expected" in texts:
        return _agreement(answer, texts["expected"])
    if "context" in texts:
        return len(words & stems(texts["context"])) / max(1, len(words))
    asked = stems(texts.get("input", ""))
    return _UNRELATED + (1.0 - _UNRELATED) * len(words & asked) / max(1, min(len(words), 6))


def _agreement(answer: str, expected: str) -> float:
    if numbers := _NUMBER.findall(expected):
        said = _NUMBER.findall(answer)
        return 1.0 if said and said[-1].replace(",", "") == numbers[-1].replace(",", "") else 0.0
    if expected.strip().lower() in answer.lower():
        return 1.0
    wanted = stems(expected)
    return len(wanted & stems(answer)) / len(wanted) if wanted else 0.0
