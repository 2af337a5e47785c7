"""Every module says what it is for and what it offers, and others use only that."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

import pytest

from tests.architecture.sources import Finder, Finding, Function, Module, example, forbid, modules

# Imports inside a function, each for one of two reasons: the library may be missing (uvloop has
# no Windows build, pyarrow is an extra), or importing it takes so long that only its use pays.
_MAY_BE_IMPORTED_LATE = (
    "app.core.logging",  # structlog
    "app.database.schema",  # alembic
    "app.llm.ollama_provider",
    "app.llm.openai_provider",
    "app.llm.simulated_provider",
    "app.services.identity_tokens",  # cryptography
    "genai_prices",
    "importlib.metadata",
    "opentelemetry.exporter",
    "opentelemetry.sdk",
    "pandas",
    "pgqueuer",
    "pyarrow",
    "sacrebleu",
    "scipy",
    "uvloop",
    "workbench.cli.gate",  # numpy and scipy
    "workbench.dashboard.server",  # Streamlit
    "workbench.evaluation",  # all of the tools
    "workbench.runner.estimate",  # every scorer
    "workbench.runner.generation.following",  # numpy and scipy
    "workbench.runner.judging.answers",  # every scorer
    "workbench.runner.pipeline",  # likewise
    "workbench.runner.generation.preload",  # multiprocessing
    "workbench.worker.distributed",  # PGQueuer
)


Definition = ast.ClassDef | Function


def exported(module: Module) -> list[str] | None:
    """Return `__all__`, None if the module has none."""
    for node in module.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
            return [str(name) for name in ast.literal_eval(value)] if value else []
    return None


def defined(module: Module) -> set[str]:
    """Return the names that a module binds at its top level."""
    names: set[str] = set()
    for node in module.tree.body:
        for part in ast.walk(node) if isinstance(node, (ast.If, ast.Try)) else [node]:
            if isinstance(part, Definition):
                names.add(part.name)
            elif isinstance(part, (ast.Import, ast.ImportFrom)):
                names |= {alias.asname or alias.name.partition(".")[0] for alias in part.names}
            elif isinstance(part, (ast.Assign, ast.AnnAssign)):
                targets = part.targets if isinstance(part, ast.Assign) else [part.target]
                bound = [name for target in targets for name in ast.walk(target)]
                names |= {name.id for name in bound if isinstance(name, ast.Name)}
    return names


def wrong_exports(module: Module) -> Iterator[Finding]:
    """A missing `__all__`, a name in it that does not exist, a public definition not in it.

    Routes and commands are registered by a decorator and imported by nobody.
    """
    names = exported(module)
    if names is None:
        if defined(module):
            yield module.tree, "has no __all__"
        return
    for name in sorted(set(names) - defined(module)):
        yield module.tree, f"exports {name}, which it does not have"
    for node in module.tree.body:
        if (
            isinstance(node, Definition)
            and not node.decorator_list
            and not node.name.startswith("_")
            and node.name not in names
        ):
            yield node, f"{node.name} is public by its name and not in __all__"


def undeclared_imports(module: Module, offers: Mapping[str, list[str] | None]) -> Iterator[Finding]:
    """Imports from one of our modules of a name that it does not export."""
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module in offers:
            offered = offers[node.module] or ()
            for alias in node.names:
                is_module = f"{node.module}.{alias.name}" in offers
                if not is_module and alias.name not in offered:
                    yield node, f"imports {alias.name}, which {node.module} does not export"


def unexplained(module: Module) -> Iterator[Finding]:
    if module.tree.body and ast.get_docstring(module.tree) is None:
        yield module.tree, "has no docstring"


def late_imports(module: Module) -> Iterator[Finding]:
    for function in module.functions():
        for node in ast.walk(function):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
                if not (name or "").startswith(_MAY_BE_IMPORTED_LATE):
                    yield node, f"imports {name} inside {function.name}"


def test_every_module_exports_what_it_offers_and_nothing_else() -> None:
    forbid(wrong_exports)


def test_modules_import_from_each_other_only_what_is_exported() -> None:
    offers = {module.name: exported(module) for module in modules()}
    forbid(lambda module: undeclared_imports(module, offers))


def test_every_module_has_a_docstring() -> None:
    forbid(unexplained)


def test_imports_stand_at_the_top_unless_they_are_slow_or_optional() -> None:
    forbid(late_imports)


@pytest.mark.parametrize(
    ("finder", "source"),
    [
        (wrong_exports, "x = 1"),
        (wrong_exports, "__all__ = ['missing']"),
        (wrong_exports, "__all__: list[str] = []\ndef offered(): ..."),
        (wrong_exports, "__all__ = ['A', 'C']\nA, B = 1, 2"),
        (wrong_exports, "__all__ = ['One']\nclass One: ...\nclass Two: ..."),
        (unexplained, "x = 1"),
        (late_imports, "def read():\n    import json"),
        (late_imports, "def read():\n    from app.services import prompts"),
    ],
)
def test_a_breach_would_be_found(finder: Finder, source: str) -> None:
    assert list(finder(example(source)))


def test_an_import_of_what_is_not_exported_would_be_found() -> None:
    offers: dict[str, list[str] | None] = {"app": [], "app.names": ["parse"]}
    assert list(undeclared_imports(example("from app.names import PATTERN"), offers))
    assert not list(undeclared_imports(example("from app.names import parse"), offers))
    assert not list(undeclared_imports(example("from app import names"), offers))
