"""What a text would become as a dataset version. Pure: nothing is stored, every row is told of."""

from __future__ import annotations

from datetime import datetime

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.dataset_previews import (
    MAX_ROW_ERRORS,
    DatasetPreview,
    DatasetPreviewRequest,
    PreviewRow,
    RowError,
)
from app.schemas.datasets import ExampleInput
from app.services.dataset_assembly import Assembly, prepare
from app.services.dataset_texts import TextError, TextRow, example_of, read_rows

__all__ = ["preview_of"]

_SOURCE = "text"


def preview_of(request: DatasetPreviewRequest, now: datetime) -> DatasetPreview:
    """Return the first rows, and what an import would say to each."""
    reading = _Reading(request, now)
    try:
        for row in read_rows(request.text, request.format, request.separator):
            reading.take(row)
            if request.only_first and reading.taken >= request.show:
                break
    except TextError as error:  # nothing behind it can be read
        if not request.partial:
            reading.note(error)
    return reading.preview()


class _Reading:
    """What is known of the rows that were read so far."""

    def __init__(self, request: DatasetPreviewRequest, now: datetime) -> None:
        self.taken = 0
        self._request = request
        self._now = now
        self._assembly = Assembly(_SOURCE)
        self._rows: list[PreviewRow] = []
        self._errors: list[RowError] = []
        self._error_count = 0

    def take(self, row: TextRow | TextError) -> None:
        """Read one row; what is wrong with it is noted."""
        self.taken += 1
        example = None
        try:
            if isinstance(row, TextError):
                raise row
            example = self._admitted(row)
        except TextError as error:
            self._assembly.refuse()
            self.note(error)
        if isinstance(row, TextRow) and len(self._rows) < self._request.show:
            self._rows.append(
                PreviewRow(row=row.number, values=dict(row.values), example=_shape(example))
            )

    def note(self, error: TextError) -> None:
        """Count an error, and keep it if it is among the first."""
        self._error_count += 1
        if len(self._errors) < MAX_ROW_ERRORS:
            self._errors.append(
                RowError(row=error.row, line=error.line, column=error.column, problem=error.problem)
            )

    def preview(self) -> DatasetPreview:
        return DatasetPreview(
            columns=list(dict.fromkeys(name for row in self._rows for name in row.values)),
            rows=self._rows,
            examples=self._assembly.count - self._assembly.refused,
            expected_count=self._assembly.expected_count,
            repeated_inputs=self._assembly.repeated_inputs,
            errors=self._errors,
            error_count=self._error_count,
        )

    def _admitted(self, row: TextRow) -> ExampleInput:
        """Return the example of a row, if it may stand beside those before it."""
        example = example_of(row, self._request.columns)
        try:
            self._assembly.admit(prepare(example, self._now))
        except Invalid as error:
            problem = error.message.removeprefix(f"{_SOURCE}, row {row.number}: ").rstrip(".")
            raise TextError(problem, row=row.number, line=row.line, column=error.path) from None
        return example


def _shape(example: ExampleInput | None) -> dict[str, JSON] | None:
    if example is None:
        return None
    labels: dict[str, JSON] = {"key": example.key, "cluster": example.cluster}
    return {**{name: label for name, label in labels.items() if label}, **example.content()}
