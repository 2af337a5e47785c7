"""Extraction: fill the wanted fields from the material and write them as the prompt asks.

A schema gives keys, types and descriptions, and each of them is used: types decide how a value is
written, descriptions sharpen the search, and a nullable field may stay empty. With less said, the
model follows its habits: keys in a style of its own, amounts and dates as they stand in the text,
a fence around the JSON, the next best number where there is none of the wanted kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from app.core.hashing import JSON
from app.llm.simulated.ability import Ability
from app.llm.simulated.classify import choose
from app.llm.simulated.dice import Dice
from app.llm.simulated.fields import Field, named_fields, schema_fields, schema_of, wants_json
from app.llm.simulated.labels import Label
from app.llm.simulated.reading import Reading, stems
from app.llm.simulated.values import (
    Amount,
    Day,
    Weighing,
    amounts_in,
    days_in,
    find_amount,
    find_date,
    find_identifier,
    find_name,
)

__all__ = ["extraction", "is_extraction"]

_TASK = re.compile(r"\bJSON\b|\b(?:extract|pull out)\b", re.IGNORECASE)


def is_extraction(reading: Reading, response_format: Mapping[str, JSON] | None) -> bool:
    """Whether the request wants fields, by its response format or its words."""
    return wants_json(response_format) or reading.asks(_TASK)


@dataclass(frozen=True)
class _Task:
    reading: Reading
    fields: tuple[Field, ...]
    ability: Ability
    dice: Dice

    @cached_property
    def total(self) -> Amount | None:
        """What is likely the total; the currency is read off it, too."""
        field = next((field for field in self.fields if _MONEY.search(field.name)), self.fields[0])
        return find_amount(self.reading.material, self.amounts, self.weighing(field))

    @cached_property
    def amounts(self) -> list[tuple[Amount, int]]:
        """The sums of money in the material, with their positions."""
        return amounts_in(self.reading.material)

    @cached_property
    def days(self) -> list[tuple[Day, int]]:
        """The dates in the material, with their positions."""
        return days_in(self.reading.material)

    def obeys(self, name: str) -> bool:
        """Whether an instruction about the form is followed."""
        return self.dice.chance("obey " + name, self.ability.obedience)

    def guesses(self, name: str) -> bool:
        """Whether a form that nobody asked for is guessed: better models know what is usual."""
        return self.dice.chance("guess " + name, 0.5 + self.ability.care / 3)

    def weighing(self, field: Field) -> Weighing:
        """Return how well this field is searched for: better if the request explains it."""
        explained = len(field.notes) > 20
        trust = self.ability.care + (0.35 if explained else 0.0)
        noise = self.ability.noise * (0.35 if explained else 0.6)
        return Weighing(self.dice, trust, noise)


# Habits, as chances: bare JSON without being told, no sentence before a fenced block, snake case
# and camel case for keys of one's own, and leaving a field empty without being told.
_BARE_JSON, _SILENT, _SNAKE_CASE, _CAMEL_CASE, _ADMITS_ABSENCE = 0.65, 0.6, 0.75, 0.13, 0.3


def extraction(
    reading: Reading,
    response_format: Mapping[str, JSON] | None,
    ability: Ability,
    dice: Dice,
) -> str:
    """Return the answer to an extraction request."""
    schema = schema_of(response_format)
    wanted = schema_fields(schema) if schema else reading.instructions.find(named_fields)
    bullets = reading.instructions.find(_bullets)
    fields = tuple(_with_rules(field, bullets) for field in wanted or _OWN_FIELDS)
    task = _Task(reading, fields, ability, dice)
    found = {_key(field, task): _value(field, task) for field in fields}
    return _written(found, wants_json(response_format), task)


_OWN_FIELDS = tuple(
    Field(name, exact=False) for name in ("company name", "amount", "date", "reference number")
)


def _key(field: Field, task: _Task) -> str:
    """Return the key for a field; one that was named in prose gets a style of the model's own."""
    if field.exact:
        return field.name
    words = field.name.split()
    style = task.dice.uniform("key style")
    if style < _SNAKE_CASE:
        return "_".join(words)
    if style < _SNAKE_CASE + _CAMEL_CASE:
        return words[0] + "".join(word.capitalize() for word in words[1:])
    return " ".join(word.capitalize() for word in words)


@lru_cache(maxsize=256)
def _with_rules(field: Field, bullets: tuple[str, ...]) -> Field:
    """Return the field with the bullets that name it added to its notes."""
    name = field.name.lower()
    spoken = name.replace("_", " ")
    lines = [line for line in bullets if name in line or spoken in line]
    return replace(field, notes=" ".join([field.notes, *lines])) if lines else field


def _bullets(instructions: str) -> tuple[str, ...]:
    lines = instructions.lower().splitlines()
    return tuple(line for line in lines if line.lstrip().startswith(("-", "*", "•")))


# --------------------------------------------------------------------------- values

_Finder = Callable[[Field, _Task], JSON]


def _value(field: Field, task: _Task) -> JSON:
    if field.choices:
        labels = [Label(choice) for choice in field.choices]
        return choose(labels, task.reading, task.ability, task.dice).name
    if field.types == {"boolean"}:
        return bool(stems(field.name + " " + field.notes) & task.reading.words)
    return _finder_for(field.name)(field, task)


_MONEY = re.compile(r"total|amount|price|sum$|cost|paid", re.IGNORECASE)
_ISO_DATE = re.compile(r"iso|yyyy-mm-dd|\bdate\b(?=\s|$)")
_ISO_CODE = re.compile(r"iso|4217|three.letter|code")
_NULL = re.compile(r"\bnull\b")


def _date(field: Field, task: _Task) -> JSON:
    day = find_date(task.reading.material, task.days, task.weighing(field))
    if day is None:
        return None
    told = _ISO_DATE.search(field.notes) is not None
    iso = task.obeys("date form") if told else task.guesses("date form")
    return day.day.isoformat() if iso else day.written


def _currency(field: Field, task: _Task) -> JSON:
    amount = task.total
    if amount is None:
        return None
    sign = amount.currency
    told = _ISO_CODE.search(field.notes) is not None
    as_code = task.obeys("currency form") if told else task.guesses("currency form")
    return _CODES.get(sign, sign) if as_code else sign


_CODES = {
    "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "C$": "CAD", "A$": "AUD", "Fr.": "CHF",
    "kr": "SEK", "zł": "PLN",
}  # fmt: skip


def _amount(field: Field, task: _Task) -> JSON:
    amount = task.total
    if amount is None:
        return None
    if field.types & {"number", "integer"}:
        as_number = True
    elif "number" in field.notes:
        as_number = task.obeys("number form")
    else:
        as_number = task.guesses("number form")
    return _plain(amount.value) if as_number else amount.written


def _identifier(field: Field, task: _Task) -> JSON:
    told = "null" in field.types or _NULL.search(field.notes) is not None
    strict = task.obeys("null") if told else task.dice.chance("admit absence", _ADMITS_ABSENCE)
    wanted = _words_before(field.name)
    taken: list[tuple[Amount | Day, int]] = [*task.amounts, *task.days]
    text = task.reading.material
    return find_identifier(text, taken, wanted, task.weighing(field), strict=strict)


@lru_cache(maxsize=64)
def _words_before(name: str) -> re.Pattern[str]:
    """Return a pattern for the words that stand before the number that a field is named for."""
    words = [word for word in re.split(r"[\W_]+", name.lower()) if word not in _NUMBER_WORDS]
    wanted = "|".join(_SYNONYMS.get(word, re.escape(word)) for word in words)
    return re.compile(rf"\b(?:{wanted or 'no|ref|#'})")


_NUMBER_WORDS = frozenset(("number", "no", "id", "nr", "code", "reference", ""))
_SYNONYMS = {
    "invoice": r"invoice(?! date)|inv\b|rechnung|bill\b|doc(?:ument)?(?:\b|_no)|number\b|no\.",
    "order": r"order|booking|reference|po\b",
    "customer": r"customer|client|account",
}


def _name(field: Field, task: _Task) -> JSON:
    return find_name(task.reading.material, task.weighing(field))


_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_URL = re.compile(r"https?://[^\s)>\"']{1,500}")
_PHONE = re.compile(r"\+?\d[\d /()-]{6,20}\d")


def _first(pattern: re.Pattern[str]) -> _Finder:
    def find(field: Field, task: _Task) -> JSON:
        match = pattern.search(task.reading.material)
        return None if match is None else match[0]

    return find


_FINDERS: tuple[tuple[re.Pattern[str], _Finder], ...] = (
    (re.compile(r"date|deadline|\bday\b", re.IGNORECASE), _date),
    (re.compile(r"currency", re.IGNORECASE), _currency),
    (re.compile(r"e-?mail", re.IGNORECASE), _first(_EMAIL)),
    (re.compile(r"phone", re.IGNORECASE), _first(_PHONE)),
    (re.compile(r"\burl\b|website|link", re.IGNORECASE), _first(_URL)),
    (re.compile(r"number|(?:^|_| )(?:id|no|nr)$|reference", re.IGNORECASE), _identifier),
    (_MONEY, _amount),
    (re.compile(r"vendor|seller|supplier|company|merchant|shop|store|name", re.IGNORECASE), _name),
)


@lru_cache(maxsize=256)
def _finder_for(name: str) -> _Finder:
    """Return what to look for, by the field's name."""
    return next((find for pattern, find in _FINDERS if pattern.search(name)), _labelled)


_NUMBER = re.compile(r"-?\d{1,15}(?:[.,]\d{1,9})?")


def _labelled(field: Field, task: _Task) -> JSON:
    """Return what stands behind the field's name in the text, or the sentence nearest to it."""
    spoken = re.escape(field.name).replace("_", "[ _]")
    match = re.search(rf"\b{spoken}\s*[:=]\s*([^\n;]+)", task.reading.material, re.IGNORECASE)
    text = match[1].strip() if match else _nearest_sentence(field, task)
    if field.types & {"number", "integer"}:
        number = _NUMBER.search(text)
        return None if number is None else _plain(float(number[0].replace(",", ".")))
    if "array" in field.types:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text or None


def _nearest_sentence(field: Field, task: _Task) -> str:
    wanted = stems(f"{field.name} {field.notes}".replace("_", " "))
    sentences = re.split(r"(?<=[.!?])\s+|\n+", task.reading.material)
    return max(sentences, key=lambda sentence: len(stems(sentence) & wanted), default="").strip()


def _plain(value: float) -> int | float:
    return int(value) if value.is_integer() else value


# --------------------------------------------------------------------------- the answer

_JSON = re.compile(r"\bJSON\b", re.IGNORECASE)
_ONLY = re.compile(
    r"\b(?:only|just|nothing else|no (?:other|explanation|prose|fence))\b", re.IGNORECASE
)


def _written(found: Mapping[str, JSON], formatted: bool, task: _Task) -> str:
    """Word the fields: plain JSON if the form is enforced, else as told or by habit."""
    if not formatted and not task.reading.asks(_JSON):
        return "\n".join(
            f"{key}: {'none' if value is None else value}" for key, value in found.items()
        )
    if formatted:
        plain = 0.75 + task.ability.obedience / 4
    else:
        plain = task.ability.obedience if task.reading.asks(_ONLY) else _BARE_JSON
    if task.dice.chance("plain json", plain):
        return json.dumps(found, ensure_ascii=False)
    block = "```json\n" + json.dumps(found, ensure_ascii=False, indent=2) + "\n```"
    return block if task.dice.chance("silent", _SILENT) else "Here is what I found:\n\n" + block
