"""What a dataset version is made of: lengths, repeated inputs, how expected outputs are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.schemas.datasets import ExampleItem
from app.schemas.pages import Page

__all__ = [
    "CHARACTERS_PER_TOKEN",
    "MAX_LABELS",
    "MAX_PROFILED",
    "MAX_SEARCHED",
    "DatasetProfile",
    "ExampleFilter",
    "ExamplePage",
    "InputLength",
    "LabelCount",
    "LengthBucket",
    "RepeatedInput",
]

MAX_PROFILED: Final = 100_000
"""Examples that a profile looks at, from the first on."""

MAX_SEARCHED: Final = 10_000
"""Examples that one page of a search goes through."""

MAX_LABELS: Final = 30
"""Different expected outputs up to which they count as labels."""

CHARACTERS_PER_TOKEN: Final = 4
"""A rule of thumb for English text; other languages and code take more tokens."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LengthBucket(_Strict):
    """How many inputs have a length from `low` up to and with `high`, in characters; empty ones
    count as of one character."""

    low: int
    high: int
    examples: int


class InputLength(_Strict):
    """The length of one example's input, in characters."""

    key: str
    position: int
    characters: int


class RepeatedInput(_Strict):
    """One input that several examples have. `keys` are the first 20 of them."""

    keys: Sequence[str]
    examples: int
    expected_differ: bool = Field(
        description="the same question with different expected outputs: one of them is wrong"
    )


class LabelCount(_Strict):
    """One expected output and how many examples have it."""

    label: JsonValue
    examples: int


class DatasetProfile(_Strict):
    """What one version is made of, of its first 100,000 examples.

    A length is that of all texts of input and messages together, without the names of columns.
    An example whose text was erased is in none of the counts but `examples`.
    """

    dataset: str = Field(description="reference, as in tickets@1")
    examples: int = Field(description="how many were looked at")
    complete: bool = Field(description="whether these are all")
    median_characters: int
    longest: Sequence[InputLength] = Field(description="the ten longest inputs")
    lengths: Sequence[LengthBucket] = Field(description="at most 24 buckets, by multiples")
    characters_per_token: int = Field(description="what tokens are estimated by")
    repeated_groups: int = Field(description="inputs that more than one example has")
    repeated_examples: int = Field(description="examples that have one of these inputs")
    repeated: Sequence[RepeatedInput] = Field(description="the 50 most repeated inputs")
    labels: Sequence[LabelCount] | None = Field(
        description="expected outputs by number of examples; None if there are more than 30"
    )
    without_expected: int


@dataclass(frozen=True, slots=True)
class ExampleFilter:
    """Which examples of a version are wanted; all if nothing is said.

    `search` is a part of the key or of any text, in any case of letters; `key` is exact.
    `column` is a metadata column whose value, as text, is `value`; `expected_output` is that of the
    example, as text.
    """

    search: str = ""
    key: str | None = None
    column: str | None = None
    value: str | None = None
    expected_output: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether every example is wanted."""
        return self == ExampleFilter()


class ExamplePage(Page[ExampleItem]):
    """Examples of a version. With a filter a page goes through at most 10,000 of them, so that it
    may be short, or empty, with more behind it; `searched` says how far it came."""

    searched: int = Field(description="examples up to which this page has gone, from the first")
