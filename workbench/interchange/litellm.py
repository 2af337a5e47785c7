"""Models of LiteLLM's `config.yaml` as entries of our models.yaml and workbench.yaml.

A deployment that speaks OpenAI's protocol at an address becomes an endpoint and a model behind
it; one of OpenAI or Ollama without an address a model of that provider. Keys are neither
copied nor looked up: where the file names an environment variable, the report names the one
that is read here. Prices in dollars per token become dollars per million tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.schemas.models import ModelDeclaration
from workbench.interchange.foreign_yaml import parse_foreign_yaml
from workbench.interchange.losses import FieldPath, LossReport, Source, path_text
from workbench.interchange.writing import mapping_source

__all__ = ["ImportedModels", "key_variable", "read_litellm"]

_OWN_PROVIDERS: Final = {"openai": "openai", "ollama": "ollama", "ollama_chat": "ollama"}
_SPEAK_OPENAI: Final = frozenset(
    {"openai", "hosted_vllm", "vllm", "openai_like", "lm_studio", "llamafile", "xinference",
     "litellm_proxy", "azure_ai", "text-completion-openai"}
)  # fmt: skip
_FROM_ENVIRONMENT: Final = "os.environ/"
_MILLION: Final = 1_000_000
_PRICES: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
}
_NO_PROTOCOL: Final = (
    "only OpenAI's protocol and Ollama's are spoken here: put a server that speaks one before it"
)

_REASONS: Final = MappingProxyType(
    {
        "litellm_settings": "settings of the other proxy",
        "router_settings": "settings of the other proxy",
        "general_settings": "settings of the other proxy",
        "environment_variables": "the environment is not read and not written",
        "model_list.litellm_params": "there is no such field here",
        "model_list.model_info": "there is no such fact here",
    }
)


@dataclass(frozen=True)
class ImportedModels:
    """Entries for models.yaml and, by name, for `endpoints` in workbench.yaml.

    `keys` maps the name of an endpoint to the environment variable that its key stood in there.
    """

    models: tuple[dict[str, JSON], ...]
    endpoints: Mapping[str, dict[str, JSON]]
    keys: Mapping[str, str]
    report: LossReport


def read_litellm(text: str, *, source: str, valid_from: str) -> ImportedModels:
    """Read a configuration; `valid_from` is the date (ISO) from which its prices are to hold.

    Raises `Invalid` if it has no `model_list`.
    """
    parsed = parse_foreign_yaml(text, source=source)
    document = mapping_source(parsed, _REASONS, source, needs="model_list")
    models: dict[str, dict[str, JSON]] = {}
    endpoints: dict[str, dict[str, JSON]] = {}
    keys: dict[str, str] = {}
    for index in range(document.length("model_list")):
        at = ("model_list", index)
        entry = _entry(document, at, endpoints, keys)
        if entry is None:
            continue
        _facts(document, at, entry, valid_from)
        name = str(entry["model"])
        if name in models:
            why = f"{name} is there already: routing between deployments is no part of a model"
            document.lose(at, why)
        elif (problem := _problem(entry)) is not None:
            document.lose(at, problem)
        else:
            models[name] = entry
    return ImportedModels(tuple(models.values()), endpoints, keys, document.finish())


def _entry(
    document: Source, at: FieldPath, endpoints: dict[str, dict[str, JSON]], keys: dict[str, str]
) -> dict[str, JSON] | None:
    """Return where a deployment's model is reached; None, with the loss named, if it cannot be."""
    params = (*at, "litellm_params")
    told = document.at(*params, "model")
    alias = document.at(*at, "model_name")
    if not isinstance(told, str) or not isinstance(alias, str):
        document.lose(at, "it has no model_name or no litellm_params.model")
        return None
    provider, slash, wire = told.partition("/")
    if not slash:
        provider, wire = "openai", told
    address = document.at(*params, "api_base")
    entry: dict[str, JSON]
    if address is not None and (provider in _SPEAK_OPENAI or provider in _OWN_PROVIDERS):
        name = _endpoint(document, (*params, "api_base"), alias, provider, endpoints)
        kind = _OWN_PROVIDERS.get(provider, "openai")
        entry = {"model": f"{kind}/{_slug(alias)}", "provider_model": wire}
        if name is not None:
            entry["endpoint"] = name
        _key(document, (*params, "api_key"), name, keys)
    elif provider in _OWN_PROVIDERS:
        entry = {"model": f"{_OWN_PROVIDERS[provider]}/{wire}"}
        _key(document, (*params, "api_key"), None, keys)
        if alias != wire:
            document.lose(
                (*at, "model_name"), f"the model is called {entry['model']} here", "changed"
            )
    else:
        document.lose(at, _NO_PROTOCOL)
        return None
    document.take(*params, "model")
    if address is not None or alias == wire:
        document.take(*at, "model_name")
    return entry


def _endpoint(
    document: Source,
    path: FieldPath,
    alias: str,
    provider: str,
    endpoints: dict[str, dict[str, JSON]],
) -> str | None:
    """Declare the endpoint at an address and return its name; None if it names no address."""
    address = document.at(*path)
    if not isinstance(address, str) or address.startswith(_FROM_ENVIRONMENT):
        document.lose(path, "the environment is not read: write the address into workbench.yaml")
        return None
    try:
        parts = urlsplit(address)
    except ValueError:  # as of http://[
        document.note(path_text(path), "", "it is no address", "dropped")
        document.take(*path)
        return None
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query:
        document.note(
            path_text(path), parts.hostname or "", "it is no plain http address", "dropped"
        )
        document.take(*path)
        return None
    document.take(*path)
    shape: dict[str, JSON] = {
        "provider": _OWN_PROVIDERS.get(provider, "openai"),
        "base_url": address,
    }
    for name, known in endpoints.items():
        if known == shape:
            return name
    base = re.sub(r"[^a-z0-9-]+", "-", alias.lower()).strip("-")[:40] or "endpoint"
    name, number = base, 2
    while name in endpoints or name in ("openai", "ollama", "simulated"):
        name, number = f"{base}-{number}", number + 1
    endpoints[name] = shape
    return name


def _key(document: Source, path: FieldPath, endpoint: str | None, keys: dict[str, str]) -> None:
    """Name the key of a deployment; remember the environment variable that it stood in."""
    value = document.at(*path)
    if value is None:
        return
    variable = "OPENAI_API_KEY" if endpoint is None else key_variable(endpoint)
    document.lose(path, f"keys are read from the environment only, here from {variable}")
    if endpoint is not None and isinstance(value, str) and value.startswith(_FROM_ENVIRONMENT):
        keys[endpoint] = value.removeprefix(_FROM_ENVIRONMENT)


def key_variable(endpoint: str) -> str:
    """Return the environment variable that holds the key of an endpoint."""
    return f"WORKBENCH_ENDPOINT_{endpoint.upper().replace('-', '_')}_API_KEY"


def _facts(document: Source, at: FieldPath, entry: dict[str, JSON], valid_from: str) -> None:
    """Take what is told of limits and prices."""
    info, params = (*at, "model_info"), (*at, "litellm_params")
    limit = document.at(*info, "max_output_tokens")
    if isinstance(limit, int) and limit > 0:
        entry["max_output_tokens"] = document.take(*info, "max_output_tokens")
    window = document.at(*info, "max_input_tokens")
    if isinstance(window, int) and window > 0:
        document.lose((*info, "max_input_tokens"), "it became the context window", "changed")
        entry["context_window"] = window
    price: dict[str, JSON] = {}
    for place in (info, params):
        for name, ours in _PRICES.items():
            dollars = document.at(*place, name)
            if not isinstance(dollars, (int, float)) or isinstance(dollars, bool):
                continue
            told = float(Decimal(str(dollars)) * _MILLION)
            if price.setdefault(ours, told) == told:
                document.take(*place, name)
            else:
                document.lose((*place, name), "model_info has another price for it, which counts")
    if {"input", "output"} <= set(price):
        entry["prices"] = [{"from": valid_from, **price}]
    elif price:
        why = "a price needs both input and output"
        document.note(path_text(at), ", ".join(price), why, "dropped")


def _problem(entry: Mapping[str, JSON]) -> str | None:
    try:
        ModelDeclaration.model_validate(dict(entry))
    except (ValidationError, Invalid) as error:
        if isinstance(error, Invalid):
            return error.message.rstrip(".")
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._:/-]+", "-", text).strip("-/") or "model"
