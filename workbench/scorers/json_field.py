"""`json_field`: does a field of the JSON output hold the expected value?

Expected is the same field of the example's expected value if that can be entered by the path
(an object, or an array for a path that begins with an index, also as JSON text, which is how a
CSV column holds it), else the expected value itself. With several paths the value is the share
of fields that are right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from app.core.hashing import JSON
from workbench.scorers._json import (
    FieldPath,
    NotJSON,
    equal_json,
    look_up,
    parse_path,
    read_json,
    written_path,
)
from workbench.scorers._text import is_container, quoted
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoringInput,
)

__all__ = ["JSONField", "JSONFieldConfig"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class JSONFieldConfig(ScorerConfig):
    """Options of `json_field`; exactly one of `path` and `paths` is given."""

    path: str | None = None
    """The field, such as `queue`, `customer.orders[0].total` or `["a.b"]`."""
    # Not strict, so that a list, which is what YAML and JSON have, becomes the tuple.
    paths: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Several fields, each with the same share in the value."""
    allow_fence: bool = True
    """Accept JSON that stands in the output's only ``` block; off, the whole output must be
    JSON."""


class JSONField(Scorer[JSONFieldConfig]):
    """Whether one field of the JSON output, or the share of several, equals the expected.

    Example: `json_field:path=customer.orders[0].total`
    """

    name = "json_field"
    version = 1
    config_type = JSONFieldConfig

    def __init__(self, config: JSONFieldConfig) -> None:
        super().__init__(config)
        if (config.path is None) == (not config.paths):
            raise ScorerConfigError(
                "json_field: give one of path and paths, such as path=queue.", path="path"
            )
        wanted = config.paths if config.path is None else (config.path,)
        try:
            self._paths = tuple(parse_path(path) for path in wanted)
        except ValueError as error:
            raise ScorerConfigError(f"json_field: {error}", path="path") from error

    @property
    def binary(self) -> bool:
        """One field is right or wrong; the share of several is graded."""
        return len(self._paths) == 1

    def score(self, given: ScoringInput) -> ScoreResult:
        """Read the output and compare; output that is no JSON has no field right."""
        if given.expected is None:
            return ScoreResult.unscored(
                ReasonCode.NO_EXPECTED, "The example has no expected value."
            )
        try:
            expected = self._expected_fields(given.expected)
        except LookupError as error:
            return ScoreResult.unscored(ReasonCode.EXPECTED_UNUSABLE, str(error.args[0]))
        try:
            document = read_json(given.output, allow_fence=self.config.allow_fence)
        except NotJSON as error:
            return ScoreResult.verdict(False, f"not JSON: {error}")
        faults = [
            fault
            for path, value in zip(self._paths, expected, strict=True)
            if (fault := _fault(document, path, value)) is not None
        ]
        return self._result(faults)

    def _expected_fields(self, expected: JSON) -> list[JSON]:
        """Return the expected value of each path; raises `LookupError` with a sentence."""
        root = _document(expected)
        return [self._expected_field(root, path) for path in self._paths]

    def _expected_field(self, root: JSON, path: FieldPath) -> JSON:
        enters = isinstance(root, Mapping) if isinstance(path[0], str) else _is_array(root)
        if enters:
            try:
                return look_up(root, path)
            except LookupError as error:
                raise LookupError(
                    f"The expected value has no field {written_path(path)}."
                ) from error
        if len(self._paths) > 1:
            raise LookupError("With several paths the expected value must hold each of them.")
        return root

    def _result(self, faults: list[str]) -> ScoreResult:
        total = len(self._paths)
        right = total - len(faults)
        if not faults:
            return ScoreResult.verdict(True, "as expected")
        if total == 1:
            return ScoreResult.verdict(False, faults[0])
        return ScoreResult.graded(
            right / total, f"{right} of {total} fields right; {'; '.join(faults)}", passed=False
        )


def _document(expected: JSON) -> JSON:
    """Return the value behind a text that holds a JSON object or array, else the value."""
    if not isinstance(expected, str):
        return expected
    try:
        value = read_json(expected)
    except NotJSON:
        return expected
    return value if is_container(value) else expected


def _is_array(value: JSON) -> bool:
    return isinstance(value, (list, tuple))


def _fault(document: JSON, path: FieldPath, expected: JSON) -> str | None:
    shown = written_path(path)
    try:
        actual = look_up(document, path)
    except LookupError:
        return f"{shown}: missing, expected {quoted(expected)}"
    if equal_json(actual, expected) or _equals_as_text(actual, expected):
        return None
    return f"{shown}: expected {quoted(expected)}, got {quoted(actual)}"


def _equals_as_text(actual: JSON, expected: JSON) -> bool:
    """Whether an expected text is the JSON text of a number, true, false or null: a CSV column
    has no other way to say it."""
    if not isinstance(expected, str) or isinstance(actual, str) or is_container(actual):
        return False
    try:
        return equal_json(actual, read_json(expected))
    except NotJSON:
        return False
