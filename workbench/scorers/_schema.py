"""JSON Schema as jsonschema-rs reads it (2020-12 unless `$schema` says otherwise).

Nothing is fetched: a reference to another document, by network or file, is refused. Patterns
inside a schema run with a bound on backtracking, beyond which the result is `failed`.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import jsonschema_rs

from app.core.hashing import JSON
from workbench.scorers._json import NotJSON, read_json, written_path
from workbench.scorers._text import quoted, shortened
from workbench.scorers.interface import ReasonCode, ScoreResult

__all__ = ["checked", "compiled_schema"]

_SHOWN_ERRORS: Final = 3
_COUNTED_ERRORS: Final = 100
_UNDECIDED: Final = (
    jsonschema_rs.ValidationErrorKind.BacktrackLimitExceeded,
    jsonschema_rs.ValidationErrorKind.RegexEngineFailure,
)


def compiled_schema(schema: JSON) -> jsonschema_rs.Validator:
    """Compile a schema given as a value or as JSON text; raises `ValueError` in a sentence."""
    if isinstance(schema, str):
        try:
            schema = read_json(schema)
        except NotJSON as error:
            raise ValueError(f"The schema is not JSON: {error}.") from error
    if not isinstance(schema, (bool, dict)):
        raise ValueError(f"A schema is an object, true or false, not {quoted(schema)}.")
    try:
        return jsonschema_rs.validator_for(schema, offline=True)
    except ValueError as error:
        # A ValidationError has `message`, one line; its str() repeats the schema over many.
        message = getattr(error, "message", str(error))
        raise ValueError(f"The schema cannot be used: {shortened(message, 150)}.") from error


def checked(validator: jsonschema_rs.Validator, value: JSON) -> ScoreResult:
    """Return whether the value fits; the explanation gives the first errors with their place."""
    errors = list(islice(validator.iter_errors(value), _COUNTED_ERRORS))
    for error in errors:
        if isinstance(error.kind, _UNDECIDED):
            return ScoreResult.failed(ReasonCode.TIME_LIMIT, _told(error))
    if not errors:
        return ScoreResult.verdict(True, "fits the schema")
    explanation = "; ".join(_told(error) for error in errors[:_SHOWN_ERRORS])
    more = len(errors) - _SHOWN_ERRORS
    return ScoreResult.verdict(False, f"{explanation}; {more} more" if more > 0 else explanation)


def _told(error: jsonschema_rs.ValidationError) -> str:
    path = written_path(tuple(error.instance_path))
    message = shortened(error.message, 80)
    return f"{path}: {message}" if path else message
