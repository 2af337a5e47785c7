"""Classification: weigh the words of the material for each label, then say one of them.

What the prompt gives is what the model has. If it names no labels, the model thinks in its own
topics and calls them by its own names. Descriptions of labels add words to look for, examples add
cases to compare with, and a rule for texts with several topics makes it weigh what is asked for
above what is mentioned. Whether the answer is the bare label depends on what the prompt says of
its form, and on how obedient the model is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from app.llm.simulated.ability import Ability
from app.llm.simulated.dice import Dice
from app.llm.simulated.labels import Label, labels_in
from app.llm.simulated.lexicon import TOPICS, Topic, topic_of
from app.llm.simulated.reading import Reading, stems

__all__ = ["choose", "classification"]


# --------------------------------------------------------------------------- evidence

_WANT = re.compile(
    r"\b(?:please|pls|want|need|how|can you|could (?:you|we|i)|would (?:like|you)|where|why|who|"
    r"kindly|asks?|wants|may i|expect|like to)\b|\?"
)
_SETTLED = re.compile(
    r"\b(?:(?:is|are|was|were|been|that.s|all) (?:all )?(?:fine|settled|solved|fixed|right|ok|gone|"
    r"paid|known|open again|in by now)|no longer|any ?more|not (?:need|a question|buying)|"
    r"don.?t (?:need|have)|worked|works|through ok|arrived|one-off|can live with|no problem|"
    r"without trouble|nothing (?:is|was) wrong|i know how|thank you for)\b"
)
_CLAUSE = re.compile(r".+?(?:[.!?,;:\n]+|\b(?=(?:but|so|because)\b)|\Z)", re.DOTALL)
_SEVERAL_TOPICS = re.compile(
    r"\b(?:two|several|more than one|both|multiple) "
    r"(?:topics|subjects|queues|problems|things|apply)\b|"
    r"\bwhat (?:the )?(?:customer|writer|sender|person)s? (?:asks?|wants?)\b",
    re.IGNORECASE,
)

_STRONG, _WEAK = 2.0, 0.8
# A description tells more of an unknown label than of a familiar one, and of a catch-all
# nothing: it lists leftovers.
_NEW_MEANING, _KNOWN_MEANING, _OWN_NAME = 0.9, 0.3, 1.6
_WANTED, _DONE_WITH = 1.7, 0.3
_LIKENESS = 4.0
# Meanings leave less to guess, examples beside them still less.
_NOISE_LEFT = (1.0, 0.8, 0.7)
_CARE_WITHOUT_RULE = 0.4
_STEM = 5


def choose(labels: Sequence[Label], reading: Reading, ability: Ability, dice: Dice) -> Label:
    """Return the label with the most evidence after noise; `labels` must not be empty."""
    emphasis = _emphasis(reading, ability, dice)
    informed = bool(reading.examples) + any(label.meaning for label in labels)
    scale = ability.noise * _NOISE_LEFT[informed]

    def score(label: Label) -> float:
        evidence = _evidence(label, reading, emphasis) + _likeness(label, reading)
        return evidence + scale * dice.gumbel("label " + label.name)

    return max(labels, key=score)


@dataclass(frozen=True, slots=True)
class _Emphasis:
    """How much each clause of the material counts."""

    ends: tuple[int, ...]
    weights: tuple[float, ...]

    def at(self, position: int) -> float:
        """Return the weight of the clause around a position."""
        return self.weights[bisect_right(self.ends, position)] if self.ends else 1.0


def _emphasis(reading: Reading, ability: Ability, dice: Dice) -> _Emphasis:
    """Weigh the clauses: wishes count more, settled matters less.

    Seeing the difference takes care, and happens more often when the prompt has a rule for it.
    """
    told = reading.asks(_SEVERAL_TOPICS)
    if not dice.chance("weigh the wish", ability.care * (1.0 if told else _CARE_WITHOUT_RULE)):
        return _Emphasis((), ())
    clauses = list(_CLAUSE.finditer(reading.lower))
    weights = (*(_weight(clause[0]) for clause in clauses), 1.0)
    return _Emphasis(tuple(clause.end() for clause in clauses), weights)


def _weight(clause: str) -> float:
    if _SETTLED.search(clause):
        return _DONE_WITH
    return _WANTED if _WANT.search(clause) else 1.0


def _evidence(label: Label, reading: Reading, emphasis: _Emphasis) -> float:
    topic = topic_of(label.name)
    hits = len(label.meaning & reading.words)
    if topic is None:
        return _NEW_MEANING * hits + _OWN_NAME * bool(stems(label.name) & reading.words)
    meaning = 0.0 if topic.base else _KNOWN_MEANING * hits
    return topic.base + _topic_evidence(topic, reading, emphasis) + meaning


def _topic_evidence(topic: Topic, reading: Reading, emphasis: _Emphasis) -> float:
    """Return the weight of the distinct words that point to a topic; repeats add nothing."""
    best: dict[str, float] = {}
    for pattern, value in ((topic.strong, _STRONG), (topic.weak, _WEAK)):
        for match in pattern.finditer(reading.lower):
            word = match[0][:_STEM]
            best[word] = max(best.get(word, 0.0), value * emphasis.at(match.start()))
    return sum(best.values())


def _likeness(label: Label, reading: Reading) -> float:
    """Return how much the material shares with the label's most similar example."""
    shares = [
        len(reading.words & example.stems) / (len(example.stems) + 4)
        for example in reading.examples
        if example.answer.lower() == label.name.lower()
    ]
    return _LIKENESS * max(shares, default=0.0)


# --------------------------------------------------------------------------- the answer

_BARE = re.compile(
    r"\b(?:only|just|nothing (?:else|but)|exactly one|(?:one|single|1) word|"
    r"no (?:explanation|other|punctuation|comment))\b",
    re.IGNORECASE,
)
_AS_WRITTEN = re.compile(r"\b(?:lower.?case|as written|exactly as|spelled)\b", re.IGNORECASE)

# How often the bare label comes without being asked for, and with examples that show it.
_BARE_BY_HABIT, _BARE_BY_EXAMPLE = 0.65, 0.99
_OWN_TOPICS = tuple(topic for topic in TOPICS if topic.own_words)


def classification(reading: Reading, ability: Ability, dice: Dice) -> str:
    """Return the answer to a classification request."""
    labels = reading.instructions.find(labels_in)
    if labels:
        label = choose(labels, reading, ability, dice)
        return _with_given_name(label.name, reading, ability, dice)
    own = [Label(topic.names[0]) for topic in _OWN_TOPICS]
    topic = topic_of(choose(own, reading, ability, dice).name) or _OWN_TOPICS[-1]
    return _with_own_name(dice.pick("own name", topic.own_words), reading, ability, dice)


def _with_given_name(label: str, reading: Reading, ability: Ability, dice: Dice) -> str:
    """Word the answer when the prompt has named the labels."""
    shown = bool(reading.examples)
    asked = ability.obedience if reading.asks(_BARE) else 0.0
    if dice.chance("bare", max(_BARE_BY_HABIT, asked, _BARE_BY_EXAMPLE if shown else 0.0)):
        exact = shown or reading.asks(_AS_WRITTEN) or dice.chance("as written", 0.94)
        return label if exact else f"{label.capitalize()}."
    mention = _mention(reading)
    wordings = (
        f"This belongs to {label}.",
        f"**{label.capitalize()}**: the writer mentions {mention}.",
        f"Label: {label}",
        f"I would choose {label}, because of {mention}.",
    )
    return dice.pick("wording", wordings)


def _with_own_name(name: str, reading: Reading, ability: Ability, dice: Dice) -> str:
    """Word the answer when the model had to find a name of its own."""
    if dice.chance("bare", ability.obedience if reading.asks(_BARE) else 0.45):
        return name if dice.chance("small letters", 0.8) else name.capitalize()
    mention = _mention(reading)
    wordings = (
        f"This looks like a {name} matter: it mentions {mention}.",
        f"I would pass this on to the {name} team.",
        f"{name.capitalize()}. The writer would like an answer about {mention}.",
        f"It is about {mention}, so probably {name}.",
    )
    return dice.pick("own wording", wordings)


_LONG_WORD = re.compile(r"[^\W\d_]{6,}")


def _mention(reading: Reading) -> str:
    """Return the longest of the material's first long words, to refer to it by."""
    return max(_LONG_WORD.findall(reading.lower)[:12], key=len, default="it")
