"""Providers of a promptfoo configuration as models, parameters and tools of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from app.core.errors import Invalid
from app.core.hashing import JSON
from app.core.parameters import PARAMETER_NAMES
from app.schemas.prompts import check_parameters
from workbench.interchange.losses import FieldPath, Source, is_secret_name

__all__ = ["Providers", "model_of", "read_providers"]

_OPENAI_KINDS: Final = ("chat", "responses")
_OLLAMA_KINDS: Final = ("chat", "completion")
_NO_MODEL: Final = (
    "no model is reached this way here: declare one in models.yaml and name it in the experiment"
)
_NAMES: Final = MappingProxyType(
    {"max_output_tokens": "max_tokens", "max_completion_tokens": "max_tokens", "stop": "stop",
     "num_predict": "max_tokens"}
)  # fmt: skip


@dataclass
class Providers:
    """What the providers come to. `sets` has the parameters of each model, in its order."""

    models: list[str] = field(default_factory=list)
    sets: list[dict[str, JSON]] = field(default_factory=list)
    tools: JSON = None
    tool_choice: JSON = None
    response_format: JSON = None

    @property
    def distinct_models(self) -> list[str]:
        return list(dict.fromkeys(self.models))


def model_of(provider: JSON) -> str | None:
    """Return our name for a provider's model: `openai/gpt-x` for `openai:chat:gpt-x`."""
    told = provider.get("id") if isinstance(provider, Mapping) else provider
    if not isinstance(told, str):
        return None
    name, _, rest = told.partition(":")
    kinds = {"openai": _OPENAI_KINDS, "ollama": _OLLAMA_KINDS}.get(name)
    if kinds is None or not rest:
        return None
    first, colon, model = rest.partition(":")
    if colon and first in kinds:
        rest = model
    elif colon and name == "openai":
        return None  # embeddings, images and other kinds of models
    elif not colon and first in (*kinds, "embedding", "embeddings", "assistant"):
        return None  # no model is named
    elif first in ("embedding", "embeddings"):
        return None
    return f"{name}/{rest}"


def read_providers(document: Source) -> Providers:
    """Take the models of `providers` or `targets`, with each setting used or named."""
    found = Providers()
    for key in ("providers", "targets"):
        told = document.at(key)
        if told is None:
            continue
        if isinstance(told, (list, tuple)):
            for index in range(len(told)):
                _provider(document, (key, index), found)
        else:
            _provider(document, (key,), found)
    _settle(document, found)
    return found


def _provider(document: Source, path: FieldPath, found: Providers) -> None:
    told = document.at(*path)
    config: FieldPath = (*path, "config")
    if isinstance(told, Mapping) and "id" not in told and len(told) == 1:
        name = next(iter(told))  # the short form {provider: {config: ...}}
        model, path = model_of(name), (*path, name)
        config = (*path, "config")
    else:
        model = model_of(told)
    if model is None:
        files = isinstance(told, str) and told.startswith(("file://", "exec:", "python:"))
        document.lose(path, "nothing of a file is run or opened here" if files else _NO_MODEL)
        return
    parts = document.keys(*path)
    for key in ("id", "label"):
        if key in parts:
            document.take(*path, key)
    if not parts:
        document.take(*path)
    found.models.append(model)
    found.sets.append(_parameters(document, config, found))


def _parameters(document: Source, config: FieldPath, found: Providers) -> dict[str, JSON]:
    parameters: dict[str, JSON] = {}
    for told in document.keys(*config):
        name = _NAMES.get(told, told)
        value = document.at(*config, told)
        if told in ("tools", "tool_choice", "response_format"):
            _prompt_part(document, (*config, told), found)
        elif name in PARAMETER_NAMES:
            try:
                check_parameters({name: value})
            except Invalid as error:
                document.lose((*config, told), error.message.rstrip("."))
            else:
                parameters[name] = document.take(*config, told)
        elif not is_secret_name(told):
            document.lose((*config, told), "there is no such parameter here")
    return parameters


def _prompt_part(document: Source, path: FieldPath, found: Providers) -> None:
    """Take what belongs to a prompt here; it must be the same for all providers."""
    name, value = str(path[-1]), document.at(*path)
    if name == "tools" and not _are_functions(value):
        document.lose(path, "tools are a list of functions, written here and not in a file")
    elif name == "response_format" and not isinstance(value, Mapping):
        document.lose(path, "files are never opened: write the format here")
    elif getattr(found, name) not in (None, value):
        document.lose(path, "it belongs to the prompts here, and another provider says otherwise")
    else:
        setattr(found, name, value)
        document.lose(path, "it became part of the prompts", "changed")


def _are_functions(value: JSON) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(tool, Mapping) and "function" in tool for tool in value)
    )


def _settle(document: Source, found: Providers) -> None:
    """Make the parameters those of an experiment: one list of sets for all models alike."""
    if len({str(sorted(one.items())) for one in found.sets}) < 2:
        found.sets = found.sets[:1]
        return
    if len(found.distinct_models) == 1:
        return
    common = [
        (name, value)
        for name, value in found.sets[0].items()
        if all(one.get(name) == value for one in found.sets)
    ]
    for model, one in zip(found.models, found.sets, strict=True):
        for name, value in one.items():
            if (name, value) not in common:
                document.note(
                    f"{model}.{name}",
                    str(value),
                    "an experiment has the same parameters for all models: write one for each",
                    "dropped",
                )
    found.sets = [dict(common)]
