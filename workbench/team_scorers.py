"""The folder `scorers/` of a workspace: which functions it has, and what identifies each.

Files are read as text; nothing in them is imported or run here. A file whose name begins with an
underscore holds no scorer: others may import it (`from scorers._words import RUDE`). The hash of
a scorer covers its own file and every file of the workspace that it imports, over any number of
steps, so that a change in any of them makes it another scorer. Data files are not covered.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from app.core.hashing import JSON, content_hash
from workbench.scorers import AnyScorer, ScorerConfig, ScorerConfigError, parse_scorer
from workbench.scorers.team import (
    TEAM_PREFIX,
    TeamFunction,
    TeamScorer,
    read_function,
    team_scorer,
)

__all__ = [
    "FOLDER",
    "check_source",
    "function_file",
    "team_function",
    "team_names",
    "workspace_scorer",
]

FOLDER: Final = "scorers"
"""The folder, beside the workspace's other files."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_MAX_BYTES: Final = 200_000
_MAX_FILES: Final = 100


def team_names(root: Path) -> list[str]:
    """Return the names of the workspace's scorers, as in `team.politeness`, in order."""
    files = sorted((root / FOLDER).glob("*.py"))
    return [f"{TEAM_PREFIX}{file.stem}" for file in files if _NAME.fullmatch(file.stem)]


def team_function(root: Path, name: str) -> TeamFunction:
    """Describe the scorer of this name; raises `ScorerConfigError` with a sentence."""
    return read_function(name.removeprefix(TEAM_PREFIX), _text(function_file(root, name)))


def workspace_scorer(root: Path, spec: str | Mapping[str, JSON]) -> AnyScorer[ScorerConfig]:
    """Build the scorer that a person names inside a workspace: a rule, a judge or a team's own.

    Raises `ScorerConfigError` with a sentence.
    """
    name = spec.partition(":")[0].strip() if isinstance(spec, str) else spec.get("name")
    if not isinstance(name, str) or not name.startswith(TEAM_PREFIX):
        return parse_scorer(spec)
    return team_scorer(team_function(root, name), _source_hash(root, name), spec)


def check_source(root: Path, scorer: TeamScorer) -> None:
    """Raise `ScorerConfigError` unless the function is still the one that the scorer names."""
    if _source_hash(root, scorer.name) != scorer.config.source:
        raise ScorerConfigError(
            f"{scorer.name} was changed since it was named in the experiment, so it is another "
            "scorer now.",
            hint=f"Score with what it is now: workbench score RUN --scorer {scorer.name}",
        )


def function_file(root: Path, name: str) -> Path:
    """Return where the function of this name stands.

    Raises `ScorerConfigError` if there is no such file.
    """
    stem = name.removeprefix(TEAM_PREFIX)
    file = root / FOLDER / f"{stem}.py"
    if not _NAME.fullmatch(stem) or not file.is_file():
        known = ", ".join(team_names(root)) or "none"
        raise ScorerConfigError(
            f"There is no scorer {name}: it would be the function {stem} in the file "
            f"{FOLDER}/{stem}.py. There are: {known}.",
            path="name",
        )
    return file


def _source_hash(root: Path, name: str) -> str:
    """Return the hash over the file and all files of the workspace that it imports."""
    first = function_file(root, name)
    texts: dict[str, JSON] = {}
    waiting = [first]
    while waiting:
        file = waiting.pop()
        path = file.relative_to(root).as_posix()
        if path in texts:
            continue
        if len(texts) == _MAX_FILES:
            raise ScorerConfigError(
                f"{name} imports more than {_MAX_FILES} files of the workspace."
            )
        texts[path] = _text(file)
        waiting += _imported_files(root, path, str(texts[path]))
    return content_hash({"file": first.name, "texts": texts})


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
        if len(data) <= _MAX_BYTES:
            return data.decode()
    except UnicodeDecodeError as error:
        raise ScorerConfigError(f"{file.name} is not UTF-8 text.") from error
    raise ScorerConfigError(f"{file.name} has {len(data):,} bytes; at most {_MAX_BYTES:,}.")


def _in_full(path: str, node: ast.ImportFrom) -> str:
    """Return a relative import of the file at `path` with the full name of its module."""
    parts = path.split("/")[: -node.level]
    module = ".".join([*parts, node.module] if node.module else parts)
    names = ", ".join(alias.name for alias in node.names)
    return f"from {module} import {names}" if module else f"import {names}"


def _imported_files(root: Path, path: str, text: str) -> Iterator[Path]:
    """Yield the files of the workspace that the file at `path` imports by their full names.

    Raises `ScorerConfigError` for a relative import, which would escape the hash.
    """
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # it cannot run either
    for node in nodes:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level > 0:
            raise ScorerConfigError(
                f"{path}, line {node.lineno}: imports that begin with a dot are not taken; write "
                f"`{_in_full(path, node)}`."
            )
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                stem = root.joinpath(*parts[:depth])
                candidates = (stem.with_name(f"{stem.name}.py"), stem / "__init__.py")
                yield from (file for file in candidates if file.is_file())
