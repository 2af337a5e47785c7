"""`models.yaml`: what a workspace says about models, strictly parsed.

    models:
      - model: openai/gpt-4.1
        context_window: 1047576
        max_output_tokens: 32768
        parameters:
          temperature: {maximum: 1}
        prices:
          - {from: 2026-01-01, input: 2.00, cached_input: 0.50, output: 8.00}
      - model: openai/our-llama
        provider_model: meta-llama/Llama-3.1-8B-Instruct
        endpoint: vllm

Prices are US dollars per million tokens. An endpoint is a name: addresses stand under
`endpoints` in workbench.yaml or in the environment, keys in the environment only, and
neither is read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from app.core.hashing import JSON
from app.schemas.models import ModelDeclaration
from workbench.workspace.strict_yaml import FieldPath, YamlDocument, read_yaml

__all__ = ["MODELS_FILE", "read_models_file"]

MODELS_FILE: Final = "models.yaml"

_KEYS: Final = frozenset(
    {"api_key", "apikey", "key", "token", "secret", "password", "authorization", "credentials"}
    | {"headers", "extra_headers"}
)
_ADDRESSES: Final = frozenset(
    {"base_url", "url", "api_base", "address", "host", "proxy", "ca_file", "azure_endpoint"}
)


def read_models_file(path: Path, *, source: str | None = None) -> list[ModelDeclaration]:
    """Return the declarations of a file, in its order.

    Raises `Invalid` with file, line and field for anything that is not as above.
    """
    document = read_yaml(path, source=source)
    declarations = [
        _declaration(document, item, ("models", index))
        for index, item in enumerate(_items(document))
    ]
    first: dict[str, int] = {}
    for index, declaration in enumerate(declarations):
        if declaration.model in first:
            line = document.line(("models", first[declaration.model]))
            raise document.problem(
                ("models", index, "model"),
                f"{declaration.model} is there already, on line {line}; say everything about a "
                "model in one entry.",
            )
        first[declaration.model] = index
    return declarations


def _items(document: YamlDocument) -> list[JSON]:
    value = document.value
    if not isinstance(value, dict) or "models" not in value:
        raise document.problem((), "the file must begin with 'models:' and a list of models.")
    if other := next((key for key in value if key != "models"), None):
        raise document.problem((other,), f"unknown key {other!r}; only 'models' stands here.")
    items = value["models"]
    if items is None:
        return []
    if not isinstance(items, list):
        raise document.problem(
            ("models",), "this must be a list: begin each model with '- model:'."
        )
    return items


def _declaration(document: YamlDocument, item: JSON, at: FieldPath) -> ModelDeclaration:
    if not isinstance(item, dict):
        raise document.problem(at, "a model is a mapping, as in '- model: openai/gpt-4.1'.")
    _refuse_secrets(document, item, at)
    try:
        return ModelDeclaration.model_validate(item)
    except ValidationError as error:
        raise document.validation_problem(error, ModelDeclaration, at=at) from None


def _refuse_secrets(document: YamlDocument, item: Mapping[str, JSON], at: FieldPath) -> None:
    for key, value in item.items():
        path = (*at, key)
        if key.lower() in _KEYS:
            raise document.problem(
                path,
                "keys and headers are never read from this file. Set OPENAI_API_KEY, or for an "
                "endpoint of your own WORKBENCH_ENDPOINT_<NAME>_API_KEY, in the environment or "
                "in .env, and take this line out.",
            )
        if key.lower() in _ADDRESSES or (key == "endpoint" and "://" in str(value)):
            raise document.problem(
                path,
                "addresses are not read from this file. Give an endpoint a name and a base_url "
                "under 'endpoints' in workbench.yaml, and write that name here as 'endpoint'.",
            )
