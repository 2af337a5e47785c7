"""`json_schema`: is the output JSON, and of the wanted shape?

How schemas are read, and what is refused in them, stands in `_schema`.
"""

from __future__ import annotations

from pydantic import JsonValue
from pydantic.dataclasses import dataclass

from workbench.scorers._json import NotJSON, read_json
from workbench.scorers._schema import checked, compiled_schema
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoringInput,
)

__all__ = ["JSONSchema", "JSONSchemaConfig"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class JSONSchemaConfig(ScorerConfig):
    """Options of `json_schema`."""

    schema: dict[str, JsonValue] | bool | None = None
    """The schema for every output; without it, each example's expected value is the schema."""
    allow_fence: bool = True
    """Accept JSON that stands in the output's only ``` block; off, the whole output must be
    JSON."""
    anywhere: bool = False
    """Accept an object or array with other text around it; the first one counts."""


class JSONSchema(Scorer[JSONSchemaConfig]):
    """Whether the output is JSON that satisfies a JSON Schema.

    Example: `json_schema:schema={"type": "object", "required": ["queue"]}`
    """

    name = "json_schema"
    version = 1
    config_type = JSONSchemaConfig

    def __init__(self, config: JSONSchemaConfig) -> None:
        super().__init__(config)
        try:
            self._validator = None if config.schema is None else compiled_schema(config.schema)
        except ValueError as error:
            raise ScorerConfigError(f"json_schema: {error}", path="schema") from error

    def score(self, given: ScoringInput) -> ScoreResult:
        """Read the output and check it; output that is no JSON is wrong."""
        validator = self._validator
        if validator is None:
            if given.expected is None:
                return ScoreResult.unscored(
                    ReasonCode.NO_EXPECTED, "There is neither a schema nor an expected value."
                )
            try:
                validator = compiled_schema(given.expected)
            except ValueError as error:
                return ScoreResult.unscored(ReasonCode.EXPECTED_UNUSABLE, str(error))
        try:
            value = read_json(
                given.output,
                allow_fence=self.config.allow_fence,
                anywhere=self.config.anywhere,
            )
        except NotJSON as error:
            return ScoreResult.verdict(False, f"not JSON: {error}")
        return checked(validator, value)
