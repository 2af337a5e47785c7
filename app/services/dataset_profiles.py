"""What a dataset version is made of, counted example by example. Pure.

A version never changes, so that its profile is made once and kept. What is held while it is made
is a digest and a length of each input: about 200 bytes an example, and no text.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median_low
from typing import Final

from app.core.hashing import JSON, canonical_json
from app.repositories.content import decode_body
from app.schemas.dataset_profiles import (
    CHARACTERS_PER_TOKEN,
    MAX_LABELS,
    DatasetProfile,
    InputLength,
    LabelCount,
    LengthBucket,
    RepeatedInput,
)
from app.schemas.datasets import DatasetVersionView

__all__ = ["ProfileCount", "characters", "texts_of"]

_BUCKETS: Final = 24
_LONGEST: Final = 10
_GROUPS: Final = 50
_KEYS_OF_A_GROUP: Final = 20
_LABEL_LENGTH: Final = 200  # characters of JSON; what is longer is a text and no label


def texts_of(value: JSON) -> Iterator[str]:
    """Yield every text inside a value, without the names; numbers as they are written."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif value is not None:
        yield canonical_json(value).decode()


def characters(value: JSON) -> int:
    """Return the length of all texts inside a value, in characters."""
    return sum(map(len, texts_of(value)))


@dataclass(slots=True)
class _Same:
    """The examples that have one input."""

    examples: int = 0
    keys: list[str] = field(default_factory=list)
    expected: set[bytes] = field(default_factory=set)

    def add(self, key: str, expected: bytes) -> None:
        self.examples += 1
        if len(self.keys) < _KEYS_OF_A_GROUP:
            self.keys.append(key)
        if len(self.expected) < 2:  # two are enough to differ
            self.expected.add(expected)


class ProfileCount:
    """Takes in the examples of one version in order, and tells its profile at the end."""

    def __init__(self, version: DatasetVersionView) -> None:
        self._version = version
        self._examples = 0
        self._lengths: list[tuple[int, int, str]] = []  # characters, position, key
        self._same: dict[bytes, _Same] = {}
        self._labels: Counter[bytes] | None = Counter()
        self._without_expected = 0

    def add_all(self, rows: Iterable[tuple[int, str, str | None]]) -> None:
        """Take in (position, key, stored JSON); an erased text is None."""
        for position, key, body in rows:
            self._examples += 1
            if body is not None:
                self._add(position, key, decode_body(body))

    def _add(self, position: int, key: str, content: dict[str, JSON]) -> None:
        asked: dict[str, JSON] = {
            name: content[name] for name in ("input", "messages") if name in content
        }
        self._lengths.append((_asked_characters(asked), position, key))
        answer = canonical_json(content.get("expected_output"))
        digest = hashlib.sha256(canonical_json(asked)).digest()
        self._same.setdefault(digest, _Same()).add(key, hashlib.sha256(answer).digest())
        if content.get("expected_output") is None:
            self._without_expected += 1
        elif self._labels is not None:
            self._labels[answer] += 1
            if len(self._labels) > MAX_LABELS or len(answer) > _LABEL_LENGTH:
                self._labels = None

    def profile(self) -> DatasetProfile:
        repeated = [same for same in self._same.values() if same.examples > 1]
        lengths = [length for length, _, _ in self._lengths]
        return DatasetProfile(
            dataset=self._version.reference,
            examples=self._examples,
            complete=self._examples == self._version.example_count,
            median_characters=median_low(lengths) if lengths else 0,
            longest=[
                InputLength(key=key, position=position, characters=length)
                for length, position, key in sorted(
                    self._lengths, key=lambda entry: (-entry[0], entry[1])
                )[:_LONGEST]
            ],
            lengths=_buckets(lengths),
            characters_per_token=CHARACTERS_PER_TOKEN,
            repeated_groups=len(repeated),
            repeated_examples=sum(same.examples for same in repeated),
            repeated=[
                RepeatedInput(
                    keys=same.keys,
                    examples=same.examples,
                    expected_differ=len(same.expected) > 1,
                )
                for same in sorted(repeated, key=lambda same: -same.examples)[:_GROUPS]
            ],
            labels=self._label_counts(),
            without_expected=self._without_expected,
        )

    def _label_counts(self) -> list[LabelCount] | None:
        if self._labels is None:
            return None
        return [
            LabelCount(label=decode_body(label.decode()), examples=count)
            for label, count in self._labels.most_common()
        ]


def _asked_characters(asked: dict[str, JSON]) -> int:
    """Return the length of the input's texts and of what stands in the messages before it."""
    turns = asked.get("messages")
    said = [turn.get("content") for turn in turns or () if isinstance(turn, dict)]  # type: ignore[union-attr] # stored messages are a list
    return characters(asked.get("input")) + characters(said)


def _buckets(lengths: list[int]) -> list[LengthBucket]:
    """Return how many lengths lie in each of at most 24 stretches, each of which goes as many times
    further than the one before: a single huge input leaves the others told apart."""
    if not lengths:
        return []
    low, high = max(1, min(lengths)), max(1, *lengths)
    ratio = (high + 1) / low
    edges = sorted({round(low * ratio ** (step / _BUCKETS)) for step in range(_BUCKETS + 1)})
    counts = Counter(bisect_right(edges, max(low, length)) - 1 for length in lengths)
    return [
        LengthBucket(low=edge, high=following - 1, examples=counts[number])
        for number, (edge, following) in enumerate(pairwise(edges))
    ]
