"""What is imported is declared, what is declared is used, and each has its reason on record."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from typing import Any

from tests.architecture.sources import PACKAGES, REPOSITORY, modules, refuse

ADR = REPOSITORY / "docs" / "adr" / "ADR-0009-dependencies-one-by-one.md"

# Import names that are not the distribution's name with another separator.
_DISTRIBUTION = {
    "dotenv": "python-dotenv",
    "jwt": "pyjwt",
    "opentelemetry": "opentelemetry-api",
    "yaml": "pyyaml",
}
# Distributions that share the name of their first package with another one.
_WITHIN = {
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.sdk": "opentelemetry-sdk",
}
# Packages whose types are part of a declared package's own API, and come with it.
_PART_OF = {
    "markupsafe": "jinja2",
    "multidict": "aiohttp",
    "pydantic_core": "pydantic",
    "starlette": "fastapi",
    "yarl": "aiohttp",
}
# Used without being imported.
_NOT_IMPORTED = {
    "aiosqlite": "the driver that SQLAlchemy loads for sqlite+aiosqlite",
    "httptools": "the parser that uvicorn takes by itself",
    "asyncpg": "the driver that SQLAlchemy loads for postgresql+asyncpg",
}


def project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def names(requirements: Iterable[str]) -> set[str]:
    """Return the distributions that requirements name, our own extras left out."""
    found = {re.split(r"[\[<>=!~; ]", text, maxsplit=1)[0].lower() for text in requirements}
    return found - {"prompt-workbench"}


def runtime() -> set[str]:
    table = project()["project"]
    extras = [text for extra in table["optional-dependencies"].values() for text in extra]
    return names([*table["dependencies"], *extras])


def development() -> set[str]:
    groups = project()["dependency-groups"].values()
    return names(text for group in groups for text in group)


def imported() -> set[str]:
    """Return the distributions that the two packages import."""
    tops = {_top(name) for module in modules() for _, name in module.imports()}
    foreign = tops - set(sys.stdlib_module_names) - set(PACKAGES)
    return {distribution(top) for top in foreign}


def _top(name: str) -> str:
    within = ".".join(name.split(".")[:2])
    return within if within in _WITHIN else name.partition(".")[0]


def distribution(top: str) -> str:
    return _WITHIN.get(top) or _PART_OF.get(top) or _DISTRIBUTION.get(top) or top.replace("_", "-")


def without_reason(declared: Iterable[str], page: str) -> set[str]:
    return {name for name in declared if f"| `{name}` |" not in page}


def test_everything_imported_is_declared() -> None:
    refuse(f"{name} is imported and not declared" for name in sorted(imported() - runtime()))


def test_everything_declared_is_used() -> None:
    unused = runtime() - imported() - set(_NOT_IMPORTED)
    refuse(f"{name} is declared and not imported" for name in sorted(unused))


def test_every_dependency_has_its_reason() -> None:
    missing = without_reason(runtime() | development(), ADR.read_text(encoding="utf-8"))
    refuse(f"{name} has no line in {ADR.name}" for name in sorted(missing))


def test_no_line_of_the_record_is_about_a_dependency_that_is_gone() -> None:
    used = ADR.read_text(encoding="utf-8").partition("## Considered and not used")[0]
    told = set(re.findall(r"^\| `([a-z0-9_-]+)` \|", used, re.MULTILINE))
    refuse(f"{name} is in {ADR.name} only" for name in sorted(told - runtime() - development()))


def test_an_undeclared_import_and_a_missing_reason_would_be_found() -> None:
    assert distribution("requests") not in runtime()
    assert distribution("yaml") in runtime()
    assert without_reason({"requests"}, "| `aiohttp` | HTTP | MIT |") == {"requests"}
