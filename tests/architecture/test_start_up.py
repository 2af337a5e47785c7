"""`workbench --help` answers at once: what is slow to import stays out of the way."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.sources import REPOSITORY

_SLOW = (
    "aiohttp",
    "alembic",
    "fastapi",
    "genai_prices",
    "httpx",
    "httpx2",
    "numpy",
    "ollama",
    "openai",
    "pandas",
    "pyarrow",
    "pydantic",
    "scipy",
    "sqlalchemy",
)
_HELP = """
import sys
sys.argv = ["workbench", "--help"]
from workbench.cli.main import main
try:
    main()
except SystemExit:
    pass
"""


def loaded_by(code: str) -> set[str]:
    """Return which of the slow libraries a program loads."""
    program = f"{code}\nimport sys\nprint('LOADED', *sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    names = done.stdout.rpartition("LOADED")[2].split()
    return {name for name in names if name in _SLOW}


def test_help_loads_no_slow_library() -> None:
    assert loaded_by(_HELP) == set()


@pytest.mark.parametrize("library", ["numpy", "sqlalchemy"])
def test_a_slow_library_would_be_found(library: str) -> None:
    assert library in loaded_by(f"import {library}")


def test_the_services_open_without_the_provider_sdks() -> None:
    loaded = loaded_by("import app.bootstrap")
    assert not loaded & {"openai", "ollama", "aiohttp", "httpx", "httpx2"}


def test_the_api_server_loads_nothing_of_the_tools_hence_no_team_s_scorer() -> None:
    program = "import app.main, sys\nprint(*(m for m in sys.modules if m.startswith('workbench')))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
