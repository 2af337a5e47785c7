"""The formats of prompts by name, and which of them a file has.

A format is one line here: how to read it, how to write it if that is possible, and the ends of
its files' names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Final, Protocol

from app.core.errors import Invalid
from app.core.hashing import JSON
from workbench.interchange.dotprompt import read_dotprompt, write_dotprompt
from workbench.interchange.foreign_json import MAX_BYTES, parse_foreign_json
from workbench.interchange.github_models import read_github_models, write_github_models
from workbench.interchange.langfuse import read_langfuse
from workbench.interchange.losses import Source
from workbench.interchange.mlflow import read_mlflow
from workbench.interchange.prompts import Exportable, Imported
from workbench.interchange.prompty import prompty_version
from workbench.interchange.prompty_v1 import read_prompty_v1, write_prompty_v1
from workbench.interchange.prompty_v2 import read_prompty_v2, write_prompty_v2
from workbench.interchange.records import records
from workbench.interchange.writing import Written

__all__ = ["PROMPT_FORMATS", "PromptFormat", "decode", "detect_format", "file_stem"]


class _Read(Protocol):
    def __call__(self, text: str, *, source: str, file_stem: str) -> Imported: ...


@dataclass(frozen=True)
class PromptFormat:
    """One format of prompt files. `suffix` is what a written file's name ends in."""

    title: str
    suffix: str
    read: _Read
    write: Callable[[Exportable], Written] | None = None


PROMPT_FORMATS: Final[Mapping[str, PromptFormat]] = MappingProxyType(
    {
        "github-models": PromptFormat(
            "GitHub Models", ".prompt.yml", read_github_models, write_github_models
        ),
        "dotprompt": PromptFormat("Google dotprompt", ".prompt", read_dotprompt, write_dotprompt),
        "prompty": PromptFormat(
            "Prompty, first form", ".prompty", read_prompty_v1, write_prompty_v1
        ),
        "prompty-v2": PromptFormat(
            "Prompty, second form", ".prompty", read_prompty_v2, write_prompty_v2
        ),
        "langfuse": PromptFormat("Langfuse export", ".json", read_langfuse),
        "mlflow": PromptFormat("MLflow export", ".json", read_mlflow),
    }
)

_SUFFIXES: Final = (".prompt.yml", ".prompt.yaml", ".prompt", ".prompty", ".json", ".yaml", ".yml")


def decode(data: bytes, source: str) -> str:
    """Return the text of a file, with line ends as `\\n`.

    Raises `Invalid` for what is no UTF-8, holds a NUL or is over 20 MB.
    """
    if len(data) > MAX_BYTES:
        raise Invalid(f"{source} is too long: at most {MAX_BYTES:,} bytes are read.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Invalid(
            f"{source}, line {line}: this is not UTF-8 text; save it as UTF-8."
        ) from error
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise Invalid(f"{source}, line {line}: a NUL character stands there; this is no text file.")
    return text.replace("\r\n", "\n")


def file_stem(file_name: str) -> str:
    """Return a file's name without what tells its format: `triage` for `triage.prompt.yml`."""
    name = PurePath(file_name).name
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def detect_format(file_name: str, text: str) -> str:
    """Return the name of the format that a file has, by the end of its name and its content.

    Raises `Invalid` if none is certain.
    """
    name = file_name.lower()
    if name.endswith((".prompt.yml", ".prompt.yaml")):
        return "github-models"
    if name.endswith(".prompt"):
        return "dotprompt"
    if name.endswith(".prompty"):
        return "prompty-v2" if prompty_version(text, file_name) == 2 else "prompty"
    if name.endswith(".json"):
        record = _first_record(parse_foreign_json(text, source=file_name))
        if "prompt" in record:
            return "langfuse"
        if "template" in record or "tags" in record:
            return "mlflow"
    raise Invalid(
        f"{file_name}: its format is not certain; name it with --from, one of "
        f"{', '.join(PROMPT_FORMATS)}."
    )


def _first_record(value: JSON) -> Collection[str]:
    """Return the keys of the first record of an export; none if it holds none."""
    document = Source(value)
    path = next(records(document), None)
    return () if path is None else document.keys(*path)
