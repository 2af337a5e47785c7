"""The fields that are known are the SDK's, and the documentation says what becomes of each."""

from __future__ import annotations

from pathlib import Path

from openai.types.chat import completion_create_params

from app.api.openai.fields import EXTENSIONS, FIELDS, REQUEST_SCHEMA

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "openai-api.md"


def table() -> str:
    """Return the table of the documentation."""
    rows = [
        f"| `{name}` | {field.handling.value} | {field.note} |"
        for name, field in {**FIELDS, **EXTENSIONS}.items()
    ]
    return "\n".join(("| field | becomes | what to know |", "|---|---|---|", *rows))


def test_every_field_of_the_sdk_has_been_decided_on() -> None:
    kinds = (
        completion_create_params.CompletionCreateParamsNonStreaming,
        completion_create_params.CompletionCreateParamsStreaming,
    )
    in_sdk = {name for kind in kinds for name in kind.__required_keys__ | kind.__optional_keys__}
    assert in_sdk == FIELDS.keys()
    assert len(in_sdk) == 37


def test_the_documentation_has_the_table_of_fields() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), f"write this into {PAGE}:\n{table()}"


def test_the_openapi_document_describes_every_field() -> None:
    properties = REQUEST_SCHEMA["properties"]
    assert isinstance(properties, dict)
    assert properties.keys() == FIELDS.keys() | EXTENSIONS.keys()
