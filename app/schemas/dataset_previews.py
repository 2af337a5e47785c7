"""What a text would become as a dataset version, before anything is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from app.schemas.datasets import ExampleColumnNames, Separator, TextFormat
from app.schemas.examples import example

__all__ = ["MAX_ROW_ERRORS", "DatasetPreview", "DatasetPreviewRequest", "PreviewRow", "RowError"]

MAX_ROW_ERRORS: Final = 100
"""Errors that a preview lists; it counts all."""


class DatasetPreviewRequest(BaseModel):
    """The text of a file, or its beginning, and what its columns are."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        **example(
            format="csv",
            text="ticket,queue\nCharged twice,billing\n",
            columns={"inputs": ["ticket"], "expected_output": "queue"},
        ),
    )

    text: str = Field(min_length=1)
    format: TextFormat = "jsonl"
    separator: Separator = ","
    columns: ExampleColumnNames | None = Field(
        default=None, description="none: rows are objects as in `examples` of an import"
    )
    partial: bool = Field(
        default=False, description="the text may be cut off: what breaks at its end is no error"
    )
    show: int = Field(default=5, ge=0, le=20, description="rows to give back")
    only_first: bool = Field(
        default=False, description="read no further than the rows to give back"
    )

    @model_validator(mode="after")
    def _columns_are_known(self) -> DatasetPreviewRequest:
        if self.format == "csv" and self.columns is None:
            raise ValueError("a CSV text needs columns")
        return self


class PreviewRow(BaseModel):
    """One row as it was read, and the example it becomes; None if it cannot be one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: int
    values: dict[str, JsonValue]
    example: dict[str, JsonValue] | None


class RowError(BaseModel):
    """What is wrong with one row. `row` counts from 1 without the header, `line` in the text;
    None where the error has no such place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: int | None
    line: int | None
    column: str | None
    problem: str


class DatasetPreview(BaseModel):
    """What a text would become: nothing was stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Sequence[str] = Field(description="names in the rows given back, as they come")
    rows: Sequence[PreviewRow]
    examples: int = Field(description="rows that become examples")
    expected_count: int
    repeated_inputs: int = Field(description="rows without a key whose input an earlier row has")
    errors: Sequence[RowError] = Field(description="the first 100")
    error_count: int
