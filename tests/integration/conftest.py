"""Which tests wait for the night."""

from __future__ import annotations

from pathlib import Path

import pytest

_BY_NIGHT = frozenset(
    {
        "test_answers",
        "test_comparing",
        "test_conversations",
        "test_endings",
        "test_evaluation",
        "test_fallbacks",
        "test_gating",
        "test_models_cli",
        "test_scoring",
    }
)
"""Files whose subject has no statement and no lock of its own: what they read and write is tested
on both databases at every change by the files of the services and repositories below them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these files on SQLite at every change, and on PostgreSQL every night."""
    here = Path(__file__).parent
    for item in items:
        kind = getattr(item, "callspec", None)
        if (
            here in item.path.parents
            and item.path.stem in _BY_NIGHT
            and kind
            and kind.params.get("database_kind") == "postgresql"
        ):
            item.add_marker(pytest.mark.nightly)
