"""What an example gives to judge by, read the same way by every scorer."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from app.core.hashing import JSON
from workbench.scorers._json import NotJSON, read_json
from workbench.scorers._text import as_text, is_container, quoted
from workbench.scorers.interface import ReasonCode, ScoreResult

__all__ = ["MAX_TEXTS", "Texts", "expected_list", "expected_texts", "no_expected", "unusable"]

MAX_TEXTS: Final = 200
"""Most texts that one scorer looks for."""

Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=10_000)]
# Not strict, so that a list, which is what YAML and JSON have, becomes the tuple.
Texts: TypeAlias = Annotated[tuple[Text, ...], Field(strict=False, max_length=MAX_TEXTS)]
"""Several texts as an option."""


def no_expected(what: str) -> ScoreResult:
    """Return the result for an example without an expected value."""
    return ScoreResult.unscored(ReasonCode.NO_EXPECTED, f"The example has no expected {what}.")


def unusable(expected: JSON, what: str) -> ScoreResult:
    """Return the result for an expected value that is not `what` a scorer needs."""
    return ScoreResult.unscored(
        ReasonCode.EXPECTED_UNUSABLE, f"The expected value {quoted(expected)} is {what}."
    )


def expected_list(expected: JSON) -> list[JSON] | None:
    """Return the items of an expected list, also one written as JSON text, which is how a CSV
    column holds it; None if the value is no list."""
    value = expected
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = read_json(value)
        except NotJSON:
            return None
    return list(value) if isinstance(value, (list, tuple)) else None


def expected_texts(expected: JSON) -> tuple[str, ...] | ScoreResult:
    """Return one or several texts to look for, or the reason why there are none."""
    if expected is None:
        return no_expected("text")
    listed = expected_list(expected)
    items = [expected] if listed is None else listed
    texts = tuple(as_text(item) for item in items if not is_container(item) and item is not None)
    if len(texts) < len(items) or not texts or "" in texts:
        return unusable(expected, "no text and no list of texts that could be looked for")
    if len(texts) > MAX_TEXTS:
        return unusable(expected, f"a list of more than {MAX_TEXTS} texts")
    return texts
