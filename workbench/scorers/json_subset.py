"""`json_subset`: does the JSON output contain the expected JSON?

What containing means stands in `_subset`.
"""

from __future__ import annotations

from pydantic import JsonValue
from pydantic.dataclasses import dataclass

from workbench.scorers._expected import no_expected, unusable
from workbench.scorers._json import NotJSON, read_json
from workbench.scorers._subset import TooMuchJSON, missing_json
from workbench.scorers._text import is_container
from workbench.scorers.interface import (
    STRICT,
    ReasonCode,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["JSONSubset", "JSONSubsetConfig"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class JSONSubsetConfig(ScorerConfig):
    """Options of `json_subset`."""

    value: dict[str, JsonValue] | list[JsonValue] | None = None
    """The object or array to be contained in every output; without it, each example's expected
    value."""
    allow_fence: bool = True
    """Accept JSON that stands in the output's only ``` block; off, the whole output must be
    JSON."""


class JSONSubset(Scorer[JSONSubsetConfig]):
    """Whether the JSON output contains the expected keys, values and items.

    Example: `json_subset:value={"queue": "billing"}`
    """

    name = "json_subset"
    version = 1
    config_type = JSONSubsetConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Walk the expected value; more than 100,000 comparisons are `failed`."""
        expected = given.expected if self.config.value is None else self.config.value
        if expected is None:
            return no_expected("JSON")
        if isinstance(expected, str):
            try:
                expected = read_json(expected)
            except NotJSON:
                return unusable(expected, "no JSON")
        if not is_container(expected):
            return unusable(expected, "no object or array")
        try:
            document = read_json(given.output, allow_fence=self.config.allow_fence)
        except NotJSON as error:
            return ScoreResult.verdict(False, f"not JSON: {error}")
        try:
            missing = missing_json(document, expected)
        except TooMuchJSON as error:
            return ScoreResult.failed(ReasonCode.SIZE_LIMIT, str(error))
        return ScoreResult.verdict(missing is None, missing or "contains the expected JSON")
