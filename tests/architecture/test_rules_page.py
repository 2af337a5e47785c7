"""Every check that docs/reference/rules.md names exists, and every check is on the page."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import app.models
from app.database import Base
from tests.architecture.sources import REPOSITORY, refuse
from tests.architecture.test_migrations import triggers

PAGE = REPOSITORY / "docs" / "reference" / "rules.md"

_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_CONTRACT = re.compile(r'contract "([^"]+)"')
_CHECK = re.compile(r"`(ck_\w+)`")
_TRIGGER = re.compile(r"`(append_only_\w+)`")
_RUFF = re.compile(r"ruff `([A-Z]+)\d*`")


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def pyproject() -> dict[str, Any]:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    tools: dict[str, Any] = tomllib.loads(text)["tool"]
    return tools


def missing_tests(text: str) -> Iterator[str]:
    for file, name in _TEST.findall(text):
        path = REPOSITORY / file
        if not path.is_file():
            yield f"there is no {file}"
        elif name and name not in names_in(path):
            yield f"there is no {file}::{name}"


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def missing(what: str, named: Collection[str], known: Collection[str]) -> Iterator[str]:
    yield from (f"there is no {what} {name}" for name in named if name not in known)


def test_tests_that_the_page_names_exist() -> None:
    refuse(missing_tests(page()))


def test_contracts_that_the_page_names_exist_and_all_are_named() -> None:
    contracts = {contract["name"] for contract in pyproject()["importlinter"]["contracts"]}
    named = set(_CONTRACT.findall(page()))
    refuse([*missing("contract", named, contracts), *missing("line about", contracts, named)])


def test_constraints_that_the_page_names_exist() -> None:
    assert app.models.__all__
    tables = Base.metadata.tables.values()
    known = {str(constraint.name) for table in tables for constraint in table.constraints}
    refuse(missing("constraint", _CHECK.findall(page()), known))


def test_triggers_that_the_page_names_exist(sqlite_template: Path) -> None:
    refuse(missing("trigger", _TRIGGER.findall(page()), triggers(sqlite_template)))


def test_ruff_families_that_the_page_names_are_switched_on() -> None:
    refuse(missing("ruff family", _RUFF.findall(page()), pyproject()["ruff"]["lint"]["select"]))


def test_every_architecture_test_is_on_the_page() -> None:
    files = {f"tests/architecture/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    refuse(missing("line about", sorted(files), {file for file, _ in _TEST.findall(page())}))


def test_a_name_of_nothing_would_be_found() -> None:
    assert list(missing_tests("`tests/architecture/test_nothing.py`"))
    assert list(missing_tests("`tests/architecture/test_rules_page.py::test_nothing`"))
    assert not list(missing_tests("`tests/architecture/test_rules_page.py::page`"))
    assert list(missing("contract", ["Nothing"], ["Something"]))
