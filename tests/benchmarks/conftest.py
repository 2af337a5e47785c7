"""Fixtures of the benchmarks."""

from __future__ import annotations

import pytest

from tests.benchmarks.measure import compile_bytecode


@pytest.fixture(scope="session", autouse=True)
def bytecode() -> None:
    """Measure what an installed program does."""
    compile_bytecode()
