"""`json_valid`: is the output JSON at all?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic.dataclasses import dataclass

from app.core.hashing import JSON
from workbench.scorers._json import NotJSON, read_json
from workbench.scorers.interface import (
    STRICT,
    Scorer,
    ScorerConfig,
    ScoreResult,
    ScoringInput,
)

__all__ = ["JSONValid", "JSONValidConfig"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class JSONValidConfig(ScorerConfig):
    """Options of `json_valid`."""

    kind: Literal["any", "object", "array"] = "any"
    """What the JSON must be: `any` value, an `object` or an `array`."""
    allow_fence: bool = True
    """Accept JSON that stands in the output's only ``` block; off, the whole output must be
    JSON."""
    anywhere: bool = False
    """Accept an object or array with other text around it; the first one counts."""


class JSONValid(Scorer[JSONValidConfig]):
    """Whether the output is JSON, whatever it says.

    Example: `json_valid:kind=object`
    """

    name = "json_valid"
    version = 1
    config_type = JSONValidConfig

    def score(self, given: ScoringInput) -> ScoreResult:
        """Read the output."""
        try:
            value = read_json(
                given.output,
                allow_fence=self.config.allow_fence,
                anywhere=self.config.anywhere,
            )
        except NotJSON as error:
            return ScoreResult.verdict(False, f"not JSON: {error}")
        found = _kind(value)
        wanted = self.config.kind
        if wanted in ("any", found):
            return ScoreResult.verdict(True, f"JSON: {found}")
        return ScoreResult.verdict(False, f"JSON, but {found} and not {wanted}")


def _kind(value: JSON) -> str:
    if isinstance(value, Mapping):
        return "object"
    return "array" if isinstance(value, (list, tuple)) else "value"
