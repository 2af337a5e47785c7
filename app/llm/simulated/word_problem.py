"""Answers to word problems: how far the model calculates, and how it words the result.

Told to work step by step, the model carries out all the steps that it has read; left alone, it
tends to stop after the first ones and to say that intermediate figure. A request for checks makes
it read with more care and slip less. A final marker, if asked for, mostly comes; without one, a
closing sentence may mention other numbers.
"""

from __future__ import annotations

import re
from fractions import Fraction

from app.llm.simulated.ability import Ability
from app.llm.simulated.cues import Question
from app.llm.simulated.dice import Dice
from app.llm.simulated.quantities import question_of
from app.llm.simulated.reading import Reading
from app.llm.simulated.solver import Step, solve

__all__ = ["is_word_problem", "word_problem"]

_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|far|long|old|tall|high|heavy|deep|wide|fast)\b"
    r"|\bwhat (?:is|was|will|does|do|did)\b",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d")
_STEPS = re.compile(
    r"\bstep[ -]by[ -]step\b|\bone step at a time\b|\breason\b"
    r"|\b(?:show|write) (?:your|the|every|each) (?:work|step|calcul)"
    r"|\bthink (?:it )?(?:through|carefully)\b|\bwork (?:it|this|the problem) out\b",
    re.IGNORECASE,
)
_CHECKS = re.compile(
    r"\b(?:check|verify|re-?read|unit|make sure|every number|what is asked|asks for)\b",
    re.IGNORECASE,
)
_ONLY = re.compile(
    r"\b(?:only|just)\b[^.\n]{0,30}\b(?:number|answer|result|figure)\b", re.IGNORECASE
)
_MARKER = re.compile(
    r"\b(?:end|finish|close|conclude|last line|final line)\b[^\n]{0,60}?"
    r"(?P<marker>#{2,4}|\b(?:A|Answer|Result|Final answer):)",
    re.IGNORECASE,
)


def is_word_problem(reading: Reading) -> bool:
    """Whether the material asks for a number and gives one."""
    material = reading.material
    return bool(_DIGITS.search(material)) and bool(_ASKS_NUMBER.search(material))


def word_problem(reading: Reading, ability: Ability, dice: Dice) -> str:
    """Return the answer to a word problem."""
    steps = _solved(reading, ability, dice)
    if not steps:
        return "There is no number in this question that I could calculate with."
    if reading.asks(_STEPS) and dice.chance("work in steps", ability.obedience):
        return _worked(steps, reading, ability, dice)
    shown = steps[: _reach(ability, dice)]
    return _short(shown[-1].result, reading, ability, dice)


# What a request for checks does: the share of what is overlooked that is then seen, and of the
# slips that remain.
_SEEN_ON_CHECK, _SLIPS_LEFT = 0.6, 0.5


def _solved(reading: Reading, ability: Ability, dice: Dice) -> list[Step]:
    care, slip = ability.care, ability.slip
    if reading.asks(_CHECKS):
        care += (1 - care) * _SEEN_ON_CHECK
        slip *= _SLIPS_LEFT

    def slips(number: int, result: Fraction) -> Fraction:
        if not dice.chance(f"slip {number}", slip):
            return result
        return result + dice.pick(f"slip by {number}", (1, -1, 10, -10, 2))

    return solve(reading.material, lambda cue: dice.chance("notice " + cue, care), slips)


def _reach(ability: Ability, dice: Dice) -> int:
    """Return how many steps are carried out without being told to go step by step."""
    luck = dice.uniform("reach")
    return 1 + sum(luck < further for further in ability.reach)


def _short(result: Fraction, reading: Reading, ability: Ability, dice: Dice) -> str:
    number = _written(result)
    marker = _marker(reading, ability, dice)
    if marker:
        return f"{marker} {number}"
    if dice.chance("number alone", ability.obedience if reading.asks(_ONLY) else 0.35):
        return number
    return _sentence(number, reading, dice)


def _worked(steps: list[Step], reading: Reading, ability: Ability, dice: Dice) -> str:
    """Write the steps line by line, then the result."""
    lines = [f"{place}. {_calculation(step)}" for place, step in enumerate(steps, 1)]
    number = _written(steps[-1].result)
    marker = _marker(reading, ability, dice)
    if marker:
        return "\n".join([*lines, f"{marker} {number}"])
    closing = _sentence(number, reading, dice)
    if dice.chance("look back", 0.12):
        closing += f" That follows from the {_written(steps[0].left)} at the beginning."
    return "\n".join([*lines, closing])


def _calculation(step: Step) -> str:
    if step.operator == "=":
        return f"The number is {_written(step.result)}."
    left, right = _written(step.left), _written(step.right)
    return f"{left} {step.operator} {right} = {_written(step.result)}"


def _marker(reading: Reading, ability: Ability, dice: Dice) -> str | None:
    """Return the marker that the answer shall stand behind, if there is one and it is obeyed."""
    match = _MARKER.search(reading.instructions.text)
    return match["marker"] if match and dice.chance("marker", ability.obedience) else None


def _sentence(number: str, reading: Reading, dice: Dice) -> str:
    units = Question(question_of(reading.lower)).units
    # Stems are good for comparing, not for reading: only short words are whole.
    unit = next((unit for unit in sorted(units) if len(unit) < 5), "")
    return dice.pick(
        "sentence",
        (
            f"The answer is {number}.",
            f"It is {number} {unit}".strip() + ".",
            f"So we get {number}.",
        ),
    )


def _written(value: Fraction) -> str:
    """Return a number as people write it: whole, or with at most two decimals."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.2f}".rstrip("0").rstrip(".")
