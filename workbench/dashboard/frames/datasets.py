"""Datasets as the page shows them: texts of examples, lengths, repeats, labels (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd
from pydantic import JsonValue

from workbench.client.datasets import Example, LengthBucket, Profile, RowError
from workbench.dashboard.text import shortened, visible

__all__ = [
    "error_frame",
    "example_lines",
    "example_parts",
    "label_frame",
    "length_frame",
    "summary_of",
    "text_of",
    "tokens_of",
]

_LABEL: Final = 80  # characters


def text_of(value: JsonValue) -> str:
    """Return a value as people read it: a text as it is, all else as indented JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2)


def summary_of(values: Mapping[str, JsonValue], length: int) -> str:
    """Return an input on one line: the only text as it is, several with their names."""
    if len(values) == 1:
        return shortened(text_of(next(iter(values.values()))), length)
    written = "; ".join(f"{name}: {text_of(value)}" for name, value in values.items())
    return shortened(written, length)


def example_parts(example: Example) -> list[tuple[str, str]]:
    """Return the texts of an example with what each is, in the order in which they are read."""
    parts = [(f"{turn.role} before", turn.content) for turn in example.messages or ()]
    parts += [(f"input, {name}", text_of(value)) for name, value in example.input.items()]
    if example.expected_output is not None:
        parts.append(("expected output", text_of(example.expected_output)))
    parts += [(f"metadata, {name}", text_of(value)) for name, value in example.metadata.items()]
    if example.cluster is not None:
        parts.append(("cluster", example.cluster))
    return parts


def example_lines(example: Example | None) -> list[str]:
    """Return an example as lines that can be held against another's; none for no example."""
    if example is None:
        return []
    lines: list[str] = []
    for name, text in example_parts(example):
        lines += [f"{name}:", *text.splitlines()]
    return lines


def tokens_of(characters: int, profile: Profile) -> str:
    """Return an estimate of how many tokens so many characters are: `about 120 tokens`."""
    return f"about {-(-characters // profile.characters_per_token):,} tokens"


def length_frame(buckets: Sequence[LengthBucket]) -> pd.DataFrame:
    """Return how many inputs have lengths from `from` up to and with `to`, in characters."""
    return pd.DataFrame(
        [
            {
                "from": bucket.low,
                "to": bucket.high,
                "end": bucket.high + 1,
                "examples": bucket.examples,
            }
            for bucket in buckets
        ],
        columns=["from", "to", "end", "examples"],
    )


def label_frame(profile: Profile) -> pd.DataFrame:
    """Return the expected outputs by number of examples, those without one last."""
    rows: list[dict[str, object]] = [
        {
            "expected output": shortened(visible(text_of(label.label)), _LABEL),
            "examples": label.examples,
        }
        for label in profile.labels or ()
    ]
    if profile.without_expected:
        rows.append({"expected output": "(none)", "examples": profile.without_expected})
    frame = pd.DataFrame(rows, columns=["expected output", "examples"])
    known = max(1, profile.examples)
    return frame.assign(share=frame["examples"].astype(float) / known)


def error_frame(errors: Sequence[RowError]) -> pd.DataFrame:
    """Return what is wrong with which rows of a file."""
    return pd.DataFrame(
        [
            {
                "row": error.row,
                "line": error.line,
                "column": "" if error.column is None else visible(error.column),
                "what is wrong": visible(error.problem),
            }
            for error in errors
        ],
        columns=["row", "line", "column", "what is wrong"],
    ).astype({"row": "Int64", "line": "Int64"})
