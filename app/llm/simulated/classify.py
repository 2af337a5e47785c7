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
from app.llm.simulated.lexicon import TOPICS, Topic, topic_of
from app.llm.simulated.reading import Reading, stems

__all__ = ["Label", "choose", "classification", "is_classification", "labels_in"]


@dataclass(frozen=True, slots=True)
class Label:
    """A label that the prompt names, and what it says of it."""

    name: str
    meaning: str = ""
    meaning_stems: frozenset[str] = frozenset()


_TASK = re.compile(
    r"\b(?:classif\w*|categori\w*|triage|route|sentiment|queues?|label(?:l?ed|s)?|"
    r"(?:which|what) (?:\w+ ){0,2}(?:category|class|team|department|topic|kind|type|group)|"
    r"sort (?:this|the|each|it|them)|right (?:queue|team|place|department))\b",
    re.IGNORECASE,
)
_NAME = r"[\"“'`*]*([A-Za-z][\w/-]*(?: [\w/-]+)?)[\"”'`*]*"
_BULLET = re.compile(
    r"^[ \t]*(?:[-*•]|\d+[.)])[ \t]*" + _NAME + r"[ \t]*(?:(?::|–|—|-|=)[ \t]+([^\n]+))?$",
    re.MULTILINE,
)
_WITH_BRACKETS = re.compile(_NAME + r" \(([^()\n]{3,120})\)")
_AFTER_COLON = re.compile(r":[ \t]*((?:[^,.:;\n]{2,30},){1,19}[^,.:;\n]{2,30})(?:[.;\n]|\Z)")
_ALTERNATIVES = re.compile(
    r"\b(?:answer|reply|respond|say|as|either|whether|choose|is it|one of)\b[^.\n]{0,40}?"
    r"\b([a-z][\w-]*(?:, [a-z][\w-]*)*),? or ([a-z][\w-]*)\b",
    re.IGNORECASE,
)
_ITEM_EDGE = re.compile(r"^(?:\s|and\s|or\s|[\"“'`*])+|[\s\"”'`*]+$")


def is_classification(reading: Reading) -> bool:
    """Whether the instructions ask for a class, or for one of several answers."""
    return reading.asks(_TASK) or reading.asks(_ALTERNATIVES)


def labels_in(instructions: str) -> tuple[Label, ...]:
    """Return the labels that the instructions name, in their order; empty if they name none."""
    for finder in (_bulleted, _bracketed, _listed):
        found = finder(instructions)
        if len(found) >= 2:
            return tuple(found)
    return ()


def _label(name: str, meaning: str | None) -> Label:
    return Label(name, meaning or "", stems(meaning or ""))


def _bulleted(instructions: str) -> list[Label]:
    found = [_label(match[1], match[2]) for match in _BULLET.finditer(instructions)]
    # Bullets with an explanation are the labels; others beside them are rules.
    return [label for label in found if label.meaning] or found


def _bracketed(instructions: str) -> list[Label]:
    return [_label(match[1], match[2]) for match in _WITH_BRACKETS.finditer(instructions)]


def _listed(instructions: str) -> list[Label]:
    match = _AFTER_COLON.search(instructions)
    if match is not None:
        items = [_ITEM_EDGE.sub("", item) for item in match[1].split(",")]
        if all(item and item.count(" ") < 2 for item in items):
            return [Label(item) for item in items]
    match = _ALTERNATIVES.search(instructions)
    return [] if match is None else [Label(name) for name in (*match[1].split(", "), match[2])]


# --------------------------------------------------------------------------- evidence

_WANT = re.compile(
    r"\b(?:please|pls|want|need|how|can you|could (?:you|we|i)|would (?:like|you)|where|why|who|"
    r"kindly|asks?|wants|may i|expect|like to)\b|\?",
    re.IGNORECASE,
)
_SETTLED = re.compile(
    r"\b(?:(?:is|are|was|were|been|that.s|all) (?:all )?"
    r"(?:fine|settled|solved|fixed|right|ok|gone|paid|known|open again|in by now)|no longer|any ?more|"
    r"not (?:need|a question|buying)|don.?t (?:need|have)|worked|works\b|through ok|arrived|one-off|"
    r"can live with|no problem|without trouble|nothing (?:is|was) wrong|i know how|thank you for)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r".+?(?:[.!?,;:\n]+|\b(?=but\b|so\b|because\b)|\Z)", re.DOTALL)
_SEVERAL_TOPICS = re.compile(
    r"\b(?:two|several|more than one|both|multiple) (?:topics|subjects|queues|problems|things|apply)|"
    r"what (?:the )?(?:customer|writer|sender|person)s? (?:asks?|wants?)|not (?:by )?what .{0,30}mention",
    re.IGNORECASE,
)

_STRONG, _WEAK = 2.0, 0.8
# A description tells more of an unknown label than of a familiar one, and of a catch-all
# nothing: it lists leftovers.
_NEW_MEANING, _KNOWN_MEANING, _OWN_NAME = 0.9, 0.3, 1.6
_WANTED, _DONE_WITH = 1.7, 0.3
_LIKENESS = 4.0
_STEM = 5
_ONLY_MENTIONED_LABEL = 0.6


def choose(labels: Sequence[Label], reading: Reading, ability: Ability, dice: Dice) -> Label:
    """Return the label with the most evidence after noise; `labels` must not be empty."""
    emphasis = _emphasis(reading, ability, dice)
    # Meanings and examples leave less to guess.
    informed = bool(reading.examples) + any(label.meaning for label in labels)
    scale = ability.noise * (1.0, 0.8, 0.7)[informed]

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
    care = ability.care if reading.asks(_SEVERAL_TOPICS) else ability.care / 2.5
    if not dice.chance("weigh the wish", care):
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
    hits = len(label.meaning_stems & reading.words)
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
    r"\b(?:only|just|nothing (?:else|but)|exactly one|no (?:explanation|other|punctuation|comment))\b",
    re.IGNORECASE,
)
_ONE_WORD = re.compile(r"\b(?:one|single|1) word\b", re.IGNORECASE)
_AS_WRITTEN = re.compile(r"\b(?:lower.?case|as written|exactly as|spelled)\b", re.IGNORECASE)


def classification(reading: Reading, ability: Ability, dice: Dice) -> str:
    """Return the answer to a classification request."""
    labels = reading.instructions.find(labels_in)
    if labels:
        label = choose(labels, reading, ability, dice)
        return _named_answer(label.name, reading, ability, dice)
    topics = [Label(topic.names[0]) for topic in TOPICS[:4]]
    topic = topic_of(choose(topics, reading, ability, dice).name) or TOPICS[3]
    own_name = dice.pick("own name", topic.own_words)
    brief = reading.asks(_BARE) or reading.asks(_ONE_WORD)
    if dice.chance("brief", ability.obedience if brief else 0.45):
        return own_name if dice.chance("small letters", 0.8) else own_name.capitalize()
    return _own_sentence(own_name, reading, dice)


def _named_answer(label: str, reading: Reading, ability: Ability, dice: Dice) -> str:
    """Word the answer when the prompt has named the labels."""
    brief = reading.asks(_BARE) or reading.asks(_ONE_WORD)
    habit = _ONLY_MENTIONED_LABEL + (ability.obedience - 0.86)
    # Examples show the form better than any description of it.
    bare = max(habit, ability.obedience if brief else 0.0, 0.99 if reading.examples else 0.0)
    if dice.chance("bare label", bare):
        careful = reading.asks(_AS_WRITTEN) or bool(reading.examples)
        return label if careful or dice.chance("as written", 0.94) else label.capitalize() + "."
    return dice.pick(
        "wording",
        (
            f"This ticket belongs to {label}.",
            f"**{label.capitalize()}**: the writer mentions {_mention(reading)}.",
            f"Label: {label}",
            f"I would choose {label}, because of {_mention(reading)}.",
        ),
    )


def _own_sentence(name: str, reading: Reading, dice: Dice) -> str:
    return dice.pick(
        "own wording",
        (
            f"This looks like a {name} matter: it mentions {_mention(reading)}.",
            f"I would pass this on to the {name} team.",
            f"{name.capitalize()}. The writer would like an answer about {_mention(reading)}.",
            f"It is about {_mention(reading)}, so probably {name}.",
        ),
    )


_CONTENT_WORD = re.compile(r"[^\W\d_]{6,}")


def _mention(reading: Reading) -> str:
    """Return the longest of the material's first words, to refer to it by."""
    return max(_CONTENT_WORD.findall(reading.material)[:12], key=len, default="it").lower()
