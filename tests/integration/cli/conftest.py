"""Commands start on a database that other commands have used before."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sqlite_template(used_sqlite: Path) -> Path:
    return used_sqlite
