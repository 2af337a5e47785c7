"""`json_path`: does what stands at a place of the JSON output meet a condition?

A path names one place, such as `customer.orders[0].total`; there are no wildcards, filters or
scripts in it. Where `json_field` compares with the example's expected value, this compares with
a value that is the same for every output, or asks only whether something stands there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Final, Literal

from pydantic import JsonValue
from pydantic.dataclasses import dataclass

from app.core.hashing import JSON
from workbench.scorers._json import (
    NotJSON,
    equal_json,
    look_up,
    parse_path,
    read_json,
)
from workbench.scorers._text import quoted
from workbench.scorers.interface import (
    STRICT,
    Scorer,
    ScorerConfig,
    ScorerConfigError,
    ScoreResult,
    ScoringInput,
)

__all__ = ["JSONPath", "JSONPathConfig"]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class JSONPathConfig(ScorerConfig):
    """Options of `json_path`; `path` is needed."""

    path: str = ""
    """The place, such as `queue`, `customer.orders[0].total` or `["a.b"]`."""
    condition: Literal[
        "equals", "differs", "contains", "at_least", "at_most", "exists", "missing"
    ] = "equals"
    """What must be true there: `equals` or `differs` from the value, `contains` it (a text in a
    text, an item in an array, a key in an object), is a number `at_least` or `at_most` the
    value; `exists` and `missing` need no value."""
    value: dict[str, JsonValue] | list[JsonValue] | str | bool | int | float | None = None
    """What is compared with; left out, it is JSON's null."""
    allow_fence: bool = True
    """Accept JSON that stands in the output's only ``` block; off, the whole output must be
    JSON."""


class JSONPath(Scorer[JSONPathConfig]):
    """Whether what stands at a path of the JSON output meets a condition.

    Example: `json_path:path=orders[0].total,condition=at_least,value=1`
    """

    name = "json_path"
    version = 1
    config_type = JSONPathConfig

    def __init__(self, config: JSONPathConfig) -> None:
        super().__init__(config)
        try:
            self._path = parse_path(config.path)
        except ValueError as error:
            raise ScorerConfigError(f"json_path: {error}", path="path") from error
        bound = config.condition in ("at_least", "at_most")
        if bound and not _is_number(config.value):
            raise ScorerConfigError(
                f"json_path: {config.condition} needs a number as value, as in value=3.",
                path="value",
            )

        if config.condition == "contains" and config.value == "":
            raise ScorerConfigError(
                "json_path: contains needs a value that is not empty; every text contains that.",
                path="value",
            )

    def score(self, given: ScoringInput) -> ScoreResult:
        """Go to the place and compare; output that is no JSON is wrong."""
        config = self.config
        try:
            document = read_json(given.output, allow_fence=config.allow_fence)
        except NotJSON as error:
            return ScoreResult.verdict(False, f"not JSON: {error}")
        try:
            actual = look_up(document, self._path)
        except LookupError:
            return ScoreResult.verdict(config.condition == "missing", f"{config.path}: missing")
        if config.condition in ("exists", "missing"):
            return ScoreResult.verdict(
                config.condition == "exists", f"{config.path}: {quoted(actual)}"
            )
        met = _CONDITIONS[config.condition](actual, config.value)
        wanted = f"{config.condition.replace('_', ' ')} {quoted(config.value)}"
        told = f"{config.path}: {quoted(actual)}"
        return ScoreResult.verdict(met, told if met else f"{told}, wanted: {wanted}")


def _is_number(value: JSON) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _contains(actual: JSON, value: JSON) -> bool:
    if isinstance(actual, (list, tuple)):
        return any(equal_json(item, value) for item in actual)
    return isinstance(value, str) and isinstance(actual, (str, Mapping)) and value in actual


def _bound(holds: Callable[[float, float], bool]) -> Callable[[JSON, JSON], bool]:
    """Return a condition on two numbers; what is no number does not meet it."""

    def meets(actual: JSON, value: JSON) -> bool:
        return (
            isinstance(actual, (int, float))
            and isinstance(value, (int, float))
            and not isinstance(actual, bool)
            and holds(actual, value)
        )

    return meets


_CONDITIONS: Final[Mapping[str, Callable[[JSON, JSON], bool]]] = {
    "equals": equal_json,
    "differs": lambda actual, value: not equal_json(actual, value),
    "contains": _contains,
    "at_least": _bound(operator.ge),
    "at_most": _bound(operator.le),
}
