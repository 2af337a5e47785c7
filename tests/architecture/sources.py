"""The project's own modules as syntax trees, for the checks in this folder.

A check is a `Finder`: a function that yields every place of one module where a rule is broken.
`forbid` runs it over the project; `example` makes a module of a few lines of text, so that each
finder is also shown something that it must find.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import pytest

__all__ = [
    "PACKAGES",
    "REPOSITORY",
    "Finder",
    "Finding",
    "Function",
    "Module",
    "example",
    "forbid",
    "modules",
    "own_statements",
    "refuse",
]

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "workbench")

Finding = tuple[ast.AST, str]
"""A node and what is wrong with it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One module: its dotted name and its source."""

    name: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported local name stands for, as in {"sa": "sqlalchemy"}."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return found

    def imports(self) -> Iterator[tuple[ast.stmt, str]]:
        """Yield every import with the dotted name of each thing it brings in."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node, alias.name
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield node, f"{node.module}.{alias.name}"

    def calls(self, within: ast.AST | None = None) -> Iterator[tuple[ast.Call, str]]:
        """Yield every call with the dotted name of what is called.

        Imports are resolved (`sa.text` is `sqlalchemy.text`), a name that nobody imports or
        defines is a built-in (`builtins.open`); what is called on an expression keeps its last
        part (`.commit`).
        """
        for node in self.nodes if within is None else ast.walk(within):
            if isinstance(node, ast.Call):
                yield node, self.dotted(node.func)

    def dotted(self, node: ast.expr) -> str:
        """Return the dotted name of an expression, imports resolved."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            known = self.imported.get(node.id)
            if known is None and not parts and hasattr(builtins, node.id):
                known = f"builtins.{node.id}"
            parts.append(known or node.id)
        else:
            parts.append("")
        return ".".join(reversed(parts))

    def functions(self) -> Iterator[Function]:
        """Yield every function and method, nested ones too."""
        for node in self.nodes:
            if isinstance(node, Function):
                yield node

    def is_in(self, packages: Sequence[str]) -> bool:
        """Whether this is one of these modules or inside one of these packages."""
        return any(self.name == p or self.name.startswith(f"{p}.") for p in packages)


Finder = Callable[[Module], Iterator[Finding]]


@lru_cache(maxsize=1)
def modules() -> tuple[Module, ...]:
    """Return every module of the project."""
    found = []
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            parts = path.relative_to(REPOSITORY).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Module(name, path.read_text(encoding="utf-8")))
    return tuple(found)


def example(source: str, name: str = "app.example") -> Module:
    """Return a module of this text, to show a finder what it must find."""
    return Module(name, source)


def forbid(
    finder: Finder, *, within: Sequence[str] = PACKAGES, except_in: Sequence[str] = ()
) -> None:
    """Fail the test with every place in these packages where the rule is broken."""
    __tracebackhide__ = True
    refuse(
        f"{module.name}:{getattr(node, 'lineno', 1)} {what}"
        for module in modules()
        if module.is_in(within) and not module.is_in(except_in)
        for node, what in finder(module)
    )


def refuse(findings: Iterable[str]) -> None:
    """Fail the test with everything that was found."""
    __tracebackhide__ = True
    found = list(findings)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def own_statements(function: Function) -> list[ast.stmt]:
    """Return all statements of a function, nested ones too, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return [node for top in body for node in ast.walk(top) if isinstance(node, ast.stmt)]
