"""Parquet, with the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, cast

import orjson

from app.core.errors import ConfigurationError
from app.core.hashing import JSON
from workbench.parquet_values import json_value
from workbench.workspace.tables.files import opened
from workbench.workspace.tables.rows import (
    MAX_ROW_BYTES,
    TOO_LARGE,
    Row,
    TableError,
    checked_object,
)

__all__ = ["read_parquet"]

_BATCH: Final = 100  # rows in memory at once


def read_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows, a batch at a time; they have no lines."""
    try:
        # An extra: imported where it is used, so that everything else works without it.
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ConfigurationError(
            "Parquet needs the package pyarrow: install prompt-workbench[parquet]."
        ) from error
    name = str(path)
    with opened(path) as file:
        try:
            table = parquet.ParquetFile(file)
            columns: list[str] = table.schema_arrow.names
            if twice := sorted({c for c in columns if columns.count(c) > 1}):
                raise TableError(name, "two columns have the same name.", column=twice[0])
            number = 0
            for batch in table.iter_batches(batch_size=_BATCH):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, None, _parquet_row(values, name, number))
        except ArrowException as error:
            raise TableError(name, f"the file is no Parquet: {error}.") from None


def _parquet_row(values: Mapping[str, object], name: str, number: int) -> dict[str, JSON]:
    def fail(problem: str, *, column: str | None = None, hint: str | None = None) -> TableError:
        return TableError(name, problem, row=number, column=column, hint=hint)

    # What has no JSON form (bytes) is refused by the check, column by column.
    plain = {column: json_value(value) for column, value in values.items()}
    row = checked_object(cast("JSON", plain), fail)
    if len(orjson.dumps(row)) > MAX_ROW_BYTES:
        raise fail(TOO_LARGE)
    return row
