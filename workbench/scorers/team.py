"""`team.NAME`: a typed function of the workspace's folder `scorers/`, read and never imported.

The file `scorers/politeness.py` defines `def politeness(output: str, ...) -> bool`, and that is
the scorer `team.politeness`:

- Parameters with the names in `INPUTS` are filled with the output and what is known of it.
- Every other parameter is an option, with a type of `str`, `int`, `float`, `bool` or `list[str]`;
  one without a default must be given.
- It returns `bool` (binary) or `float` from 0 to 1 (graded), either alone or in a tuple with an
  explanation, or None if it has nothing to say about this example.
- A constant `VERSION` of the file is the scorer's version; without it, 1.

Here the function is only described, from its syntax tree. It runs in a process of its own, which
the runner starts. What identifies it is a hash over its source, so that changed code is another
scorer and its scores are never mixed with those of the old code.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field, JsonValue
from pydantic.dataclasses import dataclass as pydantic_dataclass

from app.core.hashing import JSON
from workbench.scorers._options import (
    OptionDescription,
    OptionKind,
    build_config,
    check_option,
    options_from_text,
)
from workbench.scorers._text import quoted
from workbench.scorers.interface import STRICT, AnyScorer, ScorerConfig, ScorerConfigError

__all__ = [
    "INPUTS",
    "TEAM_PREFIX",
    "TeamConfig",
    "TeamFunction",
    "TeamScorer",
    "read_function",
    "stored_team_scorer",
    "team_scorer",
]

TEAM_PREFIX: Final = "team."
"""What the names of a team's own scorers begin with."""

INPUTS: Final = (
    "output",
    "expected",
    "variables",
    "metadata",
    "message",
    "latency_ms",
    "cost",
    "input_tokens",
    "output_tokens",
    "finish_reason",
)
"""Parameters that are no options: the fields of `ScoringInput` of the same names."""

_OPTION_KINDS: Final[Mapping[str, OptionKind]] = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "list[str]": "list of texts",
}
_MOST_VERSION: Final = 2**31 - 1


@pydantic_dataclass(frozen=True, kw_only=True, config=STRICT)
class TeamConfig(ScorerConfig):
    """What identifies a team's scorer besides its name."""

    source: str = Field(min_length=1)
    """The hash over the function's file and the files of the workspace that it imports."""
    binary: bool
    """Whether the function says right or wrong, and not how good."""
    version: int = Field(default=1, ge=1, le=_MOST_VERSION)
    """The file's constant VERSION."""
    options: dict[str, JsonValue] | None = None
    """The function's own options, as they were given."""


class TeamScorer(AnyScorer[TeamConfig]):
    """A function of the workspace; its values lie between 0 and 1."""

    config_type = TeamConfig

    def __init__(self, name: str, config: TeamConfig) -> None:
        super().__init__(config)
        self.name = name
        self.version = config.version

    @property
    def function(self) -> str:
        """The function's name, which is also its file's."""
        return self.name.removeprefix(TEAM_PREFIX)

    @property
    def binary(self) -> bool:
        """As the function's return type says."""
        return self.config.binary


@dataclass(frozen=True, kw_only=True, slots=True)
class TeamFunction:
    """One scorer of the folder, as its file says."""

    name: str
    """As in `team.politeness`."""
    version: int
    summary: str
    """The first paragraph of the function's docstring."""
    binary: bool
    inputs: tuple[str, ...]
    """The parameters that are filled with the output and its facts."""
    options: tuple[OptionDescription, ...]
    required: frozenset[str]
    """The options without a default."""


def read_function(name: str, text: str) -> TeamFunction:
    """Describe the function `name` that a file's text defines; nothing is run.

    Raises `ScorerConfigError` with a sentence that says what to change.
    """
    where = f"scorers/{name}.py"
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise ScorerConfigError(f"{where} is no Python that can be read{line}.") from error
    function = next(
        (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name),
        None,
    )
    if function is None:
        raise ScorerConfigError(f"{where} defines no function {name}: write def {name}(...).")
    arguments = _arguments(where, function)
    options = [pair for pair in arguments if pair[0].arg not in INPUTS]
    if len(options) == len(arguments):
        raise ScorerConfigError(f"{where}: give the function a parameter output: str.")
    summary = (ast.get_docstring(function) or "").partition("\n\n")[0]
    return TeamFunction(
        name=f"{TEAM_PREFIX}{name}",
        version=_version(where, tree),
        summary=" ".join(summary.split()),
        binary=_is_binary(where, function),
        inputs=tuple(argument.arg for argument, _ in arguments if argument.arg in INPUTS),
        options=tuple(_option(where, argument, default) for argument, default in options),
        required=frozenset(argument.arg for argument, default in options if default is None),
    )


def _arguments(where: str, function: ast.FunctionDef) -> list[tuple[ast.arg, ast.expr | None]]:
    """Return the parameters with their defaults."""
    given = function.args
    if given.posonlyargs or given.vararg or given.kwarg:
        raise ScorerConfigError(
            f"{where}: parameters are given by name; leave out *, ** and positional-only ones."
        )
    missing = len(given.args) - len(given.defaults)
    defaults = [*[None] * missing, *given.defaults, *given.kw_defaults]
    return list(zip([*given.args, *given.kwonlyargs], defaults, strict=True))


def _option(where: str, argument: ast.arg, default: ast.expr | None) -> OptionDescription:
    written = "" if argument.annotation is None else ast.unparse(argument.annotation)
    kind = _OPTION_KINDS.get(written.removesuffix(" | None"))
    if kind is None:
        raise ScorerConfigError(
            f"{where}: the option {argument.arg} needs a type: {', '.join(_OPTION_KINDS)}."
        )
    try:
        value: JSON = None if default is None else ast.literal_eval(default)
    except ValueError as error:
        raise ScorerConfigError(
            f"{where}: the default of {argument.arg} must be a plain value."
        ) from error
    return OptionDescription(name=argument.arg, kind=kind, default=value, description="")


def _version(where: str, tree: ast.Module) -> int:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == "VERSION" for target in targets):
            value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
            number = value.value if isinstance(value, ast.Constant) else None
            if type(number) is int and 1 <= number <= _MOST_VERSION:
                return number
            raise ScorerConfigError(f"{where}: VERSION is a whole number from 1 on.")
    return 1


def _is_binary(where: str, function: ast.FunctionDef) -> bool:
    types = _types(function.returns)
    if types == {"bool"}:
        return True
    if types and types <= {"float", "int", "bool"}:
        return False
    raise ScorerConfigError(
        f"{where}: say what the function returns, such as -> bool, -> float or -> tuple[bool, str]."
    )


def _types(node: ast.expr | None) -> set[str]:
    """Return the types of the value in a return type; a name that is none of them stays."""
    match node:
        case ast.BinOp(op=ast.BitOr()):
            return _types(node.left) | _types(node.right)
        case ast.Constant(value=str(text)):
            return {text}
        case ast.Constant(value=None):
            return set()
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[value, _])):
            return _types(value)
        case ast.Name():
            return {node.id}
    return {""}


def team_scorer(function: TeamFunction, source: str, spec: str | Mapping[str, JSON]) -> TeamScorer:
    """Return the scorer that a text or a mapping names, with its options checked.

    Raises `ScorerConfigError` with a sentence.
    """
    kinds = {option.name: option.kind for option in function.options}
    if isinstance(spec, str):
        options = options_from_text(function.name, kinds, spec.partition(":")[2])
    else:
        options = {str(key): value for key, value in spec.items() if key != "name"}
    for option, value in options.items():
        check_option(function.name, option, kinds)
        if not _is_kind(value, kinds[option]):
            raise ScorerConfigError(
                f"{function.name}: option {option} ({kinds[option]}) cannot be {quoted(value)}.",
                path=option,
            )
    missing = sorted(function.required - options.keys())
    if missing:
        raise ScorerConfigError(
            f"{function.name}: give {missing[0]}, as in {function.name}:{missing[0]}=...",
            path=missing[0],
        )
    identity: dict[str, JSON] = {
        "name": function.name,
        "source": source,
        "binary": function.binary,
        "version": function.version,
    }
    return stored_team_scorer({**identity, "options": options} if options else identity)


def stored_team_scorer(spec: Mapping[str, JSON]) -> TeamScorer:
    """Return the scorer of an identity from the record: `{name, source, binary, ...}`."""
    name = str(spec.get("name"))
    options = {str(key): value for key, value in spec.items() if key != "name"}
    config = build_config(name, TeamConfig, options)
    assert isinstance(config, TeamConfig)  # noqa: S101 - it was built as one
    return TeamScorer(name, config)


def _is_kind(value: JSON, kind: OptionKind) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "true or false":
            return isinstance(value, bool)
        case "whole number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
    items: Sequence[JSON] = value if isinstance(value, (list, tuple)) else (None,)
    return all(isinstance(item, str) for item in items)
