"""Answers to everything that is no task the engine knows: a short echo of the material."""

from __future__ import annotations

import re

from app.llm.simulated.ability import Ability
from app.llm.simulated.dice import Dice
from app.llm.simulated.reading import Reading

__all__ = ["echo"]

_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
_SUMMARY = re.compile(r"\b(?:summar|shorten|tl;?dr|in short|headline|title)", re.IGNORECASE)


def echo(reading: Reading, ability: Ability, dice: Dice) -> str:
    """Return the first sentence of the material for a summary, else a reply that quotes it."""
    material = reading.material or reading.instructions.text
    sentences = [
        stripped for found in _SENTENCE.finditer(material) if (stripped := found[0].strip())
    ]
    if not sentences:
        return "The request is empty. What can I do for you?"
    if reading.asks(_SUMMARY):
        longest = max(sentences, key=len)
        return sentences[0] if dice.chance("first sentence", ability.care) else longest
    opening = dice.pick("opening", ("You write:", "I understand:", "In short:"))
    return f"{opening} {sentences[0]}"
