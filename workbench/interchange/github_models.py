"""GitHub Models prompt files (`.prompt.yml`, `.prompt.yaml`), read and written.

`{{name}}` without spaces is replaced by the value of that name and nothing else is a template:
`{{ name }}` is text there. Test data become examples, and those evaluators that compare texts
become scorers: `contains`, `startsWith` and `endsWith` ignore case, `equals` does not; of
several in one evaluator the first of equals, contains, startsWith, endsWith counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import orjson

from app.core.errors import Invalid
from app.core.hashing import JSON, ordered_json
from app.schemas.prompts import MessagePlaceholder, Variable
from workbench.interchange.foreign_json import parse_foreign_json
from workbench.interchange.foreign_yaml import parse_foreign_yaml
from workbench.interchange.losses import Source
from workbench.interchange.pieces import Piece, Text, Use, literal_braces, merged, our_pieces
from workbench.interchange.prompts import (
    Draft,
    DraftMessage,
    Example,
    Exportable,
    Imported,
    add_parameter,
    assemble,
    prompt_name,
)
from workbench.interchange.writing import Written, close, mapping_source, note_unwritten
from workbench.scorers import ScorerConfigError, parse_rule
from workbench.yaml_text import dump_yaml

__all__ = ["read_github_models", "write_github_models"]

_FORMAT: Final = "a GitHub Models file"
_PARAMETERS: Final = {"maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p"}
_ROLES: Final = ("system", "user", "assistant")
_EXPECTED: Final = "expected"
_SPACED: Final = re.compile(r"\{\{(?:[ \t][^{}\n]{0,100}|[^{}\n]{0,100}[ \t])\}\}")
_WHOLE_VALUE: Final = re.compile(r"\{\{([^{}\n]+)\}\}")

_REASONS: Final = MappingProxyType(
    {
        "model": "a prompt here names no model: an experiment does",
        "modelParameters": "there is no such parameter here",
        "responseFormat": "it needs a jsonSchema that can be read, or is unknown here",
        "testData": "this is no mapping of values",
        "evaluators": "no scorer here does the same",
    }
)


def read_github_models(text: str, *, source: str, file_stem: str) -> Imported:
    """Read one file. Raises `Invalid` for what is no prompt file."""
    parsed = parse_foreign_yaml(text, source=source)
    document = mapping_source(parsed, _REASONS, source, needs="messages")
    draft = Draft(prompt_name(document, document.text("name"), ("name",), file_stem))
    draft.description = document.text("description")
    draft.messages = [_message(document, index) for index in range(document.length("messages"))]
    for name in document.keys("modelParameters"):
        add_parameter(document, draft, ("modelParameters", name), _PARAMETERS.get(name, name))
    _response_format(document, draft)
    _examples(document, draft)
    draft.scorers = [
        scorer
        for index in range(document.length("evaluators"))
        if (scorer := _scorer(document, index)) is not None
    ]
    prompt = assemble(document, draft)
    return Imported((prompt,), document.finish())


def _message(document: Source, index: int) -> DraftMessage:
    place = f"messages[{index}]"
    role = document.text("messages", index, "role") or "user"
    content = document.text("messages", index, "content")
    for match in _SPACED.finditer(content):
        line = content.count("\n", 0, match.start()) + 1
        document.note(
            f"{place}.content, line {line}",
            match[0],
            "with spaces inside the braces it is text in GitHub Models, and it stays text; "
            "write {{ name }} in the draft if a variable was meant",
        )
    return DraftMessage(role, literal_braces(content, spaces=False), f"{place}.content")


def _response_format(document: Source, draft: Draft) -> None:
    kind = document.at("responseFormat")
    if kind == "text":
        document.take("responseFormat")
    elif kind == "json_object":
        document.take("responseFormat")
        draft.response_format = {"type": "json_object"}
    elif kind == "json_schema":
        schema = _json_schema(document)
        if schema is not None:
            document.take("responseFormat")
            draft.response_format = {"type": "json_schema", "json_schema": schema}


def _json_schema(document: Source) -> dict[str, JSON] | None:
    """Take the JSON text with name and schema; None, with the loss named, if it is none."""
    text = document.at("jsonSchema")
    try:
        schema = parse_foreign_json(text, source="jsonSchema") if isinstance(text, str) else None
    except Invalid as error:
        document.lose(("jsonSchema",), error.message.rstrip("."))
        return None
    if not isinstance(schema, dict) or not {"name", "schema"} <= set(schema):
        document.lose(("jsonSchema",), "this must be the JSON text of an object, name and schema")
        return None
    document.take("jsonSchema")
    return schema


# Test data and evaluators


def _examples(document: Source, draft: Draft) -> None:
    used = {p.name for m in draft.messages for p in m.pieces if isinstance(p, Use)}
    for index in range(document.length("testData")):
        row = document.at("testData", index)
        if not isinstance(row, Mapping) or not row:
            continue
        values = {key: value for key, value in row.items() if key in used}
        if not values:
            document.lose(("testData", index), "none of its values is used in a message")
            continue
        document.take("testData", index)
        others = {k: v for k, v in row.items() if k not in used and k != _EXPECTED}
        expected = None if _EXPECTED in used else row.get(_EXPECTED)
        draft.examples.append(Example(values, expected, others))
        for name, value in values.items():
            if not isinstance(value, str):
                draft.declared[name] = (Variable(type="any"), ("testData",))


def _scorer(document: Source, index: int) -> dict[str, JSON] | None:
    """Return the scorer that does what an evaluator does; None if there is none."""
    at = ("evaluators", index)
    if document.at(*at, "llm") is not None or document.at(*at, "uses") is not None:
        document.lose(at, "a model judges here: write a judge of your own and qualify it")
        return None
    for kind in ("equals", "contains", "startsWith", "endsWith"):
        value = document.at(*at, "string", kind)
        if not isinstance(value, str) or not value:
            continue
        scorer = _text_scorer(kind, value)
        if scorer is None:
            document.lose(at, "it compares with a value that is no expected output")
            return None
        try:
            parse_rule(scorer)
        except ScorerConfigError as error:
            document.lose(at, error.message.rstrip("."))
            return None
        document.take(*at, "string", kind)
        if document.at(*at, "name") is not None:
            document.lose((*at, "name"), "scorers are named for what they do")
        for other in document.keys(*at, "string"):
            if other != kind:
                document.lose((*at, "string", other), f"{kind} stands there too and counts alone")
        return scorer
    return None


def _text_scorer(kind: str, value: str) -> dict[str, JSON] | None:
    match = _WHOLE_VALUE.fullmatch(value)
    if match is None and _WHOLE_VALUE.search(value):
        return None
    if match is not None and match[1] != _EXPECTED:
        return None
    text: dict[str, JSON] = {} if match else {"text": value}
    texts: dict[str, JSON] = {} if match else {"texts": [value]}
    match kind:
        case "equals":
            return {"name": "exact_match", **texts, "strip": False}
        case "contains":
            return {"name": "contains", **text, "ignore_case": True}
        case "startsWith":
            return {"name": "starts_with", **texts, "ignore_case": True}
        case _:
            return {"name": "ends_with", **texts, "ignore_case": True}


# Writing


def write_github_models(prompt: Exportable) -> Written:
    """Return the text of a file, with everything named that the format has no place for."""
    losses = Source({})
    content = prompt.content
    document: dict[str, JSON] = {"name": prompt.name}
    if prompt.description:
        document["description"] = prompt.description
    parameters = {
        wire: content.parameters[name]
        for wire, name in _PARAMETERS.items()
        if name in content.parameters
    }
    if parameters:
        document["modelParameters"] = parameters
    document["messages"] = list(_written_messages(losses, prompt))
    response_format = _written_format(content.response_format)
    document |= response_format or {}
    note_unwritten(
        losses,
        content,
        _FORMAT,
        parameters=frozenset(_PARAMETERS.values()),
        response_format=response_format is not None,
    )
    return close(prompt, dump_yaml(document), losses, read_github_models)


def _written_messages(losses: Source, prompt: Exportable) -> Iterator[dict[str, JSON]]:
    for index, message in enumerate(prompt.content.messages):
        place = f"messages[{index}]"
        if isinstance(message, MessagePlaceholder):
            losses.note(
                place,
                "{placeholder: history}",
                f"{_FORMAT} has no place for a conversation",
                "dropped",
                changes_meaning=True,
            )
            continue
        role = message.role
        if role not in _ROLES:
            losses.note(f"{place}.role", role, "the nearest role there is system")
            role = "system"
        pieces = our_pieces(message.content)
        yield {"role": role, "content": _written_text(pieces)}


def _written_text(pieces: list[Piece]) -> str:
    return "".join(
        piece.text if isinstance(piece, Text) else f"{{{{{piece.name}}}}}"
        for piece in merged(pieces)
        if isinstance(piece, (Text, Use))
    )


def _written_format(response_format: Mapping[str, JSON] | None) -> dict[str, JSON] | None:
    """Return the keys of a response format; None if the format has none such."""
    match response_format:
        case {"type": ("text" | "json_object") as kind, **rest} if not rest:
            return {"responseFormat": kind}
        case {"type": "json_schema", "json_schema": {"name": str(), "schema": _} as schema, **rest}:
            if not rest:
                text = orjson.dumps(orjson.loads(ordered_json(schema)), option=orjson.OPT_INDENT_2)
                return {"responseFormat": "json_schema", "jsonSchema": text.decode() + "\n"}
    return None
